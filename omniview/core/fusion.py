"""One mask out of two opinions, weighted by how far each can be trusted on this image.

A model that misses a lesion entirely is often sure of it, so that its pixels alone cannot tell. The predicted
quality of the whole mask, which is made of how sure its pixels are and how well its views agree, therefore
sets the weight; within an image log-odds do, so that at each pixel the surer model counts more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from omniview.core.image import BoolArray, FloatArray, read_only
from omniview.core.prediction import EDGE, Prediction, Quality, Role, check_probability
from omniview.core.trust import SAFE_DEFAULT, Calibration, Margin
from omniview.core.uncertainty import entropy, sigmoid_of_negative

__all__ = ["SAFE_DEFAULT", "Calibration", "Fusion", "fuse", "trust_of"]

_STRIP = 32_768
"""Pixels that are fused at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Fusion:
    """The fused result.

    Attributes:
        probability: (K,Y,X) float32 in [0,1], read-only.
        mask: (K,Y,X) bool: probability above 0.5.
        uncertainty: (K,Y,X) float32 in [0,1]; 1 is a coin toss.
        weight: (K,Y,X) float32 in [0,1]: the share of the omnimodel.
        margin: inner and outer mask, each (K,Y,X) bool, inner within mask within outer; or None.
        quality: predicted Dice of the mask, or None where neither model has one.
        promise: what the margin was fitted for, or None without one.
        notes: what a person should know of how it was fused.
    """

    probability: FloatArray
    mask: BoolArray
    uncertainty: FloatArray
    weight: FloatArray
    margin: tuple[BoolArray, BoolArray] | None = None
    quality: Quality | None = None
    promise: Margin | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.probability.shape
        check_probability("Fusion.probability", self.probability)
        check_probability("Fusion.uncertainty", self.uncertainty, shape)
        check_probability("Fusion.weight", self.weight, shape)
        if self.mask.shape != shape:
            raise ValueError(f"Fusion.mask must be {shape}, got {self.mask.shape}")
        for name in ("probability", "mask", "uncertainty", "weight"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        if self.margin is not None:
            object.__setattr__(self, "margin", tuple(read_only(m) for m in self.margin))


def fuse(predictions: Sequence[Prediction], calibration: Calibration = SAFE_DEFAULT) -> Fusion:
    """Pool the log-odds of a specialist and an omnimodel, in any order.

    With predicted Dice q, log-odds l, prior l0 and the specialist's pixel uncertainty U:

        w_G = sigmoid(kappa (min(q_G, ceiling) - q_S) + bias)   one number an image
        w_S = (1 - w_G) (1 - gamma U)                           one number a pixel
        l   = l0 + w_S (l_S - l0) + w_G (l_G - l0)

    An omnimodel whose mask is of a size that it never had where it was measured is trusted no more than one
    that was never measured, the notes say so, and nothing is promised of the fused mask.

    U is twice the spread over views where there is one (the part of the doubt that is the model's own), else
    the entropy. The share of the omnimodel is w_G / (w_G + w_S). Of a single prediction, probability and mask
    are returned as they are, bit for bit.

    The fused uncertainty of a pixel is the largest of: entropy of the fused probability; twice the models'
    spreads, each weighted by its share; and the models' contradiction |p_S - p_G|, in full where both have an
    equal share and fading as one of them decides alone.

    Raises:
        ValueError: no prediction, two of one role, or two of different shapes.
    """
    roles: dict[Role, Prediction] = {p.role: p for p in predictions}
    if not predictions or len(roles) != len(predictions):
        raise ValueError(
            f"predictions must be one or two of different roles, got {[p.role for p in predictions]}"
        )
    if len({p.probability.shape for p in predictions}) > 1:
        raise ValueError(f"predictions must have one shape, got {[p.probability.shape for p in predictions]}")
    if len(roles) == 1:
        return _alone(predictions[0], calibration)
    return _together(roles["specialist"], roles["omnimodel"], calibration)


def _alone(prediction: Prediction, calibration: Calibration) -> Fusion:
    probability = prediction.probability
    uncertainty = entropy(probability)
    if prediction.spread is not None:
        np.maximum(uncertainty, _doubt(prediction.spread), out=uncertainty)
    is_omnimodel = prediction.role == "omnimodel"
    weight = np.full_like(probability, is_omnimodel)
    promise = calibration.margin_omnimodel if is_omnimodel else calibration.margin_specialist
    margin = _margin(probability, promise, prediction.quality)
    return Fusion(probability, prediction.mask, uncertainty, weight, margin, prediction.quality, promise)


def _together(specialist: Prediction, omnimodel: Prediction, calibration: Calibration) -> Fusion:
    of_specialist = specialist.quality or Quality(calibration.assumed_specialist, 0.0, 1.0)
    of_omnimodel = _believed(omnimodel.quality, calibration)
    trust = trust_of(of_specialist.value, of_omnimodel.value, calibration)
    area = np.count_nonzero(omnimodel.mask) / omnimodel.mask.size
    strange = not calibration.area[0] <= area <= calibration.area[1]
    if strange:
        believed = _believed(omnimodel.quality, SAFE_DEFAULT)
        trust = min(trust, trust_of(of_specialist.value, believed.value, SAFE_DEFAULT))

    probability, uncertainty, share = (np.empty(specialist.probability.shape, np.float32) for _ in range(3))
    outputs = [whole.reshape(-1) for whole in (probability, uncertainty, share)]
    for place, strip in _strips(specialist, omnimodel):
        for output, part in zip(outputs, _pool(strip, trust, calibration), strict=True):
            output[place] = part
    told = None
    if specialist.quality or omnimodel.quality:
        told = _told(of_specialist, of_omnimodel, trust, calibration)
        if strange or any(p.novelty is not None and p.novelty > 1.0 for p in (specialist, omnimodel)):
            told = Quality(told.value, 0.0, told.high)  # not one of the images that the interval speaks of
    promise = None if strange else calibration.margin
    margin = _margin(probability, promise, told)
    notes = (_unlike(area, calibration.area),) if strange else ()
    return Fusion(probability, probability > EDGE, uncertainty, share, margin, told, promise, notes)


def _unlike(area: float, usual: tuple[float, float]) -> str:
    return (
        f"The omnimodel's mask covers {100 * area:.3g} % of the image, unlike any it was measured with "
        f"({100 * usual[0]:.3g} to {100 * usual[1]:.3g} %): it gets no more trust than one never measured."
    )


class _Strip(NamedTuple):
    """Some pixels of both models, (P,) float32 each; spread may be missing."""

    specialist: FloatArray
    omnimodel: FloatArray
    spread_of_specialist: FloatArray | None
    spread_of_omnimodel: FloatArray | None


def _strips(specialist: Prediction, omnimodel: Prediction) -> Iterator[tuple[slice, _Strip]]:
    """All pixels, a few at a time: what lies between input and output then stays in the processor's cache."""
    flat = [
        None if whole is None else whole.reshape(-1)
        for whole in (specialist.probability, omnimodel.probability, specialist.spread, omnimodel.spread)
    ]
    for start in range(0, specialist.probability.size, _STRIP):
        place = slice(start, start + _STRIP)
        own, other, *spreads = (None if whole is None else whole[place] for whole in flat)
        assert own is not None
        assert other is not None
        yield place, _Strip(own, other, *spreads)


def _pool(
    strip: _Strip, trust: float, calibration: Calibration
) -> tuple[FloatArray, FloatArray, FloatArray | np.float32]:
    """Fused probability, its uncertainty, and the share of the omnimodel."""
    own: FloatArray | np.float32 = np.float32(1.0 - trust)  # the specialist's weight, w_S
    if calibration.gamma:
        spread = strip.spread_of_specialist
        doubt = entropy(strip.specialist) if spread is None else _doubt(spread)
        doubt *= np.float32(-calibration.gamma * (1.0 - trust))
        doubt += np.float32(1.0 - trust)
        own = doubt
    prior = math.log(calibration.prior) - math.log1p(-calibration.prior)
    pooled = _log_odds(strip.specialist, calibration.limit, prior)
    pooled *= own
    other = _log_odds(strip.omnimodel, calibration.limit, prior)
    other *= np.float32(trust)
    pooled += other
    pooled += np.float32(prior)
    np.negative(pooled, out=pooled)
    probability = sigmoid_of_negative(pooled)
    share = np.minimum(np.float32(trust) / (own + np.float32(trust)), np.float32(1.0))
    return probability, _fused_uncertainty(probability, share, strip), share


def trust_of(of_specialist: float, of_omnimodel: float, calibration: Calibration) -> float:
    """The weight w_G that an omnimodel gets in an image by the predicted Dice of both."""
    lead = calibration.kappa * (of_omnimodel - of_specialist) + calibration.bias
    return 1.0 / (1.0 + math.exp(-min(max(lead, -30.0), 30.0)))


def _believed(claimed: Quality | None, calibration: Calibration) -> Quality:
    """An omnimodel's predicted Dice, as far as it is believed."""
    if claimed is None:
        return Quality(calibration.assumed_omnimodel, 0.0, 1.0)
    if claimed.value <= calibration.ceiling:
        return claimed
    return Quality(calibration.ceiling, min(claimed.low, calibration.ceiling), claimed.high)


def _doubt(spread: FloatArray) -> FloatArray:
    """Spread as a new array in [0,1]: a standard deviation of probabilities is at most one half."""
    doubled: FloatArray = spread * np.float32(2.0)
    return np.minimum(doubled, np.float32(1.0), out=doubled)


def _log_odds(probability: FloatArray, limit: float, prior: float) -> FloatArray:
    """Log-odds within [-limit, limit], less those of the prior, as a new array."""
    end = 1.0 / (1.0 + math.exp(limit))
    p: FloatArray = np.clip(probability, np.float32(end), np.float32(1.0 - end))
    p /= np.float32(1.0) - p
    np.log(p, out=p)
    if prior:
        p -= np.float32(prior)
    return p


def _fused_uncertainty(probability: FloatArray, share: FloatArray | np.float32, strip: _Strip) -> FloatArray:
    uncertainty = entropy(probability)
    rest = np.float32(1.0) - share
    contradiction = strip.specialist - strip.omnimodel
    np.abs(contradiction, out=contradiction)
    contradiction *= share * rest * np.float32(4.0)
    np.maximum(uncertainty, contradiction, out=uncertainty)
    for spread, part in ((strip.spread_of_specialist, rest), (strip.spread_of_omnimodel, share)):
        if spread is not None:
            doubt = _doubt(spread)
            doubt *= part
            np.maximum(uncertainty, doubt, out=uncertainty)
    return np.minimum(uncertainty, np.float32(1.0), out=uncertainty)


def _told(a: Quality, b: Quality, share: float, calibration: Calibration) -> Quality:
    """Predicted Dice of the fused mask: what was measured of masks like it, else the mean of both."""
    value, low, high = (
        min(1.0, (1.0 - share) * x + share * y)
        for x, y in ((a.value, b.value), (a.low, b.low), (a.high, b.high))
    )
    return Quality(value, low, high) if calibration.quality is None else calibration.quality.predict(value)


def _margin(
    probability: FloatArray, promise: Margin | None, told: Quality | None
) -> tuple[BoolArray, BoolArray] | None:
    if promise is None:
        return None
    contours = promise.at(None if told is None else told.value)
    return probability > contours.inner, probability > contours.outer
