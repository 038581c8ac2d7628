"""How often each probability occurs inside and outside the truth, and what follows from that alone.

8-bit maps are counted into 256 levels. Of float32 maps only what is contested is sorted: between the lowest
probability inside the truth and the highest outside. The truth is packed into the lowest bit of each key:
non-negative floats sort like their bit patterns. The sorted keys are all that is kept, and are read in parts,
so that a large image needs four bytes a pixel and not fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.core.dot import dot
from omniview.core.image import BoolArray, FloatArray

__all__ = [
    "BIN_EDGES",
    "Bins",
    "Levels",
    "Ranking",
    "Run",
    "ece",
    "levels_of_counts",
    "levels_of_floats",
    "rank",
]

Doubles: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

BIN_EDGES = tuple(k / 10 for k in range(1, 10))
"""Between the bins of the calibration error."""
PART = 2**16  # keys at a time: they and what is made of them stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Some of the probabilities that occur, ascending, each once.

    Attributes:
        values: (L,) float64.
        positive: (L,) int64, pixels of that value inside the truth.
        negative: (L,) int64, outside.
    """

    values: Doubles
    positive: Counts
    negative: Counts


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """All probabilities that occur.

    Attributes:
        runs: begins a new pass over them, in ascending order; without those of `below` and of the pixels of
            the truth that have a higher probability than any outside.
        positives: pixels of the truth.
        negatives: pixels outside.
        below: pixels outside that have a lower probability than any of the truth.
    """

    runs: Callable[[], Iterator[Run]]
    positives: int
    negatives: int
    below: int = 0


def levels_of_counts(values: Doubles, positive: Counts, negative: Counts) -> Levels:
    """Levels that are counted already; arguments as `Run`, and some may not occur."""
    there = positive + negative > 0
    run = Run(values[there], positive[there], negative[there])
    return Levels(lambda: iter((run,)), int(positive.sum()), int(negative.sum()))


def levels_of_floats(floats: FloatArray, truth: BoolArray, lowest: float, highest: float) -> Levels:
    """Levels of single pixels.

    Args:
        floats: float32 from 0.
        truth: bool, of the same shape.
        lowest: the lowest value inside the truth.
        highest: the highest value outside.
    """
    contested = floats >= np.float32(lowest)
    contested &= floats <= np.float32(highest)
    inside = truth[contested]
    keys = np.abs(floats[contested]).view(np.uint32)  # -0.0 is 0.0
    keys <<= 1
    keys |= inside
    keys.sort()
    positives = int(np.count_nonzero(truth))
    negatives = truth.size - positives
    below = negatives - (inside.size - int(np.count_nonzero(inside)))
    return Levels(partial(_runs, keys), positives, negatives, below)


def _runs(keys: npt.NDArray[np.uint32]) -> Iterator[Run]:
    """Parts of the keys; a probability that goes on in the next part waits for it."""
    open_value, open_positive, open_negative = -1.0, 0, 0
    for start in range(0, len(keys), PART):
        part = keys[start : start + PART]
        bits = part >> 1
        first = np.flatnonzero(np.append(True, bits[1:] != bits[:-1]))
        values = bits[first].view(np.float32).astype(np.float64)
        positive = np.add.reduceat(part & 1, first, dtype=np.int64)
        negative = np.diff(np.append(first, len(part))) - positive
        if values[0] == open_value:
            positive[0] += open_positive
            negative[0] += open_negative
        elif start:
            yield _single(open_value, open_positive, open_negative)
        yield Run(values[:-1], positive[:-1], negative[:-1])
        open_value, open_positive, open_negative = float(values[-1]), int(positive[-1]), int(negative[-1])
    if len(keys):
        yield _single(open_value, open_positive, open_negative)


def _single(value: float, positive: int, negative: int) -> Run:
    return Run(np.array([value]), np.array([positive], np.int64), np.array([negative], np.int64))


@dataclass(frozen=True, slots=True)
class Ranking:
    """What follows from how often each probability occurs.

    Attributes:
        auc: area under the ROC curve: how often a pixel of the truth has a higher probability than one
            outside, ties one half (Mann and Whitney 1947; Hanley and McNeil 1982). None without both kinds.
        average_precision: sum of precision times step in recall, thresholds descending, not interpolated, as
            scikit-learn. None where the truth is empty.
        trapezoid: area under the straight lines between the points (recall, precision), from (0, 1), as
            MetricsReloaded; Davis and Goadrich 2006 show why it is too high. None where the truth is empty.
    """

    auc: float | None
    average_precision: float | None
    trapezoid: float | None


def rank(levels: Levels) -> Ranking:
    """Everything in one pass over the levels."""
    positives, negatives = levels.positives, levels.negatives
    tp, marked = positives, positives + negatives - levels.below  # at or above the level that comes next
    wins = area = trapezoid = 0.0
    for run in levels.runs():
        total = run.positive + run.negative
        tp_left, left = tp - np.cumsum(run.positive), marked - np.cumsum(total)
        wins += dot(run.positive, negatives - (left - tp_left) - run.negative / 2.0)
        at = (tp_left + run.positive) / (left + total)
        above = np.divide(tp_left, left, out=np.ones(len(left)), where=left > 0)
        area += dot(run.positive, at)
        trapezoid += dot(run.positive, at + above) / 2.0
        tp, marked = int(tp - run.positive.sum()), int(marked - total.sum())
    # what is left of the truth beats all that is outside
    wins, area, trapezoid = wins + float(tp) * negatives, area + tp, trapezoid + tp
    return Ranking(
        wins / positives / negatives if positives and negatives else None,
        area / positives if positives else None,
        trapezoid / positives if positives else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Ten bins of probability (l, r], the first [0, r].

    Attributes:
        positive: (10,) pixels of the truth.
        total: (10,) pixels.
        sums: (10,) float64, sums of their probabilities.
        zeros: pixels of probability 0, and how many of them are of the truth.
    """

    positive: Counts
    total: Counts
    sums: Doubles
    zeros: tuple[int, int]


def ece(bins: Bins, with_zero: bool = True) -> float | None:
    """Expected calibration error of the foreground's probability (Naeini et al. 2015), in float64.

    Args:
        bins: the counts.
        with_zero: whether pixels of probability 0 count; None is the result where none are left.
    """
    gap, n = bins.positive - bins.sums, int(bins.total.sum())
    if not with_zero:
        gap[0] -= bins.zeros[1]
        n -= bins.zeros[0]
    return float(np.abs(gap).sum()) / n if n else None
