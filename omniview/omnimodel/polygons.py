"""Masks that an answer carries as outlines: lists of points, in either axis order.

Whether points are x first or y first is decided by their own box, never by the model's name.
"""

from __future__ import annotations

from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.core.image import BoolArray
from omniview.omnimodel.boxes import SCALE, TOLERANCE, Box, Budget, Patch, Unusable, numbers
from omniview.omnimodel.salvage import Json

__all__ = ["Points", "fill_polygon", "polygon_patch"]

Points: TypeAlias = npt.NDArray[np.float64]
"""(n,2) float64."""

_MAX_POINTS = 8192
_MAX_PARTS = 256
_MAX_CROSSINGS = 200_000
"""Crossings of an outline's edges with rows: ten times what the most ragged of real ones has."""
_CROSSING = 16
"""What a crossing costs, in pixels."""
_BEYOND_BOX = 0.02 * SCALE
"""How far points may lie outside their box: drawing, not disorder."""


def polygon_patch(value: list[Json], box: Box | None, shape: tuple[int, int], budget: Budget) -> Patch:
    """One outline, or several parts of one object (united).

    Args:
        value: [[a,b],...], [a,b,a,b,...], [{"x":a,"y":b},...], or a list of those; 0 to 1000.
        box: the object's box, which decides the axis order; without it x is taken to be first.
        shape: (Y,X) of the image.
        budget: pixels that may be painted.

    Raises:
        Unusable: fewer than 3 points, odd or absurd coordinates, outside its own box, or empty.
    """
    outlines = value if _has_parts(value) else [value]
    if len(outlines) > _MAX_PARTS:
        raise Unusable(f"its outline has {len(outlines)} parts")
    parts = [_points(part) for part in outlines]
    together = np.concatenate(parts)
    if len(together) > _MAX_POINTS:
        raise Unusable(f"its outline has {len(together)} points")
    notes = list(box.notes) if box else []
    if together.max() <= 1.0 and (together != np.floor(together)).any():
        parts, together = [part * SCALE for part in parts], together * SCALE
        notes.append("outline given in 0 to 1 instead of 0 to 1000")
    if together.min() < -TOLERANCE or together.max() > SCALE + TOLERANCE:
        raise Unusable("its outline lies outside the image")
    if together.min() < 0 or together.max() > SCALE:
        notes.append("outline out of range, clipped")
    if box is None:
        notes.append("outline without a box, x taken to be first")
    elif _y_first(together, box):
        parts = [part[:, ::-1] for part in parts]
        notes.append("outline was y first, turned")
    return _painted(parts, shape, budget, tuple(notes))


def fill_polygon(points: Points, shape: tuple[int, int]) -> BoolArray:
    """Pixels whose centre lies inside a closed polygon, by the even-odd rule.

    Each edge flips, in every row whose centre line it crosses, all pixels right of the crossing; their parity
    along the row is the mask.

    Args:
        points: (n,2), (x, y) in pixels, edge to edge: the centre of pixel (r, c) is at (c + 0.5, r + 0.5).
        shape: (Y,X).

    Returns:
        (Y,X) bool.
    """
    Y, X = shape
    x0, y0 = points.T
    x1, y1 = np.roll(points, -1, axis=0).T
    # a row centre that meets a vertex belongs to the edge that begins there, so that it counts once
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, Y).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, Y).astype(np.int64)
    crossings = last - first
    edge = np.repeat(np.arange(len(points)), crossings)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings) + first[edge]
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.ceil(x0[edge] + (row + 0.5 - y0[edge]) * slope - 0.5)
    flips = np.zeros((Y, X + 1), np.uint8)
    np.bitwise_xor.at(flips, (row, np.clip(column, 0, X).astype(np.int64)), 1)
    filled: BoolArray = np.bitwise_xor.accumulate(flips[:, :X], axis=1).astype(np.bool_)
    return filled


def _has_parts(value: list[Json]) -> bool:
    """Whether the list holds outlines rather than points."""
    first = value[0]
    if not isinstance(first, list) or not first:
        return False
    return isinstance(first[0], list | dict) or len(first) >= 6


def _points(value: Json) -> Points:
    """The points in the order given."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = [[p.get("x"), p.get("y")] if isinstance(p, dict) else p for p in value]
    if isinstance(value, list) and value and isinstance(value[0], list):
        if not all(isinstance(p, list) and len(p) == 2 for p in value):
            raise Unusable("its outline has a point that is not two numbers")
        value = list(chain.from_iterable(value))
    flat = numbers(value)
    if flat is None:
        raise Unusable("its outline is not made of numbers")
    if len(flat) % 2:
        raise Unusable("its outline has an odd number of coordinates")
    points = np.array(flat).reshape(-1, 2)
    if not _three_differ(flat):
        raise Unusable("its outline has fewer than 3 different points")
    return points


def _three_differ(flat: list[float]) -> bool:
    """Whether there are three different points; looks no further than that."""
    seen = set()
    for point in zip(flat[::2], flat[1::2], strict=True):
        seen.add(point)
        if len(seen) == 3:
            return True
    return False


def _y_first(points: Points, box: Box) -> bool:
    """Whether the points fall into their box better when read as (y, x) than as (x, y).

    Raises:
        Unusable: they do not fall into it either way.
    """
    low, high = np.array((box.y0, box.x0)), np.array((box.y1, box.x1))

    def inside(p: Points) -> float:
        return float(((p >= low - _BEYOND_BOX) & (p <= high + _BEYOND_BOX)).all(axis=1).mean())

    def misfit(p: Points) -> float:
        return float(np.abs(p.min(axis=0) - low).sum() + np.abs(p.max(axis=0) - high).sum())

    turned = points[:, ::-1]
    x_first, y_first = inside(turned), inside(points)
    if max(x_first, y_first) < 0.5:
        raise Unusable("its outline lies outside its own box")
    if x_first == y_first:
        return misfit(points) < misfit(turned)
    return y_first > x_first


def _painted(parts: list[Points], shape: tuple[int, int], budget: Budget, notes: tuple[str, ...]) -> Patch:
    """Parts of (x, y) in 0 to 1000 filled within the rectangle that holds them all."""
    sides = np.array([shape[1], shape[0]])
    scaled = [np.clip(part, 0, SCALE) * (sides / SCALE) for part in parts]
    rectangles = [_rectangle(part, sides) for part in scaled]
    together = np.concatenate(scaled)
    left, top, width, height = _rectangle(together, sides)
    crossings = int(sum(np.abs(np.diff(part[:, 1], append=part[:1, 1])).sum() for part in scaled))
    if crossings > _MAX_CROSSINGS:
        raise Unusable("its outline crosses itself without end")
    budget.spend(width * height + sum(w * h for _, _, w, h in rectangles) + crossings * _CROSSING)
    mask = np.zeros((height, width), np.bool_)
    for part, (x, y, w, h) in zip(scaled, rectangles, strict=True):
        mask[y - top : y - top + h, x - left : x - left + w] |= fill_polygon(part - (x, y), (h, w))
    if not mask.any():
        raise Unusable("its outline encloses no pixel")
    return Patch(top, left, mask, notes)


def _rectangle(points: Points, sides: npt.NDArray[np.int64]) -> tuple[int, int, int, int]:
    """Left, top, width, height in whole pixels, at least one each way, that hold all points."""
    left, top = np.minimum(np.floor(points.min(axis=0)), sides - 1).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int)
    return int(left), int(top), max(1, int(right - left)), max(1, int(bottom - top))
