"""How good the masks probably are, without any ground truth: predicted Dice with its interval."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from omniview.core.case import Case
from omniview.core.fusion import Fusion
from omniview.core.prediction import Prediction, Quality
from omniview.core.trust import margin_sentence
from omniview.ui.panel import heading
from omniview.ui.session import Snapshot
from omniview.ui.theme import EDGE, MUTED, TEXT
from omniview.ui.view import LOOKS, Layer

__all__ = ["QualityPanel"]

_NAME, _NUMBERS = 82, 128  # pixels for the name and the numbers beside the bar


class _Bar(QWidget):
    """Predicted Dice on a scale from 0 to 1: a band for the interval, a mark for the value."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self._layer = layer
        self._quality: Quality | None = None
        self.setFixedHeight(20)
        self.show_quality(None)

    def show_quality(self, quality: Quality | None, there: bool = False) -> None:
        """Show a predicted Dice, or that a mask which is `there` has none, or that there is no mask."""
        self._quality, self._there = quality, there
        title = LOOKS[self._layer].title
        missing = "n/a: its Dice is not predicted." if there else "no mask."
        self.setToolTip(
            f"{title}: {missing}"
            if quality is None
            else f"{title}: Dice is predicted as {quality.value:.2f}; for 90 % of similar images it lies "
            f"between {quality.low:.2f} and {quality.high:.2f}."
        )
        self.setAccessibleDescription(self.toolTip())
        self.update()

    def paintEvent(self, _: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect())
        middle = Qt.AlignmentFlag.AlignVCenter
        colour = QColor(*LOOKS[self._layer].colour)
        painter.setPen(colour)
        painter.drawText(area, middle | Qt.AlignmentFlag.AlignLeft, LOOKS[self._layer].title)
        track = area.adjusted(_NAME, 8, -_NUMBERS, -8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(EDGE))
        painter.drawRoundedRect(track, 2, 2)
        if self._quality is None:
            painter.setPen(QColor(MUTED))
            text = "n/a" if self._there else "–"
            painter.drawText(area, middle | Qt.AlignmentFlag.AlignRight, text)
        else:
            self._paint_quality(painter, area, track, colour, self._quality)
        painter.end()

    def _paint_quality(
        self, painter: QPainter, area: QRectF, track: QRectF, colour: QColor, quality: Quality
    ) -> None:
        def at(value: float) -> float:
            return track.left() + value * track.width()

        band = QColor(colour)
        band.setAlphaF(0.45)
        painter.setBrush(band)
        width = max(2.0, at(quality.high) - at(quality.low))
        painter.drawRoundedRect(QRectF(at(quality.low), track.top() - 2, width, 8), 2, 2)
        painter.setBrush(colour)
        painter.drawRect(QRectF(at(quality.value) - 1.25, track.top() - 4, 2.5, 12))
        painter.setPen(QColor(TEXT))
        text = f"{quality.value:.2f} [{quality.low:.2f}, {quality.high:.2f}]"
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text)


class QualityPanel(QWidget):
    """One bar a mask."""

    def __init__(self) -> None:
        super().__init__()
        self._bars = {layer: _Bar(layer) for layer in (Layer.SPECIALIST, Layer.OMNIMODEL, Layer.FUSED)}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        title = heading("Predicted Dice")
        title.setToolTip(
            "Estimated without any ground truth, with the interval that holds for 90 % of images."
        )
        column.addWidget(title)
        for bar in self._bars.values():
            column.addWidget(bar)
        self._remarks = QLabel()
        self._remarks.setObjectName("muted")
        self._remarks.setTextFormat(Qt.TextFormat.PlainText)
        self._remarks.setWordWrap(True)
        self._remarks.hide()
        column.addWidget(self._remarks)

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the case's predicted qualities, what the margin promises while it is seen, and remarks."""
        if new.case is not old.case or new.view is not old.view:
            remarks = _remarks(new)
            self._remarks.setText("\n".join(remarks).replace(" %", "\N{NO-BREAK SPACE}%"))
            self._remarks.setVisible(bool(remarks))
        if new.case is not old.case:
            for layer, bar in self._bars.items():
                mask = _mask(new.case, layer)
                bar.show_quality(None if mask is None else mask.quality, mask is not None)

    def remarks(self) -> str:
        """What is said below the bars."""
        return self._remarks.text()

    def texts(self) -> dict[Layer, str]:
        """What each bar says in words."""
        return {layer: bar.toolTip() for layer, bar in self._bars.items()}


def _remarks(now: Snapshot) -> list[str]:
    if now.case is None or now.case.fusion is None:
        return []
    fusion = now.case.fusion
    strange = [
        f"Unlike the images that {p.model} was trained on: do not rely on its mask."
        for p in now.case.predictions
        if p.novelty is not None and p.novelty > 1.0
    ]
    if fusion.promise is None or not now.view.visible(Layer.MARGIN):
        return [*strange, *fusion.notes]
    return [*strange, *fusion.notes, margin_sentence(fusion.promise)]


def _mask(case: Case | None, layer: Layer) -> Prediction | Fusion | None:
    if case is None or layer is Layer.FUSED:
        return None if case is None else case.fusion
    return next((p for p in case.predictions if p.role == layer.value), None)
