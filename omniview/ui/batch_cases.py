"""What is known of the cases of a batch, by column, so that 100,000 of them are sorted between two frames.

A list of records would be gone through in Python for each click on a title; columns of numbers are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.analyse import FUSED
from omniview.batch.rows import FAILED, NO_TRUTH, NOT_ASKED, OK, Record, Row
from omniview.io.pair_types import Pair
from omniview.ui.messages import Level

__all__ = ["DICE", "PREDICTED", "STATE", "WAITING", "Cases", "Line"]

DICE, PREDICTED, STATE = (0, 1, 2), 3, 4
"""What cases can be sorted by: Dice of specialist, omnimodel and fused mask, predicted Dice, state."""
WAITING = "waiting"
_MODELS = ("specialist", "omnimodel", FUSED)
_Places: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Line:
    """What the table says of one finished case.

    Attributes:
        name: of the pair.
        dice: of specialist, omnimodel and fused mask against the first truth; None where there is none.
        predicted: predicted Dice of the fused mask, or None.
        state: in a word or two: done, failed, no truth, not asked, no omnimodel, ...
        level: how much that weighs.
        reason: why, where there is something to tell.
        thumbnail: JPEG, or None.
    """

    name: str
    dice: tuple[float | None, ...]
    predicted: float | None
    state: str
    level: Level
    reason: str
    thumbnail: bytes | None = None

    @classmethod
    def of(cls, record: Record) -> Line:
        """The line of a record."""
        first = {row.model: row for row in reversed(record.rows)}  # the first truth of each model wins
        fused = first.get(FUSED)
        state, level = _state(first, record.failed)
        reasons = (str(row.values.get("reason", "")) for row in record.rows if row.status != OK)
        return cls(
            record.name,
            tuple(_value(first.get(model), "dice") for model in _MODELS),
            _value(fused, "quality"),
            state,
            level,
            "\n".join(dict.fromkeys(filter(None, reasons))),
            record.thumbnail,
        )

    @property
    def told(self) -> str:
        """State and reason on one line, the reason only where it says more than the state."""
        reason = " ".join(self.reason.split())
        return f"{self.state}: {reason}" if reason and self.state != NO_TRUTH else self.state


def _state(first: dict[str, Row], failed: bool) -> tuple[str, Level]:
    fused = first.get(FUSED)
    if fused is None or failed:  # without a truth there is not even a mask
        return (FAILED if fused is None or fused.status == NO_TRUTH else fused.status), Level.ERROR
    if fused.status != OK:
        return fused.status, Level.INFO if fused.status in (NO_TRUTH, NOT_ASKED) else Level.WARNING
    others = {model: first[model].status for model in _MODELS[:2] if model in first}
    missing = [model for model, status in others.items() if status == FAILED]
    if missing:  # one opinion of two is no failure, but nobody should take it for both
        return f"no {missing[0]}", Level.WARNING
    return (NOT_ASKED, Level.INFO) if NOT_ASKED in others.values() else ("done", Level.GOOD)


def _value(row: Row | None, name: str) -> float | None:
    value = None if row is None else row.values.get(name)
    return None if value is None else float(value)


class Cases:
    """All cases of a batch in the order of the pairing, and what became of those that are finished.

    Building it takes a while for very many; it may be done in a thread.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        self._places = {pair.name: place for place, pair in enumerate(pairs)}
        self._folded = [name.casefold() for name in self._places]
        self._values = np.full((len(pairs), PREDICTED + 1), np.nan)
        self._states: list[tuple[str, Level]] = [(WAITING, Level.INFO)]
        self._state = np.zeros(len(pairs), np.intp)
        self._told: dict[int, Line] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    def put(self, line: Line) -> int | None:
        """Note a finished case; its place, or None where it is not one of these."""
        if (place := self._places.get(line.name)) is None:
            return None
        self._values[place] = [np.nan if v is None else v for v in (*line.dice, line.predicted)]
        state = line.state, line.level
        if state not in self._states:
            self._states.append(state)
        self._state[place] = self._states.index(state)
        self._told.pop(place, None)
        if line.reason:
            self._told[place] = line
        return place

    def value(self, place: int, by: int) -> float | None:
        """A Dice or predicted Dice, or None."""
        found = float(self._values[place, by])
        return None if np.isnan(found) else found

    def state(self, place: int) -> tuple[str, Level]:
        """The state in words, with the reason, and its weight."""
        word, level = self._states[self._state[place]]
        line = self._told.get(place)
        return (word if line is None else line.told), level

    def reason(self, place: int) -> str:
        """Why, line by line; empty where there is nothing to tell."""
        line = self._told.get(place)
        return "" if line is None else line.reason

    def order(self, by: int | None, *, back: bool, text: str = "") -> _Places:
        """Places in the order of a column; those without a value come last either way.

        Args:
            by: one of DICE, PREDICTED, STATE, or None for the order of the pairing.
            back: the largest first.
            text: only cases whose names hold it, whatever the case of its letters.
        """
        kept = np.arange(len(self), dtype=np.intp)
        if text:
            wanted = text.casefold()
            kept = kept[np.fromiter((wanted in name for name in self._folded), bool, len(self))]
        if by is None:
            return kept[::-1] if back else kept
        keys = self._keys(by)[kept]
        known = ~np.isnan(keys)
        order = np.argsort(-keys[known] if back else keys[known], kind="stable")
        return np.concatenate((kept[known][order], kept[~known]))

    def _keys(self, by: int) -> npt.NDArray[np.float64]:
        if by != STATE:
            keys: npt.NDArray[np.float64] = self._values[:, by]
            return keys
        words = sorted(word for word, _ in self._states[1:])
        ranks = np.array([np.nan, *(float(words.index(word)) for word, _ in self._states[1:])])
        return np.asarray(ranks[self._state], np.float64)
