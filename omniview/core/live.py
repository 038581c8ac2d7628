"""Scores that keep up with a brush: a stroke changes little, and only what depends on it is measured again.

Every number is the one that the whole computation gives. Counts change by the difference within the
stroke's box. Of the outlines only the pixels in the box are new; beyond it a distance to the mask can have
changed only where the box was at least as near as the nearest border pixel. The band along the outline
depends on what lies within its width; the centre lines are followed by `EditedSkeleton`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

import cv2
import numpy as np

from omniview.core.boundary import band, boundary_width
from omniview.core.case import Scores
from omniview.core.image import BoolArray, FloatArray, UInt8Array
from omniview.core.metrics import DEFAULT_TOLERANCE, METRICS, Comparison
from omniview.core.skeleton import ClDice, EditedSkeleton
from omniview.core.surface import (
    FRAME,
    Box,
    Distances,
    Indices,
    SurfaceDistances,
    border,
    far,
    framed,
    nearest,
    place,
    tree_of,
    unit_spacing,
)
from omniview.core.surface_elements import SurfaceElements, contour_length, corners

__all__ = ["LIVE", "LiveScores"]

Edges: TypeAlias = Callable[[BoolArray], BoolArray]

LIVE = tuple(name for name, metric in METRICS.items() if not metric.needs_probability)
"""What is kept up to date unless less is asked for."""


class LiveScores:
    """Scores of one label's mask while it is edited.

    Args:
        truth: (Y,X) bool, the reference; must not change.
        spacing_mm: distance of pixel centres (row, column); distances are in mm with it, else in px.
        region: (Y,X) bool, the field of view: what lies outside counts nowhere.
        probability: (Y,X) float32 in [0,1], or uint8 that counts as level / 255: its metrics do not depend
            on the mask, are computed once, and stand beside the others.
        tolerance: of surface Dice, in mm or px like the distances; None is 2 pixels.
        names: of `METRICS`; fewer names cost less.

    Raises:
        ValueError: the truth is not (Y,X) bool.
    """

    def __init__(
        self,
        truth: BoolArray,
        spacing_mm: tuple[float, float] | None = None,
        region: BoolArray | None = None,
        probability: UInt8Array | FloatArray | None = None,
        *,
        tolerance: float | None = None,
        names: Iterable[str] = LIVE,
    ) -> None:
        if truth.ndim != 2 or truth.dtype != np.bool_:
            raise ValueError(f"truth must be (Y,X) bool, got {truth.shape} {truth.dtype}")
        spacing = spacing_mm or (1.0, 1.0)
        reach = DEFAULT_TOLERANCE * max(spacing) if tolerance is None else tolerance
        self._region = region
        self._state = _Edited(np.zeros_like(truth), truth, region, spacing, reach, probability)
        self._mask = self._state.mask
        soft = [name for name, metric in METRICS.items() if metric.needs_probability]
        self._names = tuple(name for name in METRICS if name in set(names) and name not in soft)
        self._soft = (
            {} if probability is None else {name: METRICS[name].compute(self._state) for name in soft}
        )
        self._parts = _parts(self._names, self._state)

    def update(self, mask: BoolArray, box: Box | None = None) -> Scores:
        """Scores of the mask as it is now.

        Args:
            mask: (Y,X) bool; may be the array of the last call, changed in place.
            box: rows and columns, with start and stop, that hold every pixel that changed since the last
                call; None if anything may have changed.

        Returns:
            Metric name to value, None where undefined: what `score` gives.

        Raises:
            ValueError: the mask is not of the truth's shape, or not bool.
        """
        if mask.shape != self._mask.shape or mask.dtype != np.bool_:
            raise ValueError(f"mask must be {self._mask.shape} bool, got {mask.shape} {mask.dtype}")
        box = _clipped(box, self._mask.shape)
        new = mask[box] if self._region is None else mask[box] & self._region[box]
        self._state.recount(new, box)
        self._mask[box] = new
        for part in self._parts if new.size else ():
            part.update(box)
        hard = {name: METRICS[name].compute(self._state) for name in self._names}
        return hard | self._soft


def _clipped(box: Box | None, shape: tuple[int, ...]) -> Box:
    if box is None:
        return slice(0, shape[0]), slice(0, shape[1])
    rows, columns = (
        slice(max(0, side.start), max(0, side.start, min(side.stop, size)))
        for side, size in zip(box, shape, strict=True)
    )
    return rows, columns


class _Edited(Comparison):
    """A comparison whose shared parts are kept up to date instead of computed on demand."""

    def recount(self, new: BoolArray, box: Box) -> None:
        """Count what the box is about to become."""
        before, truth = self.mask[box], self.truth[box]
        found = _shared(new, truth) - _shared(before, truth)
        marked = _count(new) - _count(before)
        self.tp += found
        self.fn -= found
        self.fp += marked - found
        self.tn -= marked - found


def _count(mask: BoolArray) -> int:
    return cv2.countNonZero(mask.view(np.uint8))


def _shared(a: BoolArray, b: BoolArray) -> int:
    return cv2.countNonZero(cv2.bitwise_and(a.view(np.uint8), b.view(np.uint8)))


class _Border:
    """Border pixels of both masks and the distances between them."""

    def __init__(self, state: _Edited) -> None:
        self._state = state
        self._outline = _Outline(state, border)

    def update(self, box: Box) -> None:
        self._outline.update(box)
        self._state.distances = self._outline.distances()


class _Contour:
    """As `_Border`, for the contours between pixels."""

    def __init__(self, state: _Edited) -> None:
        self._state = state
        self._outline = _Outline(state, corners)
        outline = self._outline
        self._truth_length = contour_length(outline.truth, outline.truth_points, state.spacing)

    def update(self, box: Box) -> None:
        outline = self._outline
        outline.update(box)
        distances = outline.distances()
        self._state.elements = SurfaceElements(
            distances.a_to_b,
            distances.b_to_a,
            contour_length(outline.mask, outline.points, self._state.spacing),
            self._truth_length,
        )


class _Outline:
    """Points along the outlines of mask and truth, in framed images, and distances both ways."""

    def __init__(self, state: _Edited, edges: Edges) -> None:
        self._state, self._edges = state, edges
        self._pixel, self._unit = unit_spacing(state.spacing)
        everything = _clipped(None, state.truth.shape)
        self.truth = framed(state.truth, everything)
        self.mask = framed(np.zeros_like(state.truth), everything)
        self._stride = self.mask.shape[1]
        self._truth_edge = edges(self.truth)
        self._edge = np.zeros_like(self.mask)
        self.truth_points = np.flatnonzero(self._truth_edge)
        self._truth_places = place(self.truth_points, self._stride, self._pixel)
        self._truth_tree = tree_of(self.truth_points, self._stride, self._pixel)
        self.points = self.truth_points[:0]
        self._to_truth = np.zeros(0)
        self._from_truth = np.full(len(self.truth_points), math.inf)

    def distances(self) -> SurfaceDistances:
        """In the unit of the spacing; infinite where there is nothing to measure to."""
        return SurfaceDistances(self._to_truth * self._unit, self._from_truth * self._unit)

    def update(self, box: Box) -> None:
        """Measure again what the change within `box` touches."""
        rows, columns = (slice(side.start + FRAME, side.stop + FRAME) for side in box)
        self.mask[rows, columns] = self._state.mask[box]
        # a pixel decides about its neighbours, and the frame is wide enough for these
        rows, columns = _grown(rows, 1), _grown(columns, 1)
        around = self._edges(np.ascontiguousarray(self.mask[_grown(rows, 1), _grown(columns, 1)]))[1:-1, 1:-1]
        if np.array_equal(around, self._edge[rows, columns]):
            return
        self._edge[rows, columns] = around
        self._replace(rows, columns, around)
        self._measure_back(rows, columns)

    def _replace(self, rows: slice, columns: slice, around: BoolArray) -> None:
        """Points within the window are new ones; all stay in the order of the image."""
        first, last = np.searchsorted(self.points, (rows.start * self._stride, rows.stop * self._stride))
        across = self.points[first:last]
        column = across % self._stride
        beside = (column < columns.start) | (column >= columns.stop)
        y, x = np.nonzero(around)
        new = (y + rows.start) * self._stride + x + columns.start
        points = np.concatenate((across[beside], new))
        to_truth = np.concatenate((self._to_truth[first:last][beside], self._measure(new)))
        order = np.argsort(points, kind="stable")
        self.points = np.concatenate((self.points[:first], points[order], self.points[last:]))
        self._to_truth = np.concatenate((self._to_truth[:first], to_truth[order], self._to_truth[last:]))

    def _measure(self, points: Indices) -> Distances:
        def beyond(rest: Indices) -> Distances:
            return np.asarray(self._truth_tree.query(place(rest, self._stride, self._pixel))[0])

        return nearest(points, self._truth_edge, self._pixel, beyond)

    def _measure_back(self, rows: slice, columns: slice) -> None:
        """The truth's points that are as near to the window as to the mask may have another nearest point."""
        if not len(self.points):
            self._from_truth[:] = math.inf
            return
        away = [
            np.maximum(0.0, np.maximum(side.start * step - at, at - (side.stop - 1) * step))
            for side, step, at in zip((rows, columns), self._pixel, self._truth_places.T, strict=True)
        ]
        held = np.square(self._from_truth) * (1.0 + 1e-9)
        touched = np.flatnonzero(np.square(away[0]) + np.square(away[1]) <= held)
        if not len(touched):
            return
        # a point that has lost its nearest finds another across the window, if the mask goes on there
        across = math.hypot(
            (rows.stop - rows.start) * self._pixel[0], (columns.stop - columns.start) * self._pixel[1]
        )
        reach = float(self._from_truth[touched].max()) + across
        self._from_truth[touched] = nearest(
            self.truth_points[touched], self._edge, self._pixel, self._beyond(reach)
        )

    def _beyond(self, reach: float) -> Callable[[Indices], Distances]:
        """Distances to the mask's points, which are likely to be within `reach`."""

        def measure(rest: Indices) -> Distances:
            if not math.isfinite(reach):
                return far(rest, self._edge, self.points, self._pixel)
            row, column = np.divmod(rest, self._stride)
            near = [
                slice(int(at.min() - reach / step) - 1, int(at.max() + reach / step) + 2)
                for at, step in zip((row, column), self._pixel, strict=True)
            ]
            first, last = np.searchsorted(self.points, [edge * self._stride for edge in _ends(near[0])])
            targets = self.points[first:last]
            across = targets % self._stride
            targets = targets[(across >= near[1].start) & (across < near[1].stop)]
            tree = tree_of(targets, self._stride, self._pixel)
            found = np.asarray(tree.query(place(rest, self._stride, self._pixel))[0])
            if found.max() <= reach:
                return found
            return far(rest, self._edge, self.points, self._pixel)

        return measure


