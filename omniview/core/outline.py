"""Contours of masks as vectors: for the window at any zoom, and for thumbnails."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.image import Array
from omniview.core.prediction import EDGE

__all__ = ["FIXED_BITS", "Outline", "dashes", "fixed_point", "trace"]

FIXED_BITS = 4
"""OpenCV draws lines of fixed-point coordinates with this many fractional bits."""

_FINE = 2048  # maps are traced at half or quarter pixels as long as the enlarged one stays within this size
_TOLERANCE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Closed contours of a mask.

    Attributes:
        points: (N,2) float32, (x,y) in image pixels, 0 being the outer edge of the first pixel.
        starts: (M+1,) int64: contour m is `points[starts[m]:starts[m + 1]]`.
        boxes: (M,4) float32: left, top, right, bottom of each contour.
        breadth: mean breadth of what is outlined in image pixels: twice the area over the length of contour.
    """

    points: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    breadth: float = 0.0


def trace(maps: Array, finest: int = _FINE, tolerance: float = _TOLERANCE) -> Outline:
    """Contours at 0.5 of (K,Y,X) probabilities or bool masks, each label by itself, holes included.

    Args:
        maps: what to trace.
        finest: maps are enlarged up to four times before, as long as they stay within so many pixels.
        tolerance: pixels of `maps` by which a simplified contour may differ.
    """
    step = max(1, min(4, finest // max(maps.shape[1:])))
    found: list[npt.NDArray[np.float32]] = []
    for plane in maps:
        values = plane.astype(np.float32, copy=False)
        if step > 1:
            values = cv2.resize(values, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
        label = np.asarray(values > EDGE).view(np.uint8)
        contours, _ = cv2.findContours(label, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            slim = cv2.approxPolyDP(contour, tolerance * step, closed=True)[:, 0]
            # OpenCV counts pixel centres, the canvas pixel edges
            found.append((slim.astype(np.float32) + np.float32(0.5)) / np.float32(step))
    if not found:
        return Outline(np.zeros((0, 2), np.float32), np.zeros(1, np.int64), np.zeros((0, 4), np.float32))
    starts = np.concatenate(([0], np.cumsum([len(one) for one in found]))).astype(np.int64)
    points = np.concatenate(found)
    low, high = (reduce.reduceat(points, starts[:-1], axis=0) for reduce in (np.minimum, np.maximum))
    length = sum(cv2.arcLength(contour, closed=True) for contour in found)
    breadth = 2.0 * float(np.count_nonzero(maps > EDGE)) / max(length, 1.0)
    return Outline(points, starts, np.concatenate((low, high), axis=1), breadth)


def dashes(
    points: npt.NDArray[np.float32],
    dash: float,
    gap: float,
    within: tuple[float, float, float, float] | None = None,
) -> list[npt.NDArray[np.float32]]:
    """A closed contour cut into dashes of constant length.

    Args:
        points: (N,2) float32, the first one not repeated at the end.
        dash: length of a dash, in the points' unit.
        gap: between dashes; both are adapted a little, so that whole dashes fill the contour.
        within: left, top, right, bottom; dashes that begin elsewhere are left out. None: all.

    Returns:
        Open polylines; the closed contour alone where it is too short for a dash and a gap.
    """
    ring = np.concatenate((points, points[:1]))
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))))
    period = dash + gap
    if along[-1] < period:
        return [ring]
    period = along[-1] / round(along[-1] / period)  # whole dashes only: no seam
    begins = np.arange(0.0, along[-1] - 1e-6, period)
    marks = np.sort(np.concatenate((begins, begins + period * dash / (dash + gap))))
    where = np.union1d(along, marks)
    dense = np.column_stack([np.interp(where, along, ring[:, axis]) for axis in (0, 1)]).astype(np.float32)
    ends = np.searchsorted(where, marks).reshape(-1, 2)
    if within is not None:
        first = dense[ends[:, 0]]
        ends = ends[((first >= within[:2]) & (first <= within[2:])).all(axis=1)]
    return [dense[a : b + 1] for a, b in ends.tolist()]


def fixed_point(points: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """(N,2) device pixels as OpenCV's fixed-point coordinates, clipped where those would overflow."""
    limit = float(2**26)  # far outside any screen all the same
    fixed: npt.NDArray[np.int32] = np.rint(np.clip(points * 2**FIXED_BITS, -limit, limit)).astype(np.int32)
    return fixed
