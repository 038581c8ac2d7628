"""Draws the layers for the part of the image that is on screen, off the UI thread.

Qt's software rasteriser needs 50 to 200 ms for the antialiased contours of one vessel tree; OpenCV needs
10 and lets go of the interpreter meanwhile. So contours stay vectors, are drawn here at the screen's
own resolution with lines of constant width, and the UI thread copies one finished picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from PyQt6.QtCore import QRectF

from omniview.core.image import UInt8Array
from omniview.core.looks import ORDER
from omniview.core.outline import FIXED_BITS, Outline, dashes, fixed_point
from omniview.ui.frame import Frame
from omniview.ui.view import LOOKS, Layer, Style, View

__all__ = ["Viewport", "paint", "uncertainty_colours"]

_CASING = (0, 0, 0, 165)  # premultiplied BGRA of the dark border that lifts a line off any tissue
_CASING_WIDTH = 1.0  # on each side, device-independent pixels
_HATCH = 8  # from one hatching line to the next along a row, device-independent pixels
_NARROW, _SLIM = 8.0, 0.75  # below this breadth, in device-independent pixels, lines are this much thinner
_FILL = 0.4  # opacity of a fill relative to a contour's: the tissue must stay readable


@dataclass(frozen=True, slots=True)
class Viewport:
    """A part of the image on the screen.

    Attributes:
        x: image coordinate of the left edge.
        y: image coordinate of the top edge.
        scale: device pixels for one image pixel.
        width: device pixels.
        height: device pixels.
        ratio: device pixels for one device-independent pixel.
    """

    x: float
    y: float
    scale: float
    width: int
    height: int
    ratio: float = 1.0

    def rect(self) -> QRectF:
        """The same part in image coordinates."""
        return QRectF(self.x, self.y, self.width / self.scale, self.height / self.scale)


def paint(frame: Frame, view: View, port: Viewport) -> UInt8Array:
    """The visible layers over `port`.

    Returns:
        (height,width,4) uint8, premultiplied BGRA, transparent where nothing is drawn.
    """
    canvas = np.zeros((port.height, port.width, 4), np.uint8)
    if view.visible(Layer.UNCERTAINTY) and frame.has(Layer.UNCERTAINTY):
        _over(canvas, _tint(frame, Layer.UNCERTAINTY, port, view.layers[Layer.UNCERTAINTY].opacity))
    if view.visible(Layer.DISAGREEMENT) and frame.has(Layer.DISAGREEMENT):
        _over(canvas, _hatched(frame, port, view.layers[Layer.DISAGREEMENT].opacity))
    outlined: list[Layer] = []
    for layer in ORDER:
        if view.visible(layer) and frame.has(layer):
            chosen = view.layers[layer]
            if chosen.style is Style.FILL:
                _over(canvas, _tint(frame, layer, port, chosen.opacity * _FILL))
            else:
                outlined.append(layer)
    # on vessels, a few screen pixels wide, bold lines would hide what they outline
    breadths = (frame.outlines[layer].breadth for layer in outlined if len(frame.outlines[layer].points))
    breadth = min(breadths, default=0.0)
    slim = _SLIM if breadth * port.scale < _NARROW * port.ratio else 1.0
    unit = port.ratio * slim
    lines = {layer: _lines(frame.outlines[layer], port, LOOKS[layer].dash) for layer in outlined}
    for layer in outlined:
        casing = tuple(c * view.layers[layer].opacity for c in _CASING)
        width = LOOKS[layer].width + 2 * _CASING_WIDTH
        _stroke(canvas, lines[layer], casing, width * unit, closed=not LOOKS[layer].dashed)
    for layer in outlined:
        red, green, blue = LOOKS[layer].colour
        opacity = view.layers[layer].opacity
        colour = tuple(c * opacity for c in (blue, green, red, 255))
        _stroke(canvas, lines[layer], colour, LOOKS[layer].width * unit, closed=not LOOKS[layer].dashed)
    return canvas


@cache
def uncertainty_colours() -> UInt8Array:
    """(256,4) uint8 RGBA for uncertainty 0-1: viridis, fading out towards certainty so that tissue shows.

    Its yellow end is left out: yellow is the ground truth.
    """
    import pyqtgraph as pg

    colours = np.asarray(pg.colormap.get("viridis").getLookupTable(0.05, 0.85, 256), np.float64)
    level = np.linspace(0.0, 1.0, 256)
    alpha = np.clip((level - 0.2) / 0.65, 0.0, 1.0) * 255
    return np.rint(np.column_stack((colours[:, :3], alpha))).astype(np.uint8)


def _table(layer: Layer, opacity: float) -> npt.NDArray[np.uint8]:
    """(256,4) premultiplied BGRA for the values of a layer's fill."""
    if layer is Layer.UNCERTAINTY:
        rgba = uncertainty_colours().astype(np.float64)
    else:
        rgba = np.column_stack((np.tile(LOOKS[layer].colour, (256, 1)), np.arange(256))).astype(np.float64)
    alpha = rgba[:, 3:] / 255 * opacity
    return np.rint(np.column_stack((rgba[:, [2, 1, 0]] * alpha, alpha * 255))).astype(np.uint8)


