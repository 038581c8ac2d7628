"""What to look for, who gives the second opinion, and whether anything may leave this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QWidget

from omniview.batch.one import AUTO
from omniview.core.task import Task
from omniview.ui.session import Snapshot, Stage

__all__ = ["Choosers", "omnimodel_box", "task_box"]

_OMNIMODELS = {
    "none": ("None", "The specialist alone"),
    "builtin": (
        "Built-in generalist",
        "A small promptable network on this machine, in a cloud model's place",
    ),
    "sam": (
        "SAM pair",
        "An own SAM, MobileSAM, EfficientSAM or SAM 2 export; outlines what the specialist found",
    ),
    "gemini": ("Gemini (cloud)", "Sends a downscaled picture to Google, after your consent"),
    "openai": (
        "OpenAI-compatible",
        "ChatGPT, or a server of your own such as Ollama or vLLM",
    ),
}


class Choosers(QWidget):
    """Task, omnimodel, offline."""

    task_chosen = pyqtSignal(str)
    omnimodel_chosen = pyqtSignal(str)
    offline_chosen = pyqtSignal(bool)

    def __init__(self, tasks: Mapping[str, Task], omnimodels: Sequence[str]) -> None:
        super().__init__()
        self._task, self._omnimodel = task_box(tasks), omnimodel_box(omnimodels)
        self._task.setMinimumWidth(168)
        self._omnimodel.setMinimumWidth(158)
        self._task.setToolTip("What to look for")
        self._omnimodel.setToolTip("Who gives the second opinion")
        self._offline = QCheckBox("Off&line")
        self._offline.setToolTip("No connection is opened at all; only local models run")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(7)
        for text, box in (("&Task", self._task), ("&Omnimodel", self._omnimodel)):
            label = QLabel(text)
            label.setObjectName("muted")
            label.setBuddy(box)
            line.addWidget(label)
            line.addWidget(box)
            line.addSpacing(8)
        line.addWidget(self._offline)
        self._task.activated.connect(lambda row: self.task_chosen.emit(self._task.itemData(row)))
        self._omnimodel.activated.connect(
            lambda row: self.omnimodel_chosen.emit(self._omnimodel.itemData(row))
        )
        self._offline.toggled.connect(self.offline_chosen)

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Show what is chosen, and what `auto` made of the image."""
        watched = ("task", "omnimodel", "offline", "recognised", "stage")
        if all(getattr(old, name) is getattr(new, name) for name in watched):
            return
        with QSignalBlocker(self._offline):
            self._offline.setChecked(new.offline)
        self._task.setCurrentIndex(self._task.findData(new.task))
        self._omnimodel.setCurrentIndex(self._omnimodel.findData(new.omnimodel))
        self._task.setItemText(0, _auto_text(new))

    def task_text(self) -> str:
        """What the task chooser says."""
        return self._task.currentText()

    def ask_task(self) -> None:
        """Open the list of tasks."""
        self._task.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._task.showPopup()


def task_box(tasks: Mapping[str, Task]) -> QComboBox:
    """A list of "auto" and `tasks`; each item's data is the task's name."""
    box = QComboBox()
    box.addItem("Auto", AUTO)
    box.setItemData(0, "Recognise what the image shows", Qt.ItemDataRole.ToolTipRole)
    for name, task in tasks.items():
        box.addItem(f"{name.capitalize()} · {task.modality}", name)
    return box


def omnimodel_box(omnimodels: Sequence[str]) -> QComboBox:
    """A list of omnimodels; each item's data is the omnimodel's name."""
    box = QComboBox()
    for name in omnimodels:
        title, hint = _OMNIMODELS.get(name, (name, name))
        box.addItem(title, name)
        box.setItemData(box.count() - 1, hint, Qt.ItemDataRole.ToolTipRole)
    return box


def _auto_text(now: Snapshot) -> str:
    if now.task != AUTO:
        return "Auto"
    if now.stage is Stage.RECOGNISING:
        return "Auto: recognising…"
    if now.stage is Stage.ASKING:
        return "Auto: not sure"
    return "Auto" if now.recognised is None else f"Auto: {now.recognised.name}"
