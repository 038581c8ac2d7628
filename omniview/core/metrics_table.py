"""The table of metrics: name, meaning, unit, range, direction and source of every number for two masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from omniview.core import levels, probabilistic, saliency
from omniview.core.metrics_pair import Comparison
from omniview.core.surface import SurfaceDistances

__all__ = ["CHEAP", "METRICS", "Compute", "Metric"]

Compute: TypeAlias = Callable[[Comparison], float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes:
        name: key in JSON, column in CSV.
        title: as shown to a person.
        unit: "1", or "mm|px": millimetres where the spacing is known, else pixels.
        higher_is_better: False for distances and errors.
        range: smallest and largest possible value; the largest distance depends on the image.
        source: publication or program whose definition is followed.
        definition: what is computed, in words, with what empty masks give.
        compute: value of a comparison, None where it is undefined.
        needs_probability: whether a probability map is measured, not its mask.
        pixelwise: whether only counts of pixels matter, not their places: then labels can be pooled.
    """

    name: str
    title: str
    unit: Literal["1", "mm|px"]
    higher_is_better: bool
    range: tuple[float, float]
    source: str
    definition: str
    compute: Compute
    needs_probability: bool = False
    pixelwise: bool = False


RATE = "Without a denominator: 1 if both masks are empty, else undefined."
OVERLAP = "Both masks empty: 1; one empty: 0."
DISTANCE = "Both masks empty: 0; one empty: undefined."
BORDER = "Borders are mask pixels with a 4-neighbour outside the mask or the image; pixel centres count."


def _overlap(name: str, title: str, source: str, definition: str, compute: Compute) -> Metric:
    return Metric(name, title, "1", True, (0.0, 1.0), source, definition, compute)


def _counts(name: str, title: str, source: str, definition: str, compute: Compute) -> Metric:
    return Metric(name, title, "1", True, (0.0, 1.0), source, definition, compute, pixelwise=True)


def _distance(
    name: str, title: str, source: str, definition: str, reduce: Callable[[SurfaceDistances], float]
) -> Metric:
    text = f"{definition} {BORDER} {DISTANCE}"
    return Metric(name, title, "mm|px", False, (0.0, math.inf), source, text, lambda c: c.distance(reduce))


def _soft(
    name: str,
    title: str,
    source: str,
    definition: str,
    compute: Compute,
    *,
    error: bool = False,
    pixelwise: bool = True,
) -> Metric:
    return Metric(name, title, "1", not error, (0.0, 1.0), source, definition, compute, True, pixelwise)


def balanced_accuracy(c: Comparison) -> float | None:
    """Mean of sensitivity and specificity."""
    sensitivity, specificity = c.rate(c.tp, c.tp + c.fn), c.rate(c.tn, c.tn + c.fp)
    return None if sensitivity is None or specificity is None else (sensitivity + specificity) / 2.0


def mcc(c: Comparison) -> float:
    """Matthews correlation with its limits where a sum is 0 (Chicco and Jurman 2020)."""
    product = math.prod((c.tp + c.fp, c.tp + c.fn, c.tn + c.fp, c.tn + c.fn))
    if product:
        return (c.tp * c.tn - c.fp * c.fn) / math.sqrt(product)
    return float(c.fp + c.fn == 0) - float(c.tp + c.tn == 0)


def _weighted_f(c: Comparison) -> float:
    return saliency.weighted_f(c.soft) if c.tp + c.fn else float(c.both_empty)


