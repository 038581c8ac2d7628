"""Predicts the Dice of a mask from what the model's own answer looks like, where one number is not enough.

How sure a map is of itself says much; whether the views agree, whether the mask falls apart, whether it would
be another at another threshold, and whether the picture is unlike all that the model was trained on say more.
The signs are weighed by a linear model whose few numbers stand in the card, so that a person can see why a
mask was doubted; what its score is worth is then measured (:class:`omniview.core.quality.QualityTable`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.image import Doubles, FloatArray
from omniview.core.prediction import EDGE, Quality
from omniview.core.quality import QualityTable, soft_dice_confidence

__all__ = ["SIGNS", "QualityHead", "judge", "signs"]

SIGNS = (
    "confidence",
    "peak",
    "steadiness",
    "disagreement",
    "doubt",
    "area",
    "wholeness",
    "novelty",
    "nothing",
)
"""What is looked at, in this order; see :func:`signs`."""

_LOOSE, _STRICT = 0.25, 0.75
_LONGEST = 384
"""Pixels: maps are shrunk to this before they are looked at, but for the confidence, which thin vessels need
whole."""
_SURE = 6.0


def signs(probability: FloatArray, spread: FloatArray | None, novelty: float | None) -> Doubles:
    """What a prediction looks like: one number for each of `SIGNS`.

    - confidence: log-odds of the soft-Dice confidence (:func:`soft_dice_confidence`)
    - peak: log-odds of the highest probability
    - steadiness: area above 0.75 over area above 0.25
    - disagreement: sum of the spread over the views, over the mask's soft area; nan where there was one view
    - doubt: sum of 4 p (1 - p), over the mask's soft area
    - area: logarithm of the mask's share of the picture
    - wholeness: share of the mask's largest part
    - novelty: logarithm of how unlike the training the picture is (1: at the limit), nan where nobody looked
    - nothing: 1 if the mask is empty

    Args:
        probability: (K,Y,X) float32 in [0,1]; of several labels the mean of each sign is taken.
        spread: (K,Y,X) standard deviation over the views, or None where there was one.
        novelty: of the picture, at least 0, or None.

    Returns:
        (len(SIGNS),) float64.
    """
    if probability.ndim != 3 or 0 in probability.shape:
        raise ValueError(f"probability must be (K,Y,X) and not empty, got {probability.shape}")
    if spread is not None and spread.shape != probability.shape:
        raise ValueError(f"spread must be {probability.shape} like probability, got {spread.shape}")
    strange = math.nan if novelty is None else math.log(max(novelty, 1e-3))
    rows = [_of_label(p, None if spread is None else spread[k], strange) for k, p in enumerate(probability)]
    mean: Doubles = np.mean(rows, axis=0)
    return mean


def _of_label(p: FloatArray, spread: FloatArray | None, strange: float) -> list[float]:
    confidence, peak = soft_dice_confidence(p), float(p.max())
    p = _shrunk(p)
    mask = np.asarray(p > EDGE).view(np.uint8)
    inside = cv2.countNonZero(mask)
    soft = cv2.sumElems(p)[0] + inside + 1.0
    loose, strict = (int(np.count_nonzero(p > level)) for level in (_LOOSE, _STRICT))
    return [
        _log_odds(confidence),
        _log_odds(peak),
        strict / loose if loose else 0.0,
        math.nan if spread is None else cv2.sumElems(_shrunk(spread))[0] / soft,
        4.0 * (cv2.sumElems(p)[0] - cv2.norm(p, cv2.NORM_L2SQR)) / soft,
        math.log(inside / p.size + 1e-4),
        _wholeness(mask, inside),
        strange,
        float(inside == 0),
    ]


def _shrunk(values: FloatArray) -> FloatArray:
    height, width = values.shape
    scale = _LONGEST / max(height, width)
    if scale >= 1.0:
        return values
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _wholeness(mask: np.ndarray, inside: int) -> float:
    if inside == 0:
        return 0.0
    left, top, width, height = cv2.boundingRect(mask)
    part = mask[top : top + height, left : left + width]
    count, _, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    return float(stats[1:count, cv2.CC_STAT_AREA].max()) / inside


def _log_odds(p: float) -> float:
    end = 1.0 / (1.0 + math.exp(_SURE))
    p = min(max(p, end), 1.0 - end)
    return math.log(p / (1.0 - p))


@dataclass(frozen=True, slots=True)
class QualityHead:
    """A logistic score of the signs, in (0,1).

    Attributes:
        names: which of `SIGNS` are weighed.
        weights: one for each name, as the signs come.
        bias: added to their sum.
        usual: what is taken for a sign that is not known: its mean where the head was fitted.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    bias: float
    usual: tuple[float, ...]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.names) - set(SIGNS))
        if unknown or not self.names or len(set(self.names)) != len(self.names):
            raise ValueError(f"names must be distinct and among {SIGNS}, got {self.names}")
        if not len(self.weights) == len(self.usual) == len(self.names):
            raise ValueError(f"weights and usual must be {len(self.names)} numbers each, like names")
        if not np.isfinite([*self.weights, self.bias, *self.usual]).all():
            raise ValueError("weights, bias and usual must be finite")

    def score(self, seen: Doubles) -> float:
        """The score of what :func:`signs` saw, (len(SIGNS),)."""
        known = (float(seen[SIGNS.index(name)]) for name in self.names)
        chosen = [u if math.isnan(x) else x for x, u in zip(known, self.usual, strict=True)]
        z = math.fsum([self.bias, *(w * x for w, x in zip(self.weights, chosen, strict=True))])
        return 1.0 / (1.0 + math.exp(-min(max(z, -30.0), 30.0)))


def judge(
    table: QualityTable,
    head: QualityHead | None,
    probability: FloatArray,
    spread: FloatArray | None,
    novelty: float | None,
) -> Quality:
    """Predicted Dice of a prediction's mask.

    A picture beyond what the model was trained on (`novelty` above 1) is not one of the "similar images" that
    an interval speaks of: nothing is promised there from below, and less is expected the stranger it is.

    Args:
        table: from the head's score, or where there is no head from the confidence, to Dice.
        head: weighs the signs, or None.
        probability: (K,Y,X) float32 in [0,1].
        spread: (K,Y,X) standard deviation over the views, or None.
        novelty: of the picture, 1 at the limit, or None.
    """
    if head is None:
        said = table.judge(probability)
    else:
        said = table.predict(head.score(signs(probability, spread, novelty)))
    if novelty is None or novelty <= 1.0:
        return said
    return Quality(said.value / novelty**2, 0.0, said.high)