def _ends(side: slice) -> tuple[int, int]:
    return side.start, side.stop


def _grown(side: slice, by: int) -> slice:
    return slice(side.start - by, side.stop + by)


class _Band:
    """The bands along both outlines."""

    def __init__(self, state: _Edited) -> None:
        self._state = state
        self._width = boundary_width((state.truth.shape[0], state.truth.shape[1]))
        self._truth = band(state.truth, self._width).view(np.bool_)
        self._mask = np.zeros_like(self._truth)
        self._size = self._both = 0
        self._truth_size = _count(self._truth)

    def update(self, box: Box) -> None:
        shape = self._mask.shape
        near = _clipped((_grown(box[0], self._width), _grown(box[1], self._width)), shape)
        around = _clipped((_grown(near[0], self._width), _grown(near[1], self._width)), shape)
        inside = tuple(slice(n.start - a.start, n.stop - a.start) for n, a in zip(near, around, strict=True))
        new = band(self._state.mask[around], self._width).view(np.bool_)[inside]
        old, truth = self._mask[near], self._truth[near]
        self._size += _count(new) - _count(old)
        self._both += _shared(new, truth) - _shared(old, truth)
        self._mask[near] = new
        union = self._size + self._truth_size - self._both
        self._state.boundary = self._both / union if union else 1.0


class _Lines:
    """Centre lines of both masks."""

    def __init__(self, state: _Edited) -> None:
        self._state = state
        self._truth_line = EditedSkeleton(state.truth).line
        self._truth_length = _count(self._truth_line)
        self._edited = EditedSkeleton(state.mask)

    def update(self, box: Box) -> None:
        self._edited.update(self._state.mask, box)
        line = self._edited.line
        self._state.lines = ClDice.of(
            (_count(line), _shared(line, self._state.truth)),
            (self._truth_length, _shared(self._truth_line, self._state.mask)),
        )


_Part: TypeAlias = _Border | _Contour | _Band | _Lines

_NEEDS: dict[type[_Part], frozenset[str]] = {
    _Border: frozenset(("hd", "hd95", "assd", "masd", "nsd")),
    _Contour: frozenset(("nsd_weighted",)),
    _Band: frozenset(("boundary_iou",)),
    _Lines: frozenset(("cldice", "cldice_precision", "cldice_sensitivity")),
}


def _parts(names: Iterable[str], state: _Edited) -> list[_Part]:
    return [part(state) for part, needed in _NEEDS.items() if not needed.isdisjoint(names)]
