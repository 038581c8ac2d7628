"""How good a mask probably is, said before anybody knows the truth: this is what decides whom to trust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.image import BoolArray, FloatArray
from omniview.core.prediction import EDGE, Quality

__all__ = ["QualityTable", "agreement", "around", "soft_dice_confidence", "threshold_for_share"]


def soft_dice_confidence(probability: FloatArray) -> float:
    """How sure a probability map is of its own mask, in [0,1].

    `2 sum(p m) / (sum p + sum m)` with m = p > 0.5 is the Dice between the map and its own mask (Borges et
    al. 2024). An empty mask would always get 0 there, although on a normal image it is the right answer: its
    Dice is 1 if the truth is empty too, which is no likelier than `1 - max p`, so that is its confidence.

    Args:
        probability: (Y,X) or (K,Y,X) float32 in [0,1]; of several labels the mean is taken.
    """
    if probability.ndim not in (2, 3) or 0 in probability.shape:
        raise ValueError(f"probability must be (Y,X) or (K,Y,X) and not empty, got {probability.shape}")
    maps = np.ascontiguousarray(probability).reshape(-1, *probability.shape[-2:])
    return math.fsum(_confidence(p) for p in maps) / len(maps)


def _confidence(p: FloatArray) -> float:
    mask = (p > EDGE).view(np.uint8)
    inside = cv2.countNonZero(mask)
    if inside == 0:
        return 1.0 - float(p.max())
    caught = cv2.mean(p, mask=mask)[0] * inside  # OpenCV sums in double precision, several times faster
    return min(1.0, 2.0 * caught / (cv2.sumElems(p)[0] + inside))


def agreement(a: BoolArray, b: BoolArray) -> float | None:
    """Dice between two masks of equal shape as evidence of their quality; symmetric.

    None where both are empty: two models that find nothing may have missed the same lesion, so that their
    agreement says nothing.
    """
    if a.shape != b.shape:
        raise ValueError(f"a and b must have one shape, got {a.shape} and {b.shape}")
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2.0 * int(np.count_nonzero(a & b)) / total if total else None


def threshold_for_share(qualities: Sequence[float | None], share: float) -> float:
    """The highest threshold below which at most `share` of the cases lie: whom to ask a second opinion about.

    Cases without a predicted quality are always asked about, so they use up the share first. Equal qualities
    are asked about together or not at all, so that fewer than `share` may be asked, never more.

    Args:
        qualities: predicted Dice of each case in [0,1]; None where it is not known.
        share: of all cases, in [0,1].

    Returns:
        A predicted Dice in [0,1], to be compared with `<`.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must lie within [0,1], got {share}")
    known = sorted(q for q in qualities if q is not None)
    # 0.29 * 100 is 28.999999999999996
    allowed = max(0, math.floor(share * len(qualities) + 1e-9) - (len(qualities) - len(known)))
    return known[allowed] if allowed < len(known) else 1.0


@dataclass(frozen=True, slots=True)
class QualityTable:
    """Predicted Dice as a monotone, piecewise linear function of a confidence.

    Attributes:
        confidence: knots, strictly increasing, at least two.
        dice: predicted Dice at the knots, never falling, in [0,1].
        half_width: half width of the interval that holds the true Dice of 90 % of similar images (split
            conformal prediction, absolute residuals); or one for each knot, where residuals were measured
            relative to how large they usually are there (normalised conformal prediction, Lei 2018).
        empty: predicted Dice of an empty mask, where that was measured; None: the curve holds for it too.
    """

    confidence: tuple[float, ...]
    dice: tuple[float, ...]
    half_width: float | tuple[float, ...]
    empty: float | None = None

    def __post_init__(self) -> None:
        knots = np.asarray(self.confidence, float)
        values = np.asarray(self.dice, float)
        if len(knots) < 2 or not np.all(np.diff(knots) > 0):
            raise ValueError(f"confidence must be two or more increasing knots, got {self.confidence}")
        if len(values) != len(knots):
            raise ValueError(f"dice must have {len(knots)} values like confidence, got {len(values)}")
        if not (np.all(np.diff(values) >= 0) and values[0] >= 0.0 and values[-1] <= 1.0):
            raise ValueError(f"dice must never fall and lie within [0,1], got {self.dice}")
        widths = np.atleast_1d(np.asarray(self.half_width, float))
        if isinstance(self.half_width, tuple) and len(widths) != len(knots):
            raise ValueError(f"half_width must be one number or {len(knots)} like confidence, got {widths}")
        if not np.all((widths >= 0.0) & (widths <= 1.0)):
            raise ValueError(f"half_width must lie within [0,1], got {self.half_width}")
        if self.empty is not None and not 0.0 <= self.empty <= 1.0:
            raise ValueError(f"empty must lie within [0,1], got {self.empty}")

    def predict(self, confidence: float) -> Quality:
        """Predicted Dice at `confidence`, level beyond the outermost knots; the interval stays in [0,1]."""
        width = self.half_width
        if isinstance(width, tuple):
            width = float(np.interp(confidence, self.confidence, width))
        return around(float(np.interp(confidence, self.confidence, self.dice)), width)

    def judge(self, probability: FloatArray) -> Quality:
        """Predicted Dice of the mask of `probability`, (Y,X) or (K,Y,X) float32, empty or not."""
        if self.empty is not None and float(probability.max()) <= EDGE:
            width = max(self.half_width) if isinstance(self.half_width, tuple) else self.half_width
            return around(self.empty, width)
        return self.predict(soft_dice_confidence(probability))


def around(value: float, half_width: float) -> Quality:
    """`value` with an interval of so much to both sides, as far as Dice goes."""
    return Quality(value, max(0.0, value - half_width), min(1.0, value + half_width))
