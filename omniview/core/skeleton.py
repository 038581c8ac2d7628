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

from omniview.core.image import BoolArray, UInt8Array
from omniview.core.surface import border

__all__ = ["ClDice", "EditedSkeleton", "cldice", "skeletonise"]

Indices: TypeAlias = npt.NDArray[np.intp]
Times: TypeAlias = npt.NDArray[np.uint16]

UP, DOWN, SELF = 1, 2, 4  # bits of a pixel's column
BITS = ("NW", "SW", "W", "NE", "SE", "E", "N", "S")  # of a neighbourhood's code, lowest first
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
STAYS = 65535  # the time of a pixel that no pass takes
MANY = 32  # following a change pays where it is of less than one in so many pixels of the mask: measured
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

    @classmethod
    def of(cls, mask: tuple[int, int], truth: tuple[int, int]) -> ClDice:
        """From the length of each centre line and how much of it lies in the other mask, in pixels."""
        if not (mask[0] and truth[0]):
            if mask[0] == truth[0]:
                return cls(1.0, 1.0, 1.0)
            return cls(0.0, 0.0 if mask[0] else None, 0.0 if truth[0] else None)
        precision, sensitivity = mask[1] / mask[0], truth[1] / truth[0]
        both = precision + sensitivity
        return cls(2.0 * precision * sensitivity / both if both else 0.0, precision, sensitivity)


def cldice(mask: BoolArray, truth: BoolArray) -> ClDice:
    """Centre line Dice of a mask and its truth, (Y,X) bool.

    Raises:
        ValueError: shapes differ.
    """
    if mask.ndim != 2 or mask.shape != truth.shape:
        raise ValueError(f"mask and truth must be (Y,X) of one shape, got {mask.shape} and {truth.shape}")
    pieces = _thinned([mask, truth])
    inside = (line & other[box] for (box, line), other in zip(pieces, (truth, mask), strict=True))
    return ClDice.of(*((_count(line), _count(part)) for (_, line), part in zip(pieces, inside, strict=True)))


def _count(mask: BoolArray) -> int:
    return cv2.countNonZero(mask.view(np.uint8))


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


def _thin(sheet: BoolArray, times: Times | None = None) -> int:
    """Take pixels from (Y,X) bool in place; its first and last row and its last column are background.

    Returns the number of passes, and sets `times` to the pass that took each pixel, from 1.

    Only outlines are looked at, as indices into the flat image. Each pixel carries which of itself and the
    two above and below are set, so that three looks give the neighbourhood.
    """
    stride = sheet.shape[1]
    solid = sheet.view(np.uint8).ravel()
    edge = border(sheet)
    points = np.flatnonzero(edge)
    inner = np.greater(sheet, edge, out=edge).ravel()
    columns = solid.copy()  # shifted step by step, so that no other image is made
    columns <<= 1
    columns[:-stride] |= solid[stride:]
    columns <<= 1
    columns[stride:] |= solid[:-stride]
    tables = _tables()
    before, few, passes = points, False, 0
    while len(points):
        gone = tables[passes % 2].take(_neighbourhood(columns, points))
        taken = points.compress(gone)
        if not len(taken) and not len(before):
            break
        passes += 1
        if times is not None:
            times[taken] = passes
        columns[taken] &= UP | DOWN
        columns[taken + stride] &= DOWN | SELF
        columns[taken - stride] &= UP | SELF
        few = few or len(taken) * FEW < len(points)
        if few:
            # what lies around the pixels that went is all that can have changed since it was looked at
            points = _around(np.concatenate((taken, before)), columns, stride)
        else:
            points = np.concatenate((points.compress(~gone), *_uncovered(taken, inner, stride)))
        before = taken
    columns &= SELF
    np.not_equal(columns.reshape(sheet.shape), 0, out=sheet)
    return passes


