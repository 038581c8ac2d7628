"""How far a probability can be believed: pixels counted into bins, a few numbers instead of a map."""

from __future__ import annotations

import cv2
import numpy as np

from omniview.core.image import BoolArray, FloatArray

__all__ = ["BINS", "reliability_bins"]

BINS = 15
"""Bins of a reliability diagram, as in Guo et al. 2017."""


def reliability_bins(
    probability: FloatArray, truth: BoolArray, bins: int = BINS
) -> tuple[tuple[int, float, float], ...]:
    """Count the pixels of a probability map into bins of equal width (Naeini et al. 2015).

    Sums of cases are the bins of all their pixels, so that nothing but these has to be kept of a case.

    Args:
        probability: (K,Y,X) float32 in [0,1].
        truth: (K,Y,X) bool.
        bins: how many; bin k holds k/bins < p <= (k+1)/bins, the first one 0 too.

    Returns:
        Of each bin: number of pixels, sum of their probabilities, number of them inside the truth.

    Raises:
        ValueError: shapes or types do not fit.
    """
    if probability.ndim != 3 or probability.dtype != np.float32:
        raise ValueError(f"probability must be (K,Y,X) float32, got {probability.shape} {probability.dtype}")
    if truth.shape != probability.shape or truth.dtype != np.bool_:
        raise ValueError(f"truth must be {probability.shape} bool, got {truth.shape} {truth.dtype}")
    if not 1 <= bins <= 127:
        raise ValueError(f"bins must lie within [1,127], got {bins}")
    counts = np.zeros((2, bins), np.int64)
    sums = np.zeros(bins, np.float64)
    for p, inside in zip(probability, truth, strict=True):
        key = np.ceil(p * np.float32(bins)).astype(np.uint8)
        np.clip(key, 1, bins, out=key)
        key -= np.uint8(1)
        # nearly all pixels are in the first bin, whose sum is what the others leave over
        rest = key > 0
        others = np.bincount(key[rest], p[rest], bins).astype(np.float64)  # whole numbers, of no pixels
        others[0] = cv2.sumElems(p)[0] - others.sum()
        sums += others
        # whole numbers of two kinds in one key: a single pass counts both
        key += inside * np.uint8(bins)
        counts += np.bincount(key.ravel(), minlength=2 * bins).reshape(2, bins)
    total = counts.sum(axis=0)
    return tuple((int(n), float(s), float(y)) for n, s, y in zip(total, sums, counts[1], strict=True))
