"""The cases of a batch as a table that grows live: 100,000 rows are text and numbers, drawn when seen.

It sorts and filters itself: Qt's own proxy would ask for each comparison, which takes many seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt
from PyQt6.QtGui import QColor, QPixmap

from omniview.analyse import FUSED
from omniview.batch.rows import NOT_ASKED, OK, Record, Row
from omniview.io.pair_types import Pair
from omniview.ui.messages import Level, number
from omniview.ui.theme import LEVELS

__all__ = ["COLUMNS", "CaseTable", "Line"]

COLUMNS = ("", "Case", "Specialist", "Omnimodel", "Fused", "Predicted", "State")
_THUMBNAIL, _NAME, _DICE, _PREDICTED, _STATE = 0, 1, (2, 3, 4), 5, 6
_MODELS = ("specialist", "omnimodel", FUSED)
_SIDE = 44
_KEPT = 2000
"""Thumbnails of the newest cases are kept; all of them are in the report."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the table says of one finished case.

    Attributes:
        dice: of specialist, omnimodel and fused mask against the first truth; None where there is none.
        predicted: predicted Dice of the fused mask, or None.
        state: in a word: done, failed, no truth, not asked, ...
        reason: why, where there is something to tell.
        good: whether there is a fused mask.
    """

    dice: tuple[float | None, ...]
    predicted: float | None
    state: str
    reason: str
    good: bool

    @classmethod
    def of(cls, record: Record) -> Line:
        """The line of a record."""
        first = {row.model: row for row in reversed(record.rows)}  # the first truth of each model wins
        dice = tuple(_value(first.get(model), "dice") for model in _MODELS)
        fused = first.get(FUSED)
        omnimodel = first.get("omnimodel")
        state = "failed" if fused is None else "done" if fused.status == OK else fused.status
        if state == "done" and omnimodel is not None and omnimodel.status == NOT_ASKED:
            state = NOT_ASKED
        reasons = (str(row.values.get("reason", "")) for row in record.rows if row.status != OK)
        return cls(
            dice,
            _value(fused, "quality"),
            state,
            "\n".join(dict.fromkeys(filter(None, reasons))),
            not record.failed,
        )


def _value(row: Row | None, name: str) -> float | None:
    value = None if row is None else row.values.get(name)
    return None if value is None else float(value)


class CaseTable(QAbstractTableModel):
    """All cases of a run, those that wait included."""

    def __init__(self) -> None:
        super().__init__()
        self._pairs: Sequence[Pair] = ()
        self._places: dict[str, int] = {}
        self._lines: dict[int, Line] = {}
        self._thumbnails: OrderedDict[int, bytes] = OrderedDict()
        self._shown: Sequence[int] = ()  # places of the cases, in the order of the rows
        self._rows: Mapping[int, int] = {}  # and back
        self._sorted: tuple[int, Qt.SortOrder] = (-1, Qt.SortOrder.AscendingOrder)
        self._filter = ""

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        """Show these cases, all waiting."""
        self.beginResetModel()
        self._pairs = pairs
        self._places = {pair.name: place for place, pair in enumerate(pairs)}
        self._lines.clear()
        self._thumbnails.clear()
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column as things stand; cases that come later do not move. -1: as they were paired."""
        self.layoutAboutToBeChanged.emit()
        self._sorted = column, order
        self._arrange()
        self.layoutChanged.emit()

    def filter(self, text: str) -> None:
        """Show the cases whose names hold `text`, whatever the case of its letters."""
        self.beginResetModel()
        self._filter = text.lower()
        self._arrange()
        self.endResetModel()

    def put(self, records: Iterable[Record]) -> None:
        """Show what became of some cases; others than those in the table are passed over."""
        for record in records:
            if (place := self._places.get(record.name)) is None:
                continue
            self._lines[place] = Line.of(record)
            if record.thumbnail is not None:
                self._thumbnails[place] = record.thumbnail
                while len(self._thumbnails) > _KEPT:
                    self._thumbnails.popitem(last=False)
            if (row := self._rows.get(place)) is not None:
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    def files_at(self, row: int) -> tuple[Path, Path | None]:
        """Image and truth of a row."""
        pair = self._pairs[self._shown[row]]
        return pair.image, pair.truth

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
        if role == Qt.ItemDataRole.ToolTipRole and section in _DICE:
            return "Dice against the (first) truth"
        if role == Qt.ItemDataRole.ToolTipRole and section == _PREDICTED:
            return "Dice that the fused mask is predicted to reach"
        return None

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """What Qt asks of one cell."""
        place, column = self._shown[index.row()], index.column()
        line = self._lines.get(place)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(place, column, line)
        if role == Qt.ItemDataRole.DecorationRole and column == _THUMBNAIL:
            return self._picture(place)
        if role == Qt.ItemDataRole.ToolTipRole and line is not None:
            return line.reason or None
        if role == Qt.ItemDataRole.ForegroundRole and column == _STATE and line is not None:
            return QColor(LEVELS[Level.GOOD if line.state == "done" else _weight(line)])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return None

    def _arrange(self) -> None:
        shown = range(len(self._pairs))
        kept = (
            [n for n in shown if self._filter in self._pairs[n].name.lower()] if self._filter else list(shown)
        )
        column, order = self._sorted
        if column >= 0:
            back = order is Qt.SortOrder.DescendingOrder
            keys = {place: self._key(place, column) for place in kept}
            # what has no value comes last, whichever way it is sorted
            known = sorted((p for p in kept if keys[p] is not None), key=lambda p: keys[p], reverse=back)
            kept = known + [place for place in kept if keys[place] is None]
        self._shown = kept
        self._rows = {place: row for row, place in enumerate(kept)}

    def _text(self, place: int, column: int, line: Line | None) -> str:
        if column == _NAME:
            return self._pairs[place].name
        if line is None:
            return "waiting" if column == _STATE else ""
        if column in _DICE:
            value = line.dice[column - _DICE[0]]
            return "" if value is None else number(value)
        if column == _PREDICTED:
            return "" if line.predicted is None else number(line.predicted, 2)
        return line.state if column == _STATE else ""

    def _key(self, place: int, column: int) -> Any:
        """What a column is sorted by, or None where it has no value."""
        line = self._lines.get(place)
        if column in _DICE:
            return None if line is None else line.dice[column - _DICE[0]]
        if column == _PREDICTED:
            return None if line is None else line.predicted
        if column == _STATE:
            return None if line is None else line.state
        return place

    def _picture(self, place: int) -> QPixmap | None:
        data = self._thumbnails.get(place)
        picture = QPixmap()
        if data is None or not picture.loadFromData(data):
            return None
        size = QSize(_SIDE, _SIDE)
        return picture.scaled(
            size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )


def _alignment(column: int) -> int:
    """Numbers to the right, words to the left."""
    right = column in (*_DICE, _PREDICTED)
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)


def _weight(line: Line) -> Level:
    return Level.INFO if line.good else Level.ERROR
