"""One mask out of two opinions, weighted by how far each can be trusted on this image.

A model that misses a lesion entirely is often sure of it, so that its pixels alone cannot tell. The predicted
quality of the whole mask therefore sets the weight, and the uncertainty of each pixel refines it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omniview.core.image import BoolArray, FloatArray, read_only
from omniview.core.prediction import EDGE, Prediction, Quality, Role, check_probability
from omniview.core.uncertainty import entropy, sigmoid_of_negative

__all__ = ["SAFE_DEFAULT", "Calibration", "Fusion", "fuse"]


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
    """

    probability: FloatArray
    mask: BoolArray
    uncertainty: FloatArray
    weight: FloatArray
    margin: tuple[BoolArray, BoolArray] | None = None
    quality: Quality | None = None

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


@dataclass(frozen=True, slots=True)
class Calibration:
    """What fusion has learnt about a pair of models on a task.

    Attributes:
        kappa: how steeply the weight follows a difference of predicted Dice; 0 or more.
        bias: log-odds of trusting the omnimodel where both predicted qualities are equal.
        gamma: how much of the specialist's weight an entirely unsure pixel loses; [0,1).
        prior: probability of the label at a pixel that nobody has looked at, within (0,1); counted once.
        limit: log-odds beyond which no single model is believed; positive. It keeps a hard 0/1 mask from
            outvoting everything.
        assumed_specialist: predicted Dice taken for a specialist that brings none; [0,1].
        assumed_omnimodel: the same for an omnimodel; [0,1].
        margin_threshold: probability t of the outer contour, the inner one being at 1 - t; (0,0.5]. None
            where no margin was calibrated.
    """

    kappa: float = 8.0
    bias: float = -1.0
    gamma: float = 0.5
    prior: float = 0.5
    limit: float = 6.0
    assumed_specialist: float = 0.75
    assumed_omnimodel: float = 0.6
    margin_threshold: float | None = None

    def __post_init__(self) -> None:
        for name in ("kappa", "bias"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"Calibration.{name} must be finite, got {getattr(self, name)}")
        for name in ("assumed_specialist", "assumed_omnimodel"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Calibration.{name} must lie within [0,1], got {getattr(self, name)}")
        if self.kappa < 0.0:
            raise ValueError(f"Calibration.kappa must not be negative, got {self.kappa}")
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"Calibration.gamma must lie within [0,1), got {self.gamma}")
        if not 0.0 < self.prior < 1.0:
            raise ValueError(f"Calibration.prior must lie within (0,1), got {self.prior}")
        if not 0.0 < self.limit <= 15.0:  # float32 knows no probability nearer to 1 than 16 nats
            raise ValueError(f"Calibration.limit must lie within (0,15], got {self.limit}")
        if self.margin_threshold is not None and not 0.0 < self.margin_threshold <= 0.5:
            raise ValueError(
                f"Calibration.margin_threshold must lie within (0,0.5], got {self.margin_threshold}"
            )


SAFE_DEFAULT = Calibration()
"""For models that were never measured together: on equal terms the specialist leads (an untrained omnimodel
is the weaker one on average), no prior pulls the edge inwards, and no margin is promised."""


def fuse(predictions: Sequence[Prediction], calibration: Calibration = SAFE_DEFAULT) -> Fusion:
    """Pool the log-odds of a specialist and an omnimodel, in any order.

    With predicted Dice q, log-odds l, prior l0 and the specialist's pixel uncertainty U:

        w_G = sigmoid(kappa (q_G - q_S) + bias)         one number an image
        w_S = (1 - w_G) (1 - gamma U)                   one number a pixel
        l   = l0 + w_S (l_S - l0) + w_G (l_G - l0)

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
    weight = np.full_like(probability, prediction.role == "omnimodel")
    margin = _margin(probability, calibration)
    return Fusion(probability, prediction.mask, uncertainty, weight, margin, prediction.quality)


def _together(specialist: Prediction, omnimodel: Prediction, calibration: Calibration) -> Fusion:
    of_specialist = specialist.quality or Quality(calibration.assumed_specialist, 0.0, 1.0)
    of_omnimodel = omnimodel.quality or Quality(calibration.assumed_omnimodel, 0.0, 1.0)
    lead = calibration.kappa * (of_omnimodel.value - of_specialist.value) + calibration.bias
    trust = 1.0 / (1.0 + math.exp(-min(max(lead, -30.0), 30.0)))

    doubt = entropy(specialist.probability) if specialist.spread is None else _doubt(specialist.spread)
    doubt *= np.float32(-calibration.gamma * (1.0 - trust))
    doubt += np.float32(1.0 - trust)
    own = doubt  # the specialist's weight, w_S

    prior = math.log(calibration.prior) - math.log1p(-calibration.prior)
    pooled = _log_odds(specialist.probability, calibration.limit, prior)
    pooled *= own
    other = _log_odds(omnimodel.probability, calibration.limit, prior)
    other *= np.float32(trust)
    pooled += other
    pooled += np.float32(prior)
    np.negative(pooled, out=pooled)
    probability = sigmoid_of_negative(pooled)

    share = own
    share += np.float32(trust)
    np.divide(np.float32(trust), share, out=share)
    np.minimum(share, np.float32(1.0), out=share)
    return Fusion(
        probability,
        probability > EDGE,
        _fused_uncertainty(probability, share, specialist, omnimodel),
        share,
        _margin(probability, calibration),
        _mixed(of_specialist, of_omnimodel, trust) if specialist.quality or omnimodel.quality else None,
    )


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


def _fused_uncertainty(
    probability: FloatArray, share: FloatArray, specialist: Prediction, omnimodel: Prediction
) -> FloatArray:
    uncertainty = entropy(probability)
    contradiction = specialist.probability - omnimodel.probability
    np.abs(contradiction, out=contradiction)
    rest = np.float32(1.0) - share
    contradiction *= share
    contradiction *= rest
    contradiction *= np.float32(4.0)
    np.maximum(uncertainty, contradiction, out=uncertainty)
    if specialist.spread is not None:
        rest *= _doubt(specialist.spread)
        np.maximum(uncertainty, rest, out=uncertainty)
    if omnimodel.spread is not None:
        spread = _doubt(omnimodel.spread)
        spread *= share
        np.maximum(uncertainty, spread, out=uncertainty)
    return np.minimum(uncertainty, np.float32(1.0), out=uncertainty)


def _mixed(a: Quality, b: Quality, share: float) -> Quality:
    value, low, high = (
        min(1.0, (1.0 - share) * x + share * y)
        for x, y in ((a.value, b.value), (a.low, b.low), (a.high, b.high))
    )
    return Quality(value, low, high)


def _margin(probability: FloatArray, calibration: Calibration) -> tuple[BoolArray, BoolArray] | None:
    cut = calibration.margin_threshold
    return None if cut is None else (probability > 1.0 - cut, probability > cut)
