"""One image with everything that is known about it so far. A new result makes a new Case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.core.fusion import Fusion
from omniview.core.image import BoolArray, Image, read_only
from omniview.core.prediction import ROLES, Prediction, Role
from omniview.core.task import Task
from omniview.errors import MissingKey, NotAllowed, NotAsked, OverBudget

__all__ = ["Case", "Failure", "ScoreTable", "Scores", "Truth"]

_NEVER_ASKED = frozenset(kind.__name__ for kind in (MissingKey, NotAllowed, NotAsked, OverBudget))

Scores: TypeAlias = Mapping[str, float | None]
"""Metric name to value; None where the metric is not defined for this pair of masks."""
ScoreTable: TypeAlias = Mapping[str, Scores]
"""`specialist`, `omnimodel`, `fused` to their scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A reference segmentation.

    Attributes:
        mask: (K,Y,X) bool, read-only.
        source: where it was read from.
        instances: (Y,X) int32, 0 is background, each object its own number; or None.
        notes: warnings from reading, e.g. that more than two grey values were found.
    """

    mask: BoolArray
    source: str = ""
    instances: npt.NDArray[np.int32] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mask.ndim != 3 or self.mask.dtype != np.bool_ or 0 in self.mask.shape:
            raise ValueError(f"Truth.mask must be (K,Y,X) bool, got {self.mask.shape} {self.mask.dtype}")
        object.__setattr__(self, "mask", read_only(self.mask))
        if self.instances is not None:
            if self.instances.shape != self.mask.shape[1:]:
                raise ValueError(f"Truth.instances must be {self.mask.shape[1:]}, got {self.instances.shape}")
            object.__setattr__(self, "instances", read_only(self.instances))


@dataclass(frozen=True, slots=True)
class Failure:
    """A model that gave no usable mask, and why, in words; never fused as "no lesion".

    Attributes:
        model: name of the model.
        role: which side of the fusion is missing.
        reason: the cause, in words.
        next_step: what a person can do about it; empty if nothing.
        kind: name of the error's class (see errors.py), so that a badge can tell refused from unusable.
        cost: what asking cost all the same, in `currency`; None where it is not known, or nobody was asked.
        currency: ISO 4217 code of `cost`.
    """

    model: str
    role: Role
    reason: str
    next_step: str = ""
    kind: str = ""
    cost: float | None = None
    currency: str | None = None

    @property
    def left_out(self) -> bool:
        """Whether the model was never asked: by rule or budget, offline, or without consent or key.

        It can then not have been wrong, and counts for nothing.
        """
        return self.kind in _NEVER_ASKED


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image with everything that is known about it so far.

    Attributes:
        image: the image.
        task: what is looked for.
        predictions: what has arrived, at most one for each role; the specialist's first, whoever was.
        failures: what will not arrive, and why, in the same order.
        pending: roles that are still at work.
        fusion: the fused result, or None while there is no prediction.
        truth: the reference segmentation, or None.
        scores: `specialist`, `omnimodel`, `fused` to metric to value; empty without a truth.
    """

    image: Image
    task: Task
    predictions: tuple[Prediction, ...] = ()
    failures: tuple[Failure, ...] = ()
    pending: tuple[Role, ...] = ()
    fusion: Fusion | None = None
    truth: Truth | None = None
    scores: ScoreTable = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in ("predictions", "failures"):  # nothing that is made of a case may depend on chance
            ordered = sorted(getattr(self, name), key=lambda one: ROLES.index(one.role))
            object.__setattr__(self, name, tuple(ordered))
        expected = (len(self.task.labels), *self.image.shape)
        for prediction in self.predictions:
            if (got := prediction.probability.shape) != expected:
                raise ValueError(f"Case: prediction of {prediction.model} must be {expected}, got {got}")
        roles = [p.role for p in self.predictions]
        if len(set(roles)) != len(roles):
            raise ValueError(f"Case.predictions must hold one prediction a role, got {roles}")
        if self.truth is not None and self.truth.mask.shape != expected:
            raise ValueError(f"Case.truth must be {expected}, got {self.truth.mask.shape}")

    def prediction(self, role: Role) -> Prediction | None:
        """The prediction of `role`, or None if it has not arrived."""
        return next((p for p in self.predictions if p.role == role), None)

    def failure(self, role: Role) -> Failure | None:
        """The failure of `role`, or None."""
        return next((f for f in self.failures if f.role == role), None)
