"""Which frame of a clip or slice of a volume is on screen."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSlider

from omniview.ui.session import Snapshot

__all__ = ["FrameBar"]


class FrameBar(QFrame):
    """A slider; hidden where there is only one image."""

    moved = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("strip")
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setAccessibleName("Frame")
        self._slider.setToolTip("Comma and full stop step one frame back and on")
        self._slider.valueChanged.connect(self.moved)
        self._label = QLabel()
        self._label.setObjectName("muted")
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 5, 12, 5)
        line.addWidget(self._slider)
        line.addWidget(self._label)
        self.hide()

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the position."""
        if new.image is old.image and new.series is old.series:
            return
        count = len(new.series)
        self.setVisible(count > 1)
        with QSignalBlocker(self._slider):
            self._slider.setRange(0, max(0, count - 1))
            # while it is dragged the hand is ahead of the image
            if not self._slider.isSliderDown():
                self._slider.setValue(new.position)
        self._label.setText(f"{new.position + 1} / {count}")
