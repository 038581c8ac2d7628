"""Measures of polyp and camouflaged-object papers: how a probability map looks to the eye.

Structure measure (Fan et al. 2017), enhanced alignment (Fan et al. 2018), weighted F (Margolin et al. 2014).
All need a probability map and a binary truth. Where the truth is empty or full the first two fall back to
means, as their authors' programs do; the third is then not defined.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.dot import dot
from omniview.core.image import BoolArray
from omniview.core.probabilistic import Moments, SoftPair

__all__ = ["e_measure_adaptive", "e_measures", "s_measure", "weighted_f"]

Doubles: TypeAlias = npt.NDArray[np.float64]

TINY = float(np.spacing(1.0))  # the papers' programs add it to every denominator
FAR = 120  # pixels: beyond, importance is 2 to seven digits
REACH = 3  # pixels: half width of the weighted F's 7x7 window
STRIP = 2**17  # pixels at a time
SIGMA = 5.0  # of its Gaussian
NEAREST_FIRST = sorted(
    (
        (row, column)
        for row in range(-REACH - 1, REACH + 2)
        for column in range(-REACH - 1, REACH + 2)
        if 0 < row * row + column * column <= 2 * REACH * REACH
    ),
    key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, offset[1], offset[0]),
)


def s_measure(pair: SoftPair, alpha: float = 0.5) -> float:
    """Structure measure: object-aware and region-aware similarity, mixed by `alpha`, in [0,1]."""
    inside, outside = pair.whole
    count = inside.count + outside.count
    if not inside.count or not outside.count:
        alone = inside if inside.count else outside
        mean = alone.total / max(count, 1)
        return mean if inside.count else 1.0 - mean
    share = inside.count / count
    background = Moments(
        outside.count,
        outside.count - outside.total,
        outside.count - 2.0 * outside.total + outside.squares,
        1.0 - outside.high,
        1.0 - outside.low,
    )
    objects = _object_score(inside) * share + _object_score(background) * (1.0 - share)
    return max(0.0, alpha * objects + (1.0 - alpha) * _region_score(pair, count))


def _object_score(m: Moments) -> float:
    mean = m.total / m.count
    deviation = 0.0
    if m.count > 1 and m.low < m.high:
        deviation = math.sqrt(max(0.0, m.squares - m.total * mean) / (m.count - 1))
    return 2.0 * mean / (mean * mean + 1.0 + deviation + TINY)


def _region_score(pair: SoftPair, count: int) -> float:
    """Similarity of the four quadrants around the truth's centroid, weighted by their area."""
    row, column = _centroid(pair.truth)
    score = 0.0
    for rows in (slice(0, row), slice(row, None)):
        for columns in (slice(0, column), slice(column, None)):
            inside, outside = pair.moments(rows, columns)
            n = inside.count + outside.count
            if n:
                score += n / count * _structural_similarity(inside, outside)
    return score


def _centroid(truth: BoolArray) -> tuple[int, int]:
    """First row and column of the lower right quadrant: the rounded centroid belongs to the upper left."""
    rows, columns = truth.sum(axis=1), truth.sum(axis=0)
    n = int(rows.sum())
    return (
        round(float(rows @ np.arange(len(rows))) / n) + 1,
        round(float(columns @ np.arange(len(columns))) / n) + 1,
    )


def _structural_similarity(inside: Moments, outside: Moments) -> float:
    """SSIM of one quadrant without its constants; 1 where both are flat and one is 0."""
    n = inside.count + outside.count
    total = inside.total + outside.total
    x, y = total / n, inside.count / n
    parts = [m for m in (inside, outside) if m.count]
    flat = min(m.low for m in parts) == max(m.high for m in parts)
    over = n - 1 + TINY
    # sums of squares about the mean; what is constant is exactly 0, whatever the rounding
    spread_x = 0.0 if flat else max(0.0, inside.squares + outside.squares - total * x) / over
    spread_y = inside.count * outside.count / n / over
    together = 0.0 if flat or len(parts) == 1 else (inside.total - x * inside.count) / over
    alpha = 4.0 * x * y * together
    beta = (x * x + y * y) * (spread_x + spread_y)
    if alpha != 0.0:
        return alpha / (beta + TINY)
    return 1.0 if beta == 0.0 else 0.0


def e_measures(pair: SoftPair, less: int = 0) -> Doubles:
    """(256,) enhanced alignment at the thresholds 255/255 (first) to 0 (last).

    Args:
        pair: map and truth.
        less: the sum over n pixels is divided by n - less: 0 in the paper, 1 in the authors' programs.
    """
    sweep = pair.sweep
    return _alignment(sweep.tp, sweep.fp, sweep.positives, sweep.negatives, less)


def e_measure_adaptive(pair: SoftPair, less: int = 0) -> float:
    """Enhanced alignment at twice the mean of the map (at most 1)."""
    tp, fp = pair.at_or_above(min(2.0 * pair.mean, 1.0))
    inside, outside = pair.whole
    return float(_alignment(np.array([tp]), np.array([fp]), inside.count, outside.count, less)[0])


