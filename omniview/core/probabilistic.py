"""A probability map beside its reference: what measures of probability share is computed once, on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.image import Array, BoolArray, FloatArray, UInt8Array
from omniview.core.levels import (
    BIN_EDGES,
    PART,
    Bins,
    Levels,
    Ranking,
    levels_of_counts,
    levels_of_floats,
    rank,
)

__all__ = [
    "GREYS",
    "Moments",
    "SoftPair",
    "Sweep",
    "brier",
    "mae",
    "mean_dice",
    "mean_iou",
]

Doubles: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

GREYS = 256
"""Levels of an 8-bit map, and thresholds of measures that are averaged over thresholds."""
EXACT = 2**24  # calcHist counts in float32, which holds whole numbers up to here


@dataclass(frozen=True, slots=True)
class Moments:
    """Count and sums of the probabilities of some pixels.

    Attributes:
        count: how many pixels.
        total: sum of their probabilities.
        squares: sum of their squares.
        low: smallest, 0 where there are none.
        high: largest, 0 where there are none.
    """

    count: int
    total: float
    squares: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """True and false positives at the 256 thresholds 255/255 (first) to 0 (last); at or above is positive.

    Attributes:
        tp: (256,) int64.
        fp: (256,) int64.
        positives: pixels of the truth.
        negatives: pixels outside.
    """

    tp: Counts
    fp: Counts
    positives: int
    negatives: int


class SoftPair:
    """One label's probability map beside its reference.

    Attributes:
        truth: (Y,X) bool, within the region.
        region: (Y,X) bool, or None for all pixels.
    """

    def __init__(
        self, probability: UInt8Array | FloatArray, truth: BoolArray, region: BoolArray | None = None
    ) -> None:
        """Nothing is computed yet.

        Args:
            probability: (Y,X) float32 in [0,1], or uint8 that counts as level / 255.
            truth: (Y,X) bool.
            region: (Y,X) bool, outside of which nothing counts.
        """
        self.region = region
        self.truth = np.ascontiguousarray(truth if region is None else truth & region)
        self._inside = self.truth.view(np.uint8)
        self._counted = None if region is None else np.ascontiguousarray(region).view(np.uint8)
        self._codes: UInt8Array | None = None
        if probability.dtype == np.uint8:
            self._codes = np.ascontiguousarray(probability)
            self._table: Doubles = np.arange(GREYS) / (GREYS - 1)
        else:
            self._floats: FloatArray = np.ascontiguousarray(probability)

    def stretched(self) -> SoftPair:
        """The same pair with the map's smallest and largest value moved to 0 and 1; a flat map stays."""
        occurring = [m for m in self.whole if m.count] or [*self.whole]
        low, high = min(m.low for m in occurring), max(m.high for m in occurring)
        if low == high:
            return self
        if self._codes is None:
            wide = self._floats - np.float32(low)
            wide /= np.float32(high - low)
            return SoftPair(np.clip(wide, 0.0, 1.0, out=wide), self.truth, self.region)
        pair = SoftPair(self._codes, self.truth, self.region)
        # levels beyond the map's own range do not occur within the region
        pair._table = np.clip((self._table - low) / (high - low), 0.0, 1.0)
        return pair

    def values(self, rows: slice, columns: slice) -> Doubles:
        """Probabilities of a box, (rows, columns) float64."""
        if self._codes is None:
            return self._floats[rows, columns].astype(np.float64)
        return cv2.LUT(self._codes[rows, columns], self._table).astype(np.float64, copy=False)

    @property
    def mean(self) -> float:
        """Mean probability within the region."""
        inside, outside = self.whole
        return (inside.total + outside.total) / max(inside.count + outside.count, 1)

    @cached_property
    def whole(self) -> tuple[Moments, Moments]:
        """Sums inside and outside the truth, of all pixels within the region."""
        if self._codes is None:
            return self.moments(slice(None), slice(None))
        positive, negative = self._tallies
        return self._code_moments(positive), self._code_moments(negative)

    def moments(self, rows: slice, columns: slice) -> tuple[Moments, Moments]:
        """As `whole`, of the pixels of a box."""
        inside = self._inside[rows, columns]
        if self._codes is None:
            box = self._floats[rows, columns]
            return _float_moments(box, inside), _float_moments(box, self._outside[rows, columns])
        counted = None if self._counted is None else self._counted[rows, columns]
        positive, negative = _tallies(self._codes[rows, columns], inside, counted)
        return self._code_moments(positive), self._code_moments(negative)

    @cached_property
    def _tallies(self) -> tuple[Counts, Counts]:
        assert self._codes is not None
        return _tallies(self._codes, self._inside, self._counted)

    @cached_property
    def _outside(self) -> UInt8Array:
        outside = np.logical_not(self.truth)
        if self.region is not None:
            outside &= self.region
        return outside.view(np.uint8)

    def _code_moments(self, counts: Counts) -> Moments:
        seen = self._table[counts > 0]
        if not len(seen):
            return Moments(0, 0.0, 0.0, 0.0, 0.0)
        total, squares = counts @ self._table, counts @ np.square(self._table)
        return Moments(int(counts.sum()), float(total), float(squares), float(seen.min()), float(seen.max()))

    @cached_property
    def ranking(self) -> Ranking:
        """What follows from how often each probability occurs inside and outside the truth."""
        return rank(self.levels())

    def levels(self) -> Levels:
        """How often each probability occurs inside and outside the truth."""
        if self._codes is not None:
            return levels_of_counts(self._table, *self._tallies)
        inside, outside = self.whole
        lowest, highest = inside.low if inside.count else 1.0, outside.high
        if self.region is None:
            return levels_of_floats(self._floats, self.truth, lowest, highest)
        return levels_of_floats(self._floats[self.region], self.truth[self.region], lowest, highest)

    @cached_property
    def bins(self) -> Bins:
        """The bins of the calibration error."""
        if self._codes is not None:
            counts, others = self._tallies
            place, there = np.searchsorted(BIN_EDGES, self._table, side="left"), counts + others
            positive, total, sums = (np.bincount(place, v, 10) for v in (counts, there, there * self._table))
            dark = self._table == 0.0
            zeros = int(there[dark].sum()), int(counts[dark].sum())
            return Bins(positive.astype(np.int64), total.astype(np.int64), sums.astype(np.float64), zeros)
        return self._float_bins()

    def _float_bins(self) -> Bins:
        """Bins of a float32 map. Nearly all pixels of most are in the first: it gets what is left over."""
        inside, outside = self.whole
        count = len(BIN_EDGES) + 1
        positive, total, sums = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count)
        zeros = np.zeros(2, np.int64)
        for rows in _strips(self._floats, PART):
            floats, truth = self._floats[rows], self.truth[rows]
            nothing, above = floats == 0.0, floats >= np.float32(BIN_EDGES[0])
            if self.region is not None:
                nothing &= self.region[rows]
                above &= self.region[rows]
            values = floats[above].astype(np.float64)
            # ten times a float32 is exact in float64, and so on the right side of every edge
            place = np.ceil(values * count).astype(np.intp) - 1
            total += np.bincount(place, minlength=count)
            positive += np.bincount(place[truth[above]], minlength=count)
            sums += np.bincount(place, values, count)
            zeros += np.count_nonzero(nothing), np.count_nonzero(nothing & truth)
        positive[0] += inside.count - positive.sum()
        total[0] += inside.count + outside.count - total.sum()
        sums[0] += inside.total + outside.total - sums.sum()
        return Bins(positive, total, sums, (int(zeros[0]), int(zeros[1])))

    @cached_property
    def sweep(self) -> Sweep:
        """Counts at the 256 thresholds."""
        if self._codes is None:
            codes = (self._floats * np.float32(GREYS - 1)).astype(np.uint8)
            greys = np.arange(GREYS)
            positive, negative = _tallies(codes, self._inside, self._counted)
        else:
            greys = (self._table * (GREYS - 1)).astype(np.intp)
            positive, negative = self._tallies
        tp, fp = (
            np.cumsum(np.bincount(greys, counts, GREYS)[::-1]).astype(np.int64)
            for counts in (positive, negative)
        )
        return Sweep(tp, fp, int(positive.sum()), int(negative.sum()))

    def at_or_above(self, threshold: float) -> tuple[int, int]:
        """True and false positives where the probability is at least `threshold`."""
        if self._codes is not None:
            chosen = self._table >= threshold
            positive, negative = self._tallies
            return int(positive[chosen].sum()), int(negative[chosen].sum())
        above = (self._floats >= threshold).view(np.uint8)
        if self._counted is not None:
            above &= self._counted
        total = cv2.countNonZero(above)
        above &= self._inside
        tp = cv2.countNonZero(above)
        return tp, total - tp


