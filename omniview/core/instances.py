"""Objects out of a mask: touching ones apart, counted, measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.image import Array, BoolArray, FloatArray
from omniview.core.prediction import EDGE

__all__ = ["Labels", "Measurement", "count", "measure", "split"]

Labels: TypeAlias = npt.NDArray[np.int32]
"""(Y,X) int32: 0 is background, objects are numbered from 1 without gaps."""

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
SQUARE = np.ones((3, 3), np.uint8)
LEVELS = 64  # at most so many heights are flooded one after the other, in steps of half a pixel or more


def split(mask: BoolArray | FloatArray, depth: float = 0.75, smallest: int = 4) -> Labels:
    """Number the objects of a mask, touching ones apart.

    Each piece is flooded from the peaks of its distance to the background (watershed after Vincent and Soille
    1991): round objects that touch part at the waist between them. Two peaks are two objects if the waist is
    at least `depth` pixels thinner than the lower of them (h-maxima), so that a ragged outline stays one.

    Args:
        mask: (Y,X) bool, or a probability (Y,X) float32 whose edge is at 0.5.
        depth: in pixels: radius of the smaller object less half the waist's width; positive.
        smallest: objects of fewer pixels are dropped.

    Returns:
        (Y,X) int32; every pixel of the mask belongs to an object, but for those of objects too small.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"mask must be (Y,X) and not empty, got {mask.shape}")
    if not depth > 0.0:
        raise ValueError(f"depth must be positive, got {depth}")
    inside = mask if mask.dtype == np.bool_ else mask > EDGE
    # the image's rim ends an object like background does
    framed = np.pad(inside, 1)
    distance = _float(cv2.distanceTransform(framed.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    seeds = cv2.connectedComponents(_peaks(distance, depth).view(np.uint8), connectivity=8)[1]
    labels = _flood(distance, _float(seeds))[1:-1, 1:-1].astype(np.int32)
    # an object thinner than `depth` has no peak of its own
    rest = np.logical_and(inside, labels == 0)
    alone = cv2.connectedComponents(rest.view(np.uint8), connectivity=8)[1]
    labels[rest] = alone[rest] + labels.max()
    return _numbered(labels, smallest)


def _float(array: Array) -> FloatArray:
    return array.astype(np.float32, copy=False)


def _peaks(distance: FloatArray, depth: float) -> BoolArray:
    """(Y,X) bool: tops that stand out by `depth` (Soille, Morphological Image Analysis, section 6.3)."""
    # never below 0: background would have to be climbed back pixel by pixel
    lowered = _grow(np.maximum(distance - np.float32(depth), np.float32(0.0)), distance)
    # the tops of what is left: nothing beside them is as high
    step = np.float32(1e-3)
    return lowered - _grow(np.maximum(lowered - step, np.float32(0.0)), lowered) > step / 2


def _grow(marker: FloatArray, ceiling: FloatArray) -> FloatArray:
    """Grey reconstruction by dilation: `marker` spreads under `ceiling` until nothing changes."""
    while True:
        grown = np.minimum(_float(cv2.dilate(marker, SQUARE)), ceiling)
        if np.array_equal(grown, marker):
            return grown
        marker = grown


def _flood(distance: FloatArray, labels: FloatArray) -> FloatArray:
    """Spread `labels` (0 where unknown) downhill over all that is above 0, highest ground first."""
    step = max(0.5, float(distance.max()) / LEVELS)
    for level in np.arange(float(distance.max()), -step, -step):
        ground = distance > max(level, 0.0)
        while True:
            open_ground = ground & (labels == 0.0)
            # corners only where no edge leads on: else the higher of two labels creeps along their seam
            spread = _float(cv2.dilate(labels, CROSS))[open_ground]
            if not spread.any():
                spread = _float(cv2.dilate(labels, SQUARE))[open_ground]
            if not spread.any():
                break
            labels[open_ground] = spread
    return labels


def _numbered(labels: Labels, smallest: int) -> Labels:
    sizes = np.bincount(labels.ravel())
    kept = sizes >= smallest
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[labels]


def count(labels: Labels) -> int:
    """Number of objects in (Y,X) int32 labels."""
    return int(np.count_nonzero(np.bincount(_checked(labels).ravel())[1:]))


def _checked(labels: Labels) -> Labels:
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise ValueError(f"labels must be (Y,X) whole numbers from 0, got {labels.shape} {labels.dtype}")
    return labels


@dataclass(frozen=True, slots=True)
class Measurement:
    """One object, measured.

    Attributes:
        label: its number.
        pixels: how many it has.
        area: in mm² with a spacing, else in px².
        centroid: (row, column) in pixels, pixel centres at whole numbers.
        diameter: of the circle of equal area, in mm with a spacing, else in px.
    """

    label: int
    pixels: int
    area: float
    centroid: tuple[float, float]
    diameter: float


def measure(labels: Labels, spacing_mm: tuple[float, float] | None = None) -> tuple[Measurement, ...]:
    """Measure every object of (Y,X) int32 labels, in order of number.

    Args:
        labels: 0 is background.
        spacing_mm: distance of pixel centres (row, column), or None.
    """
    row, column = np.nonzero(_checked(labels))
    number = labels[row, column]
    sizes = np.bincount(number)
    rows, columns = np.bincount(number, row), np.bincount(number, column)
    pixel = 1.0 if spacing_mm is None else spacing_mm[0] * spacing_mm[1]
    return tuple(
        Measurement(
            int(n),
            int(sizes[n]),
            float(sizes[n] * pixel),
            (float(rows[n] / sizes[n]), float(columns[n] / sizes[n])),
            2.0 * math.sqrt(sizes[n] * pixel / math.pi),
        )
        for n in np.flatnonzero(sizes)
    )