def _tint(frame: Frame, layer: Layer, port: Viewport, opacity: float) -> UInt8Array:
    """A layer's fill seen through the viewport: (height,width,4) premultiplied BGRA."""
    seen = _seen(frame.fills[layer], port)
    table = np.ascontiguousarray(_table(layer, opacity)).view(np.uint32)[:, 0]
    colours: UInt8Array = table[seen].view(np.uint8).reshape(port.height, port.width, 4)
    return colours


def _hatched(frame: Frame, port: Viewport, opacity: float) -> UInt8Array:
    """What only one model marks, hatched: rising lines for the specialist, falling for the omnimodel.

    The lines have the models' colours and the image's place, so that they do not swim while it is panned.

    Returns:
        (height,width,4) uint8, premultiplied BGRA.
    """
    seen = _seen(frame.fills[Layer.DISAGREEMENT], port) > 127
    drawn = np.zeros((port.height, port.width), np.uint32)
    period = round(_HATCH * port.ratio)
    across, down = round(port.x * port.scale), round(port.y * port.scale)
    for side, layer in enumerate((Layer.SPECIALIST, Layer.OMNIMODEL)):
        inside = np.ascontiguousarray(seen[..., side])
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
        if not width:
            continue
        box = np.s_[top : top + height, left : left + width]
        row = np.tile(_hatching(layer, period, opacity), (width + height) // period + 2)
        # each row is the one above, moved by a pixel: a view of one long row is the whole pattern
        phase = (across + left + down + top) if side == 0 else (across + left - down - top - height + 1)
        pattern = sliding_window_view(row[phase % period :], width)[:height]
        np.copyto(drawn[box], pattern if side == 0 else pattern[::-1], where=inside[box])
    colours: UInt8Array = drawn.view(np.uint8).reshape(port.height, port.width, 4)
    return colours


@cache
def _hatching(layer: Layer, period: int, opacity: float) -> npt.NDArray[np.uint32]:
    """One period of a hatching across its lines, premultiplied BGRA: line, casing, then a light tint."""
    red, green, blue = LOOKS[layer].colour
    # from the middle of the line, in shares of the period; a pixel's alpha falls off over one pixel
    apart = np.abs((np.arange(period) + 0.5) / period - 0.5)
    soft = 1.0 / period
    line = np.clip((0.16 - apart) / soft + 0.5, 0.0, 1.0)
    dark = np.clip((0.30 - apart) / soft + 0.5, 0.0, 1.0) * (1.0 - line) * (_CASING[3] / 255)
    tint = (1.0 - line) * (1.0 - dark) * 0.10
    bright = (line + tint)[:, None] * np.array([blue, green, red])
    pixels = np.column_stack((bright, (line + dark + tint) * 255)) * opacity
    return np.rint(pixels).astype(np.uint8).view(np.uint32)[:, 0]


def _seen(levels: tuple[UInt8Array, ...], port: Viewport) -> UInt8Array:
    """A pyramid seen through the viewport: (height,width) uint8, or with channels."""
    whole = levels[0].shape[1]
    wanted = whole * port.scale
    values = next((one for one in reversed(levels) if one.shape[1] >= wanted), levels[0])
    part = np.array([values.shape[1] / whole, values.shape[0] / levels[0].shape[0]])
    # from device pixel centres to the level's pixel centres
    origin = np.array([port.x, port.y]) * part - 0.5 + 0.5 * part / port.scale
    inverse = np.array([[part[0] / port.scale, 0, origin[0]], [0, part[1] / port.scale, origin[1]]])
    flags = (cv2.INTER_LINEAR if port.scale < 6 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(values, inverse, (port.width, port.height), flags=flags), np.uint8)


def _over(canvas: UInt8Array, above: UInt8Array) -> None:
    """Porter and Duff's `over` on premultiplied colours, in place."""
    if canvas.any():
        keep = 255 - above[..., 3:].astype(np.uint16)
        canvas[:] = above + ((canvas * keep + 127) // 255).astype(np.uint8)
    else:
        canvas[:] = above


def _lines(outline: Outline, port: Viewport, dash: tuple[float, float] | None) -> list[npt.NDArray[np.int32]]:
    """The contours that touch the viewport, as OpenCV's fixed-point polylines."""
    left, top, right, bottom = port.rect().getCoords()
    boxes = outline.boxes
    near = (boxes[:, 2] >= left) & (boxes[:, 0] <= right) & (boxes[:, 3] >= top) & (boxes[:, 1] <= bottom)
    points = (outline.points - np.array([port.x, port.y], np.float32)) * np.float32(port.scale) - 0.5
    pieces = [points[outline.starts[m] : outline.starts[m + 1]] for m in np.flatnonzero(near)]
    if dash is not None:
        on, off = (length * port.ratio for length in dash)
        around = (-on, -on, port.width + on, port.height + on)
        pieces = [part for piece in pieces for part in dashes(piece, on, off, around)]
    if not pieces:
        return []
    # dots are many: one conversion for all of them
    return np.split(fixed_point(np.concatenate(pieces)), np.cumsum([len(piece) for piece in pieces])[:-1])


def _stroke(
    canvas: UInt8Array,
    lines: list[npt.NDArray[np.int32]],
    colour: tuple[float, ...],
    width: float,
    closed: bool,
) -> None:
    if lines:
        thickness = max(1, round(width))
        cv2.polylines(canvas, lines, closed, colour, thickness, cv2.LINE_AA, FIXED_BITS)
