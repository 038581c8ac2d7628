"""Where an object of an answer lies, and the words for why it cannot be drawn.

Coordinates are 0 to 1000 over the image's height and width, whatever its size.
"""

from __future__ import annotations

from dataclasses import dataclass

from omniview.core.image import BoolArray
from omniview.omnimodel.salvage import Json

__all__ = ["SCALE", "TOLERANCE", "Box", "Budget", "Patch", "Unusable", "numbers", "read_box"]

SCALE = 1000.0
"""Coordinates run from 0 to this over both sides of the image."""
TOLERANCE = 50.0
"""How far outside the image a coordinate may lie and still be clipped rather than disbelieved."""


class Unusable(Exception):
    """One object of an answer has no mask that can be drawn; the text says why. Stays inside this package."""


class Budget:
    """How many pixels one answer may make us unpack and paint: a short text can ask for billions.

    Args:
        pixels: the allowance.
    """

    def __init__(self, pixels: int) -> None:
        self._left = pixels

    def spend(self, pixels: int) -> None:
        """Take `pixels` off, or raise Unusable and take nothing."""
        if pixels > self._left:
            raise Unusable("it would take more pixels than one answer may")
        self._left -= pixels


@dataclass(frozen=True, slots=True)
class Box:
    """Top, left, bottom, right in 0 to 1000, ordered, with what had to be mended."""

    y0: float
    x0: float
    y1: float
    x1: float
    notes: tuple[str, ...] = ()

    def pixels(self, shape: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, bottom, right in pixels: cut off, not rounded, as in the provider's own example code."""
        Y, X = shape
        return (
            int(self.y0 / SCALE * Y),
            int(self.x0 / SCALE * X),
            int(self.y1 / SCALE * Y),
            int(self.x1 / SCALE * X),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The mask of one object.

    Attributes:
        top: row of the image at which it begins.
        left: column.
        mask: (h,w) bool, wholly inside the image.
        notes: what had to be mended or assumed.
    """

    top: int
    left: int
    mask: BoolArray
    notes: tuple[str, ...] = ()


def read_box(value: Json) -> Box:
    """[y0, x0, y1, x1] with swapped ends put right and slight overshoot clipped.

    Raises:
        Unusable: not four finite numbers, far outside the image, or without area.
    """
    ends = numbers(value)
    if ends is None or len(ends) != 4:
        raise Unusable("its box is not four numbers")
    notes = []
    if max(ends) <= 1.0 and any(n != int(n) for n in ends):
        ends = [n * SCALE for n in ends]
        notes.append("box given in 0 to 1 instead of 0 to 1000")
    if min(ends) < -TOLERANCE or max(ends) > SCALE + TOLERANCE:
        raise Unusable("its box lies outside the image")
    clipped = [min(max(n, 0.0), SCALE) for n in ends]
    if clipped != ends:
        notes.append("box out of range, clipped")
    y0, x0, y1, x1 = clipped
    if y0 > y1 or x0 > x1:
        notes.append("box inverted, ends swapped")
        y0, y1 = min(y0, y1), max(y0, y1)
        x0, x1 = min(x0, x1), max(x0, x1)
    if y0 == y1 or x0 == x1:
        raise Unusable("its box has no area")
    return Box(y0, x0, y1, x1, tuple(notes))


def numbers(value: Json) -> list[float] | None:
    """A flat list of finite numbers of believable size as floats, else None."""
    if not isinstance(value, list):
        return None
    if not all(type(n) in (int, float) and -1e9 < n < 1e9 for n in value):  # nan fails the comparison
        return None
    return [float(n) for n in value]
