"""A small picture of a case with the outlines of all its masks: nobody trusts a number unseen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.case import Case
from omniview.core.image import Array, FloatArray, UInt8Array
from omniview.core.looks import LOOKS, ORDER, Layer
from omniview.core.outline import FIXED_BITS, Outline, dashes, fixed_point, trace

__all__ = ["SIDE", "thumbnail"]

SIDE = 240
"""Longer side of a thumbnail in pixels, unless told otherwise: sharp in print at 4 cm, 10 to 20 kB."""

_DETAIL = 2  # pixels that are drawn for each pixel of the thumbnail, so that thin lines keep their colour
_MARGIN = 4  # pixels of the thumbnail around the lines' middles: more than half of their width
_JPEG_QUALITY = 85
_TOLERANCE = 0.75  # drawn pixels by which lines may differ: every corner of a line takes time
_DASH, _GAP = 9.0, 6.0  # drawn pixels, as all that follows
_NARROW = 10.0  # casings around thinner structures would hide them
_CASING, _BORDER = 0.55, 2  # opacity and total width of the dark border that lifts a line off any tissue
_WIDTH, _WIDE = 3, {Layer.FUSED: 7}  # the fused mask shows beside the other lines
_LEFT = np.rint(255.0 - _CASING * np.arange(256)).astype(
    np.uint8
)  # of the light, where the casing is so dense


@dataclass(frozen=True, slots=True)
class _Line:
    layer: Layer
    outline: Outline
    pieces: list[npt.NDArray[np.int32]]

    @property
    def narrow(self) -> bool:
        """Whether a broad line would hide what it goes round."""
        return self.outline.breadth < _NARROW

    @property
    def width(self) -> int:
        """In drawn pixels, without its casing."""
        return 1 if self.narrow else _WIDE.get(self.layer, _WIDTH)


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
    small = _picture(case, size)
    _outline(small, _lines(case, (size[0] * _DETAIL, size[1] * _DETAIL)))
    # whole colours for every pixel: else lines of one pixel turn grey
    options = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    colours = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    _, encoded = cv2.imencode(".jpg", small, (*options, *colours))
    return encoded.tobytes()


def _picture(case: Case, size: tuple[int, int]) -> UInt8Array:
    """(height,width,3) uint8 BGR."""
    pixels = case.image.rgb8()
    # up to there linear interpolation leaves no pixel out, and takes a fifth of the time
    shrunk = 2 * size[0] < pixels.shape[1]
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), np.uint8)


def _outline(small: UInt8Array, lines: list[_Line]) -> None:
    """Draw lines into the picture. Only the part that they are in is enlarged for that, and shrunk again."""
    drawn = [one for one in lines if one.pieces]
    if not drawn:
        return
    left, top, width, height = cv2.boundingRect(np.concatenate([p for one in drawn for p in one.pieces]))
    margin, step = _MARGIN, _DETAIL << FIXED_BITS
    columns = slice(max(0, left // step - margin), (left + width) // step + margin)
    rows = slice(max(0, top // step - margin), (top + height) // step + margin)
    part = small[rows, columns]
    size = (part.shape[1] * _DETAIL, part.shape[0] * _DETAIL)
    # each pixel becomes four of its own: where there is no line, shrinking gives it back as it was
    canvas = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    corner = np.array([columns.start * step, rows.start * step], np.int32)
    drawn = [replace(one, pieces=[piece - corner for piece in one.pieces]) for one in drawn]
    # each by itself: a speck that one model found must not make the truth a hair
    if broad := [one for one in drawn if not one.narrow]:
        _darken(canvas, broad)
    for one in drawn:
        red, green, blue = LOOKS[one.layer].colour
        _draw(canvas, one, (blue, green, red), one.width, cv2.LINE_AA)
    small[rows, columns] = cv2.resize(canvas, part.shape[1::-1], interpolation=cv2.INTER_AREA)


def _maps(case: Case) -> list[tuple[Layer, Array]]:
    """What is outlined, the lowest first: (K,Y,X) probabilities or masks."""
    found: dict[Layer, Array] = {Layer(p.role): p.probability for p in case.predictions}
    if case.fusion is not None:
        found[Layer.FUSED] = case.fusion.probability
    if case.truth is not None:
        found[Layer.TRUTH] = case.truth.mask
    return [(layer, found[layer]) for layer in ORDER if layer in found]


def _traced(maps: Array, size: tuple[int, int]) -> Outline:
    """The outlines in drawn pixels."""
    planes: list[FloatArray] = []
    for plane in maps:
        values = plane.astype(np.float32, copy=False)
        shrunk = size[0] < plane.shape[1]
        small = cv2.resize(values, size, interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
        planes.append(np.asarray(small, np.float32))
    whole = planes[0][None] if len(planes) == 1 else np.stack(planes)
    return trace(whole, finest=1, tolerance=_TOLERANCE)


def _lines(case: Case, size: tuple[int, int]) -> list[_Line]:
    """All outlines, the lowest first; a map that two layers share is traced once, such as a lone answer's."""
    traced: dict[int, Outline] = {}  # by where the map lies in memory
    lines = []
    for layer, maps in _maps(case):
        place = maps.ctypes.data
        if place not in traced:
            traced[place] = _traced(maps, size)
        lines.append(_Line(layer, traced[place], _pieces(layer, traced[place])))
    return lines


def _pieces(layer: Layer, outline: Outline) -> list[npt.NDArray[np.int32]]:
    """What is drawn of an outline, contours or dashes, in OpenCV's fixed-point coordinates."""
    points = outline.points - np.float32(0.5)  # OpenCV counts pixel centres
    pieces = [points[a:b] for a, b in pairwise(outline.starts)]
    if LOOKS[layer].dashed:
        pieces = [part for piece in pieces for part in dashes(piece, _DASH, _GAP)]
    if not pieces:
        return []
    return np.split(fixed_point(np.concatenate(pieces)), np.cumsum([len(piece) for piece in pieces])[:-1])


def _darken(canvas: UInt8Array, lines: list[_Line]) -> None:
    """Make the picture darker where lines are to come."""
    shade = np.zeros(canvas.shape[:2], np.uint8)
    for one in lines:
        # shrinking smooths the rim of a dark border well enough
        _draw(shade, one, (255,), one.width + _BORDER, cv2.LINE_8)
    light = cv2.LUT(shade, _LEFT)
    cv2.multiply(canvas, cv2.merge((light, light, light)), canvas, scale=1.0 / 255.0)


def _draw(canvas: UInt8Array, line: _Line, colour: tuple[int, ...], thickness: int, kind: int) -> None:
    closed = not LOOKS[line.layer].dashed
    cv2.polylines(canvas, line.pieces, closed, colour, thickness, kind, FIXED_BITS)
