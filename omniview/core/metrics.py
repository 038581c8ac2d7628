"""What a mask is worth against a reference: one table of metrics, one pass, one policy for empty masks.

The policy. Both masks empty: overlaps and surface Dice are 1, distances 0 (a true negative). One of them
empty: overlaps and surface Dice are 0 and distances undefined. A rate without a denominator (sensitivity
where there is nothing to find, precision where nothing was marked) is undefined too, not 0. Undefined is
None: blank in tables, and `worst` in aggregates, so that a missing answer never improves a mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias

import cv2
import numpy as np

from omniview.core.case import Scores
from omniview.core.image import BoolArray
from omniview.core.surface import SurfaceDistances, surface_distances

__all__ = [
    "DEFAULT_TOLERANCE",
    "METRICS",
    "Comparison",
    "Description",
    "Metric",
    "describe",
    "is_true_negative",
    "score",
    "worst",
]

DEFAULT_TOLERANCE = 2.0
"""Surface Dice forgives this many pixels (the coarser way where spacing differs) unless told otherwise."""


class Comparison:
    """One label's mask beside its reference; what several metrics share is computed once, on demand.

    Attributes:
        mask: (Y,X) bool.
        truth: (Y,X) bool.
        spacing: distance of pixel centres (row, column).
        tolerance: of surface Dice, in the unit of `spacing`.
    """

    def __init__(
        self,
        mask: BoolArray,
        truth: BoolArray,
        region: BoolArray | None,
        spacing: tuple[float, float],
        tolerance: float,
    ) -> None:
        self.mask = mask if region is None else mask & region
        self.truth = truth if region is None else truth & region
        self.spacing = spacing
        self.tolerance = tolerance
        self.tp = _count(self.mask & self.truth)
        self.fp = _count(self.mask) - self.tp
        self.fn = _count(self.truth) - self.tp
        self.tn = (mask.size if region is None else _count(region)) - self.tp - self.fp - self.fn

    @property
    def both_empty(self) -> bool:
        """Nothing to find, nothing marked."""
        return self.tp + self.fp + self.fn == 0

    @property
    def one_empty(self) -> bool:
        """Nothing to find or nothing marked, but not both."""
        return not self.both_empty and (self.tp + self.fp == 0 or self.tp + self.fn == 0)

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Border to border; must not be asked for where a mask is empty."""
        return surface_distances(self.mask, self.truth, self.spacing)

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

    def surface_dice(self) -> float:
        """Normalised surface Dice under the policy for empty masks."""
        if self.both_empty or self.one_empty:
            return float(self.both_empty)
        return self.distances.nsd(self.tolerance)


def _count(mask: BoolArray) -> int:
    return cv2.countNonZero(np.ascontiguousarray(mask).view(np.uint8))


