"""What ran, where and how long, and how each model fares: a badge that explains itself."""

from __future__ import annotations

import time

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from omniview.core.prediction import ROLES, Role
from omniview.ui.messages import Badge, badge, ran
from omniview.ui.panel import as_written, heading
from omniview.ui.session import Snapshot, Stage
from omniview.ui.theme import LEVELS
from omniview.ui.view import LOOKS, Layer

__all__ = ["BadgeButton", "ModelPanel"]


class BadgeButton(QToolButton):
    """A model's state in a word; the tooltip says why, a click is the next step."""

    acted = pyqtSignal(object)
    """The badge that was clicked."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self._role = role
        self._badge: Badge | None = None
        self.clicked.connect(self._act)

    @property
    def badge(self) -> Badge | None:
        """What is shown."""
        return self._badge

    def show_badge(self, shown: Badge) -> None:
        """Show a state."""
        if shown == self._badge:
            return
        self._badge = shown
        colour = QColor(LEVELS[shown.level])
        red, green, blue = colour.red(), colour.green(), colour.blue()
        self.setText(shown.word)
        self.setToolTip(as_written(shown.explanation))
        self.setAccessibleName(f"{self._role}: {shown.word}. {shown.explanation}")
        self.setStyleSheet(
            f"QToolButton {{ color: {colour.name()}; background: rgba({red},{green},{blue},28);"
            f" border: 1px solid rgba({red},{green},{blue},110); border-radius: 8px; padding: 1px 8px; }}"
            f"QToolButton:hover, QToolButton:focus {{ border-color: {colour.name()}; }}"
        )

    def _act(self) -> None:
        if self._badge is not None:
            self.acted.emit(self._badge)


class ModelPanel(QWidget):
    """One block a role: model, badge, and what really ran."""

    acted = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._now = Snapshot()
        self._badges: dict[Role, BadgeButton] = {}
        self._details: dict[Role, QLabel] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(heading("Models"))
        for role in ROLES:
            look = LOOKS[Layer(role)]
            name = QLabel(look.title)
            name.setStyleSheet(f"color: {QColor(*look.colour).name()};")
            shown = BadgeButton(role)
            shown.acted.connect(self.acted)
            details = QLabel()
            details.setObjectName("muted")
            details.setTextFormat(Qt.TextFormat.PlainText)
            details.setWordWrap(True)
            details.setAlignment(Qt.AlignmentFlag.AlignTop)
            # room for two lines from the start, so that nothing moves when a result arrives
            details.setMinimumHeight(2 * details.fontMetrics().lineSpacing() + 2)
            line = QHBoxLayout()
            line.addWidget(name)
            line.addStretch(1)
            line.addWidget(shown)
            column.addLayout(line)
            column.addWidget(details)
            self._badges[role], self._details[role] = shown, details
        self._clock = QTimer(self)
        self._clock.setInterval(500)
        self._clock.timeout.connect(self._show)
        self._show()

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show the models' states."""
        watched = ("case", "stage", "offline", "omnimodel")
        if all(getattr(old, name) is getattr(new, name) for name in watched):
            return
        self._now = new
        if new.stage is Stage.ANALYSING:
            self._clock.start()
        else:
            self._clock.stop()
        self._show()

    def badges(self) -> dict[Role, Badge | None]:
        """What the badges show."""
        return {role: button.badge for role, button in self._badges.items()}

    def click(self, role: Role) -> None:
        """As if the badge of `role` were clicked."""
        self._badges[role].click()

    def _show(self) -> None:
        now = self._now
        elapsed = time.monotonic() - now.began if now.stage is Stage.ANALYSING else None
        for role in ROLES:
            chosen = role == "specialist" or now.omnimodel != "none"
            self._badges[role].show_badge(
                badge(
                    now.case,
                    role,
                    offline=now.offline,
                    chosen=chosen,
                    elapsed_s=elapsed,
                    stopped=not now.stage.busy,
                )
            )
            self._details[role].setText(self._detail(role))

    def _detail(self, role: Role) -> str:
        case = self._now.case
        if case is None:
            return "…" if self._now.stage.busy else "–"
        if (prediction := case.prediction(role)) is not None:
            return ran(prediction)
        if (failure := case.failure(role)) is not None:
            return failure.reason
        return "…" if role in case.pending and self._now.stage.busy else "–"
