"""A layer's mark as the canvas draws it, for the layer panel and the legend on the image."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from omniview.ui.overlay import uncertainty_colours
from omniview.ui.theme import CANVAS
from omniview.ui.view import LOOKS, Layer, Style

__all__ = ["Swatch", "draw_mark", "uncertainty_gradient"]

_SHORTER = 0.75  # dashes than on the canvas, so that some of them fit
_BETWEEN = 5.5  # hatching lines, device-independent pixels


def uncertainty_gradient(rect: QRectF) -> QLinearGradient:
    """The uncertainty map's colours from certain (left) to a coin toss (right), as over a dark image."""
    gradient = QLinearGradient(rect.topLeft(), rect.topRight())
    for step in range(9):
        red, green, blue, alpha = (int(c) for c in uncertainty_colours()[step * 255 // 8])
        gradient.setColorAt(step / 8, QColor(red, green, blue, alpha))
    return gradient


def _hatch(painter: QPainter, rect: QRectF, colour: QColor, slope: int) -> None:
    """Diagonal lines, `slope` 1 for falling and -1 for rising ones, as on the canvas."""
    painter.save()
    painter.setClipRect(rect)
    painter.setPen(QPen(colour, 1.8))
    reach = rect.height()
    across = rect.left() - reach
    while across < rect.right() + reach:
        ends = (rect.top(), rect.bottom()) if slope > 0 else (rect.bottom(), rect.top())
        painter.drawLine(QPointF(across, ends[0]), QPointF(across + reach, ends[1]))
        across += _BETWEEN
    painter.restore()


def draw_mark(painter: QPainter, rect: QRectF, layer: Layer, style: Style) -> None:
    """Paint the mark of `layer` into `rect`."""
    look = LOOKS[layer]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if layer is Layer.UNCERTAINTY:
        painter.fillRect(rect, QColor(CANVAS))
        painter.fillRect(rect, uncertainty_gradient(rect))
        return
    if layer is Layer.DISAGREEMENT:
        painter.fillRect(rect, QColor(CANVAS))
        half = rect.width() / 2
        _hatch(painter, rect.adjusted(0, 0, -half, 0), QColor(*LOOKS[Layer.SPECIALIST].colour), -1)
        _hatch(painter, rect.adjusted(half, 0, 0, 0), QColor(*LOOKS[Layer.OMNIMODEL].colour), 1)
        return
    colour = QColor(*look.colour)
    middle = rect.center().y()
    left, right = QPointF(rect.left() + 2, middle), QPointF(rect.right() - 2, middle)
    if style is Style.FILL:
        colour.setAlphaF(0.55)
        painter.fillRect(rect.adjusted(1, 1, -1, -1), colour)
        return
    line = QPen(QColor(0, 0, 0, 200), look.width + 3)
    painter.setPen(line)
    painter.drawLine(left, right)
    line = QPen(colour, look.width + 0.6)
    line.setCapStyle(Qt.PenCapStyle.FlatCap)
    if look.dash is not None:
        line.setDashPattern([_SHORTER * length / line.widthF() for length in look.dash])  # in widths, says Qt
    painter.setPen(line)
    painter.drawLine(left, right)


class Swatch(QWidget):
    """The mark of one layer."""

    def __init__(self, layer: Layer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer = layer
        self._style = Style.CONTOUR
        self.setFixedSize(QSize(26, 14))

    def show_style(self, style: Style) -> None:
        """Draw the mark as a line or an area."""
        if style is not self._style:
            self._style = style
            self.update()

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Paint it."""
        painter = QPainter(self)
        draw_mark(painter, QRectF(self.rect()), self._layer, self._style)
        painter.end()
