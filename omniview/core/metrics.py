"""What a mask is worth against a reference: one table of metrics, one pass, one policy for empty masks.

The policy. Both masks empty: overlaps and surface Dice are 1, distances 0 (a true negative). One of them
empty: overlaps and surface Dice are 0 and distances undefined. A rate without a denominator (sensitivity
where there is nothing to find, precision where nothing was marked) is undefined too, not 0. Undefined is
None: blank in tables, and `worst` in aggregates, so that a missing answer never improves a mean.

Other libraries have other policies; `convention` asks for theirs (see metrics_conventions).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.case import Scores
from omniview.core.image import Array, BoolArray, FloatArray, UInt8Array
from omniview.core.metrics_conventions import CONVENTIONS, DEFAULT_CONVENTION, why
from omniview.core.metrics_pair import Comparison, count
from omniview.core.metrics_table import CHEAP, METRICS, Metric

__all__ = [
    "CHEAP",
    "CONVENTIONS",
    "DEFAULT_CONVENTION",
    "DEFAULT_TOLERANCE",
    "METRICS",
    "Comparison",
    "Description",
    "LabelScores",
    "Metric",
    "TruthScores",
    "binarise",
    "describe",
    "is_true_negative",
    "score",
    "score_labels",
    "score_truths",
    "why",
    "worst",
]

DEFAULT_TOLERANCE = 2.0
"""Surface Dice forgives this many pixels (the coarser way where spacing differs) unless told otherwise."""


def score(
    mask: BoolArray,
    truth: BoolArray,
    spacing_mm: tuple[float, float] | None = None,
    region: BoolArray | None = None,
    tolerance: float | None = None,
    *,
    probability: UInt8Array | FloatArray | None = None,
    names: Iterable[str] = CHEAP,
    convention: str = DEFAULT_CONVENTION,
) -> Scores:
    """Metrics of a mask against its reference; what is not asked for is not computed.

    Args:
        mask: (Y,X) or (K,Y,X) bool.
        truth: the same shape.
        spacing_mm: distance of pixel centres (row, column); distances are in mm with it, else in px.
        region: (Y,X) bool, the field of view: what lies outside counts nowhere, and outlines end at its rim.
        tolerance: of surface Dice, in mm or px like the distances; None is `DEFAULT_TOLERANCE` pixels.
        probability: the mask's shape, float32 in [0,1], or uint8 that counts as level / 255.
        names: of `METRICS`; those of a probability map are left out where none is given, those that
            `convention` does not know too.
        convention: whose values: one of `CONVENTIONS`.

    Returns:
        Metric name to value, in the table's order; None where undefined (other libraries' nan and infinity
        stand as they are). Of several labels the mean; undefined for one of them is undefined for all, so
        that a missed label cannot drop out of the mean.

    Raises:
        ValueError: shapes, types or names do not fit; the message names the argument.
    """
    labels = _comparisons(mask, truth, spacing_mm, region, tolerance, probability)
    chosen = _chosen(names, convention, probability is not None)
    return _macro([_values(label, chosen, convention) for label in labels])


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Scores of several labels.

    Attributes:
        each: of each label, in order.
        macro: the mean over labels, undefined where one of them is.
        micro: of the pixels of all labels pooled; only metrics to which their places do not matter.
    """

    each: tuple[Scores, ...]
    macro: Scores
    micro: Scores


def score_labels(
    mask: BoolArray,
    truth: BoolArray,
    spacing_mm: tuple[float, float] | None = None,
    region: BoolArray | None = None,
    tolerance: float | None = None,
    *,
    probability: UInt8Array | FloatArray | None = None,
    names: Iterable[str] = CHEAP,
    convention: str = DEFAULT_CONVENTION,
) -> LabelScores:
    """Metrics of each label, their mean, and those of all labels pooled; arguments and errors as `score`."""
    labels = _comparisons(mask, truth, spacing_mm, region, tolerance, probability)
    chosen = _chosen(names, convention, probability is not None)
    each = tuple(_values(label, chosen, convention) for label in labels)
    flat = (-1, mask.shape[-1])
    pooled = Comparison(
        mask.reshape(flat),
        truth.reshape(flat),
        None if region is None else np.tile(region, (len(labels), 1)),
        labels[0].spacing,
        labels[0].tolerance,
        None if probability is None else probability.reshape(flat),
    )
    micro = _values(pooled, [name for name in chosen if METRICS[name].pixelwise], convention)
    return LabelScores(each, _macro(each), micro)


