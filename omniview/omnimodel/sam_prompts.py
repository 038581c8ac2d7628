"""Another model's mask as prompts: each object its box, its innermost points, and the mask itself.

A SAM outlines one object at a time, so a mask is taken apart into its connected components.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from omniview.core.guidance import Guidance
from omniview.core.image import BoolArray, FloatArray
from omniview.core.prediction import EDGE

__all__ = ["MOST_OBJECTS", "innermost", "objects_of"]

MOST_OBJECTS = 64
"""Largest objects of a mask that are asked about; each costs a run of the decoder."""
_POINTS = 3
_APART = 2.0  # two points' distance, in distances of the first of them from the object's edge
_DEEP = 0.5  # how far inside a further point must lie, in terms of the innermost one


def objects_of(probability: FloatArray) -> tuple[Iterator[Guidance], int]:
    """The objects of a mask, largest first, and how many there are beyond those.

    Args:
        probability: (Y,X) float32; above 0.5 is the mask.

    Returns:
        At most `MOST_OBJECTS` prompts, made one by one (each holds a map of the image's size), and the number
        of objects that are left out.
    """
    mask = (probability > EDGE).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    order = 1 + np.argsort(stats[1:, cv2.CC_STAT_AREA], kind="stable")[::-1]

    def prompts() -> Iterator[Guidance]:
        for label in order[:MOST_OBJECTS]:
            left, top, width, height = (int(n) for n in stats[label, :4])
            bottom, right = top + height, left + width
            inside = labels[top:bottom, left:right] == label
            prior = np.zeros(probability.shape, np.float32)
            prior[top:bottom, left:right] = np.where(inside, probability[top:bottom, left:right], 0)
            points = tuple((top + row, left + column) for row, column in innermost(inside))
            yield Guidance(points, (), (top, left, bottom, right), prior)

    return prompts(), max(0, count - 1 - MOST_OBJECTS)


def innermost(mask: BoolArray) -> tuple[tuple[int, int], ...]:
    """One to three (row, column) pixels far inside of `mask` (Y,X) and apart from each other, deepest first.

    Further ones only where the object is about as thick as at the first: an object's other lobe, not its rim.
    """
    # a frame of background, so that the array's border counts as the object's edge
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    deepest = float(depth.max())
    points: list[tuple[int, int]] = []
    while len(points) < _POINTS and depth.max() > (_DEEP * deepest if points else 0):
        row, column = divmod(int(depth.argmax()), depth.shape[1])
        points.append((row - 1, column - 1))
        cv2.circle(depth, (column, row), max(1, round(_APART * deepest)), 0, cv2.FILLED)
    return tuple(points)