def _alignment(
    tp: npt.NDArray[np.int64], fp: npt.NDArray[np.int64], positives: int, negatives: int, less: int
) -> Doubles:
    n = positives + negatives
    marked = (tp + fp).astype(np.float64)
    if not positives:
        total = n - marked
    elif not negatives:
        total = marked
    else:
        share, truth = marked / n, positives / n
        total = np.zeros(len(tp))
        for pixels, a, b in (
            (tp, 1.0 - share, 1.0 - truth),
            (fp, 1.0 - share, -truth),
            (positives - tp, -share, 1.0 - truth),
            (negatives - fp, -share, -truth),
        ):
            aligned = 2.0 * a * b / (a * a + b * b + TINY)
            total += np.square(aligned + 1.0) / 4.0 * pixels
    return total / (n - less + TINY)


def weighted_f(pair: SoftPair) -> float:
    """Weighted F (beta 1): errors near the truth's border forgive each other, far ones weigh double.

    The truth must not be empty. Smoothing looks up to 3 pixels beyond the truth, so that the nearest pixel of
    the truth is searched there only; importance is measured as far as it still grows.
    """
    caught = int(np.count_nonzero(pair.truth))
    missed, false = _missed_weight(pair), _false_weight(pair)
    true = caught - missed
    recall, precision = true / caught, true / (true + false + TINY)
    return 2.0 * recall * precision / (recall + precision + TINY)


def _box(truth: BoolArray, margin: int) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(truth.view(np.uint8))
    return (
        slice(max(0, top - margin), min(len(truth), top + height + margin)),
        slice(max(0, left - margin), left + width + margin),
    )


def _strips(rows: slice, width: int) -> Iterator[slice]:
    """Rows in pieces that fit into a processor's cache."""
    height = max(1, STRIP // width)
    for top in range(rows.start, rows.stop, height):
        yield slice(top, min(top + height, rows.stop))


def _missed_weight(pair: SoftPair) -> float:
    """Sum over the truth of the error, or of its smoothed value where that is less."""
    rows, columns = _box(pair.truth, REACH)
    total = 0.0
    for strip in _strips(rows, pair.truth.shape[1]):
        # the window looks 3 rows up and down, and from there the nearest truth is 4 rows away at most
        wide = slice(max(0, strip.start - 2 * REACH - 1), strip.stop + 2 * REACH + 1)
        truth = np.ascontiguousarray(pair.truth[wide, columns])
        error = np.abs(pair.values(wide, columns) - truth)
        smooth = _smoothed(error, truth, None if pair.region is None else pair.region[wide, columns])
        own = slice(strip.start - wide.start, strip.stop - wide.start)
        inside = truth[own]
        total += float(np.minimum(error[own][inside], smooth[own][inside]).sum())
    return total


def _false_weight(pair: SoftPair) -> float:
    """Sum over the background of error times importance, 2 - exp(ln(0.5) / 5 distance to the truth)."""
    total = 2.0 * pair.whole[1].total
    if total == 0.0:
        return 0.0
    rows, columns = _box(pair.truth, FAR)
    outside = np.logical_not(pair.truth[rows, columns])
    distance = cv2.distanceTransform(outside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    for strip in _strips(rows, pair.truth.shape[1]):
        own = slice(strip.start - rows.start, strip.stop - rows.start)
        counted = outside[own] if pair.region is None else outside[own] & pair.region[strip, columns]
        closeness = cv2.exp(distance[own] * np.float32(math.log(0.5) / 5.0))
        total -= dot(pair.values(strip, columns)[counted], closeness[counted].astype(np.float64))
    return total


def _smoothed(error: Doubles, truth: BoolArray, region: BoolArray | None) -> Doubles:
    """Errors smoothed by a 7x7 Gaussian, where background takes over the error of the nearest truth pixel."""
    spread = _spread(np.pad(error, REACH), np.pad(truth, REACH))[REACH:-REACH, REACH:-REACH]
    if region is not None:
        spread = np.where(region, spread, 0.0)
    line = np.exp(-np.square(np.arange(-REACH, REACH + 1)) / (2.0 * SIGMA * SIGMA))
    line /= line.sum()
    smooth = cv2.sepFilter2D(spread, cv2.CV_64F, line, line, borderType=cv2.BORDER_CONSTANT)
    return smooth.astype(np.float64, copy=False)


def _spread(error: Doubles, truth: BoolArray) -> Doubles:
    """Each background pixel within the window of a truth pixel gets the error of the nearest one.

    Of equally near ones the leftmost counts, then the topmost: so does scipy's feature transform, which the
    reference programs use.
    """
    reached = cv2.dilate(truth.view(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8)) > 0
    width = error.shape[1]
    flat_error, flat_truth = error.ravel(), truth.ravel()
    waiting = np.flatnonzero(reached & ~truth)
    spread = np.where(flat_truth, flat_error, 0.0)
    for row, column in NEAREST_FIRST:
        source = waiting + (row * width + column)
        # an offset that runs over the frame lands in the padding on the other side: never truth
        hit = flat_truth.take(source, mode="clip")
        spread[waiting[hit]] = flat_error[source[hit]]
        waiting = waiting[~hit]
    return spread.reshape(error.shape)