@dataclass(frozen=True, slots=True)
class TruthScores:
    """Scores against several references of one image.

    Attributes:
        each: against each reference, in order.
        mean: over the references, undefined where one of them is.
        best: the best value of each metric, undefined where all of them are.
    """

    each: tuple[Scores, ...]
    mean: Scores
    best: Scores


def score_truths(
    mask: BoolArray,
    truths: Sequence[BoolArray],
    spacing_mm: tuple[float, float] | None = None,
    region: BoolArray | None = None,
    tolerance: float | None = None,
    *,
    probability: UInt8Array | FloatArray | None = None,
    names: Iterable[str] = CHEAP,
    convention: str = DEFAULT_CONVENTION,
) -> TruthScores:
    """Metrics against the references of several readers; arguments and errors as `score`."""
    if not truths:
        raise ValueError("truths must hold at least one reference")
    chosen = tuple(names)
    each = tuple(
        score(
            mask,
            truth,
            spacing_mm,
            region,
            tolerance,
            probability=probability,
            names=chosen,
            convention=convention,
        )
        for truth in truths
    )
    return TruthScores(each, _macro(each), {name: _best(name, each) for name in each[0]})


def _best(name: str, each: Sequence[Scores]) -> float | None:
    known = [value for one in each if (value := one[name]) is not None and not math.isnan(value)]
    return (max if METRICS[name].higher_is_better else min)(known, default=None)


def _comparisons(
    mask: BoolArray,
    truth: BoolArray,
    spacing_mm: tuple[float, float] | None,
    region: BoolArray | None,
    tolerance: float | None,
    probability: UInt8Array | FloatArray | None,
) -> list[Comparison]:
    _check_pair(mask, truth)
    if region is not None and (region.shape != mask.shape[-2:] or region.dtype != np.bool_):
        raise ValueError(f"region must be {mask.shape[-2:]} bool, got {region.shape} {region.dtype}")
    if probability is not None:
        _check_probability(probability, mask.shape)
    spacing = _spacing(spacing_mm)
    if tolerance is None:
        tolerance = DEFAULT_TOLERANCE * max(spacing)
    elif not tolerance >= 0.0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    masks, truths = _labels(mask), _labels(truth)
    soft = [None] * len(masks) if probability is None else list(probability.reshape(masks.shape))
    return [
        Comparison(m, t, region, spacing, tolerance, p) for m, t, p in zip(masks, truths, soft, strict=True)
    ]


def _check_pair(mask: BoolArray, truth: BoolArray) -> None:
    for name, value in (("mask", mask), ("truth", truth)):
        if value.dtype != np.bool_ or value.ndim not in (2, 3) or 0 in value.shape:
            raise ValueError(f"{name} must be (Y,X) or (K,Y,X) bool, got {value.shape} {value.dtype}")
    if mask.shape != truth.shape:
        raise ValueError(f"truth must be of mask's shape {mask.shape}, got {truth.shape}")


def _check_probability(probability: Array, shape: tuple[int, ...]) -> None:
    if probability.shape != shape or probability.dtype not in (np.uint8, np.float32):
        raise ValueError(
            f"probability must be {shape} float32 or uint8, got {probability.shape} {probability.dtype}"
        )
    # nan fails every comparison, and numpy's extremes carry it on
    if not (probability.min() >= 0 and (probability.dtype == np.uint8 or probability.max() <= 1.0)):
        found = f"{probability.min()} to {probability.max()}"
        raise ValueError(f"probability must lie within [0,1] and not be nan, got {found}")


