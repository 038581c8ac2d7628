"""Text that is burned into pixels: found, blacked out, and looked for again.

Names, dates and hospitals are written into many ultrasound and endoscopy pictures, and no header says so
reliably. The detector is the text detection network of PP-OCR out of the wheel of `rapidocr` (the extra
`ocr`); only its file is used. It runs in a session like all other networks here: no socket, no log, no
telemetry. Nothing is read, so nobody's name ever stands in memory as text.

The network was made for documents. Overlays of a few pixels' height are found because pictures are enlarged
several times, because thin bright strokes are also shown alone (a top-hat) and the picture as a negative, and
because too much is rather blacked than too little.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import cv2
import numpy as np

from omniview.core.image import Array, BoolArray, FloatArray
from omniview.inference.session import Session, open_session

__all__ = ["LONGEST", "Blackened", "Box", "TextFinder", "installed_detector", "shared_finder"]

Box: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two exclusive."""

_ENLARGED = (1.5, 2.0, 3.0)
_ENLARGED_INVERTED = (2.0,)
_ENLARGED_AGAIN = (1.75, 2.5)
"""Scales of the first look, of its negative, of later looks: letters of 6 to 30 pixels become 15 to 50."""
LONGEST = 2048
"""Pixels. A larger picture is looked at reduced to this, and must not leave at a finer scale."""
_EDGE, _PEAK, _PEAK_AGAIN = 0.3, 0.5, 0.9
"""Text is where the map is above the first, if it is above the second somewhere; above the third after
blacking, since corners of black boxes look a little like letters themselves."""
_UNCLIP = 1.6
"""The network marks the core of each text; its box grows by area / perimeter times this, as DBNet has it."""
_MARGIN = 3
_MEAN = 0.43
"""Least mean of the map over a text: bright lines of tissue stay below it."""
_RIM = 6
"""Pixels. A box that comes so near to the picture's edge reaches it: what is cut off there goes on to it."""
_TALLEST = 0.07
"""Of the picture's shorter side. What is larger both ways is texture, or the picture's own frame."""
_TALLEST_AT_LEAST = 30
"""Pixels. In a low strip, letters of an ordinary height are a large share of the shorter side."""
_BORDER = 16
"""Empty pixels around the picture while it is looked at: letters that touch its edge would be missed."""
_STROKE = 9
"""Pixels. What is thinner than this is a stroke."""
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Blackened:
    """A picture without its burned-in text.

    Attributes:
        pixels: (Y,X,3) uint8, text set to 0.
        boxes: around each connected black area.
        clean: whether the last look found nothing more.
    """

    pixels: Array
    boxes: tuple[Box, ...]
    clean: bool


def installed_detector() -> Path | None:
    """The detection network in the wheel of rapidocr, or None where the extra `ocr` is not installed."""
    found = importlib.util.find_spec("rapidocr")  # finds a top-level package without running any of it
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        for path in sorted(Path(place, "models").glob("*_det_*.onnx")):
            return path
    return None


@cache
def shared_finder(model: Path) -> TextFinder:
    """One finder for the whole program: the network is loaded once, and what was found is remembered."""
    return TextFinder(model)


