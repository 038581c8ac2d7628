"""What the mouse does on the image: zoom, pan, grey window, and, while a tool is up, clicks and boxes."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal

__all__ = ["ImageBox"]

_STILL = 4.0  # device-independent pixels that a click may move


class ImageBox(pg.ViewBox):  # type: ignore[misc]  # pyqtgraph has no type information
    """pyqtgraph's zoom at the cursor and pan; the right button drags the grey window instead of the scale.

    While `marking`, clicks are reported and the left button draws boxes; the middle one still pans.
    """

    dragged = pyqtSignal(float, float)
    clicked = pyqtSignal(QPointF, bool)
    """Where in the image, and whether it says "not this"."""
    banded = pyqtSignal(QRectF, bool)
    """A box in image coordinates, and whether it is finished."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.marking = False

    def mouseClickEvent(self, ev: Any) -> None:
        """Report it, if a tool is up."""
        if self.marking and ev.button() != Qt.MouseButton.MiddleButton:
            self._click(ev, ev.scenePos())
        else:
            super().mouseClickEvent(ev)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        """Pan, change the grey window, or draw a box."""
        button = ev.button()
        still = (ev.scenePos() - ev.buttonDownScenePos()).length() < _STILL
        if self.marking and still and ev.isFinish() and button != Qt.MouseButton.MiddleButton:
            self.banded.emit(QRectF(), True)
            self._click(ev, ev.buttonDownScenePos())  # a slow click with an unsteady hand
        elif button == Qt.MouseButton.RightButton:
            ev.accept()
            moved = ev.screenPos() - ev.lastScreenPos()
            self.dragged.emit(float(moved.x()), float(moved.y()))
        elif self.marking and button == Qt.MouseButton.LeftButton:
            ev.accept()
            start, end = (self.mapSceneToView(at) for at in (ev.buttonDownScenePos(), ev.scenePos()))
            self.banded.emit(QRectF(start, end).normalized(), ev.isFinish())
        else:
            super().mouseDragEvent(ev, axis)

    def _click(self, ev: Any, at: QPointF) -> None:
        ev.accept()
        negative = ev.button() == Qt.MouseButton.RightButton
        alternate = bool(ev.modifiers() & Qt.KeyboardModifier.AltModifier)
        self.clicked.emit(QPointF(self.mapSceneToView(at)), negative or alternate)
