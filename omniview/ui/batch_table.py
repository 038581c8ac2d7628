"""The cases of a batch as a table that grows live: 100,000 rows are text and numbers, drawn when seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QSize, QSortFilterProxyModel, Qt
from PyQt6.QtGui import QColor, QPixmap

from omniview.analyse import FUSED
from omniview.batch.rows import NOT_ASKED, OK, Record, Row
from omniview.io.pair_types import Pair
from omniview.ui.messages import Level, number
from omniview.ui.theme import LEVELS

__all__ = ["COLUMNS", "CaseTable", "Line", "Sorted"]

COLUMNS = ("", "Case", "Specialist", "Omnimodel", "Fused", "Predicted", "State")
_THUMBNAIL, _NAME, _DICE, _PREDICTED, _STATE = 0, 1, (2, 3, 4), 5, 6
_MODELS = ("specialist", "omnimodel", FUSED)
_SORT = int(Qt.ItemDataRole.UserRole)
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

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        """Show these cases, all waiting."""
        self.beginResetModel()
        self._pairs = pairs
        self._places = {pair.name: place for place, pair in enumerate(pairs)}
        self._lines.clear()
        self._thumbnails.clear()
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
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))

    def files_at(self, row: int) -> tuple[Path, Path | None]:
        """Image and truth of a row."""
        pair = self._pairs[row]
        return pair.image, pair.truth

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """How many cases."""
        return 0 if parent is not None and parent.isValid() else len(self._pairs)

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
        if role == Qt.ItemDataRole.ToolTipRole and section in _DICE:
            return "Dice against the (first) truth"
        if role == Qt.ItemDataRole.ToolTipRole and section == _PREDICTED:
            return "Dice that the fused mask is predicted to reach"
        return None

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """What Qt asks of one cell."""
        row, column = index.row(), index.column()
        line = self._lines.get(row)
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column, line)
        if role == _SORT:
            return self._key(row, column, line)
        if role == Qt.ItemDataRole.DecorationRole and column == _THUMBNAIL:
            return self._picture(row)
        if role == Qt.ItemDataRole.ToolTipRole and line is not None:
            return line.reason or None
        if role == Qt.ItemDataRole.ForegroundRole and column == _STATE and line is not None:
            return QColor(LEVELS[Level.GOOD if line.state == "done" else _weight(line)])
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (*_DICE, _PREDICTED):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _text(self, row: int, column: int, line: Line | None) -> str:
        if column == _NAME:
            return self._pairs[row].name
        if line is None:
            return "waiting" if column == _STATE else ""
        if column in _DICE:
            value = line.dice[column - _DICE[0]]
            return "" if value is None else number(value)
        if column == _PREDICTED:
            return "" if line.predicted is None else number(line.predicted, 2)
        return line.state if column == _STATE else ""

    def _key(self, row: int, column: int, line: Line | None) -> Any:
        """What a column is sorted by: what has no value comes last."""
        if column in _DICE or column == _PREDICTED:
            value = None
            if line is not None:
                value = line.predicted if column == _PREDICTED else line.dice[column - _DICE[0]]
            return 2.0 if value is None else value
        if column == _STATE:
            return "~" if line is None else line.state
        return row

    def _picture(self, row: int) -> QPixmap | None:
        data = self._thumbnails.get(row)
        picture = QPixmap()
        if data is None or not picture.loadFromData(data):
            return None
        size = QSize(_SIDE, _SIDE)
        return picture.scaled(
            size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )


def _weight(line: Line) -> Level:
    return Level.INFO if line.good else Level.ERROR


class Sorted(QSortFilterProxyModel):
    """The table as a person sorts and filters it; only when asked, not with each case that comes."""

    def __init__(self, table: CaseTable) -> None:
        super().__init__()
        self.setSourceModel(table)
        self.setSortRole(_SORT)
        self.setDynamicSortFilter(False)
        self.setFilterKeyColumn(_NAME)
        self.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