class TextFinder:
    """Finds and blacks out text; safe among threads, one picture at a time.

    Args:
        model: the detection network: input (N,3,h,w) in [-1,1], sides divisible by 32; output (N,1,h,w).
        threads: CPU threads; 0 leaves one core free.
    """

    _REMEMBERED = 8

    def __init__(self, model: Path, *, threads: int = 0) -> None:
        self._model = model
        self._threads = threads
        self._session: Session | None = None
        self._known: dict[tuple[int, bytes], Blackened] = {}
        self._lock = Lock()

    def blacken(self, rgb: Array) -> Blackened:
        """Black out all text, look again with other scales, and black out what is left.

        Blocks for a second or so the first time, and not at all when the same picture comes again.

        Args:
            rgb: (Y,X,3) uint8.

        Raises:
            WeightsError: the network cannot be loaded.
            InferenceError: it failed.
        """
        import hashlib

        rgb = np.ascontiguousarray(rgb)
        key = rgb.shape[0], hashlib.sha256(rgb.data).digest()
        with self._lock:
            if key not in self._known:
                while len(self._known) >= self._REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[key] = self._blacken(rgb)
            return self._known[key]

    def find(self, rgb: Array, *, again: bool = False) -> BoolArray:
        """Where text is: (Y,X) bool, made of upright rectangles.

        Args:
            rgb: (Y,X,3) uint8.
            again: the picture was blacked before: look at other scales, and only for what is plainly text.
        """
        found = np.zeros(rgb.shape[:2], np.uint8)
        looks: list[tuple[Array, Sequence[float], int]] = [(rgb, _ENLARGED_AGAIN, 0)]
        if not again:
            looks = [
                (rgb, _ENLARGED, 0),
                (_strokes(rgb), _ENLARGED, 0),
                (255 - rgb, _ENLARGED_INVERTED, 255),
            ]
        for picture, scales, ground in looks:
            for scale in _fitting(scales, max(rgb.shape[:2])):
                _mark(found, self._map(picture, scale, ground), 1 / scale, _PEAK_AGAIN if again else _PEAK)
        return found.astype(np.bool_)

    def _blacken(self, rgb: Array) -> Blackened:
        black = self.find(rgb)
        pixels, clean = rgb, False
        for _ in range(_ROUNDS):
            pixels = np.where(black[..., None], np.uint8(0), rgb)
            new = self.find(pixels, again=True) & ~black
            clean = not _substantial(new)
            if clean:
                break
            black |= new
        pixels.setflags(write=False)
        return Blackened(pixels, _outlines(black), clean)

    def _map(self, rgb: Array, scale: float, ground: int) -> FloatArray:
        """Probability of text at `scale` over the picture, which is framed by `ground` meanwhile."""
        if self._session is None:
            self._session = open_session(self._model, device="cpu", threads=self._threads)
        edge = round(_BORDER * scale)
        height, width = (max(1, round(n * scale)) for n in rgb.shape[:2])
        enlarged = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
        bottom, right = (-(n + 2 * edge) % 32 + edge for n in (height, width))
        framed = cv2.copyMakeBorder(
            enlarged, edge, bottom, edge, right, cv2.BORDER_CONSTANT, value=(ground,) * 3
        )
        planes = framed[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        (name,) = self._session.inputs
        out = self._session.run({name: planes})[0][0, 0]
        return np.ascontiguousarray(out[edge : edge + height, edge : edge + width])


def _fitting(scales: Sequence[float], side: int) -> Iterator[float]:
    """The scales at which a picture of `side` stays below the limit, and the limit itself for large ones."""
    fit = [scale for scale in scales if side * scale <= LONGEST]
    if len(fit) < min(2, len(scales)):
        fit = [scale * LONGEST / side / max(scales) for scale in scales[-2:]]
    yield from fit


def _strokes(rgb: Array) -> Array:
    """Thin bright strokes alone, enhanced: (Y,X,3) uint8."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_STROKE, _STROKE))
    strokes = cv2.morphologyEx(rgb.max(axis=2), cv2.MORPH_TOPHAT, kernel)
    return cv2.merge([cv2.convertScaleAbs(strokes, alpha=4)] * 3)


def _mark(found: Array, text: FloatArray, factor: float, least: float) -> None:
    """Set in `found` (Y,X) uint8 what the map `text` shows; its pixels are `factor` of `found` large.

    What never reaches `least` is no text.
    """
    rows, columns = found.shape
    core = (text > _EDGE).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core)
    peaks, inside = np.zeros(count, np.float32), core > 0
    np.maximum.at(peaks, labels[inside].astype(np.intp), text[inside])
    sums = np.bincount(labels.ravel(), text.ravel(), count)
    # a second look's coarse marks in small pictures are the corners of black boxes
    tallest = max(_TALLEST * min(rows, columns), 0 if least == _PEAK_AGAIN else _TALLEST_AT_LEAST)
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[label])
        if peaks[label] < least or sums[label] < _MEAN * area or min(width, height) * factor > tallest:
            continue
        grow = _UNCLIP * width * height / (2 * (width + height)) * factor + _MARGIN
        across = _span(x * factor - grow, (x + width) * factor + grow, columns)
        down = _span(y * factor - grow, (y + height) * factor + grow, rows)
        found[down, across] = 1


def _span(start: float, stop: float, length: int) -> slice:
    """Whole pixels of a stretch, on to the edge where it comes near."""
    first = 0 if start < _RIM else int(np.floor(start))
    return slice(first, length if stop > length - _RIM else int(np.ceil(stop)))


def _substantial(new: BoolArray) -> bool:
    """Whether what was found on a second look is more than the rim of what is black already."""
    return bool(cv2.erode(new.astype(np.uint8), np.ones((3, 3), np.uint8)).any())


def _outlines(black: BoolArray) -> tuple[Box, ...]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(black.astype(np.uint8))
    return tuple((x, y, x + width, y + height) for x, y, width, height, _ in stats[1:].tolist())
