"""How well objects were found one by one: nuclei, cells, lesions, whatever is numbered in a label image.

An object counts as found where one predicted object overlaps it with an IoU above a threshold. At 0.5 and
above each object has at most one such partner (Kirillov et al. 2019), so that matching needs no search.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.core.case import Scores
from omniview.core.image import Array, BoolArray

__all__ = ["INSTANCE_METRICS", "InstanceMetric", "Matches", "instance_scores", "match"]

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
FINE = tuple(t / 100.0 for t in range(50, 100, 5))  # of the mean AP


@dataclass(frozen=True, slots=False, eq=False)
class Matches:
    """Pairs of objects that overlap by more than half of their union.

    Attributes:
        iou: (number of pairs) float64, each above 0.5.
        predicted: number of predicted objects.
        true: number of true objects.
    """

    iou: npt.NDArray[np.float64]
    predicted: int
    true: int

    @cached_property
    def _ascending(self) -> npt.NDArray[np.float64]:
        return np.sort(self.iou)

    def found(self, threshold: float) -> int:
        """True objects with a partner of IoU above `threshold`, which is 0.5 or more."""
        if not 0.5 <= threshold <= 1.0:
            raise ValueError(f"threshold must lie within [0.5,1], got {threshold}")
        return len(self.iou) - int(np.searchsorted(self._ascending, threshold, side="right"))

    def precision(self, threshold: float) -> float | None:
        """Share of predicted objects that are true; None where none were predicted but some are there."""
        return self._rate(self.found(threshold), self.predicted)

    def recall(self, threshold: float) -> float | None:
        """Share of true objects that were found; None where there are none but some were predicted."""
        return self._rate(self.found(threshold), self.true)

    def f1(self, threshold: float) -> float:
        """Harmonic mean of precision and recall; 1 where there are no objects and none were predicted."""
        objects = self.predicted + self.true
        return 2.0 * self.found(threshold) / objects if objects else 1.0

    def average_precision(self, threshold: float) -> float:
        """TP / (TP + FP + FN), what nucleus papers call AP (Caicedo et al. 2019)."""
        found = self.found(threshold)
        objects = self.predicted + self.true - found
        return found / objects if objects else 1.0

    def panoptic_quality(self) -> float:
        """Mean IoU of the matches times F1 at 0.5 (Kirillov et al. 2019)."""
        objects = self.predicted + self.true
        return 2.0 * float(self.iou.sum()) / objects if objects else 1.0

    def segmentation_quality(self) -> float | None:
        """Mean IoU of the matches; None where there are none, but for 1 where nothing was to be found."""
        if len(self.iou):
            return float(self.iou.mean())
        return None if self.predicted + self.true else 1.0

    def _rate(self, part: int, whole: int) -> float | None:
        if whole:
            return part / whole
        return None if self.predicted + self.true else 1.0


def match(labels: Array, truth: Array, region: BoolArray | None = None) -> Matches:
    """Pair the objects of two label images.

    Args:
        labels: (Y,X) whole numbers, 0 background; numbers need not be consecutive.
        truth: the same shape.
        region: (Y,X) bool; what lies outside is background in both.

    Raises:
        ValueError: shapes or types do not fit; the message names the argument.
    """
    for name, value in (("labels", labels), ("truth", truth)):
        if value.ndim != 2 or value.dtype.kind not in "iu" or (value.size and value.min() < 0):
            raise ValueError(f"{name} must be (Y,X) whole numbers from 0, got {value.shape} {value.dtype}")
    if labels.shape != truth.shape:
        raise ValueError(f"truth must be of labels' shape {labels.shape}, got {truth.shape}")
    if region is not None:
        if region.shape != labels.shape or region.dtype != np.bool_:
            raise ValueError(f"region must be {labels.shape} bool, got {region.shape} {region.dtype}")
        labels, truth = np.where(region, labels, 0), np.where(region, truth, 0)
    first, first_sizes = _numbered(labels)
    second, second_sizes = _numbered(truth)
    both = (first > 0) & (second > 0)
    width = len(second_sizes)
    pairs, common = np.unique(first[both] * width + second[both], return_counts=True)
    row, column = np.divmod(pairs, width)
    iou = common / (first_sizes[row] + second_sizes[column] - common)
    return Matches(iou[iou > 0.5], len(first_sizes) - 1, width - 1)


def _numbered(labels: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Labels renumbered from 1 without gaps, and their sizes; entry 0 of the sizes is the background's."""
    values = np.unique(labels)
    values = np.append(0, values[values > 0])
    numbers = np.searchsorted(values, labels).astype(np.int64)
    return numbers, np.bincount(numbers.ravel(), minlength=len(values))


Compute: TypeAlias = Callable[[Matches], float | None]


@dataclass(frozen=True, slots=True)
class InstanceMetric:
    """One row of the table for label images.

    Attributes:
        name: key in JSON, column in CSV.
        title: as shown to a person.
        unit: "1" or "objects".
        higher_is_better: False for errors.
        range: smallest and largest possible value.
        source: definition that is followed.
        compute: value of a matching, None where it is undefined.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    range: tuple[float, float]
    source: str
    compute: Compute


def _share(name: str, title: str, source: str, compute: Compute) -> InstanceMetric:
    return InstanceMetric(name, title, "1", True, (0.0, 1.0), source, compute)


def _at(threshold: float) -> tuple[InstanceMetric, ...]:
    name, title = f"{threshold * 100:.0f}", f"at IoU {threshold}"
    source = "Caicedo et al. 2019: a match has an IoU above the threshold"
    return (
        _share(f"instance_f1_{name}", f"Object F1 {title}", source, lambda m: m.f1(threshold)),
        _share(
            f"instance_precision_{name}",
            f"Object precision {title}",
            source,
            lambda m: m.precision(threshold),
        ),
        _share(f"instance_recall_{name}", f"Object recall {title}", source, lambda m: m.recall(threshold)),
        _share(f"instance_ap_{name}", f"Object AP {title}", source, lambda m: m.average_precision(threshold)),
    )


INSTANCE_METRICS: Mapping[str, InstanceMetric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            *(metric for threshold in THRESHOLDS for metric in _at(threshold)),
            _share(
                "instance_ap",
                "Object AP, mean over IoU 0.5 to 0.95",
                "Caicedo et al. 2019",
                lambda m: math.fsum(m.average_precision(t) for t in FINE) / len(FINE),
            ),
            _share(
                "panoptic_quality", "Panoptic quality", "Kirillov et al. 2019", lambda m: m.panoptic_quality()
            ),
            _share(
                "segmentation_quality",
                "Segmentation quality",
                "Kirillov et al. 2019",
                lambda m: m.segmentation_quality(),
            ),
            _share("recognition_quality", "Recognition quality", "Kirillov et al. 2019", lambda m: m.f1(0.5)),
            InstanceMetric(
                "count_error",
                "Count error",
                "objects",
                False,
                (0.0, math.inf),
                "absolute difference of the numbers of objects",
                lambda m: float(abs(m.predicted - m.true)),
            ),
        )
    }
)
"""Every measure of label images by name, in the order of tables."""


def instance_scores(labels: Array, truth: Array, region: BoolArray | None = None) -> Scores:
    """Every row of `INSTANCE_METRICS`; arguments and errors as `match`."""
    matches = match(labels, truth, region)
    return {name: metric.compute(matches) for name, metric in INSTANCE_METRICS.items()}
