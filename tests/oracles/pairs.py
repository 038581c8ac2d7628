"""The pairs on which other libraries are met: made by code, the same every time, nothing left out.

Eight kinds, 26 of each, 208 in all: one blob, several blobs, vessel-like lines, shapes with holes, single
pixels, shapes at the image's edge, full images, empty masks (prediction, truth or both). Sizes are odd, even
and never square; spacing is missing, equal or different in the two directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.image import BoolArray, FloatArray, UInt8Array

__all__ = ["KINDS", "Pair", "defined", "pairs"]

KINDS = ("blob", "blobs", "vessels", "holes", "pixels", "edge", "full", "empty")
EACH = 26
SPACINGS = (None, (1.0, 1.0), (0.5, 0.5), (0.3, 1.7), (2.0, 0.7))


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A prediction and its truth.

    Attributes:
        name: kind and number.
        grey: (Y,X) uint8, the prediction as a probability map.
        truth: (Y,X) bool.
        spacing: distance of pixel centres (row, column), or None.
    """

    name: str
    grey: UInt8Array
    truth: BoolArray
    spacing: tuple[float, float] | None

    @property
    def mask(self) -> BoolArray:
        """(Y,X) bool: probability above 0.5."""
        return self.grey > 127

    @property
    def probability(self) -> FloatArray:
        """(Y,X) float32 in [0,1] with far more than 256 values; its mask is the same."""
        noise = np.random.default_rng(self.grey.size).random(self.grey.shape)
        return np.minimum((self.grey + noise * 0.49) / 255.0, 1.0).astype(np.float32)


def defined(all_pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """Those in which neither mask is empty."""
    return tuple(pair for pair in all_pairs if pair.mask.any() and pair.truth.any())


@cache
def pairs() -> tuple[Pair, ...]:
    """All pairs, in order of kind."""
    return tuple(_pair(kind, number) for kind in KINDS for number in range(EACH))


def _pair(kind: str, number: int) -> Pair:
    rng = np.random.default_rng([KINDS.index(kind), number])
    height, width = int(rng.integers(24, 110)), int(rng.integers(24, 110))
    width += width == height
    truth = _drawn(kind, (height, width), rng)
    predicted = _disturbed(truth, kind, rng)
    if kind == "empty":
        truth, predicted = (
            (truth, predicted * 0) if number % 3 == 0 else (truth * 0, predicted * (number % 3 - 1))
        )
    blur = 0.0 if kind == "pixels" else float(rng.choice((0.0, 0.8, 2.0)))
    grey = predicted * 225.0
    if blur:
        grey = cv2.GaussianBlur(grey, (0, 0), blur).astype(np.float64)
    levels = np.clip(grey + rng.integers(0, 30, grey.shape), 0, 255).astype(np.uint8)
    if number % 4 == 0:  # a hard mask, as many programs write it
        levels = ((levels > 127) * 255).astype(np.uint8)
    return Pair(f"{kind} {number}", levels, truth > 0, SPACINGS[number % len(SPACINGS)])


def _drawn(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    height, width = shape
    canvas = np.zeros(shape, np.uint8)
    small = min(shape)

    def somewhere() -> tuple[int, int]:
        return int(rng.integers(width)), int(rng.integers(height))

    if kind in ("blob", "blobs", "empty", "holes"):
        for _ in range(1 if kind == "blob" else int(rng.integers(2, 6))):
            axes = int(rng.integers(3, small // 3)), int(rng.integers(3, small // 3))
            cv2.ellipse(canvas, somewhere(), axes, float(rng.integers(180)), 0, 360, 1, -1)
    if kind == "holes":
        for _ in range(4):
            cv2.circle(canvas, somewhere(), int(rng.integers(1, small // 6)), 0, -1)
    if kind == "vessels":
        for _ in range(int(rng.integers(2, 6))):
            points = np.array([somewhere() for _ in range(4)])
            cv2.polylines(canvas, [points], False, 1, int(rng.integers(1, 4)))
    if kind == "pixels":
        for _ in range(int(rng.integers(1, 4))):
            column, row = somewhere()
            canvas[row, column] = 1
    if kind == "edge":
        side = int(rng.integers(4))
        depth = int(rng.integers(1, small // 2))
        np.rot90(canvas, side)[:depth] = 1
        cv2.circle(canvas, somewhere(), int(rng.integers(2, small // 3)), 1, -1)
    if kind == "full":
        canvas[:] = 1
    return canvas


def _disturbed(truth: npt.NDArray[np.uint8], kind: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Shifted, thicker or thinner, with pieces added or missing; a quarter of full images stays full."""
    if kind == "full" and rng.random() < 0.25:
        return truth.astype(np.float64)
    down, right = (int(v) for v in rng.integers(-3, 4, 2))
    moved = np.roll(truth, (down, right), (0, 1))
    square = np.ones((3, 3), np.uint8)
    change = rng.integers(3)
    if change == 1:
        moved = cv2.dilate(moved, square).astype(np.uint8)
    if change == 2 and kind not in ("pixels", "vessels"):
        moved = cv2.erode(moved, square).astype(np.uint8)
    height, width = truth.shape
    row, column = int(rng.integers(height - 4)), int(rng.integers(width - 4))
    moved[row : row + 4, column : column + 4] = rng.integers(2)
    return moved.astype(np.float64)