Compute: TypeAlias = Callable[[Comparison], float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes:
        name: key in JSON, column in CSV.
        title: as shown to a person.
        unit: "1", or "mm|px": millimetres where the spacing is known, else pixels.
        higher_is_better: False for distances.
        range: smallest and largest possible value; the largest distance depends on the image.
        source: definition that is followed.
        compute: value of a comparison, None where it is undefined.
    """

    name: str
    title: str
    unit: Literal["1", "mm|px"]
    higher_is_better: bool
    range: tuple[float, float]
    source: str
    compute: Compute


def _overlap(name: str, title: str, source: str, compute: Compute) -> Metric:
    return Metric(name, title, "1", True, (0.0, 1.0), source, compute)


def _distance(name: str, title: str, source: str, reduce: Callable[[SurfaceDistances], float]) -> Metric:
    return Metric(name, title, "mm|px", False, (0.0, math.inf), source, lambda c: c.distance(reduce))


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            _overlap("dice", "Dice", "Dice 1945", lambda c: c.rate(2 * c.tp, 2 * c.tp + c.fp + c.fn)),
            _overlap("iou", "IoU", "Jaccard 1912", lambda c: c.rate(c.tp, c.tp + c.fp + c.fn)),
            _overlap("sensitivity", "Sensitivity", "Yerushalmy 1947", lambda c: c.rate(c.tp, c.tp + c.fn)),
            _overlap("specificity", "Specificity", "Yerushalmy 1947", lambda c: c.rate(c.tn, c.tn + c.fp)),
            _overlap("precision", "Precision", "Kent et al. 1955", lambda c: c.rate(c.tp, c.tp + c.fp)),
            _overlap(
                "accuracy",
                "Accuracy",
                "Metz 1978",
                lambda c: c.rate(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn),
            ),
            _distance("hd", "Hausdorff", "Huttenlocher et al. 1993", lambda d: d.hausdorff()),
            _distance("hd95", "Hausdorff 95 %", "MetricsReloaded, MONAI", lambda d: d.hausdorff(95.0)),
            _distance("assd", "Average surface distance", "Heimann et al. 2009", lambda d: d.assd()),
            _distance("masd", "Mean average surface distance", "Beneš and Zitová 2015", lambda d: d.masd()),
            _overlap("nsd", "Surface Dice", "Nikolov et al. 2021", lambda c: c.surface_dice()),
        )
    }
)
"""Every metric by name, in the order of tables. A new metric is one more row."""


def score(
    mask: BoolArray,
    truth: BoolArray,
    spacing_mm: tuple[float, float] | None = None,
    region: BoolArray | None = None,
    tolerance: float | None = None,
) -> Scores:
    """Every metric of a mask against its reference.

    Args:
        mask: (Y,X) or (K,Y,X) bool.
        truth: the same shape.
        spacing_mm: distance of pixel centres (row, column); distances are in mm with it, else in px.
        region: (Y,X) bool, the field of view: what lies outside counts nowhere, and outlines end at its rim.
        tolerance: of surface Dice, in mm or px like the distances; None is `DEFAULT_TOLERANCE` pixels.

    Returns:
        Metric name to value, None where undefined. Of several labels the mean; undefined for one of them is
        undefined for all, so that a missed label cannot drop out of the mean.

    Raises:
        ValueError: shapes or types do not fit; the message names the argument.
    """
    _check_pair(mask, truth)
    if region is not None and (region.shape != mask.shape[-2:] or region.dtype != np.bool_):
        raise ValueError(f"region must be {mask.shape[-2:]} bool, got {region.shape} {region.dtype}")
    spacing = _spacing(spacing_mm)
    if tolerance is None:
        tolerance = DEFAULT_TOLERANCE * max(spacing)
    elif not tolerance >= 0.0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    labels = [
        Comparison(m, t, region, spacing, tolerance)
        for m, t in zip(_labels(mask), _labels(truth), strict=True)
    ]
    return {name: _macro([metric.compute(label) for label in labels]) for name, metric in METRICS.items()}


def _check_pair(mask: BoolArray, truth: BoolArray) -> None:
    for name, value in (("mask", mask), ("truth", truth)):
        if value.dtype != np.bool_ or value.ndim not in (2, 3) or 0 in value.shape:
            raise ValueError(f"{name} must be (Y,X) or (K,Y,X) bool, got {value.shape} {value.dtype}")
    if mask.shape != truth.shape:
        raise ValueError(f"truth must be of mask's shape {mask.shape}, got {truth.shape}")


def _spacing(spacing_mm: tuple[float, float] | None) -> tuple[float, float]:
    if spacing_mm is None:
        return 1.0, 1.0
    if len(spacing_mm) != 2 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise ValueError(f"spacing_mm must be two positive numbers (row, column), got {spacing_mm}")
    return spacing_mm


def _labels(mask: BoolArray) -> BoolArray:
    return mask.reshape(-1, *mask.shape[-2:])


def _macro(values: list[float | None]) -> float | None:
    defined = [v for v in values if v is not None]
    return math.fsum(defined) / len(values) if len(defined) == len(values) else None


def is_true_negative(mask: BoolArray, truth: BoolArray) -> bool:
    """Whether both masks, (Y,X) or (K,Y,X) bool, are empty in every label."""
    _check_pair(mask, truth)
    return not (mask.any() or truth.any())


def worst(metric: str, shape: tuple[int, int], spacing_mm: tuple[float, float] | None = None) -> float:
    """The value that aggregates take where `metric` is undefined or the prediction is missing.

    0 where higher is better; else the diagonal of an image of `shape` (Y,X), in mm with a spacing.
    """
    row = METRICS[metric]
    if row.higher_is_better:
        return row.range[0]
    spacing = _spacing(spacing_mm)
    return math.hypot(shape[0] * spacing[0], shape[1] * spacing[1])


@dataclass(frozen=True, slots=True)
class Description:
    """What can be said of one mask alone.

    Attributes:
        pixels: number of pixels, over all labels.
        fraction: share of the image, the mean over labels, in [0,1].
        objects: number of 8-connected pieces, over all labels.
        area_mm2: area in square millimetres, or None where the spacing is not known.
    """

    pixels: int
    fraction: float
    objects: int
    area_mm2: float | None


def describe(mask: BoolArray, spacing_mm: tuple[float, float] | None = None) -> Description:
    """Size and number of pieces of a (Y,X) or (K,Y,X) bool mask."""
    _check_pair(mask, mask)
    row, column = _spacing(spacing_mm)
    pixels = _count(_labels(mask).reshape(-1, mask.shape[-1]))
    objects = sum(
        cv2.connectedComponents(np.ascontiguousarray(label).view(np.uint8))[0] - 1 for label in _labels(mask)
    )
    return Description(
        pixels, pixels / mask.size, objects, None if spacing_mm is None else pixels * row * column
    )
