"""What is to be scored, and where the results go: the upper part of the dialog for folders."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from omniview.core.task import Task
from omniview.io.remote import is_remote
from omniview.ui.batch_plan import Wish
from omniview.ui.choosers import omnimodel_box, task_box

__all__ = ["BatchForm"]

_SUFFIX = "-scores"


class BatchForm(QWidget):
    """Folder, truth, results, task, omnimodel.

    Args:
        tasks: the tasks that can be chosen.
        omnimodels: the omnimodels that can be chosen.
        task: chosen at first.
        omnimodel: chosen at first.
        offline: whether the window is offline, asked whenever it matters.
    """

    edited = pyqtSignal()
    """Something is being typed: what was found out before no longer holds."""
    changed = pyqtSignal()
    """Something else is wanted, and no longer being typed: a half-typed folder may be a whole disk."""
    asked = pyqtSignal(object)
    """A person wants to choose a folder; carries what is to be called with it."""

    def __init__(
        self,
        tasks: Mapping[str, Task],
        omnimodels: Sequence[str],
        *,
        task: str,
        omnimodel: str,
        offline: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._offline = offline
        self._folder, self._truth, self._out = QLineEdit(), QLineEdit(), QLineEdit()
        self._task, self._omnimodel = task_box(tasks), omnimodel_box(omnimodels)
        self._masks = QCheckBox("Also write every mask")
        self._out_chosen = self._typed = False
        self._task.setCurrentIndex(max(0, self._task.findData(task)))
        self._omnimodel.setCurrentIndex(max(0, self._omnimodel.findData(omnimodel)))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        rows = (
            ("&Images", self._folder, "Folder of images, masks among or beside them", self._choose_folder),
            ("&Truth", self._truth, "Found by name; or the folder of the masks", self._choose_truth),
            ("&Results", self._out, "Folder for tables and report", self._choose_out),
        )
        for row, (title, box, hint, choose) in enumerate(rows):
            self._line(grid, row, title, box, hint, choose)
        line = QHBoxLayout()
        line.setSpacing(8)
        for title, chooser in (("Tas&k", self._task), ("&Omnimodel", self._omnimodel)):
            label = _label(title, chooser)
            line.addWidget(label)
            line.addWidget(chooser)
            line.addSpacing(10)
        line.addWidget(self._masks)
        line.addStretch(1)
        grid.addLayout(line, len(rows), 1, 1, 2)
        self._folder.textChanged.connect(self._follow)
        self._out.textEdited.connect(self._own_out)
        for box in (self._folder, self._truth, self._out):
            box.textEdited.connect(self._type)
            box.editingFinished.connect(self._settle)
        for chooser in (self._task, self._omnimodel):
            chooser.activated.connect(lambda _row: self.changed.emit())
        self._masks.toggled.connect(lambda _on: self.changed.emit())

    def wish(self) -> Wish | None:
        """What is wanted, or None as long as no folder is named."""
        folder, truth = self._folder.text().strip(), self._truth.text().strip()
        if not folder:
            return None
        return Wish(
            _path(folder),
            _path(truth) if truth else None,
            self._task.currentData(),
            self._omnimodel.currentData(),
            self._offline(),
            self._masks.isChecked(),
        )

    def out(self) -> Path | None:
        """Where the results go, or None as long as that is not named."""
        text = self._out.text().strip()
        return _path(text) if text else None

    def choose(self, folder: Path, out: Path | None = None) -> None:
        """As if a person had entered these."""
        self._folder.setText(str(folder))
        if out is not None:
            self._out_chosen = True
            self._out.setText(str(out))
        self.changed.emit()

    def _type(self) -> None:
        self._typed = True
        self.edited.emit()

    def _settle(self) -> None:
        if self._typed and self.isVisible():  # whoever leaves the dialog is not done with it
            self._typed = False
            self.changed.emit()

    def _line(
        self,
        grid: QGridLayout,
        row: int,
        title: str,
        box: QLineEdit,
        hint: str,
        choose: Callable[[Path], None],
    ) -> None:
        button = QPushButton("Choose…")
        button.setAccessibleName(f"Choose {title.replace('&', '').lower()}")
        button.setAutoDefault(False)
        button.clicked.connect(lambda _checked: self.asked.emit(choose))
        box.setPlaceholderText(hint)
        grid.addWidget(_label(title, box), row, 0)
        grid.addWidget(box, row, 1)
        grid.addWidget(button, row, 2)

    def _choose_folder(self, path: Path) -> None:
        self.choose(path)

    def _choose_truth(self, path: Path) -> None:
        self._truth.setText(str(path))
        self.changed.emit()

    def _choose_out(self, path: Path) -> None:
        self._out_chosen = True
        self._out.setText(str(path))
        self.changed.emit()

    def _own_out(self, text: str) -> None:
        self._out_chosen = bool(text.strip())

    def _follow(self, text: str) -> None:
        """Results go beside the folder, unless a person chose another place."""
        if not self._out_chosen:
            self._out.setText(_beside(text.strip()))


def _path(text: str) -> Path:
    """What was entered, `~` read as a shell does."""
    with contextlib.suppress(RuntimeError):  # there is no such person
        return Path(text).expanduser()
    return Path(text)


def _beside(text: str) -> str:
    """Where the results of a folder go unless another place is chosen; empty where nothing lies beside it."""
    if not text or is_remote(text):
        return ""
    folder = Path(os.path.normpath(_path(text).absolute()))  # "." and ".." have no name of their own
    return str(folder.with_name(folder.name + _SUFFIX)) if folder.name else ""


def _label(title: str, buddy: QWidget) -> QLabel:
    label = QLabel(title)
    label.setObjectName("muted")
    label.setBuddy(buddy)
    return label
