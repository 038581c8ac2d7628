"""A small picture of a case with the outlines of all its masks: nobody trusts a number unseen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.case import Case
from omniview.core.image import Array, FloatArray, UInt8Array
from omniview.core.looks import LOOKS, ORDER, Layer
from omniview.core.outline import FIXED_BITS, Outline, dashes, fixed_point, trace

__all__ = ["SIDE", "thumbnail"]

SIDE = 240
"""Longer side of a thumbnail in pixels, unless told otherwise: sharp in print at 4 cm, 10 to 20 kB."""

_DETAIL = 2  # masks are traced at so many points a pixel: smooth lines, and cheap
_JPEG_QUALITY = 85
_DASH, _GAP = 4.0, 3.0  # pixels of the thumbnail
_NARROW = 5.0  # pixels of the thumbnail: casings around thinner structures would hide them
_CASING = 0.6  # opacity of the dark border that lifts a line off any tissue
_WIDE = {Layer.FUSED: 2}  # pixels; the other lines are 1 wide, so that the fused mask shows beside them


@dataclass(frozen=True, slots=True)
class _Line:
    layer: Layer
    outline: Outline


def thumbnail(case: Case, side: int = SIDE) -> bytes:
    """The image, shrunk or enlarged, under cased outlines of truth, models and fused mask as in the window.

    Args:
        case: with or without truth, predictions, fusion.
        side: longer side of the picture in pixels.

    Returns:
        A JPEG, the same bytes for the same case.

    Raises:
        ValueError: side is less than 8.
    """
    if side < 8:
        raise ValueError(f"side must be 8 or more, got {side}")
    height, width = case.image.shape
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = _picture(case, size)
    lines = [_Line(layer, _traced(maps, size)) for layer, maps in _maps(case)]
    slim = min((one.outline.breadth / _DETAIL for one in lines if len(one.outline.points)), default=side)
    if slim >= _NARROW:
        shade = np.zeros(canvas.shape[:2], np.uint8)
        for one in lines:
            _draw(shade, one, (255,), _WIDE.get(one.layer, 1) + 2)
        left = np.float32(1.0) - shade[..., None] * np.float32(_CASING / 255.0)
        canvas = np.rint(canvas * left).astype(np.uint8)
    for one in lines:
        red, green, blue = LOOKS[one.layer].colour
        _draw(canvas, one, (blue, green, red), _WIDE.get(one.layer, 1) if slim >= _NARROW else 1)
    # whole colours for every pixel: else lines of one pixel turn grey
    options = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    colours = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    _, encoded = cv2.imencode(".jpg", canvas, (*options, *colours))
    return encoded.tobytes()


def _picture(case: Case, size: tuple[int, int]) -> UInt8Array:
    """(height,width,3) uint8 BGR."""
    pixels = case.image.rgb8()
    shrunk = size[0] < pixels.shape[1]
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), np.uint8)


def _maps(case: Case) -> list[tuple[Layer, Array]]:
    """What is outlined, the lowest first: (K,Y,X) probabilities or masks."""
    found: dict[Layer, Array] = {Layer(p.role): p.probability for p in case.predictions}
    if case.fusion is not None:
        found[Layer.FUSED] = case.fusion.probability
    if case.truth is not None:
        found[Layer.TRUTH] = case.truth.mask
    return [(layer, found[layer]) for layer in ORDER if layer in found]


def _traced(maps: Array, size: tuple[int, int]) -> Outline:
    """The outlines in `_DETAIL` points a pixel of the thumbnail."""
    fine = (size[0] * _DETAIL, size[1] * _DETAIL)
    planes: list[FloatArray] = []
    for plane in maps:
        values = plane.astype(np.float32, copy=False)
        shrunk = fine[0] < plane.shape[1]
        small = cv2.resize(values, fine, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
        planes.append(np.asarray(small, np.float32))
    return trace(np.stack(planes), finest=1)


def _draw(canvas: UInt8Array, line: _Line, colour: tuple[int, ...], thickness: int) -> None:
    outline, look = line.outline, LOOKS[line.layer]
    points = outline.points / np.float32(_DETAIL) - np.float32(0.5)  # OpenCV counts pixel centres
    ends = zip(outline.starts, outline.starts[1:], strict=False)
    pieces = [points[a:b] for a, b in ends]
    if look.dashed:
        pieces = [part for piece in pieces for part in dashes(piece, _DASH, _GAP)]
    if pieces:
        fixed = [fixed_point(piece) for piece in pieces]
        cv2.polylines(canvas, fixed, not look.dashed, colour, thickness, cv2.LINE_AA, FIXED_BITS)