def _tallies(codes: UInt8Array, inside: UInt8Array, counted: UInt8Array | None) -> tuple[Counts, Counts]:
    """How often each level occurs inside and outside the truth, where `counted` is not 0."""
    positive = _histogram(codes, inside)
    return positive, _histogram(codes, counted) - positive


def _histogram(codes: UInt8Array, where: UInt8Array | None) -> Counts:
    """(256,) int64: how often each level occurs where `where` is not 0."""
    total = np.zeros(GREYS, np.int64)
    for rows in _strips(codes, EXACT):
        mask = None if where is None else where[rows]
        total += cv2.calcHist([codes[rows]], [0], mask, [GREYS], [0, GREYS]).ravel().astype(np.int64)
    return total


def _strips(image: Array, pixels: int) -> Iterator[slice]:
    """Rows of the image, so many pixels at a time."""
    if not image.size:
        return
    step = max(1, pixels // image.shape[1])
    for start in range(0, image.shape[0], step):
        yield slice(start, start + step)


def _float_moments(box: FloatArray, where: UInt8Array) -> Moments:
    count = cv2.countNonZero(where) if where.size else 0
    if not count:
        return Moments(0, 0.0, 0.0, 0.0, 0.0)
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(box, mask=where))
    low, high, _, _ = cv2.minMaxLoc(box, where)
    return Moments(count, mean * count, (deviation * deviation + mean * mean) * count, low, high)


def mae(pair: SoftPair) -> float:
    """Mean absolute error of the probability (Perazzi et al. 2012), in [0,1]."""
    inside, outside = pair.whole
    return (outside.total + inside.count - inside.total) / max(inside.count + outside.count, 1)


def brier(pair: SoftPair) -> float:
    """Mean squared error of the probability (Brier 1950), in [0,1]."""
    inside, outside = pair.whole
    error = outside.squares + inside.count - 2.0 * inside.total + inside.squares
    return max(0.0, error / max(inside.count + outside.count, 1))


def mean_dice(sweep: Sweep, both_empty: float = 1.0) -> float:
    """Mean over 256 thresholds of the Dice at each, as PraNet's evaluation reports it (Fan et al. 2020)."""
    return _mean_ratio(2 * sweep.tp, sweep.tp + sweep.fp + sweep.positives, both_empty)


def mean_iou(sweep: Sweep, both_empty: float = 1.0) -> float:
    """Mean over 256 thresholds of the IoU at each, as PraNet's evaluation reports it (Fan et al. 2020)."""
    return _mean_ratio(sweep.tp, sweep.fp + sweep.positives, both_empty)


def _mean_ratio(part: Counts, whole: Counts, empty: float) -> float:
    ratio = np.full(GREYS, empty)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return float(ratio.mean())