class EditedSkeleton:
    """The skeleton of a mask that is edited: a change is followed through the passes, not the whole mask.

    It is known which pass took each pixel. After an edit the same passes run again, but only where the state
    of some pixel nearby differs from what it was at that time.

    Attributes:
        line: (Y,X) bool, the skeleton; do not write to it.
    """

    def __init__(self, mask: BoolArray) -> None:
        self._times: Times = np.zeros((mask.shape[0] + 2, mask.shape[1] + 1), np.uint16)
        self._line = np.zeros(self._times.shape, np.bool_)
        self._passes = 0
        self._place = (slice(0, 0), slice(0, 0))  # what is not 0 lies within
        self._pixels = 0
        self.line = self._line[1:-1, :-1]
        self.update(mask, (slice(0, mask.shape[0]), slice(0, mask.shape[1])))

    def update(self, mask: BoolArray, box: tuple[slice, slice]) -> None:
        """Follow a change of the (Y,X) bool mask within `box`."""
        part = mask[box]
        differs = np.not_equal(part, self._times[1:-1, :-1][box] > 0)
        count = _count(differs)
        if count == 0:
            return
        rows, columns = (
            slice(min(was.start, new.start), max(was.stop, new.stop + 2))
            for was, new in zip(self._place, box, strict=True)
        )
        self._place = rows, columns
        self._pixels += 2 * _count(part & differs) - count
        if count * MANY < self._pixels:
            row, column = np.nonzero(differs)
            changed = (row + box[0].start + 1) * self._times.shape[1] + column + box[1].start
            if self._follow(changed, part[row, column]):
                return
        self._thin_all(mask)

    def _thin_all(self, mask: BoolArray) -> None:
        self._times[self._place] = 0
        self._line[self._place] = False
        left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
        sheet = np.zeros((height + 2, width + 1), np.bool_)
        sheet[1:-1, :-1] = mask[top : top + height, left : left + width]
        times: Times = np.where(sheet.ravel(), STAYS, 0).astype(np.uint16)
        self._passes = _thin(sheet, times)
        self._place = (slice(top, top + height + 2), slice(left, left + width + 1))
        self._times[self._place], self._line[self._place] = times.reshape(sheet.shape), sheet

    def _follow(self, changed: Indices, now: BoolArray) -> bool:
        """Run the passes again where anything differs; False if that is more work than all of them."""
        times, line, stride = self._times.ravel(), self._line.ravel(), self._times.shape[1]
        ring = np.array([-stride - 1, stride - 1, -1, 1 - stride, stride + 1, 1, -stride, stride])
        block = np.append(ring, 0)
        tables = _tables()
        budget = self._pixels  # looks that cost about as much as thinning the whole mask
        # odd: whether the edited mask has or lacks here what the mask before had at this time
        odd, seen = np.zeros(len(times), np.bool_), np.zeros(len(times), np.bool_)
        odd[changed] = True
        lost = changed.compress(~now)
        stays = [changed.compress(now)]
        taken: list[tuple[int, Indices]] = []
        watched, fresh = changed[:0], changed
        step, quiet = 0, 0
        while True:
            if len(fresh):
                near = (fresh[:, None] + block).ravel()
                near = near.compress(np.not_equal(times.take(near) > step, odd.take(near)) > seen.take(near))
                near = np.unique(near) if len(near) > 1 else near
                seen[near] = True
                watched = np.concatenate((watched, near))
            step += 1
            budget -= len(watched)
            if budget < 0:
                return False
            around = watched[:, None] + ring
            around_set = np.not_equal(times.take(around) >= step, odd.take(around))
            gone = tables[1 - step % 2].take(np.packbits(around_set, axis=1, bitorder="little").ravel())
            still = times.take(watched) > step  # in the mask before
            differs = np.equal(gone, still)
            fresh = watched.compress(differs & ~odd.take(watched))
            odd[watched] = differs
            out = watched.compress(gone)
            taken.append((step, out))
            stays.append(fresh.compress(times.take(fresh) <= step))
            lost = np.concatenate((lost, watched.compress(gone & still)))
            over = times.take(lost) <= step
            odd[lost.compress(over)] = False
            lost = lost.compress(~over)
            watched = watched.compress(~gone)
            if not len(lost) and not odd.take(watched).any():
                break
            quiet = 0 if len(out) or len(fresh) else quiet + 1
            if quiet > 1:
                # nothing happens here until something beside goes, which both masks have in common
                when = times.take(watched[:, None] + block)
                event = int(when.min(initial=STAYS, where=when >= step - 1))
                if event == STAYS:
                    break
                step = max(step, event - 1)
        times[changed] = 0
        line[changed] = False
        for points in stays:
            times[points], line[points] = STAYS, True
        for time, points in taken:
            times[points], line[points] = time, False
        self._passes = max(self._passes, step)
        return True


def _neighbourhood(columns: UInt8Array, points: Indices) -> UInt8Array:
    """Eight bits for each point: those above and below it, the column to the right, the one to the left."""
    code = columns.take(points)
    code <<= 6  # the point itself is set, and drops out
    right = columns.take(points + 1)
    right <<= 3
    code |= right
    code |= columns.take(points - 1)
    return code


def _uncovered(taken: Indices, inner: BoolArray, stride: int) -> list[Indices]:
    """What was inside and lies at the border now that `taken` has gone."""
    fresh = []
    for step in (-1, 1, -stride, stride):
        beside = taken + step
        beside = beside.compress(inner.take(beside))
        inner[beside] = False
        fresh.append(beside)
    return fresh


def _around(taken: Indices, columns: UInt8Array, stride: int) -> Indices:
    """Set pixels among the eight neighbours of each, once each."""
    steps = np.array([-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1])
    near: Indices = np.unique(taken[:, None] + steps)
    here: BoolArray = columns.take(near) & SELF != 0
    return near[here]


@lru_cache(maxsize=1)
def _tables() -> tuple[BoolArray, BoolArray]:
    """Whether the first and the second pass take a pixel, (256) bool each, by `_neighbourhood`.

    Conditions (a) to (d) of Zhang and Suen 1984, then the exceptions above.
    """
    first, second = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    for around in range(256):
        near = [bool(around >> place & 1) for place in range(8)]
        names = frozenset(name for name, here in zip(COMPASS, near, strict=True) if here)
        n, e, s, w = (name in names for name in "NESW")
        rises = sum(near[place] and not near[place - 1] for place in range(8))
        thin = 2 <= len(names) <= 6 and rises == 1
        code = sum(1 << place for place, name in enumerate(BITS) if name in names)
        for table, taken, kept, cut in (
            (first, not (e and s and (n or w)), KEPT[0], CUT[0]),
            (second, not (n and w and (e or s)), KEPT[1], CUT[1]),
        ):
            table[code] = (thin and taken and names not in _sets(kept)) or names in _sets(cut)
    return first, second


def _sets(patterns: tuple[str, ...]) -> set[frozenset[str]]:
    return {frozenset(pattern.split()) for pattern in patterns}
