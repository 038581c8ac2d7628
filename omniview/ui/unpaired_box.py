"""Which files of a folder could not be paired, and why, all of them: read before anything is scored."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QStringListModel, Qt
from PyQt6.QtWidgets import QDialog, QListView, QPushButton, QVBoxLayout, QWidget

from omniview.io.pair_types import Unpaired

__all__ = ["UnpairedBox"]

_SIZE = (720, 420)


class UnpairedBox(QDialog):
    """A list that can be read, scrolled and copied from.

    Args:
        parent: the dialog for folders.
        left: what could not be paired.
    """

    def __init__(self, parent: QWidget, left: Sequence[Unpaired]) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Not paired")
        self.resize(*_SIZE)
        view = QListView()
        view.setAccessibleName("Files that could not be paired")
        view.setUniformItemSizes(True)  # else each of 100,000 rows is measured
        view.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        view.setModel(QStringListModel(sorted(f"{one.name}: {one.reason}" for one in left), view))
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        view.setSpacing(3)
        close = QPushButton("Close")
        close.clicked.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.addWidget(view)
        column.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)
