"""A message over the top of the image: what happened and the next step. It blocks nothing."""

from __future__ import annotations

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from omniview.ui.messages import Action, Level, Notice
from omniview.ui.session import Snapshot
from omniview.ui.theme import LEVELS

__all__ = ["NoticeBar"]

_STAY_MS = 6000  # good news goes by itself


class NoticeBar(QFrame):
    """Lies over its parent's upper edge while there is something to say."""

    acted = pyqtSignal(object)
    dismissed = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # names of files may look like markup
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._action = QPushButton()
        self._close = QToolButton()
        self._close.setObjectName("quiet")
        self._close.setText("✕")
        self._close.setToolTip("Dismiss (Esc)")
        self._close.setAccessibleName("Dismiss the message")
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 8, 8, 8)
        line.addWidget(self._text, 1)
        line.addWidget(self._action)
        line.addWidget(self._close)
        self._notice: Notice | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismissed)
        self._close.clicked.connect(self.dismissed)
        self._action.clicked.connect(self._act)
        self.hide()

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the notice, or nothing."""
        if new.notice is old.notice:
            return
        self._notice = new.notice
        self._timer.stop()
        if self._notice is None:
            self.hide()
            return
        colour = LEVELS[self._notice.level]
        self._text.setText(f"{self._notice.text} {self._notice.next_step}".strip())
        self.setStyleSheet(f"QFrame#notice {{ border-left: 4px solid {colour}; }}")
        self._action.setVisible(self._notice.action is not Action.NONE)
        self._action.setText(self._notice.action.value)
        if self._notice.level in (Level.INFO, Level.GOOD):
            self._timer.start(_STAY_MS)
        self.show()
        self.raise_()
        self.place()

    def text(self) -> str:
        """What is shown, or an empty text."""
        return self._text.text() if self._notice is not None else ""

    def click(self) -> None:
        """As if the next step were clicked."""
        self._action.click()

    def place(self) -> None:
        """Lie over the upper edge of the parent."""
        parent, layout = self.parentWidget(), self.layout()
        if parent is not None and layout is not None:
            width = max(200, min(parent.width() - 24, 760))
            self.resize(width, max(layout.heightForWidth(width), layout.minimumSize().height()))
            self.move((parent.width() - width) // 2, 12)

    def _act(self) -> None:
        if self._notice is not None:
            action = self._notice.action
            self.dismissed.emit()
            self.acted.emit(action)
