"""What is to be scored, and where the results go: the upper part of the dialog for folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PyQt6.QtCore import QTimer, pyqtSignal
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
from omniview.ui.batch_plan import Wish
from omniview.ui.choosers import omnimodel_box, task_box

__all__ = ["BatchForm"]

_REST_MS = 350  # a person who still types is not waiting for a folder to be listed
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

    changed = pyqtSignal()
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
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.timeout.connect(self.changed)
        self._out_chosen = False
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
            box.textChanged.connect(lambda _text: self._timer.start())
        for chooser in (self._task, self._omnimodel):
            chooser.activated.connect(lambda _row: self.changed.emit())
        self._masks.toggled.connect(lambda _on: self.changed.emit())

    def wish(self) -> Wish | None:
        """What is wanted, or None as long as no folder is named."""
        folder, truth = self._folder.text().strip(), self._truth.text().strip()
        if not folder:
            return None
        return Wish(
            Path(folder),
            Path(truth) if truth else None,
            self._task.currentData(),
            self._omnimodel.currentData(),
            self._offline(),
            self._masks.isChecked(),
        )

    def out(self) -> Path | None:
        """Where the results go, or None as long as that is not named."""
        text = self._out.text().strip()
        return Path(text) if text else None

    def choose(self, folder: Path, out: Path | None = None) -> None:
        """As if a person had entered these."""
        self._folder.setText(str(folder))
        if out is not None:
            self._set_out(out)

    def close_down(self) -> None:
        """Let no timer go off any more."""
        self._timer.stop()

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
        button.setAutoDefault(False)
        button.clicked.connect(lambda _checked: self.asked.emit(choose))
        box.setPlaceholderText(hint)
        grid.addWidget(_label(title, box), row, 0)
        grid.addWidget(box, row, 1)
        grid.addWidget(button, row, 2)

    def _choose_folder(self, path: Path) -> None:
        self._folder.setText(str(path))

    def _choose_truth(self, path: Path) -> None:
        self._truth.setText(str(path))

    def _choose_out(self, path: Path) -> None:
        self._set_out(path)

    def _set_out(self, path: Path) -> None:
        self._out_chosen = True
        self._out.setText(str(path))

    def _own_out(self, text: str) -> None:
        self._out_chosen = bool(text.strip())

    def _follow(self, text: str) -> None:
        """Results go beside the folder, unless a person chose another place."""
        if not self._out_chosen:
            folder = Path(text.strip()) if text.strip() else None
            self._out.setText("" if folder is None else str(folder.with_name(folder.name + _SUFFIX)))


def _label(title: str, buddy: QWidget) -> QLabel:
    label = QLabel(title)
    label.setObjectName("muted")
    label.setBuddy(buddy)
    return label
