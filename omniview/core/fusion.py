"""One mask out of two opinions, weighted by how far each can be trusted on this image."""

from __future__ import annotations

from dataclasses import dataclass

from omniview.core.image import BoolArray, FloatArray, read_only
from omniview.core.prediction import Quality, check_probability

__all__ = ["Fusion"]


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
