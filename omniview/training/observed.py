"""What is kept of a labelled case to learn how two models are best fused on cases like it.

Only a joint histogram of both models' log-odds, apart for lesion and background. The fused mask at any
weight, its Dice, and what a contour at any probability misses all follow from it, so that a fit takes seconds
whatever the images' size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from omniview.core.fusion import trust_of
from omniview.core.image import BoolArray, Doubles, FloatArray
from omniview.core.prediction import Prediction
from omniview.core.trust import SAFE_DEFAULT, Calibration

__all__ = ["LIMIT", "SIDE", "Counts", "Observed", "observe", "pooled"]

SIDE = 48
"""Bins of log-odds along each axis; even, so that the mask's edge falls between two bins."""
LIMIT = SAFE_DEFAULT.limit

Counts = npt.NDArray[np.int64]

_CENTRES: Doubles = (np.arange(SIDE, dtype=np.float64) + 0.5) * (2 * LIMIT / SIDE) - LIMIT


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One labelled case as both models saw it.

    Attributes:
        name: of the case.
        specialist: predicted Dice, or None.
        omnimodel: likewise.
        counts: (K,2,SIDE,SIDE) pixels by label, truth (0 background), log-odds of specialist and omnimodel.
        area: share of the whole image that the omnimodel marks, in [0,1], wherever scores count.
    """

    name: str
    specialist: float | None
    omnimodel: float | None
    counts: Counts
    area: float

    def dice(self, weight: float) -> float:
        """Mean over labels of the Dice of the mask at the omnimodel's weight, in [0,1]."""
        inside = self.counts[:, :, pooled(weight) > 0.0].sum(axis=2)
        truth = self.counts[:, 1].sum(axis=(1, 2))
        total = inside.sum(axis=1) + truth
        return float(np.where(total > 0, 2 * inside[:, 1] / np.maximum(total, 1), 1.0).mean())

    def trust(self, calibration: Calibration) -> float:
        """The omnimodel's weight."""
        own, other = self.qualities(calibration)
        return trust_of(own, other, calibration)

    def qualities(self, calibration: Calibration) -> tuple[float, float]:
        """Predicted Dice of both, as far as they are believed."""
        own = calibration.assumed_specialist if self.specialist is None else self.specialist
        if self.omnimodel is None:
            return own, calibration.assumed_omnimodel
        return own, min(self.omnimodel, calibration.ceiling)

    def fused(self, calibration: Calibration) -> float:
        """Dice of the fused mask."""
        return self.dice(self.trust(calibration))


def observe(
    name: str,
    specialist: Prediction,
    omnimodel: Prediction,
    truth: BoolArray,
    inside: BoolArray | None = None,
) -> Observed:
    """What is kept of a case.

    Args:
        name: of the case.
        specialist: its prediction.
        omnimodel: likewise, of the same shape.
        truth: (K,Y,X) bool.
        inside: (Y,X) bool, where scores count; None: everywhere.
    """
    if not specialist.probability.shape == omnimodel.probability.shape == truth.shape:
        raise ValueError(f"truth must be {specialist.probability.shape} like both maps, got {truth.shape}")
    counted = np.s_[:] if inside is None else inside
    rows = zip(specialist.probability, omnimodel.probability, truth, strict=True)
    counts = np.stack([_histogram(*(one[counted] for one in row)) for row in rows])
    own, other = (None if p.quality is None else p.quality.value for p in (specialist, omnimodel))
    area = np.count_nonzero(omnimodel.mask) / omnimodel.mask.size
    return Observed(name, own, other, counts, area)


def _histogram(own: FloatArray, other: FloatArray, truth: BoolArray) -> Counts:
    place = (truth.astype(np.intp) * SIDE + _bin(own)) * SIDE + _bin(other)
    return np.bincount(place.ravel(), minlength=2 * SIDE * SIDE).reshape(2, SIDE, SIDE).astype(np.int64)


def _bin(probability: FloatArray) -> npt.NDArray[np.intp]:
    end = 1.0 / (1.0 + math.exp(LIMIT))
    p = np.clip(probability.astype(np.float64), end, 1.0 - end)
    # from above, so that a probability of exactly 0.5, which is outside of a mask, falls below the edge
    place = np.ceil((np.log(p / (1.0 - p)) + LIMIT) * (SIDE / (2 * LIMIT))) - 1
    inside: npt.NDArray[np.intp] = np.clip(place, 0, SIDE - 1).astype(np.intp)
    return inside


def pooled(weight: float) -> Doubles:
    """(SIDE,SIDE) log-odds of the fused probability in each bin."""
    pooled: Doubles = (1.0 - weight) * _CENTRES[:, None] + weight * _CENTRES[None, :]
    return pooled
