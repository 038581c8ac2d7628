"""Digits switch layers: a tap toggles one, holding it shows it alone, letting go returns.

An event filter rather than shortcuts, since a shortcut does not know when its key is let go; it also keeps
lists and choosers from taking the digits for a search.
"""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QAbstractSpinBox, QLineEdit, QWidget

from omniview.ui.view import LOOKS

__all__ = ["LayerKeys"]

HOLD_MS = 250
_LAYERS = {0x30 + look.key: layer for layer, look in LOOKS.items()}  # Qt's key codes of digits are ASCII


class LayerKeys(QObject):
    """Watches a window and everything in it, except where text is typed."""

    tapped = pyqtSignal(object)
    held = pyqtSignal(object)
    """A layer while its key is down, None when it is let go."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._down: int | None = None
        self._solo = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(HOLD_MS)
        self._timer.timeout.connect(self._hold)
        for widget in (window, *window.findChildren(QWidget)):
            if not isinstance(widget, QLineEdit | QAbstractSpinBox):
                widget.installEventFilter(self)

    def eventFilter(self, _: QObject | None, event: QEvent | None) -> bool:
        """Take digits out of the stream of key events."""
        if event is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.WindowDeactivate:
            self._release(tap=False)
        if kind not in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease) or not isinstance(event, QKeyEvent):
            return False
        key, plain = event.key(), not event.modifiers() & ~event.modifiers().KeypadModifier
        if key not in _LAYERS or not plain:
            return False
        if not event.isAutoRepeat():
            if kind == QEvent.Type.KeyPress:
                self._release(tap=False)
                self._down = key
                self._timer.start()
            elif key == self._down:
                self._release(tap=True)
        return True

    def _hold(self) -> None:
        if self._down is not None:
            self._solo = True
            self.held.emit(_LAYERS[self._down])

    def _release(self, *, tap: bool) -> None:
        down, solo = self._down, self._solo
        self._timer.stop()
        self._down, self._solo = None, False
        if solo:
            self.held.emit(None)
        elif tap and down is not None:
            self.tapped.emit(_LAYERS[down])
