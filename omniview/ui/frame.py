"""Everything the canvas needs of a case, prepared off the UI thread.

A 4096x4096 image takes a raw image item half a second of the UI thread. So the pictures are converted here,
in a thread, into a pyramid of Qt's own pixel format, of which painting touches only what is on screen;
contours are traced here too. The functions are pure: a Case in, a frozen Frame out, and a new Frame reuses
whatever of the old one still holds.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from PyQt6.QtGui import QImage

from omniview.core.case import Case
from omniview.core.image import Array, BoolArray, Image, UInt8Array
from omniview.core.outline import Outline, trace
from omniview.core.prediction import EDGE
from omniview.ui.view import LOOKS, Layer

__all__ = [
    "Frame",
    "Level",
    "Picture",
    "picture",
    "prepare",
    "stretched_window",
    "whole_window",
]

QUICK = 2048  # longest side, in pixels, of the copy that is shown first
_SAMPLED = 250_000  # about so many pixels say how bright an image is
_SMALLEST = 512  # no level of a pyramid is made of a picture smaller than this


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One size of a picture: `image` looks into `pixels` (Y,X,4) uint8 BGRX, which must outlive it."""

    pixels: UInt8Array
    image: QImage


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image as it is painted: levels from fine to coarse, all covering `shape` (Y,X) image pixels."""

    shape: tuple[int, int]
    levels: tuple[Level, ...]

    def level(self, scale: float) -> QImage:
        """The coarsest level with a pixel for each device pixel, at `scale` device pixels an image pixel."""
        wanted = self.shape[1] * scale
        enough = [one.image for one in self.levels if one.image.width() >= wanted]
        return enough[-1] if enough else self.levels[0].image


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What to draw of one case.

    Attributes:
        picture: the image.
        outlines: contours of the layers that are masks.
        fills: per layer a pyramid of (Y,X) uint8, 0-255: coverage of a mask, of the band between the margins,
            or uncertainty; of disagreement (Y,X,2): what the specialist alone marks, and the omnimodel alone.
        sources: the arrays that each layer was made from, to recognise what can be reused.
    """

    picture: Picture
    outlines: Mapping[Layer, Outline] = field(default_factory=dict)
    fills: Mapping[Layer, tuple[UInt8Array, ...]] = field(default_factory=dict)
    sources: Mapping[Layer, tuple[Array, ...]] = field(default_factory=dict)

    def has(self, layer: Layer) -> bool:
        """Whether there is anything of `layer` to draw."""
        return layer in self.fills


def whole_window(image: Image) -> tuple[float, float]:
    """(centre, width) through which an image is shown when nobody chose another one."""
    if image.window is not None:
        return image.window
    if image.pixels.dtype == np.uint8:
        return 127.5, 255.0
    low, high = float(image.pixels.min()), float(image.pixels.max())
    return (low + high) / 2, max(high - low, 1e-6)


def stretched_window(image: Image) -> tuple[float, float]:
    """(centre, width) from the darkest to the brightest values, leaving out 1 in 500 at the upper end."""
    step = max(1, round((image.pixels.size / _SAMPLED) ** 0.5))
    sample = image.pixels[::step, ::step]
    low, high = float(sample.min()), float(np.quantile(sample, 0.998))
    return (low + high) / 2, max(high - low, 1e-6)


def picture(image: Image, window: tuple[float, float] | None = None, quick: bool = False) -> Picture:
    """The picture of an image, through `window` (centre, width) or the image's own.

    Args:
        image: the image.
        window: grey window in pixel values.
        quick: reduce to 2048 pixels first, for something to look at while the rest is prepared.
    """
    longest = max(image.shape)
    if quick and longest > QUICK:
        if window is None and image.pixels.dtype != np.uint8:
            window = whole_window(image)  # of all pixels: the reduced copy has another range
        factor = QUICK / longest
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        small = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA)
        small = small[..., None] if small.ndim == 2 else small
        return replace(picture(Image(small, window=image.window), window), shape=image.shape)
    bgrx = cv2.cvtColor(image.rgb8(window), cv2.COLOR_RGB2BGRA)
    return Picture(image.shape, tuple(_level(pixels) for pixels in _pyramid(bgrx)))


def prepare(case: Case, before: Frame, view_picture: Picture | None = None) -> Frame:
    """The frame of `case`, reusing what `before` already has of the same arrays.

    Args:
        case: the case.
        before: an older frame of the same image.
        view_picture: another picture of the image, or None to keep the old one.
    """
    fills: dict[Layer, tuple[UInt8Array, ...]] = {}
    outlines: dict[Layer, Outline] = {}
    sources = _sources(case)
    for layer, arrays in sources.items():
        known = before.sources.get(layer, ())
        if len(known) == len(arrays) and all(map(operator.is_, known, arrays)):
            fills[layer] = before.fills[layer]
            if layer in before.outlines:
                outlines[layer] = before.outlines[layer]
        else:
            fills[layer] = _pyramid(_fill(layer, arrays))
            if not LOOKS[layer].area:
                outlines[layer] = trace(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))
    return Frame(view_picture or before.picture, outlines, fills, sources)


def _sources(case: Case) -> dict[Layer, tuple[Array, ...]]:
    """The arrays behind each layer that the case has: probabilities or masks (K,Y,X)."""
    found: dict[Layer, tuple[Array, ...]] = {Layer(p.role): (p.probability,) for p in case.predictions}
    if case.fusion is not None:
        found |= {Layer.FUSED: (case.fusion.probability,), Layer.UNCERTAINTY: (case.fusion.uncertainty,)}
        if case.fusion.margin is not None:
            found[Layer.MARGIN] = case.fusion.margin
    if case.truth is not None:
        found[Layer.TRUTH] = (case.truth.mask,)
    if len(case.predictions) > 1:
        found[Layer.DISAGREEMENT] = tuple(p.probability for p in case.predictions)
    return found


def _fill(layer: Layer, arrays: tuple[Array, ...]) -> UInt8Array:
    """The finest level of a layer's fill."""
    if layer is Layer.UNCERTAINTY:
        return np.asarray(cv2.convertScaleAbs(_flat(arrays[0]), alpha=255.0), np.uint8)
    if layer is Layer.DISAGREEMENT:
        first, second = (probability > EDGE for probability in arrays)
        return np.dstack([_coverage(first & ~second), _coverage(second & ~first)])
    if layer is Layer.MARGIN:
        inner, outer = arrays
        return _coverage(outer & ~inner)
    return _coverage(arrays[0] > EDGE)


def _coverage(mask: BoolArray) -> UInt8Array:
    """(K,Y,X) bool to (Y,X), 255 where there is any label."""
    flat: UInt8Array = np.where(_flat(mask), np.uint8(255), np.uint8(0))
    return flat


def _flat(maps: Array) -> Array:
    """(K,Y,X) to (Y,X): the largest value of any label."""
    flat: Array = maps[0] if len(maps) == 1 else maps.max(axis=0)
    return flat


def _pyramid(array: Array) -> tuple[UInt8Array, ...]:
    """The array and its halves, quarters, ... by area averaging."""
    levels: list[UInt8Array] = [np.asarray(array, np.uint8)]
    while max(levels[-1].shape[:2]) >= 2 * _SMALLEST:
        height, width = levels[-1].shape[:2]
        half = cv2.resize(levels[-1], (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    return tuple(levels)


def _level(pixels: UInt8Array) -> Level:
    height, width = pixels.shape[:2]
    # PyQt takes any buffer, its type information says bytes
    image = QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGB32)  # type: ignore[call-overload]
    return Level(pixels, image)
