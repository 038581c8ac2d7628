"""What surrounds the click network: where a second, closer look pays, and clicks obeyed to the pixel.

A network sees a small lesion at a few dozen pixels and draws its edge accordingly; shown the lesion's
surroundings alone, it sees the same edge at several times the resolution (FocalClick, Chen 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.guidance import Guidance
from omniview.core.image import BoolArray, FloatArray
from omniview.core.prediction import EDGE

__all__ = ["Window", "close_window", "obeyed", "within"]

_CLEAR = 0.02
"""How far from the edge's probability a click puts its own pixel: clear of rounding, not of doubt."""
_TOUCH = 0.015
"""Radius, as a share of the image's longer side, that a click settles where the network did not follow."""
_WHOLE = 0.8
"""A window this share of the image or more shows nothing that the whole image does not."""
_SMALLEST = 0.125
"""The smallest window's share of the image's longer side: closer up, nothing but blur is to be seen."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an image: first row and column, height and width, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def within(guidance: Guidance, window: Window, prior: FloatArray) -> Guidance:
    """The same as seen in `window`, with `prior (Y,X)` of the whole image as the earlier mask."""
    top, left = window.top, window.left
    positive, negative = (
        tuple(
            (row - top, column - left)
            for row, column in clicks
            if 0 <= row - top < window.height and 0 <= column - left < window.width
        )
        for clicks in (guidance.positive, guidance.negative)
    )
    box = None
    if guidance.box is not None:
        rows = (np.array(guidance.box[::2]) - top).clip(0, window.height)
        columns = (np.array(guidance.box[1::2]) - left).clip(0, window.width)
        if rows[0] < rows[1] and columns[0] < columns[1]:
            box = (float(rows[0]), float(columns[0]), float(rows[1]), float(columns[1]))
    return Guidance(positive, negative, box, np.ascontiguousarray(prior[window.slices]))


def close_window(mask: BoolArray, guidance: Guidance, margin: float) -> Window | None:
    """The square worth a closer look, cut to the image: `margin` times as wide as mask, clicks and box.

    None where there is nothing to look at, or where it would show (nearly) the whole image (Y,X).
    """
    Y, X = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    spots = [*guidance.positive]
    if rows.size:
        spots += [(rows[0], columns[0]), (rows[-1] + 1, columns[-1] + 1)]
    if guidance.box is not None:
        spots += [guidance.box[:2], guidance.box[2:]]
    if not spots:
        return None
    low, high = np.min(spots, axis=0), np.max(spots, axis=0)
    side = max(margin * float((high - low).max()), _SMALLEST * max(Y, X))
    if side >= _WHOLE * max(Y, X):
        return None
    first = np.rint((low + high - side) / 2).astype(int).clip(0, (Y - 1, X - 1))
    last = np.rint((low + high + side) / 2).astype(int).clip(first + 1, (Y, X))
    return Window(int(first[0]), int(first[1]), *(int(n) for n in last - first))


def obeyed(probability: FloatArray, guidance: Guidance, *, whole: bool) -> FloatArray:
    """`probability` (Y,X) with every click's own pixel on the side of the edge that the click says.

    A small disc about the click is settled; with `whole` a part of the mask with a negative click and no
    positive one is taken out altogether (right for lesions, wrong for a tree of vessels). Where the network
    has followed, nothing changes. Clicks beyond the image are left out.
    """
    Y, X = probability.shape
    positive, negative = (
        [(int(row), int(column)) for row, column in clicks if 0 <= row < Y and 0 <= column < X]
        for clicks in (guidance.positive, guidance.negative)
    )
    out = probability
    for click in negative:
        if out[click] > EDGE:
            _, parts = cv2.connectedComponents((out > EDGE).astype(np.uint8), connectivity=4)
            part = parts == parts[click]
            if not whole or any(part[other] for other in positive):
                part = _disc(out.shape, click)
            out = np.where(part, np.minimum(out, EDGE - _CLEAR), out)
    for click in positive:
        if out[click] <= EDGE:
            out = np.where(_disc(out.shape, click), np.maximum(out, EDGE + _CLEAR), out)
    for click in negative:  # again: a positive click's disc may have reached over it
        if out[click] > EDGE:
            out = out.copy()
            out[click] = EDGE - _CLEAR
    return out


def _disc(shape: tuple[int, ...], centre: tuple[int, int]) -> BoolArray:
    radius = max(2.0, _TOUCH * max(shape))
    down, across = (np.arange(n) - c for n, c in zip(shape, centre, strict=True))
    inside: BoolArray = down[:, None] ** 2 + across**2 <= radius**2
    return inside
