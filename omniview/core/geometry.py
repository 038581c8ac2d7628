"""How an image gets into a network's input and how the network's maps get back onto the image's own grid.

Every way in has its exact way out beside it, so that a mask never shifts. One convention holds throughout:
pixel centres lie at half-integers, so that image and input cover the same rectangle edge to edge. Shrinking
averages areas (no aliasing), enlarging is linear; where one axis shrinks and the other grows, each axis is
treated for itself. Values never leave the range of those that came in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from omniview.core.image import Array, FloatArray
from omniview.core.tiling import Tiling, tiles

__all__ = [
    "VIEWS",
    "Placement",
    "Tiling",
    "View",
    "letterbox",
    "rescale",
    "resize",
    "resize_maps",
    "stretch",
    "tiles",
]


def resize(pixels: Array, size: tuple[int, int]) -> Array:
    """Resample to `size`, edge to edge.

    Args:
        pixels: (Y,X) or (Y,X,C), uint8, uint16 or float32.
        size: (h,w).

    Returns:
        (h,w) or (h,w,C) of the same dtype; the input itself where the size is already right.
    """
    (Y, X), (h, w) = pixels.shape[:2], size
    if h < 1 or w < 1:
        raise ValueError(f"size must be at least one pixel each way, got {size}")
    # OpenCV's area interpolation means something else once either axis grows
    shrunk = _interpolate(pixels, (min(h, Y), min(w, X)), cv2.INTER_AREA)
    return _interpolate(shrunk, size, cv2.INTER_LINEAR)


def _interpolate(pixels: Array, size: tuple[int, int], how: int) -> Array:
    if pixels.shape[:2] == size:
        return pixels
    out: Array = cv2.resize(np.ascontiguousarray(pixels), (size[1], size[0]), interpolation=how)
    return out.reshape(*size, *pixels.shape[2:])  # OpenCV drops a last axis of one


def resize_maps(maps: FloatArray, size: tuple[int, int]) -> FloatArray:
    """`resize` of (K,h,w) float32 maps; rounding cannot push a value out of the range of its map."""
    if maps.shape[1:] == size:
        return maps
    out = np.empty((len(maps), *size), np.float32)
    (h, w), (Y, X) = size, maps.shape[1:]
    for source, target in zip(maps, out, strict=True):
        if h >= Y and w >= X:  # written in place: new memory costs more than the arithmetic
            cv2.resize(np.ascontiguousarray(source), (w, h), dst=target, interpolation=cv2.INTER_LINEAR)
        else:
            target[:] = resize(source, size)
        np.clip(target, source.min(), source.max(), out=target)
    return out


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the image lies within a network's input.

    Attributes:
        shape: (Y,X) of the image.
        size: (h,w) of the network's input.
        box: (top, left, height, width) of the image within the input, in input pixels.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    box: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        top, left, height, width = self.box
        inside = top >= 0 and left >= 0 and top + height <= self.size[0] and left + width <= self.size[1]
        if min(*self.shape, height, width) < 1 or not inside:
            raise ValueError(f"Placement.box must lie within size and not be empty, got {self}")

    def inverse(self, maps: FloatArray) -> FloatArray:
        """Bring the network's maps back onto the image's grid.

        Args:
            maps: (K,h,w) float32.

        Returns:
            (K,Y,X) float32: padding cut away, then resampled edge to edge.
        """
        if maps.ndim != 3 or maps.shape[1:] != self.size:
            raise ValueError(f"maps must be (K,{self.size[0]},{self.size[1]}), got {maps.shape}")
        top, left, height, width = self.box
        return resize_maps(maps[:, top : top + height, left : left + width], self.shape)


def _shape(pixels: Array) -> tuple[int, int]:
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be (Y,X,C) and not empty, got {pixels.shape}")
    return pixels.shape[0], pixels.shape[1]


def stretch(pixels: Array, size: tuple[int, int]) -> tuple[Array, Placement]:
    """Fill `size` (h,w) with the image (Y,X,C), whatever that does to its aspect."""
    shape = _shape(pixels)
    return resize(pixels, size), Placement(shape, size, (0, 0, *size))


def letterbox(pixels: Array, size: tuple[int, int]) -> tuple[Array, Placement]:
    """Fit the image (Y,X,C) into `size` (h,w), aspect kept to the nearest pixel, centred, zeros around it."""
    shape = _shape(pixels)
    factor = min(size[0] / shape[0], size[1] / shape[1])
    height, width = (max(1, round(n * factor)) for n in shape)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    placement = Placement(shape, size, (top, left, height, width))
    out = np.zeros((*size, pixels.shape[2]), pixels.dtype)
    out[top : top + height, left : left + width] = resize(pixels, (height, width))
    return out, placement


def rescale(pixels: Array, long_side: int) -> tuple[Array, Placement]:
    """Resample the image (Y,X,C) so that its longer side has `long_side` pixels, aspect kept."""
    shape = _shape(pixels)
    factor = long_side / max(shape)
    return stretch(pixels, (max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))))


_TURNS: Mapping[str, tuple[Callable[[Array], Array], str]] = MappingProxyType(
    {
        # name -> what it does to the first two axes, name of its inverse
        "identity": (lambda a: a, "identity"),
        "hflip": (lambda a: a[:, ::-1], "hflip"),
        "vflip": (lambda a: a[::-1], "vflip"),
        "rot90": (lambda a: a.swapaxes(0, 1)[::-1], "rot270"),
        "rot180": (lambda a: a[::-1, ::-1], "rot180"),
        "rot270": (lambda a: a.swapaxes(0, 1)[:, ::-1], "rot90"),
        "transpose": (lambda a: a.swapaxes(0, 1), "transpose"),
        "antitranspose": (lambda a: a[::-1, ::-1].swapaxes(0, 1), "antitranspose"),
    }
)
_QUICKLY: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        # the same by OpenCV, which moves whole pixels: colour pictures in a thirtieth of the time
        "hflip": lambda a: cv2.flip(a, 1),
        "vflip": lambda a: cv2.flip(a, 0),
        "rot90": lambda a: cv2.rotate(a, cv2.ROTATE_90_COUNTERCLOCKWISE),
        "rot180": lambda a: cv2.flip(a, -1),
        "rot270": lambda a: cv2.rotate(a, cv2.ROTATE_90_CLOCKWISE),
        "transpose": cv2.transpose,
        "antitranspose": lambda a: cv2.flip(cv2.transpose(a), -1),
    }
)


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at an image again (test-time augmentation), with the way back.

    Mirrorings and quarter turns move pixels and change none; quarter turns and transpositions of a
    non-square array swap its sides. A scale zooms about the centre and keeps the array's size: below 1 the
    image shrinks and is mirrored beyond its border, above 1 its middle is enlarged. The zoomed box is
    centred on whole pixels, so the factor that really applies is the nearest one that allows this.

    Attributes:
        name: steps joined by "+", applied from left to right, e.g. "hflip+scale1.15".
        steps: each a name of a turn or mirroring, or a factor.
    """

    name: str
    steps: tuple[str | float, ...]

    @classmethod
    def parse(cls, name: str) -> View:
        """The view that `name` describes.

        Raises:
            ValueError: an unknown step, or a scale outside [0.25, 4].
        """
        return cls(name, tuple(_step(part.strip()) for part in name.split("+")))

    def apply(self, batch: Array) -> Array:
        """Look at (..., h, w, C) through this view; contiguous, same dtype, perhaps `batch` itself."""
        if batch.ndim < 3:
            raise ValueError(f"batch must be (...,h,w,C), got {batch.shape}")
        flat = batch.reshape(-1, *batch.shape[-3:])
        for step in self._moves:
            flat = _stacked([_seen(step, picture) for picture in flat])
        return np.ascontiguousarray(flat.reshape(*batch.shape[:-3], *flat.shape[1:]))

    def inverse(self, maps: Array) -> Array:
        """Bring maps (..., h, w) of the view back onto the grid that `apply` was given.

        What an enlarging view has cropped away is filled with the nearest value that it saw.
        """
        if maps.ndim < 2:
            raise ValueError(f"maps must be (...,h,w), got {maps.shape}")
        flat = maps.reshape(-1, *maps.shape[-2:])
        for step in reversed(self._moves):
            flat = _stacked([_unseen(step, picture) for picture in flat])
        return np.ascontiguousarray(flat.reshape(*maps.shape[:-2], *flat.shape[1:]))

    @property
    def _moves(self) -> tuple[str | float, ...]:
        """The steps that change anything."""
        return tuple(step for step in self.steps if step != "identity")


