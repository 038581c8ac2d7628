"""Masks that an answer carries as a picture: base64 PNG, or rows of booleans, stretched over a box."""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import zlib
from itertools import chain

import numpy as np

from omniview.core.image import UInt8Array
from omniview.omnimodel.boxes import SCALE, Box, Budget, Patch, Unusable
from omniview.omnimodel.salvage import Json

__all__ = ["grid_patch", "is_grid", "png_patch"]

MAX_MASK_PIXELS = 2048 * 2048
MAX_MASK_SIDE = 16384
_PNG = b"\x89PNG\r\n\x1a\n"
_SPACE = re.compile(r"\s+")
_URL_SAFE = str.maketrans("-_", "+/")


def png_patch(text: str, box: Box | None, shape: tuple[int, int], budget: Budget) -> Patch:
    """A base64 PNG, with or without `data:image/png;base64,`, stretched over its box.

    Raises:
        Unusable: broken base64, no PNG, a damaged or absurdly large one, or no box to put it in.
    """
    head, comma, body = text.partition(",")
    if not (comma and head.lstrip().startswith("data:")):
        body = text
    body = _SPACE.sub("", body).rstrip("=").translate(_URL_SAFE)
    if not body:
        raise Unusable("its mask is empty")
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unusable("its mask is broken base64") from error
    if not data.startswith(_PNG) or len(data) < 33 or data[12:16] != b"IHDR":
        raise Unusable("its mask is not a PNG picture")
    width, height = struct.unpack(">II", data[16:24])
    # looked at before anything is unpacked: a few kilobytes of PNG can hold gigabytes of zeros
    if not 0 < width * height <= MAX_MASK_PIXELS or max(width, height) > MAX_MASK_SIDE:
        raise Unusable(f"its mask is {width}x{height} pixels")
    place, notes = _place(box, (height, width), shape)
    # paid for as a whole before anything is unpacked
    budget.spend(width * height + _area(place))
    grey, more = _grey(data)
    return _stretched(grey, place, (*notes, *more))


def is_grid(rows: list[Json]) -> bool:
    """Rows of equal length of 0, 1 or booleans. Two columns of numbers are points, not a grid."""
    first = rows[0]
    if not isinstance(first, list) or not first or len(rows) * len(first) > MAX_MASK_PIXELS:
        return False
    if len(first) == 2 and not isinstance(first[0], bool):
        return False
    if not all(isinstance(row, list) and len(row) == len(first) for row in rows):
        return False
    return all(type(v) in (bool, int) and v in (0, 1) for v in chain.from_iterable(rows))


def grid_patch(rows: list[Json], box: Box | None, shape: tuple[int, int], budget: Budget) -> Patch:
    """A grid (see `is_grid`) stretched over its box.

    Raises:
        Unusable: no box to put it in.
    """
    grey = np.array(rows, dtype=np.uint8) * np.uint8(255)
    place, notes = _place(box, (grey.shape[0], grey.shape[1]), shape)
    budget.spend(_area(place))
    return _stretched(grey, place, (*notes, "mask given as a grid of numbers"))


def _grey(data: bytes) -> tuple[UInt8Array, tuple[str, ...]]:
    """(h,w) grey values of a PNG, and notes."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.load()
            if picture.mode in ("P", "LA", "RGBA"):
                layers = np.asarray(picture.convert("RGBA"))
                colour, alpha = layers[..., :3].max(axis=2), layers[..., 3]
                # a shape cut out of one colour, or a light shape on dark or transparent ground
                grey = alpha if colour.min() == colour.max() else np.minimum(colour, alpha)
            elif picture.mode.startswith("I"):
                wide = np.asarray(picture).astype(np.float64)
                grey = (wide * (255.0 / max(wide.max(), 1.0))).astype(np.uint8)
            else:
                grey = np.asarray(picture.convert("L"))
    except (
        OSError,
        SyntaxError,  # Pillow's own word for a broken PNG
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        OverflowError,
        EOFError,
        struct.error,
        zlib.error,
    ) as error:
        raise Unusable("its mask is a PNG that is cut off or damaged") from error
    if grey.max() == 1:
        return grey * np.uint8(255), ("mask with values 0 and 1 instead of 0 and 255",)
    return grey, ()


def _place(
    box: Box | None, size: tuple[int, int], shape: tuple[int, int]
) -> tuple[tuple[int, int, int, int], tuple[str, ...]]:
    """Top, left, bottom, right in pixels of the image, and notes, for a mask of `size` (h,w)."""
    notes: tuple[str, ...] = ()
    if box is None:
        (h, w), (Y, X) = size, shape
        if abs(h * X - w * Y) > 0.02 * w * Y:
            raise Unusable("it has no box, and its mask is not of the image's proportions")
        box, notes = Box(0.0, 0.0, SCALE, SCALE), ("mask without a box, taken for the whole image",)
    top, left, bottom, right = box.pixels(shape)
    if bottom <= top or right <= left:
        raise Unusable("its box is smaller than a pixel")
    return (top, left, bottom, right), (*box.notes, *notes)


def _area(place: tuple[int, int, int, int]) -> int:
    top, left, bottom, right = place
    return (bottom - top) * (right - left)


def _stretched(grey: UInt8Array, place: tuple[int, int, int, int], notes: tuple[str, ...]) -> Patch:
    """Resized to its place, bilinear (Pillow's, as in the provider's own example code), then above 127."""
    from PIL import Image as Pillow

    top, left, bottom, right = place
    stretched = Pillow.fromarray(grey).resize((right - left, bottom - top), Pillow.Resampling.BILINEAR)
    return Patch(top, left, np.asarray(stretched) > 127, notes)
