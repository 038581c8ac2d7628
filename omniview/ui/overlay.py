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
from PyQt6.QtCore import QRectF

from omniview.core.image import UInt8Array
from omniview.core.looks import ORDER
from omniview.core.outline import FIXED_BITS, Outline, dashes, fixed_point
from omniview.ui.frame import Frame
from omniview.ui.view import LOOKS, Layer, Style, View

__all__ = ["Viewport", "paint", "uncertainty_colours"]

_CASING = (0, 0, 0, 165)  # premultiplied BGRA of the dark border that lifts a line off any tissue
_CASING_WIDTH = 1.0  # on each side, device-independent pixels
_DASH, _GAP = 7.0, 6.0  # device-independent pixels
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
    outlined: list[Layer] = []
    for layer in ORDER:
        if view.visible(layer) and frame.has(layer):
            chosen = view.layers[layer]
            if chosen.style is Style.FILL:
                _over(canvas, _tint(frame, layer, port, chosen.opacity * _FILL))
            else:
                outlined.append(layer)
    # on vessels, a few screen pixels wide, bold lines would hide what they outline
    breadth = min((frame.outlines[layer].breadth for layer in outlined), default=0.0)
    slim = _SLIM if breadth * port.scale < _NARROW * port.ratio else 1.0
    unit = port.ratio * slim
    lines = {layer: _lines(frame.outlines[layer], port, LOOKS[layer].dashed) for layer in outlined}
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
    levels = frame.fills[layer]
    whole = levels[0].shape[1]
    wanted = whole * port.scale
    values = next((one for one in reversed(levels) if one.shape[1] >= wanted), levels[0])
    part = np.array([values.shape[1] / whole, values.shape[0] / levels[0].shape[0]])
    # from device pixel centres to the level's pixel centres
    origin = np.array([port.x, port.y]) * part - 0.5 + 0.5 * part / port.scale
    inverse = np.array([[part[0] / port.scale, 0, origin[0]], [0, part[1] / port.scale, origin[1]]])
    flags = (cv2.INTER_LINEAR if port.scale < 6 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(values, inverse, (port.width, port.height), flags=flags)
    table = np.ascontiguousarray(_table(layer, opacity)).view(np.uint32)[:, 0]
    colours: UInt8Array = table[seen].view(np.uint8).reshape(port.height, port.width, 4)
    return colours


def _over(canvas: UInt8Array, above: UInt8Array) -> None:
    """Porter and Duff's `over` on premultiplied colours, in place."""
    if canvas.any():
        keep = 255 - above[..., 3:].astype(np.uint16)
        canvas[:] = above + ((canvas * keep + 127) // 255).astype(np.uint8)
    else:
        canvas[:] = above


def _lines(outline: Outline, port: Viewport, dashed: bool) -> list[npt.NDArray[np.int32]]:
    """The contours that touch the viewport, as OpenCV's fixed-point polylines."""
    left, top, right, bottom = port.rect().getCoords()
    boxes = outline.boxes
    near = (boxes[:, 2] >= left) & (boxes[:, 0] <= right) & (boxes[:, 3] >= top) & (boxes[:, 1] <= bottom)
    points = (outline.points - np.array([port.x, port.y], np.float32)) * np.float32(port.scale) - 0.5
    pieces = [points[outline.starts[m] : outline.starts[m + 1]] for m in np.flatnonzero(near)]
    if dashed:
        dash, gap = _DASH * port.ratio, _GAP * port.ratio
        pieces = [part for piece in pieces for part in dashes(piece, dash, gap)]
    return [fixed_point(piece) for piece in pieces]


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