def _step(part: str) -> str | float:
    if part in _TURNS:
        return part
    try:
        factor = float(part.removeprefix("scale"))
    except ValueError:
        factor = 0.0
    if not (part.startswith("scale") and 0.25 <= factor <= 4.0):
        known = ", ".join(_TURNS)
        raise ValueError(
            f"view must be made of {known} or a scale within [0.25, 4] like scale0.85, got {part!r}"
        )
    return factor


def _stacked(pictures: list[Array]) -> Array:
    return pictures[0][None] if len(pictures) == 1 else np.stack(pictures)


def _turned(name: str, picture: Array) -> Array:
    if picture.dtype in (np.uint8, np.float32) and (picture.ndim == 2 or picture.shape[2] == 3):
        return _QUICKLY[name](picture)
    return _TURNS[name][0](picture)


def _seen(step: str | float, picture: Array) -> Array:
    if isinstance(step, str):
        return _turned(step, picture)
    shape, box = picture.shape[:2], _zoomed(picture.shape, step)
    if step <= 1.0:
        return _reach(resize(picture, box), shape, "reflect")
    return resize(_middle(picture, box), (shape[0], shape[1]))


def _unseen(step: str | float, picture: Array) -> Array:
    if isinstance(step, str):
        return _turned(_TURNS[step][1], picture)
    shape, box = picture.shape, _zoomed(picture.shape, step)
    if step <= 1.0:
        return resize(_middle(picture, box), (shape[0], shape[1]))
    return _reach(resize(picture, box), shape, "edge")


def _zoomed(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Size of the smaller of the two boxes that a zoom maps onto each other; leaves even margins."""
    ratio = min(factor, 1.0 / factor)
    height, width = (n - 2 * min(round(n * (1.0 - ratio) / 2), (n - 1) // 2) for n in shape[:2])
    return height, width


def _middle(picture: Array, box: tuple[int, int]) -> Array:
    top, left = (picture.shape[0] - box[0]) // 2, (picture.shape[1] - box[1]) // 2
    return picture[top : top + box[0], left : left + box[1]]


def _reach(picture: Array, shape: tuple[int, ...], mode: Literal["reflect", "edge"]) -> Array:
    down, across = (shape[0] - picture.shape[0]) // 2, (shape[1] - picture.shape[1]) // 2
    return np.pad(picture, ((down, down), (across, across), *[(0, 0)] * (picture.ndim - 2)), mode=mode)


VIEWS: Mapping[str, View] = MappingProxyType({name: View(name, (name,)) for name in _TURNS})
"""The eight ways to mirror and turn a square, by name."""
