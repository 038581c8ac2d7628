"""What a model says about an image, whoever the model is, with a record of what really ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from omniview.core.image import BoolArray, FloatArray, read_only

__all__ = ["EDGE", "ROLES", "Prediction", "Provenance", "Quality", "Role", "check_probability"]

Role: TypeAlias = Literal["specialist", "omnimodel"]
ROLES: tuple[Role, ...] = ("specialist", "omnimodel")

EDGE = 0.5
"""Probability at a mask's edge, everywhere: calibrated thresholds are folded into probabilities before."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Predicted Dice of a mask, with the interval that holds the true Dice for 90 % of similar images."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.value <= self.high <= 1.0:
            raise ValueError(f"Quality must satisfy 0 <= low <= value <= high <= 1, got {self}")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What really ran. Fields that do not apply stay None and are left out of files.

    Attributes:
        provider: where it ran: an ONNX Runtime execution provider, or a cloud endpoint's host.
        fallback: why it did not run where it was asked to, in words.
        weights_sha256: SHA-256 of the weights file(s) that ran.
        variant: what is special about those weights, e.g. "int8", where they are not the model's own.
        variant_of: SHA-256 of the model's own weights then: it was calibrated with those.
        model_id: the model as it was asked for.
        model_version: the version that the answer itself names.
        views: number of test-time augmentations or answers that were averaged.
        answers_asked: how often an omnimodel was asked.
        answers_used: how many of its answers held a usable mask.
        tokens_in: tokens sent.
        tokens_out: tokens received, thinking included.
        cost: price of the call(s).
        currency: ISO 4217 code of `cost`.
        prompt_version: version of the prompt text.
        prompts: what a person showed the model, in order, in image pixels: clicks by row and column, a box by
            its edges.
        notes: anything a person should know, e.g. "2 of 17 boxes were out of range and clipped".
    """

    provider: str | None = None
    fallback: str | None = None
    weights_sha256: str | None = None
    variant: str | None = None
    variant_of: str | None = None
    model_id: str | None = None
    model_version: str | None = None
    views: int | None = None
    answers_asked: int | None = None
    answers_used: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    currency: str | None = None
    prompt_version: str | None = None
    prompts: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Field name to value, without the fields that do not apply."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values if v not in (None, ())}


def check_probability(name: str, value: FloatArray, shape: tuple[int, ...] | None = None) -> None:
    """Raise ValueError unless `value` is (K,Y,X) float32 within [0,1], of `shape` where one is given."""
    if value.ndim != 3 or 0 in value.shape or value.dtype != np.float32:
        raise ValueError(f"{name} must be (K,Y,X) float32 and not empty, got {value.shape} {value.dtype}")
    if shape is not None and value.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {value.shape}")
    # written so that nan fails too
    if not (value.min() >= 0.0 and value.max() <= 1.0):
        raise ValueError(f"{name} must lie within [0,1]")


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """K probability maps of one model on one image.

    Attributes:
        model: name of the model, as its card or provider has it.
        role: "specialist" or "omnimodel".
        probability: (K,Y,X) float32 in [0,1], at the image's own size; the mask's edge is at 0.5. Read-only.
        spread: (K,Y,X) float32 in [0,1], standard deviation over views or answers, or None.
        quality: predicted Dice with its interval, or None where it was not calibrated.
        seconds: wall-clock time from asking to answer.
        provenance: what really ran.
        novelty: how unlike the model's training the image is: beyond 1 the model is out of its depth, None
            where nobody looked.
        mutual_information: (K,Y,X) float32 in [0,1], bits: how far views, or draws of a network's dropout,
            contradict each other (see `core.uncertainty`); None of one of them, or where nobody looked.
    """

    model: str
    role: Role
    probability: FloatArray
    spread: FloatArray | None = None
    quality: Quality | None = None
    seconds: float = 0.0
    provenance: Provenance = field(default_factory=Provenance)
    novelty: float | None = None
    mutual_information: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"Prediction.role must be one of {ROLES}, got {self.role!r}")
        check_probability("Prediction.probability", self.probability)
        object.__setattr__(self, "probability", read_only(self.probability))
        for name in ("spread", "mutual_information"):
            values = getattr(self, name)
            if values is not None:
                check_probability(f"Prediction.{name}", values, self.probability.shape)
                object.__setattr__(self, name, read_only(values))

    @property
    def mask(self) -> BoolArray:
        """(K,Y,X) bool: probability above 0.5."""
        return self.probability > EDGE
