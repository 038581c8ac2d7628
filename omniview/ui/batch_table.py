"""The cases of a batch as a table that grows live: 100,000 rows are text and numbers, drawn when seen.

It sorts and filters itself: Qt's own proxy would ask for each comparison, which takes many seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QPixmap

from omniview.io.pair_types import Pair
from omniview.ui.batch_cases import DICE, PREDICTED, STATE, Cases, Line
from omniview.ui.messages import number
from omniview.ui.panel import as_written
from omniview.ui.theme import LEVELS

__all__ = ["COLUMNS", "THUMBNAILS", "CaseTable"]

COLUMNS = ("", "Case", "Specialist", "Omnimodel", "Fused", "Predicted", "State")
_THUMBNAIL, _NAME, _STATE = 0, 1, 6
_BY = {2: DICE[0], 3: DICE[1], 4: DICE[2], 5: PREDICTED, _STATE: STATE}
_NUMBERS = (2, 3, 4, 5)
_SIDE = 44  # device-independent pixels
THUMBNAILS = 2000
"""Thumbnails of the newest cases are kept, so many; all of them are in the report."""
_DRAWN = 200  # pictures that are kept ready to be painted: several screens of rows


class CaseTable(QAbstractTableModel):
    """All cases of a run, those that wait included."""

    def __init__(self) -> None:
        super().__init__()
        self._cases = Cases(())
        self._thumbnails: OrderedDict[int, bytes] = OrderedDict()
        self._drawn: OrderedDict[int, QPixmap] = OrderedDict()
        self._sorted: tuple[int, Qt.SortOrder] = (-1, Qt.SortOrder.AscendingOrder)
        self._filter = ""
        self._arrange()

    @property
    def pairs(self) -> Sequence[Pair]:
        """The cases, as they were paired."""
        return self._cases.pairs

    def show_cases(self, cases: Cases) -> None:
        """Show these cases."""
        self.beginResetModel()
        self._cases = cases
        self._thumbnails.clear()
        self._drawn.clear()
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column as things stand; cases that come later do not move. -1: as they were paired."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        places = [int(self._shown[index.row()]) for index in before]
        self._sorted = column, order
        self._arrange()
        after = [self.index(int(self._rows[p]), i.column()) for p, i in zip(places, before, strict=True)]
        self.changePersistentIndexList(before, after)  # what is selected stays selected
        self.layoutChanged.emit()

    def filter(self, text: str) -> None:
        """Show the cases whose names hold `text`, whatever the case of its letters."""
        self.beginResetModel()
        self._filter = text
        self._arrange()
        self.endResetModel()

    def put(self, lines: Iterable[Line]) -> None:
        """Show what became of some cases; others than those in the table are passed over."""
        for line in lines:
            if (place := self._cases.put(line)) is None:
                continue
            if line.thumbnail is not None:
                self._thumbnails[place] = line.thumbnail
                self._drawn.pop(place, None)
                while len(self._thumbnails) > THUMBNAILS:
                    self._thumbnails.popitem(last=False)
            if (row := int(self._rows[place])) >= 0:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    def pair_at(self, row: int) -> Pair:
        """The case in a row."""
        return self._cases.pairs[int(self._shown[row])]

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """How many cases."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """How many columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Titles, and what they mean."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        if role == Qt.ItemDataRole.ToolTipRole and section in _NUMBERS:
            if _BY[section] == PREDICTED:
                return "Dice that the fused mask is predicted to reach"
            return "Dice against the (first) truth"
        return None

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """What Qt asks of one cell."""
        place, column = int(self._shown[index.row()]), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(place, column)
        if role == Qt.ItemDataRole.DecorationRole and column == _THUMBNAIL:
            return self._picture(place)
        if role == Qt.ItemDataRole.ToolTipRole:
            return as_written(self._cases.reason(place)) or None
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return self._cases.reason(place) or None
        if role == Qt.ItemDataRole.AccessibleTextRole and column == _THUMBNAIL:
            return "Picture" if place in self._thumbnails else "No picture"
        if role == Qt.ItemDataRole.ForegroundRole and column == _STATE:
            return QColor(LEVELS[self._cases.state(place)[1]])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None

    def _arrange(self) -> None:
        column, order = self._sorted
        back = order is Qt.SortOrder.DescendingOrder and column >= 0
        self._shown = self._cases.order(_BY.get(column), back=back, text=self._filter)
        self._rows = np.full(len(self._cases), -1, np.intp)
        self._rows[self._shown] = np.arange(len(self._shown))

    def _text(self, place: int, column: int) -> str:
        if column == _NAME:
            return self._cases.pairs[place].name
        if column in _NUMBERS:
            value = self._cases.value(place, _BY[column])
            digits = 2 if _BY[column] == PREDICTED else 3
            return "" if value is None else number(value, digits)
        return self._cases.state(place)[0] if column == _STATE else ""

    def _picture(self, place: int) -> QPixmap | None:
        if (drawn := self._drawn.get(place)) is not None:
            return drawn
        data, picture = self._thumbnails.get(place), QPixmap()
        if data is None or not picture.loadFromData(data):
            return None
        app = QGuiApplication.instance()
        # as fine as the finest screen: the painter shrinks it for others
        ratio = app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0
        side = round(_SIDE * ratio)
        drawn = picture.scaled(
            QSize(side, side), Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        drawn.setDevicePixelRatio(ratio)
        self._drawn[place] = drawn
        while len(self._drawn) > _DRAWN:
            self._drawn.popitem(last=False)
        return drawn


def _alignment(column: int) -> int:
    """Numbers to the right, words to the left."""
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
