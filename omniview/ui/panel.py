"""What the side panels look alike in: headings, rules, and text that shortens instead of being cut."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

__all__ = ["Elided", "as_written", "heading", "rule", "side", "within_screen"]

_ROOM = 0.94
"""Share of a screen that a window without its frame may take."""


def heading(text: str) -> QLabel:
    """A panel's title."""
    label = QLabel(text.upper())
    label.setObjectName("heading")
    return label


def rule() -> QFrame:
    """A thin line between panels."""
    line = QFrame()
    line.setObjectName("rule")
    return line


def as_written(text: str) -> str:
    """A tooltip that shows `text` letter by letter: file names may look like markup, which Qt would obey."""
    if "<" not in text:
        return text
    return f'<p style="white-space: pre-wrap">{escape(text)}</p>'


def within_screen(widget: QWidget, width: int, height: int) -> QSize:
    """The size that is wanted, as far as the screen that `widget` is on has room for it and its frame."""
    screen = widget.screen()
    room = screen.availableSize() * _ROOM if screen is not None else QSize(width, height)
    return QSize(width, height).boundedTo(room)


def side(*panels: QWidget) -> QScrollArea:
    """A column of panels with rules between them, which scrolls where the window is too low for it."""
    column = QWidget()
    column.setObjectName("side")
    layout = QVBoxLayout(column)
    layout.setContentsMargins(12, 10, 12, 10)
    layout.setSpacing(9)
    for number, panel in enumerate(panels):
        if number:
            layout.addWidget(rule())
        layout.addWidget(panel)
    layout.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidget(column)
    scroll.setWidgetResizable(True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return scroll


class Elided(QLabel):
    """A line of text that is shortened where it does not fit; the tooltip has all of it."""

    def __init__(self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> None:
        super().__init__()
        self._mode = mode
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str, tooltip: str | None = None) -> None:
        """Show `text`; the tooltip is the text itself unless another one is given."""
        if text != self.text():
            self.setText(text)
        self.setToolTip(as_written(text if tooltip is None else tooltip))

    def minimumSizeHint(self) -> QSize:
        """May shrink to almost nothing."""
        return QSize(20, super().minimumSizeHint().height())

    def paintEvent(self, _: QPaintEvent | None) -> None:
        """Paint as much as fits."""
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), self._mode, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), self.alignment() | Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()
