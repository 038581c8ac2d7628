"""How the table of cases looks and is worked: what is chosen by a double click or Enter is opened."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from omniview.ui.batch_table import CaseTable

__all__ = ["CaseView"]

_ROW = 48
_WIDTHS = {0: 60, 1: 236, 2: 104, 3: 114, 4: 92, 5: 104}
_STATE = 6


class CaseView(QTableView):
    """The table.

    Args:
        table: the cases.
    """

    opened = pyqtSignal(int)
    """The row of a case that a person wants to see."""

    def __init__(self, table: CaseTable) -> None:
        super().__init__()
        self.setObjectName("cases")
        self.setAccessibleName("Cases")
        self.setModel(table)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # as paired, until a person clicks on a title
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        # of 100,000 selected rows each would have to be followed wherever it is sorted to
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)  # Tab leads out of it
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(44, 44))
        self.setToolTip("A double click, or Enter, opens the case in the viewer")
        down, across = self.verticalHeader(), self.horizontalHeader()
        assert down is not None
        assert across is not None
        # measured for all rows, headers would stall with 100,000 of them
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultSectionSize(_ROW)
        down.hide()
        across.setMinimumSectionSize(_WIDTHS[0])
        across.setHighlightSections(False)
        for column, width in _WIDTHS.items():
            across.resizeSection(column, width)
            across.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        across.setSectionResizeMode(_STATE, QHeaderView.ResizeMode.Stretch)  # it has reasons to tell
        self.doubleClicked.connect(lambda index: self.opened.emit(index.row()))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Enter opens the case, rather than press one of the dialog's buttons."""
        if event is None or event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row())
