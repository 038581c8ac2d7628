"""Records go by once and leave columns of numbers: what twenty thousand cases may keep in memory.

A row as a dictionary takes kilobytes; here a value takes eight bytes, names are kept once a case, and of
thumbnails only those that a report will show.
"""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from typing import Any

import numpy as np

from omniview.analyse import FUSED
from omniview.batch.columns import NUMBERS
from omniview.batch.rows import FAILED, OBSERVER, OK, UNREADABLE, Record, Row
from omniview.batch.series import ABSENT, HARM, STATUSES, Doubles, Gathered, Picture, Series
from omniview.core.metrics import METRICS
from omniview.core.prediction import ROLES

__all__ = ["Gatherer"]

PICTURES = 12  # of the worst cases
HARM_PICTURES = 4  # of what fusion harmed and helped most
REASONS = 200  # kept in full; the others are in cases.csv


class _Growing:
    """A series while records go by; cases that it has no row for are filled up."""

    def __init__(self, model: str, truth: str) -> None:
        self.model, self.truth = model, truth
        self._status = bytearray()
        self._in_mm = bytearray()
        self._columns = {name: array("d") for name in NUMBERS}

    def add(self, case: int, row: Row) -> None:
        """A row of case number `case`; the first one of a case counts."""
        if len(self._status) > case:
            return
        self._fill(case)
        self._status.append(STATUSES.index(row.status))
        self._in_mm.append(row.values.get("distance_unit") == "mm")
        for name, column in self._columns.items():
            value = row.values.get(name)
            column.append(np.nan if value is None else float(value))

    def finish(self, cases: int) -> Series:
        """The series over `cases` cases."""
        self._fill(cases)
        columns = {name: np.frombuffer(column) for name, column in self._columns.items()}
        status = np.frombuffer(bytes(self._status), np.uint8)
        in_mm = np.frombuffer(bytes(self._in_mm), np.bool_)
        return Series(self.model, self.truth, status, columns, in_mm)

    def _fill(self, case: int) -> None:
        missing = case - len(self._status)
        if missing > 0:
            self._status.extend([ABSENT] * missing)
            self._in_mm.extend([0] * missing)
            for column in self._columns.values():
                column.extend([np.nan] * missing)


class _Gallery:
    """The few pictures with the smallest keys; of equal keys the earlier case."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[float, int, Picture]] = []

    def add(self, key: float, case: int, picture: Picture) -> None:
        item = (-key, -case, picture)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, item)
        elif item[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, item)

    def pictures(self) -> tuple[Picture, ...]:
        """The smallest key first."""
        return tuple(item[2] for item in sorted(self._heap, key=lambda item: item[:2], reverse=True))


class Gatherer:
    """Takes records one by one."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._tasks: list[str] = []
        self._models: dict[str, _Growing] = {}
        self._readers: dict[tuple[str, str], _Growing] = {}
        self._bins: dict[str, Doubles] = {}
        self._margins = array("d")
        self._worst, self._harmed, self._helped = (
            _Gallery(size) for size in (PICTURES, HARM_PICTURES, HARM_PICTURES)
        )
        self._reasons: list[tuple[str, str, str, str]] = []
        self._spent = defaultdict[str, float](float)

    def add(self, record: Record) -> None:
        """Keep what is needed of a record."""
        case = len(self._names)
        self._names.append(record.name)
        tasks = (row.values.get("task") for row in record.rows)
        self._tasks.append(next((str(task) for task in tasks if task), ""))
        for row in record.rows:
            self._add_row(case, row)
        for model, bins in record.bins.items():
            counted = np.array(bins, np.float64)
            self._bins[model] = self._bins[model] + counted if model in self._bins else counted
        cost, currency = record.cost
        if cost is not None:
            self._spent[currency or ""] += cost
        margins = record.margins or {}
        for name in ("inner_inside", "truth_inside"):
            value = margins.get(name)
            self._margins.append(np.nan if value is None else value)
        if record.thumbnail is not None:
            self._add_picture(case, record)

    def finish(self) -> Gathered:
        """Everything, as columns."""
        n = len(self._names)
        models = {name: series.finish(n) for name, series in self._models.items()}
        computed = [
            name
            for name in METRICS
            if any(not np.isnan(series.columns[name]).all() for series in models.values())
        ]
        if not computed and any(series.is_status(FAILED).any() for series in models.values()):
            computed = ["dice"]  # which failures have too: the worst
        return Gathered(
            tuple(self._names),
            np.array(self._tasks, dtype=np.str_),
            models,
            {key: series.finish(n) for key, series in self._readers.items()},
            tuple(computed),
            self._bins,
            np.frombuffer(self._margins).reshape(-1, 2) if n else np.zeros((0, 2)),
            self._worst.pictures(),
            self._harmed.pictures(),
            self._helped.pictures(),
            tuple(self._reasons),
            dict(sorted(self._spent.items())),
        )

    def _add_row(self, case: int, row: Row) -> None:
        if not row.model.startswith(OBSERVER):
            self._models.setdefault(row.model, _Growing(row.model, "")).add(case, row)
        if row.truth:
            key = (row.model, row.truth)
            self._readers.setdefault(key, _Growing(*key)).add(case, row)
        if row.status in (FAILED, UNREADABLE) and len(self._reasons) < REASONS:
            self._reasons.append((row.image, row.model, row.status, str(row.values.get("reason", ""))))

    def _add_picture(self, case: int, record: Record) -> None:
        assert record.thumbnail is not None
        dice = _first_dice(record.rows)
        picture = Picture(record.name, record.thumbnail, dice)
        ends = [*dice]
        if not ends:
            return
        headline = FUSED if FUSED in dice else ends[0]
        final, specialist = dice[headline], dice.get(ROLES[0])
        self._worst.add(-1.0 if final is None else final, case, picture)
        if headline == FUSED and final is not None and specialist is not None:
            if final < specialist - HARM:
                self._harmed.add(final - specialist, case, picture)
            elif final > specialist + HARM:
                self._helped.add(specialist - final, case, picture)


def _first_dice(rows: tuple[Row, ...]) -> dict[str, Any]:
    """Model to its Dice against the first truth, None where it failed; only models that count here."""
    first: dict[str, Row] = {}
    for row in rows:
        if not row.model.startswith(OBSERVER):
            first.setdefault(row.model, row)
    return {model: row.values.get("dice") for model, row in first.items() if row.status in (OK, FAILED)}
