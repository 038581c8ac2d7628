"""One label's mask beside its reference: what several metrics share is computed once, and only on demand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np

from omniview.core.boundary import boundary_iou
from omniview.core.image import BoolArray, FloatArray, UInt8Array
from omniview.core.probabilistic import SoftPair
from omniview.core.skeleton import ClDice, cldice
from omniview.core.surface import SurfaceDistances, surface_distances
from omniview.core.surface_elements import SurfaceElements, surface_elements

__all__ = ["Comparison", "count"]


class Comparison:
    """One label's mask beside its reference.

    Attributes:
        mask: (Y,X) bool, within the region.
        truth: (Y,X) bool, within the region.
        spacing: distance of pixel centres (row, column).
        tolerance: of surface Dice, in the unit of `spacing`.
        tp: pixels of both.
        fp: pixels of the mask alone.
        fn: pixels of the truth alone.
        tn: pixels of neither.
    """

    def __init__(
        self,
        mask: BoolArray,
        truth: BoolArray,
        region: BoolArray | None,
        spacing: tuple[float, float],
        tolerance: float,
        probability: UInt8Array | FloatArray | None = None,
    ) -> None:
        self.mask = mask if region is None else mask & region
        self.truth = truth if region is None else truth & region
        self.spacing = spacing
        self.tolerance = tolerance
        self._region = region
        self._probability = probability
        self.tp = count(self.mask & self.truth)
        self.fp = count(self.mask) - self.tp
        self.fn = count(self.truth) - self.tp
        self.tn = (mask.size if region is None else count(region)) - self.tp - self.fp - self.fn

    @property
    def both_empty(self) -> bool:
        """Nothing to find, nothing marked."""
        return self.tp + self.fp + self.fn == 0

    @property
    def one_empty(self) -> bool:
        """Nothing to find or nothing marked, but not both."""
        return not self.both_empty and (self.tp + self.fp == 0 or self.tp + self.fn == 0)

    @property
    def comparable(self) -> bool:
        """Whether both masks have an outline, so that distances exist."""
        return not (self.both_empty or self.one_empty)

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Border to border; must not be asked for where a mask is empty."""
        return surface_distances(self.mask, self.truth, self.spacing)

    @cached_property
    def elements(self) -> SurfaceElements:
        """Contour to contour, with lengths; must not be asked for where a mask is empty."""
        return surface_elements(self.mask, self.truth, self.spacing)

    @cached_property
    def lines(self) -> ClDice:
        """Overlap along centre lines."""
        return cldice(self.mask, self.truth)

    @cached_property
    def boundary(self) -> float:
        """Overlap of the bands along the outlines."""
        return boundary_iou(self.mask, self.truth)

    @cached_property
    def soft(self) -> SoftPair:
        """The probability map beside the reference; must not be asked for where there is none."""
        if self._probability is None:
            raise ValueError("probability must be given for metrics of a probability map")
        return SoftPair(self._probability, self.truth, self._region)

    @cached_property
    def stretched(self) -> SoftPair:
        """As `soft`, with the map's range stretched to [0,1]."""
        return self.soft.stretched()

    def rate(self, part: int, whole: int) -> float | None:
        """`part / whole`; 0/0 is perfect if both masks are empty, else undefined."""
        if whole == 0:
            return 1.0 if self.both_empty else None
        return part / whole

    def distance(self, reduce: Callable[[SurfaceDistances], float]) -> float | None:
        """A distance under the policy for empty masks."""
        if self.both_empty:
            return 0.0
        return None if self.one_empty else reduce(self.distances)

    def overlap(self, compute: Callable[[Comparison], float]) -> float:
        """An overlap of outlines under the policy for empty masks: 1 if both are empty, 0 if one is."""
        return compute(self) if self.comparable else float(self.both_empty)


def count(mask: BoolArray) -> int:
    """Number of pixels of a (Y,X) mask."""
    return cv2.countNonZero(np.ascontiguousarray(mask).view(np.uint8))
