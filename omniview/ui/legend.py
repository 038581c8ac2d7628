"""Names the visible layers on the image itself, so that a screenshot explains itself."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from omniview.ui.session import Snapshot
from omniview.ui.swatch import draw_mark
from omniview.ui.theme import TEXT
from omniview.ui.view import LOOKS, Layer, Style

__all__ = ["Legend"]

_ROW, _PAD, _MARK = 20, 8, 26


class Legend(QWidget):
    """Lies in the lower left corner of its parent and lets the mouse through."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._rows: tuple[tuple[Layer, Style], ...] = ()
        self.hide()

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Name what is visible."""
        if new.view is old.view and new.frame is old.frame:
            return
        view, frame = new.view, new.frame
        rows = tuple(
            (layer, view.layers[layer].style)
            for layer in Layer
            if frame is not None and frame.has(layer) and view.visible(layer)
        )
        self.setVisible(bool(rows) and view.legend)
        if rows != self._rows:
            self._rows = rows
            self.place()
            self.update()

    def place(self) -> None:
        """Lie in the lower left corner of the parent."""
        parent = self.parentWidget()
        if parent is not None and self._rows:
            texts = [LOOKS[layer].title for layer, _ in self._rows]
            wide = max(self.fontMetrics().horizontalAdvance(text) for text in texts)
            self.resize(_PAD * 3 + _MARK + wide, _PAD * 2 + _ROW * len(texts))
            self.move(12, parent.height() - self.height() - 12)

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Paint it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(11, 12, 14, 190))
        painter.drawRoundedRect(QRectF(self.rect()), 6, 6)
        for number, (layer, style) in enumerate(self._rows):
            top = _PAD + number * _ROW
            draw_mark(painter, QRectF(_PAD, top + 3, _MARK, _ROW - 6), layer, style)
            painter.setPen(QColor(TEXT))
            room = QRectF(_PAD * 2 + _MARK, top, self.width(), _ROW)
            painter.drawText(
                room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, LOOKS[layer].title
            )
        painter.end()