_ROWS = (
    _counts(
        "dice",
        "Dice",
        "Dice 1945",
        f"2 TP / (2 TP + FP + FN). {OVERLAP}",
        lambda c: c.rate(2 * c.tp, 2 * c.tp + c.fp + c.fn),
    ),
    _counts(
        "iou",
        "IoU",
        "Jaccard 1912",
        f"TP / (TP + FP + FN). {OVERLAP}",
        lambda c: c.rate(c.tp, c.tp + c.fp + c.fn),
    ),
    _counts(
        "sensitivity",
        "Sensitivity",
        "Yerushalmy 1947",
        f"TP / (TP + FN), recall. {RATE}",
        lambda c: c.rate(c.tp, c.tp + c.fn),
    ),
    _counts(
        "specificity",
        "Specificity",
        "Yerushalmy 1947",
        f"TN / (TN + FP). {RATE}",
        lambda c: c.rate(c.tn, c.tn + c.fp),
    ),
    _counts(
        "precision",
        "Precision",
        "Kent et al. 1955",
        f"TP / (TP + FP). {RATE}",
        lambda c: c.rate(c.tp, c.tp + c.fp),
    ),
    _counts(
        "accuracy",
        "Accuracy",
        "Metz 1978",
        f"(TP + TN) / all pixels. {RATE}",
        lambda c: c.rate(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn),
    ),
    _counts(
        "balanced_accuracy",
        "Balanced accuracy",
        "Brodersen et al. 2010",
        f"Mean of sensitivity and specificity. {RATE}",
        balanced_accuracy,
    ),
    Metric(
        "mcc",
        "Matthews correlation",
        "1",
        True,
        (-1.0, 1.0),
        "Matthews 1975; Chicco and Jurman 2020",
        "(TP TN - FP FN) / sqrt of the product of the four sums. "
        "Where a sum is 0: 1 if nothing is wrong, -1 if everything is, else 0.",
        mcc,
        pixelwise=True,
    ),
    _counts(
        "volumetric_similarity",
        "Volumetric similarity",
        "Taha and Hanbury 2015",
        f"1 - |FN - FP| / (2 TP + FP + FN). {OVERLAP}",
        lambda c: c.rate(2 * c.tp + c.fp + c.fn - abs(c.fn - c.fp), 2 * c.tp + c.fp + c.fn),
    ),
    _distance(
        "hd",
        "Hausdorff",
        "Huttenlocher et al. 1993",
        "Largest distance from a border pixel to the other border.",
        lambda d: d.hausdorff(),
    ),
    _distance(
        "hd95",
        "Hausdorff 95 %",
        "Maier-Hein, Reinke et al. 2024",
        "The larger of the two directed 95th percentiles, interpolated.",
        lambda d: d.hausdorff(95.0),
    ),
    _distance(
        "assd",
        "Average surface distance",
        "Heimann et al. 2009",
        "Mean distance over the border pixels of both.",
        lambda d: d.assd(),
    ),
    _distance(
        "masd",
        "Mean average surface distance",
        "Beneš and Zitová 2015",
        "Mean of the two directed mean distances.",
        lambda d: d.masd(),
    ),
    _overlap(
        "nsd",
        "Surface Dice",
        "Nikolov et al. 2021; Seidlitz et al. 2022",
        f"Share of border pixels at most the tolerance away from the other border. {BORDER} {OVERLAP}",
        lambda c: c.overlap(lambda d: d.distances.nsd(d.tolerance)),
    ),
    _overlap(
        "nsd_weighted",
        "Surface Dice by length",
        "Nikolov et al. 2021",
        f"Share of contour length at most the tolerance away; contours pass between pixels. {OVERLAP}",
        lambda c: c.overlap(lambda d: d.elements.nsd(d.tolerance)),
    ),
    _overlap(
        "boundary_iou",
        "Boundary IoU",
        "Cheng et al. 2021",
        f"IoU of the bands within 2 % of the image's diagonal of each outline. {OVERLAP}",
        lambda c: c.boundary,
    ),
    _overlap(
        "cldice",
        "Centre line Dice",
        "Shit et al. 2021; Zhang and Suen 1984",
        f"Harmonic mean of the two shares of centre line. {OVERLAP}",
        lambda c: c.lines.score,
    ),
    _overlap(
        "cldice_precision",
        "Centre line precision",
        "Shit et al. 2021",
        f"Share of the mask's centre line inside the truth. {RATE}",
        lambda c: c.lines.precision,
    ),
    _overlap(
        "cldice_sensitivity",
        "Centre line sensitivity",
        "Shit et al. 2021",
        f"Share of the truth's centre line inside the mask. {RATE}",
        lambda c: c.lines.sensitivity,
    ),
    _soft(
        "mae",
        "Mean absolute error",
        "Perazzi et al. 2012",
        "Mean of |p - truth|.",
        lambda c: probabilistic.mae(c.soft),
        error=True,
    ),
    _soft(
        "auc",
        "Area under ROC",
        "Hanley and McNeil 1982",
        "Chance that a pixel of the truth has a higher probability than one outside, ties one half. "
        "Undefined without both kinds.",
        lambda c: c.soft.ranking.auc,
    ),
    _soft(
        "average_precision",
        "Average precision",
        "Manning et al. 2008; scikit-learn",
        "Sum of precision times step in recall, not interpolated. Undefined where the truth is empty.",
        lambda c: c.soft.ranking.average_precision,
    ),
    _soft(
        "brier",
        "Brier score",
        "Brier 1950",
        "Mean of (p - truth)².",
        lambda c: probabilistic.brier(c.soft),
        error=True,
    ),
    _soft(
        "ece",
        "Calibration error",
        "Naeini et al. 2015; Guo et al. 2017",
        "Mean |share of truth - mean p| over 10 bins (l, r], the first [0, 0.1], weighted by their pixels.",
        lambda c: levels.ece(c.soft.bins),
        error=True,
    ),
    _soft(
        "s_measure",
        "S-measure",
        "Fan et al. 2017",
        "Half object, half region similarity (alpha 0.5). Empty truth: 1 - mean p; full truth: mean p.",
        lambda c: saliency.s_measure(c.soft),
        pixelwise=False,
    ),
    _soft(
        "e_measure",
        "E-measure, mean",
        "Fan et al. 2018",
        "Enhanced alignment, mean over the 256 thresholds k/255; sum over pixels / number of pixels.",
        lambda c: float(saliency.e_measures(c.soft).mean()),
    ),
    _soft(
        "e_measure_max",
        "E-measure, maximum",
        "Fan et al. 2018",
        "As E-measure, the largest over the thresholds.",
        lambda c: float(saliency.e_measures(c.soft).max()),
    ),
    _soft(
        "e_measure_adaptive",
        "E-measure, adaptive",
        "Fan et al. 2018",
        "As E-measure, at twice the mean of the map.",
        lambda c: saliency.e_measure_adaptive(c.soft),
    ),
    _soft(
        "weighted_f",
        "Weighted F",
        "Margolin et al. 2014",
        f"F1 of errors weighted by place: smoothed inside, up to double far outside the truth. {OVERLAP}",
        _weighted_f,
        pixelwise=False,
    ),
    _soft(
        "mean_dice_256",
        "Dice, mean of 256 thresholds",
        "Fan et al. 2020 (PraNet)",
        "Mean of the Dice at the 256 thresholds k/255; polyp papers call it mDice. "
        "1 at thresholds where both are empty.",
        lambda c: probabilistic.mean_dice(c.soft.sweep),
    ),
    _soft(
        "mean_iou_256",
        "IoU, mean of 256 thresholds",
        "Fan et al. 2020 (PraNet)",
        "Mean of the IoU at the 256 thresholds k/255; polyp papers call it mIoU. "
        "1 at thresholds where both are empty.",
        lambda c: probabilistic.mean_iou(c.soft.sweep),
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ROWS})
"""Every metric by name, in the order of tables. A new metric is one more row."""

CHEAP = (
    "dice",
    "iou",
    "sensitivity",
    "specificity",
    "precision",
    "accuracy",
    "hd",
    "hd95",
    "assd",
    "masd",
    "nsd",
)
"""What is scored unless more is asked for: fast enough for every change of a mask on screen."""
