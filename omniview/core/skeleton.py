"""Thin shapes to their centre lines: whether a vessel tree is whole is seen there, not in its pixels.

The algorithm is that of Zhang and Suen 1984, in the dialect of scikit-image, which is what published clDice
figures were computed with; the paper's own conditions give other skeletons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.image import Array, BoolArray, UInt8Array
from omniview.core.surface import border

__all__ = ["ClDice", "cldice", "skeletonise"]

Indices: TypeAlias = npt.NDArray[np.intp]

COMPASS = ("NW", "N", "NE", "E", "SE", "S", "SW", "W")  # clockwise, north is the row above
# Where scikit-image departs from the paper, by the neighbours that are set. The paper's conditions wipe out
# squares of four pixels and diagonals that are two pixels wide: of their ends and corners, a pass keeps these
KEPT = (
    ("E SE", "SE S", "S SW", "SW W", "W NW", "E SE S", "S SW W"),
    ("W NW", "NW N", "N NE", "NE E", "SE S", "W NW N", "N NE E"),
)
# and it leaves the corners of staircases, which are no part of an 8-connected line: a pass takes these
CUT = (
    ("N E", "E S", "S W", "W N", "NW N E", "W N NE", "SW W N", "SW W N NE", "S W NW"),
    ("N E", "E S", "S W", "W N", "N E SE", "E S SW", "NE E S SW", "SE S W"),
)
FEW = 32  # passes that take fewer than one in so many pixels leave most of the outline as it was: measured


def skeletonise(mask: BoolArray) -> BoolArray:
    """Centre lines of a mask, one pixel wide.

    Args:
        mask: (Y,X) bool.

    Returns:
        (Y,X) bool: a part of the mask, the same as scikit-image's `skeletonize` gives.

    Raises:
        ValueError: the mask is not of two dimensions.
    """
    if mask.ndim != 2:
        raise ValueError(f"mask must be (Y,X), got {mask.shape}")
    skeleton = np.zeros(mask.shape, np.bool_)
    for box, part in _thinned([mask]):
        skeleton[box] = part
    return skeleton


@dataclass(frozen=True, slots=True)
class ClDice:
    """Overlap of two masks along their centre lines (Shit et al. 2021), each value in [0,1].

    Attributes:
        score: harmonic mean of the two; 1 if both masks are empty, 0 if one is.
        precision: share of the mask's centre line that lies in the truth; None if only the mask is empty.
        sensitivity: share of the truth's centre line that lies in the mask; None if only the truth is empty.
    """

    score: float
    precision: float | None
    sensitivity: float | None


def cldice(mask: BoolArray, truth: BoolArray) -> ClDice:
    """Centre line Dice of a mask and its truth, (Y,X) bool.

    Raises:
        ValueError: shapes differ.
    """
    if mask.ndim != 2 or mask.shape != truth.shape:
        raise ValueError(f"mask and truth must be (Y,X) of one shape, got {mask.shape} and {truth.shape}")
    pieces = _thinned([mask, truth])
    length = [cv2.countNonZero(line.view(np.uint8)) for _, line in pieces]
    if not all(length):
        if not any(length):
            return ClDice(1.0, 1.0, 1.0)
        return ClDice(0.0, 0.0 if length[0] else None, 0.0 if length[1] else None)
    inside = [
        cv2.countNonZero((line & other[box]).view(np.uint8))
        for (box, line), other in zip(pieces, (truth, mask), strict=True)
    ]
    precision, sensitivity = inside[0] / length[0], inside[1] / length[1]
    both = precision + sensitivity
    return ClDice(2.0 * precision * sensitivity / both if both else 0.0, precision, sensitivity)


def _thinned(masks: list[BoolArray]) -> list[tuple[tuple[slice, slice], BoolArray]]:
    """Skeleton of each mask within the box that holds it; all are thinned at once, which costs less."""
    boxes = []
    for mask in masks:
        left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
        boxes.append((slice(top, top + height), slice(left, left + width)))
    parts = [mask[box] for mask, box in zip(masks, boxes, strict=True)]
    sheet = np.zeros((sum(len(p) + 1 for p in parts) + 1, max(p.shape[1] for p in parts) + 1), np.bool_)
    row, places = 1, []
    for part in parts:
        places.append(sheet[row : row + part.shape[0], : part.shape[1]])
        places[-1][...] = part
        row += part.shape[0] + 1
    _thin(sheet)
    return list(zip(boxes, places, strict=True))


def _thin(sheet: BoolArray) -> None:
    """Take pixels from (Y,X) bool in place; its first and last row and its last column are background.

    Only outlines are looked at, as indices into the flat image. Each pixel carries which of itself and the
    two above and below are set, so that three looks give the neighbourhood.
    """
    stride = sheet.shape[1]
    solid = sheet.view(np.uint8).ravel()
    columns: UInt8Array = np.left_shift(solid, 1, dtype=np.uint8)
    columns[stride:] |= solid[:-stride]
    columns[:-stride] |= solid[stride:] << 2
    points = np.flatnonzero(border(sheet))
    inner = sheet.ravel().copy()
    inner[points] = False
    tables = _tables()
    before, turn, few = points, 0, False
    while len(points):
        gone = tables[turn].take(_neighbourhood(columns, points))
        taken = points[gone]
        if not len(taken) and not len(before):
            break
        columns[taken] &= 0b101
        columns[taken + stride] &= 0b110
        columns[taken - stride] &= 0b011
        few = few or len(taken) * FEW < len(points)
        if few:
            # what lies around the pixels that went is all that can have changed since it was looked at
            points = _around(np.concatenate((taken, before)), columns, stride)
        else:
            points = np.concatenate((points[~gone], *_uncovered(taken, inner, stride)))
        before, turn = taken, 1 - turn
    np.not_equal(columns.reshape(sheet.shape) & 0b010, 0, out=sheet)


def _neighbourhood(columns: UInt8Array, points: Indices) -> Array:
    """Nine bits for each point: its own column and those to the left and right."""
    code = columns.take(points + 1).astype(np.uint16)
    code <<= 3
    code |= columns.take(points)
    code <<= 3
    code |= columns.take(points - 1)
    return code


def _uncovered(taken: Indices, inner: BoolArray, stride: int) -> list[Indices]:
    """What was inside and lies at the border now that `taken` has gone."""
    fresh = []
    for step in (-1, 1, -stride, stride):
        beside = taken + step
        beside = beside[inner.take(beside)]
        inner[beside] = False
        fresh.append(beside)
    return fresh


def _around(taken: Indices, columns: UInt8Array, stride: int) -> Indices:
    """Set pixels among the eight neighbours of each, once each."""
    steps = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1])
    near: Indices = np.unique(taken[:, None] + steps)
    here: BoolArray = columns.take(near) & 0b010 != 0
    return near[here]


@lru_cache(maxsize=1)
def _tables() -> tuple[BoolArray, BoolArray]:
    """Whether the first and the second pass take a pixel, (512) bool each, by `_neighbourhood`.

    Conditions (a) to (d) of Zhang and Suen 1984, then the exceptions above.
    """
    first, second = np.zeros(512, np.bool_), np.zeros(512, np.bool_)
    for around in range(256):
        near = [bool(around >> place & 1) for place in range(8)]
        names = frozenset(name for name, here in zip(COMPASS, near, strict=True) if here)
        n, e, s, w = (name in names for name in "NESW")
        rises = sum(near[place] and not near[place - 1] for place in range(8))
        thin = 2 <= len(names) <= 6 and rises == 1
        code = _bits(names)
        for table, taken, kept, cut in (
            (first, not (e and s and (n or w)), KEPT[0], CUT[0]),
            (second, not (n and w and (e or s)), KEPT[1], CUT[1]),
        ):
            table[code] = (thin and taken and names not in _sets(kept)) or names in _sets(cut)
    return first, second


def _sets(patterns: tuple[str, ...]) -> set[frozenset[str]]:
    return {frozenset(pattern.split()) for pattern in patterns}


def _bits(names: frozenset[str]) -> int:
    """Code of a set pixel with these neighbours set."""
    columns = (("NW", "W", "SW"), ("N", "", "S"), ("NE", "E", "SE"))
    bits = [not name or name in names for column in columns for name in column]
    return sum(1 << place for place, here in enumerate(bits) if here)
