"""How often each probability occurs inside and outside the truth, and what follows from that alone.

8-bit maps are counted into 256 levels. float32 maps are sorted, the truth packed into the lowest bit of each
key: non-negative floats sort like their bit patterns. The sorted keys are all that is kept, and are read in
parts, so that a large image needs four bytes a pixel and not fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.core.image import BoolArray, FloatArray

__all__ = [
    "Levels",
    "Run",
    "auc",
    "average_precision",
    "average_precision_trapezoid",
    "ece",
    "levels_of_counts",
    "levels_of_floats",
]

Doubles: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

PART = 2**18  # keys at a time: they and what is made of them stay in the processor's cache


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
        runs: begins a new pass over them, in ascending order.
        positives: pixels of the truth.
        negatives: pixels outside.
    """

    runs: Callable[[], Iterator[Run]]
    positives: int
    negatives: int


def levels_of_counts(values: Doubles, positive: Counts, negative: Counts) -> Levels:
    """Levels that are counted already; arguments as `Run`, and some may not occur."""
    there = positive + negative > 0
    run = Run(values[there], positive[there], negative[there])
    return Levels(lambda: iter((run,)), int(positive.sum()), int(negative.sum()))


def levels_of_floats(floats: FloatArray, truth: BoolArray) -> Levels:
    """Levels of single pixels: float32 from 0, and bool of the same shape."""
    keys = np.abs(floats).ravel().view(np.uint32)  # -0.0 is 0.0
    keys <<= 1
    keys |= truth.ravel()
    keys.sort()
    positives = int(np.count_nonzero(truth))
    return Levels(partial(_runs, keys), positives, truth.size - positives)


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


def auc(levels: Levels) -> float | None:
    """Area under the ROC curve: how often a pixel of the truth has a higher probability than one outside.

    Ties count one half (Mann and Whitney 1947; Hanley and McNeil 1982). None unless there are pixels of both.
    """
    if not levels.positives or not levels.negatives:
        return None
    below, wins = 0, 0.0
    for run in levels.runs():
        lower = below + np.cumsum(run.negative) - run.negative
        wins += float(run.positive @ (lower + run.negative / 2.0))
        below += int(run.negative.sum())
    return wins / levels.positives / levels.negatives


def average_precision(levels: Levels) -> float | None:
    """Sum of precision times step in recall, thresholds descending, not interpolated; as scikit-learn.

    None where the truth is empty.
    """
    if not levels.positives:
        return None
    return sum(float(run.positive @ at) for run, at, _ in _precisions(levels)) / levels.positives


def average_precision_trapezoid(levels: Levels) -> float | None:
    """Area under the straight lines between the points (recall, precision), from (0, 1); as MetricsReloaded.

    Davis and Goadrich 2006 show why these lines are too high. None where the truth is empty.
    """
    if not levels.positives:
        return None
    area = sum(float(run.positive @ (at + above)) for run, at, above in _precisions(levels))
    return area / 2.0 / levels.positives


def _precisions(levels: Levels) -> Iterator[tuple[Run, Doubles, Doubles]]:
    """Each run with the precision at and just above its values; above the highest it is 1."""
    tp, marked = levels.positives, levels.positives + levels.negatives
    for run in levels.runs():
        total = run.positive + run.negative
        tp_left, left = tp - np.cumsum(run.positive), marked - np.cumsum(total)
        at = (tp_left + run.positive) / (left + total)
        above = np.divide(tp_left, left, out=np.ones(len(left)), where=left > 0)
        yield run, at, above
        tp, marked = tp - int(run.positive.sum()), marked - int(total.sum())


def ece(levels: Levels, bins: int = 10, with_zero: bool = True) -> float | None:
    """Expected calibration error of the foreground's probability (Naeini et al. 2015), in float64.

    Bins are (l, r], the first one [0, r].

    Args:
        levels: the counts.
        bins: of equal width.
        with_zero: whether pixels of probability 0 count; None is the result where none are left.
    """
    edges = np.arange(1, bins) / bins
    n, expected, observed = 0, np.zeros(bins), np.zeros(bins)
    for run in levels.runs():
        positive, total = run.positive, run.positive + run.negative
        if not with_zero:
            counted = run.values > 0.0
            positive, total = positive * counted, total * counted
        place = np.searchsorted(edges, run.values, side="left")
        expected += np.bincount(place, run.values * total, bins)
        observed += np.bincount(place, positive, bins)
        n += int(total.sum())
    return float(np.abs(observed - expected).sum()) / n if n else None
