"""Other libraries' readings of the same names, so that a published number can be met by the same number here.

Each reading reproduces what the library returns, empty masks included: nan and infinity stand as they come.
A metric that a library does not compute is not in its convention. What is an outright defect there is not
reproduced; the texts say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import cv2

from omniview.core import levels, probabilistic, saliency
from omniview.core.metrics_pair import Comparison
from omniview.core.metrics_table import METRICS
from omniview.core.surface import SurfaceDistances, border

__all__ = ["CONVENTIONS", "DEFAULT_CONVENTION", "Reading", "why"]

DEFAULT_CONVENTION = "omniview"

Compute: TypeAlias = Callable[[Comparison], float | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """How one library reads one metric.

    Attributes:
        compute: its value of a comparison.
        how: what it computes and what empty masks give, in words.
    """

    compute: Compute
    how: str


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _dice(c: Comparison) -> float:
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def _iou(c: Comparison) -> float:
    return _ratio(c.tp, c.tp + c.fp + c.fn)


def _sensitivity(c: Comparison) -> float:
    return _ratio(c.tp, c.tp + c.fn)


def _specificity(c: Comparison) -> float:
    return _ratio(c.tn, c.tn + c.fp)


def _precision(c: Comparison) -> float:
    return _ratio(c.tp, c.tp + c.fp)


def _accuracy(c: Comparison) -> float:
    return _ratio(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn)


def _balanced(c: Comparison) -> float:
    return (_sensitivity(c) + _specificity(c)) / 2.0


def _mcc(c: Comparison) -> float:
    product = math.prod((c.tp + c.fp, c.tp + c.fn, c.tn + c.fp, c.tn + c.fn))
    return _ratio(c.tp * c.tn - c.fp * c.fn, math.sqrt(product))


def _with_truth(compute: Callable[[Comparison], float]) -> Compute:
    return lambda c: compute(c) if c.tp + c.fn else math.nan


def _apart(
    reduce: Callable[[SurfaceDistances], float], both_empty: float, one_empty: float
) -> Callable[[Comparison], float]:
    def compute(c: Comparison) -> float:
        if c.both_empty:
            return both_empty
        return one_empty if c.one_empty else reduce(c.distances)

    return compute


def _surface_dice(both_empty: float) -> Compute:
    return lambda c: both_empty if c.both_empty else c.overlap(lambda d: d.distances.nsd(d.tolerance))


def _or_zero(compute: Callable[[Comparison], float]) -> Compute:
    def guarded(c: Comparison) -> float:
        value = compute(c)
        return 0.0 if math.isnan(value) else value

    return guarded


def _border_iou(c: Comparison) -> float:
    a, b = border(c.mask), border(c.truth)
    return _ratio(cv2.countNonZero((a & b).view("u1")), cv2.countNonZero((a | b).view("u1")))


def _lines(part: Callable[[Comparison], float | None]) -> Compute:
    return lambda c: math.nan if c.both_empty else _nan(part(c))


def _centre_lines(c: Comparison) -> float:
    both = _nan(c.lines.precision) + _nan(c.lines.sensitivity)
    return c.lines.score if c.comparable and both > 0.0 else math.nan


def _element_distance(percentile: float) -> Compute:
    return lambda c: c.elements.hausdorff(percentile) if c.comparable else math.inf


def _element_dice(c: Comparison) -> float:
    return math.nan if c.both_empty else c.overlap(lambda d: d.elements.nsd(d.tolerance))


NAN = "Where the denominator is 0: nan."
SAME = "As OmniView, but for empty masks."
ALONE = "Both masks empty: nan; one empty: infinite."

_METRICSRELOADED = {
    "dice": Reading(
        lambda c: 1.0 if c.both_empty else _dice(c), f"{SAME} Both masks empty: 1; one empty: 0."
    ),
    "iou": Reading(_iou, f"{SAME} Both masks empty: nan, although its Dice is 1 there."),
    "sensitivity": Reading(_sensitivity, f"{SAME} {NAN}"),
    "specificity": Reading(_specificity, f"{SAME} {NAN}"),
    "precision": Reading(
        lambda c: 0.0 if not c.tp + c.fp and c.fn else _precision(c),
        f"{SAME} Both masks empty: nan; only the mask empty: 0.",
    ),
    "accuracy": Reading(_accuracy, "(TP + TN) / all pixels."),
    "balanced_accuracy": Reading(_balanced, f"{SAME} {NAN}"),
    "mcc": Reading(_mcc, f"{SAME} {NAN}"),
    "hd": Reading(
        _apart(lambda d: d.hausdorff(), 0.0, math.nan),
        "Both masks empty: 0; one empty: nan (it returns distances to a point that does not exist).",
    ),
    "hd95": Reading(
        _apart(lambda d: d.hausdorff(95.0), 0.0, math.nan),
        "The larger of the two directed percentiles. Both masks empty: 0; one empty: nan.",
    ),
    "assd": Reading(
        _apart(lambda d: d.assd(), 0.0, math.nan),
        "Both masks empty: 0; one empty: nan (it returns distances to a point that does not exist).",
    ),
    "masd": Reading(_apart(lambda d: d.masd(), 0.0, math.nan), "Both masks empty: 0; one empty: nan."),
    "nsd": Reading(_surface_dice(1.0), "Pixels of the border. Both masks empty: 1; one empty: 0."),
    "boundary_iou": Reading(
        _border_iou,
        "IoU of the borders alone, one pixel wide whatever the image's size. Both masks empty: nan.",
    ),
    "cldice": Reading(_centre_lines, f"{SAME} nan where both shares are 0 or one is undefined."),
    "cldice_precision": Reading(_lines(lambda c: c.lines.precision), f"{SAME} {NAN}"),
    "cldice_sensitivity": Reading(_lines(lambda c: c.lines.sensitivity), f"{SAME} {NAN}"),
    "auc": Reading(
        lambda c: _nan(c.soft.ranking.auc),
        "As OmniView for up to 1500 values. One kind only: nan.",
    ),
    "average_precision": Reading(
        lambda c: _nan(c.soft.ranking.trapezoid),
        "Straight lines between the points of recall and precision, starting at (0, 1). Empty truth: nan.",
    ),
    "brier": Reading(
        lambda c: 2.0 * probabilistic.brier(c.soft),
        "Summed over both classes, foreground and background: twice the other definition.",
    ),
    "ece": Reading(
        lambda c: _nan(levels.ece(c.soft.bins, with_zero=False)),
        "10 bins (l, r]: pixels of probability 0 are in no bin and do not count at all.",
    ),
}

_MONAI = {
    "dice": Reading(_with_truth(_dice), f"{SAME} Truth empty: nan, whatever was predicted (ignore_empty)."),
    "iou": Reading(_with_truth(_iou), f"{SAME} Truth empty: nan, whatever was predicted (ignore_empty)."),
    "sensitivity": Reading(_sensitivity, f"{SAME} {NAN}"),
    "specificity": Reading(_specificity, f"{SAME} {NAN}"),
    "precision": Reading(_precision, f"{SAME} {NAN}"),
    "accuracy": Reading(_accuracy, "(TP + TN) / all pixels."),
    "balanced_accuracy": Reading(_balanced, f"{SAME} {NAN}"),
    "mcc": Reading(_mcc, f"{SAME} {NAN}"),
    "hd": Reading(_apart(lambda d: d.hausdorff(), math.nan, math.inf), f"{SAME} {ALONE}"),
    "hd95": Reading(
        _apart(lambda d: d.hausdorff(95.0), math.nan, math.nan),
        "The larger of the two directed percentiles. A mask empty: nan (infinity cannot be interpolated).",
    ),
    "assd": Reading(_apart(lambda d: d.assd(), math.nan, math.inf), f"{SAME} {ALONE}"),
    "nsd": Reading(_surface_dice(math.nan), "Pixels of the border. Both masks empty: nan; one empty: 0."),
}

_DEEPMIND = {
    "dice": Reading(_dice, f"{SAME} Both masks empty: nan; one empty: 0."),
    "hd": Reading(
        _element_distance(100.0),
        "Between contours that pass half a pixel from the centres. A mask empty: infinite.",
    ),
    "hd95": Reading(
        _element_distance(95.0),
        "Percentile of contour length, not of pixels, without interpolation, between contours that pass "
        "half a pixel from the centres. A mask empty: infinite.",
    ),
    "nsd": Reading(
        _element_dice, "Its surface Dice weighs contour length. Both masks empty: nan; one empty: 0."
    ),
    "nsd_weighted": Reading(_element_dice, f"{SAME} Both masks empty: nan; one empty: 0."),
}

_STRETCHED = "The map's range is stretched to [0,1] first."

_PYSOD = {
    "dice": Reading(_or_zero(_dice), f"{SAME} A denominator of 0: 0, so that a true negative scores 0."),
    "iou": Reading(_or_zero(_iou), f"{SAME} A denominator of 0: 0, so that a true negative scores 0."),
    "sensitivity": Reading(_or_zero(_sensitivity), f"{SAME} A denominator of 0: 0."),
    "specificity": Reading(_or_zero(_specificity), f"{SAME} A denominator of 0: 0."),
    "precision": Reading(_or_zero(_precision), f"{SAME} A denominator of 0: 0."),
    "accuracy": Reading(_accuracy, "(TP + TN) / all pixels."),
    "mae": Reading(lambda c: probabilistic.mae(c.stretched), _STRETCHED),
    "s_measure": Reading(lambda c: saliency.s_measure(c.stretched), _STRETCHED),
    "e_measure": Reading(
        lambda c: float(saliency.e_measures(c.stretched, 1).mean()),
        f"{_STRETCHED} Divided by the number of pixels less 1, so that a perfect map has more than 1.",
    ),
    "e_measure_max": Reading(
        lambda c: float(saliency.e_measures(c.stretched, 1).max()),
        f"{_STRETCHED} Divided by the number of pixels less 1, so that a perfect map has more than 1.",
    ),
    "e_measure_adaptive": Reading(
        lambda c: saliency.e_measure_adaptive(c.stretched, 1),
        f"{_STRETCHED} Divided by the number of pixels less 1, so that a perfect map has more than 1.",
    ),
    "weighted_f": Reading(
        lambda c: saliency.weighted_f(c.stretched) if c.tp + c.fn else 0.0, f"{_STRETCHED} Truth empty: 0."
    ),
    "mean_dice_256": Reading(
        lambda c: probabilistic.mean_dice(c.stretched.sweep, 0.0), f"{_STRETCHED} A denominator of 0: 0."
    ),
    "mean_iou_256": Reading(
        lambda c: probabilistic.mean_iou(c.stretched.sweep, 0.0), f"{_STRETCHED} A denominator of 0: 0."
    ),
}

_NNUNET = {
    "dice": Reading(
        _dice, f"{SAME} Both masks empty: nan, which its means leave out; so are missing predictions."
    ),
    "iou": Reading(
        _iou, f"{SAME} Both masks empty: nan, which its means leave out; so are missing predictions."
    ),
}

CONVENTIONS: Mapping[str, Mapping[str, Reading]] = MappingProxyType(
    {
        DEFAULT_CONVENTION: {name: Reading(row.compute, row.definition) for name, row in METRICS.items()},
        "metricsreloaded": _METRICSRELOADED,
        "monai": _MONAI,
        "deepmind": _DEEPMIND,
        "pysod": _PYSOD,
        "nnunet": _NNUNET,
    }
)
"""By name of the convention, then of the metric."""


def why(metric: str, one: str, other: str) -> str:
    """Why the values of `metric` under two conventions may differ, for a person.

    Raises:
        KeyError: a convention is unknown, or does not compute the metric.
    """
    return " ".join(f"{name}: {CONVENTIONS[name][metric].how}" for name in (one, other))
