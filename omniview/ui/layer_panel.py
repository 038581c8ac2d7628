"""Which layers lie over the image, and how: the legend and the switches in one."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PyQt6.QtWidgets import QCheckBox, QGridLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from omniview.core.trust import margin_sentence
from omniview.ui.panel import heading
from omniview.ui.session import Snapshot
from omniview.ui.swatch import Swatch, uncertainty_gradient
from omniview.ui.theme import CANVAS, MUTED
from omniview.ui.view import LOOKS, Layer, Style

__all__ = ["LayerPanel"]

_ROW = 23  # device-independent pixels; the same for a row without a style button
_ICON = {Style.CONTOUR: "○", Style.FILL: "●"}


class _UncertaintyScale(QWidget):
    """The colours of the uncertainty map with their ends named."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(18)
        self.setToolTip(
            "Uncertainty of the fused mask, from certain to a coin toss. Fades out where it is certain."
        )

    def paintEvent(self, _: QPaintEvent | None) -> None:
        painter = QPainter(self)
        metrics = QFontMetricsF(self.font())
        low, high = "certain", "coin toss"
        painter.setPen(QColor(MUTED))
        area = QRectF(self.rect())
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, low)
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, high)
        left, right = metrics.horizontalAdvance(low) + 8, metrics.horizontalAdvance(high) + 8
        bar = area.adjusted(left, 4, -right, -4)
        painter.fillRect(bar, QColor(CANVAS))
        painter.fillRect(bar, uncertainty_gradient(bar))
        painter.end()


class LayerPanel(QWidget):
    """One row a layer: switch, mark, name, key, style, opacity."""

    toggled = pyqtSignal(object, bool)
    styled = pyqtSignal(object, object)
    faded = pyqtSignal(object, float)

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(7)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        self._checks: dict[Layer, QCheckBox] = {}
        self._swatches: dict[Layer, Swatch] = {}
        self._styles: dict[Layer, QToolButton] = {}
        self._sliders: dict[Layer, QSlider] = {}
        for row, layer in enumerate(Layer):
            grid.setRowMinimumHeight(row, _ROW)
            self._add(grid, row, layer)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        title = heading("Layers")
        title.setToolTip("Press a layer's number to switch it; hold it to see the layer alone.")
        column.addWidget(title)
        column.addLayout(grid)
        column.addWidget(_UncertaintyScale())

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the view's settings, and which layers there are."""
        if new.view is old.view and new.frame is old.frame:
            return
        for layer in Layer:
            now = new.view.layers[layer]
            there = new.frame is not None and new.frame.has(layer)
            with QSignalBlocker(self._checks[layer]), QSignalBlocker(self._sliders[layer]):
                self._checks[layer].setChecked(now.shown)
                self._sliders[layer].setValue(round(now.opacity * 100))
            self._checks[layer].setToolTip(_hint(layer, new))
            muted = "" if there else f"color: {MUTED};"
            if self._checks[layer].styleSheet() != muted:
                self._checks[layer].setStyleSheet(muted)
            self._swatches[layer].show_style(now.style)
            if layer in self._styles:
                self._styles[layer].setText(_ICON[now.style])
                self._styles[layer].setToolTip(f"Drawn as {now.style}; click for the other")

    def _add(self, grid: QGridLayout, row: int, layer: Layer) -> None:
        look = LOOKS[layer]
        check = QCheckBox(look.title)
        check.setChecked(True)
        check.setToolTip(_hint(layer, Snapshot()))
        check.toggled.connect(lambda on: self.toggled.emit(layer, on))
        key = QLabel(str(look.key))
        key.setObjectName("muted")
        key.setToolTip(check.toolTip())
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(10, 100)
        slider.setValue(100)
        slider.setFixedWidth(66)
        slider.setToolTip("Opacity")
        slider.setAccessibleName(f"Opacity of {look.title}")
        slider.valueChanged.connect(lambda value: self.faded.emit(layer, value / 100))
        swatch = Swatch(layer)
        grid.addWidget(swatch, row, 0)
        grid.addWidget(check, row, 1)
        grid.addWidget(key, row, 2)
        if not look.area:
            button = QToolButton()
            button.setObjectName("quiet")
            button.setText(_ICON[Style.CONTOUR])
            button.setAccessibleName(f"Contour or fill of {look.title}")
            button.clicked.connect(lambda: self._other_style(layer))
            grid.addWidget(button, row, 3)
            self._styles[layer] = button
        grid.addWidget(slider, row, 4)
        self._checks[layer], self._swatches[layer], self._sliders[layer] = check, swatch, slider

    def _other_style(self, layer: Layer) -> None:
        contour = self._styles[layer].text() == _ICON[Style.CONTOUR]
        self.styled.emit(layer, Style.FILL if contour else Style.CONTOUR)


def _hint(layer: Layer, now: Snapshot) -> str:
    """What a layer is, and its key; of the margin also what it promises, or that there is none."""
    look = LOOKS[layer]
    hint = f"{look.hint}. Key {look.key}: switch it; hold the key to see it alone."
    fusion = None if now.case is None else now.case.fusion
    if layer is not Layer.MARGIN or fusion is None:
        return hint
    promise = fusion.promise
    told = "None was calibrated for these models." if promise is None else margin_sentence(promise)
    return f"{hint}\n{told}"