def _spacing(spacing_mm: tuple[float, float] | None) -> tuple[float, float]:
    if spacing_mm is None:
        return 1.0, 1.0
    if len(spacing_mm) != 2 or not all(math.isfinite(s) and s > 0 for s in spacing_mm):
        raise ValueError(f"spacing_mm must be two positive numbers (row, column), got {spacing_mm}")
    return spacing_mm


def _labels(mask: BoolArray) -> BoolArray:
    return mask.reshape(-1, *mask.shape[-2:])


def _chosen(names: Iterable[str], convention: str, with_probability: bool) -> list[str]:
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, got {convention!r}")
    asked = set(names)
    if unknown := sorted(asked - set(METRICS)):
        raise ValueError(f"names must be metrics of the table, got {', '.join(unknown)}")
    known = CONVENTIONS[convention]
    return [
        name
        for name, metric in METRICS.items()
        if name in asked and name in known and (with_probability or not metric.needs_probability)
    ]


def _values(label: Comparison, names: Iterable[str], convention: str) -> Scores:
    readings = CONVENTIONS[convention]
    return {name: readings[name].compute(label) for name in names}


def _macro(each: Sequence[Scores]) -> Scores:
    return {name: _mean([one[name] for one in each]) for name in each[0]}


def _mean(values: list[float | None]) -> float | None:
    defined = [v for v in values if v is not None]
    return math.fsum(defined) / len(values) if len(defined) == len(values) else None


def binarise(name: str, values: Array) -> BoolArray:
    """A mask out of numbers: above half of their range, 0/255 and 0/1 alike; warns of more than two values.

    Args:
        name: the argument's, for messages.
        values: (Y,X) or (K,Y,X) bool, whole numbers or float. The range's top is 1 where nothing is larger,
            255 where the largest lies in 128-255, else the largest value.

    Raises:
        ValueError: a value is nan, infinite or negative, or the shape is not that of masks.
    """
    if values.ndim not in (2, 3) or 0 in values.shape or values.dtype.kind not in "buif":
        raise ValueError(f"{name} must be (Y,X) or (K,Y,X) numbers, got {values.shape} {values.dtype}")
    if values.dtype == np.bool_:
        return values
    low, largest = float(values.min()), float(values.max())
    if not (low >= 0.0 and math.isfinite(largest)):
        raise ValueError(f"{name} must be finite and not negative, got {low} to {largest}")
    if ((values != low) & (values != largest)).any():
        warnings.warn(f"{name} has more than two values; half of its range is the edge", stacklevel=2)
    top = 255.0 if 127.0 < largest <= 255.0 else max(largest, 1.0)
    above: BoolArray = values > top / 2.0
    return above


def is_true_negative(mask: BoolArray, truth: BoolArray) -> bool:
    """Whether both masks, (Y,X) or (K,Y,X) bool, are empty in every label."""
    _check_pair(mask, truth)
    return not (mask.any() or truth.any())


def worst(metric: str, shape: tuple[int, int], spacing_mm: tuple[float, float] | None = None) -> float:
    """The value that aggregates take where `metric` is undefined or the prediction is missing.

    The lower end of its range where higher is better, the upper end of an error's; of a distance the diagonal
    of an image of `shape` (Y,X), in mm with a spacing.
    """
    row = METRICS[metric]
    if row.higher_is_better:
        return row.range[0]
    if math.isfinite(row.range[1]):
        return row.range[1]
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
    pixels = count(_labels(mask).reshape(-1, mask.shape[-1]))
    objects = sum(
        cv2.connectedComponents(np.ascontiguousarray(label).view(np.uint8))[0] - 1 for label in _labels(mask)
    )
    return Description(
        pixels, pixels / mask.size, objects, None if spacing_mm is None else pixels * row * column
    )
