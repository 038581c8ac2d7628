"""Masks that an image-output model paints: registered back to the picture that it was sent, or refused.

Such models draw a new picture. What comes back may be the mask that was asked for, or our picture with the
object coloured in; either may have another size, and be shifted or cut. A mask that cannot be laid over the
image with reason is no mask.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from omniview.core.geometry import resize
from omniview.core.image import BoolArray, FloatArray, UInt8Array, read_only
from omniview.errors import UnusableAnswer
from omniview.omnimodel.answers import Decoded
from omniview.omnimodel.boxes import Unusable

__all__ = ["painted_masks"]

_MAX_PIXELS = 4096 * 4096
_WORK = 768
"""Longer side in pixels at which pictures are compared."""
_ASPECT = 0.03
"""By how much a plain mask's aspect may differ: models round sizes to multiples of 32."""
_PLAIN = 0.97
"""Share of the pixels that must be of one of two colours for a picture to be a plain mask."""
_NEAR = 64
"""Colours as near as this in every channel are one colour: JPEG and soft edges blur it."""
_FLAT = 10
"""Half of the paint departs from its colour by no more than this; in a picture of tissue far more does."""
_FULL = 0.98
_MAX_PARTS = 1000
_MAX_SHIFT = 0.08
"""Farthest shift of an overlay, as a share of the side, that is put right."""
_LIKENESS = 0.6
"""Least correlation of edges with our picture for a picture to be ours, painted over."""
_VISIBLE = 24.0
"""Least change of colour, in levels of 255, that counts as paint."""
_AGAIN = "Ask again, or set mask_style to polygon or png."


def painted_masks(data: bytes, sent: UInt8Array, shape: tuple[int, int], labels: int) -> Decoded:
    """The mask in a picture that an omnimodel answered with. Blocks: call it in a thread.

    Args:
        data: the encoded picture.
        sent: (h,w,3) RGB, the picture that it was asked about.
        shape: (Y,X) of the mask wanted, of the same framing as `sent`.
        labels: how many labels were asked for.

    Raises:
        UnusableAnswer: not a picture, too large, neither a mask nor our picture painted over, or one that
            cannot be laid over ours.
    """
    try:
        if labels != 1:
            raise Unusable("one picture cannot tell several labels apart")
        found = _mask(_opened(data), sent)
    except Unusable as error:
        raise UnusableAnswer(f"The answer is a picture that cannot be used: {error}.", _AGAIN) from error
    soft = resize(found.mask.astype(np.float32), shape)
    mask = soft > 0.5
    parts = int(cv2.connectedComponents(mask.view(np.uint8))[0]) - 1
    if parts > _MAX_PARTS:
        raise UnusableAnswer(
            f"The answer is a picture that cannot be used: it has {parts} spots rather than objects.", _AGAIN
        )
    return Decoded(read_only(mask[None]), parts, found.notes, nothing_found=found.nothing)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A mask over the picture that was sent, in any resolution of the same framing."""

    mask: BoolArray
    notes: tuple[str, ...]
    nothing: bool = False


def _opened(data: bytes) -> UInt8Array:
    """(h,w,3) RGB of an encoded picture; its size is looked at before it is unpacked."""
    from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin
    from PIL.ImageFile import ImageFile

    # by the file's first bytes and not by Image.open, which has a limit and warnings of its own
    readers: dict[bytes, Callable[[io.BytesIO], ImageFile]] = {
        b"\x89PNG": PngImagePlugin.PngImageFile,
        b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
        b"RIFF": WebPImagePlugin.WebPImageFile,
    }
    reader = next((reader for start, reader in readers.items() if data.startswith(start)), None)
    if reader is None:
        raise Unusable("it is of an unknown kind")
    try:
        with reader(io.BytesIO(data)) as picture:
            width, height = picture.size
            if not 64 <= width * height <= _MAX_PIXELS or max(width, height) > 50 * min(width, height):
                raise Unusable(f"it has {width}x{height} pixels")
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as error:  # Pillow's own words for it
        raise Unusable("it is cut off or damaged") from error


def _mask(answer: UInt8Array, sent: UInt8Array) -> _Found:
    small = _reduced(answer)
    paint = _two_colours(small)
    if paint is not None:
        return _plain(answer, paint, sent)
    return _overlay(small, _reduced(sent))


def _reduced(picture: UInt8Array) -> UInt8Array:
    factor = min(1.0, _WORK / max(picture.shape))
    size = max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor))
    return resize(picture, size)


def _two_colours(picture: UInt8Array) -> UInt8Array | None:
    """The colour that is painted on black, black if there is nothing else, or None if it is neither."""
    flat = picture.reshape(-1, 3)
    dark = flat.max(axis=1) <= _NEAR
    if dark.mean() > 0.9999:
        return np.zeros(3, np.uint8)
    paint = np.median(flat[~dark], axis=0).astype(np.uint8)
    away = np.abs(flat[~dark].astype(np.int16) - paint).max(axis=1)
    near = int((away <= _NEAR).sum())
    alike = int(dark.sum()) + near >= _PLAIN * len(flat) and near >= 0.8 * len(away)
    return paint if alike and np.median(away) <= _FLAT else None


def _plain(answer: UInt8Array, paint: UInt8Array, sent: UInt8Array) -> _Found:
    """A mask as it was asked for: its framing can only be judged by its shape."""
    (h, w), (Y, X) = answer.shape[:2], sent.shape[:2]
    if abs(h * X - w * Y) > _ASPECT * w * Y:
        raise Unusable(f"a mask of {w}x{h} pixels does not fit a picture of {X}x{Y}")
    if not paint.any():
        return _Found(np.zeros((h, w), np.bool_), ("painted entirely black",), nothing=True)
    # along the axis from black to the paint's colour, half-way
    level = answer.astype(np.float32) @ paint.astype(np.float32)
    mask: BoolArray = level > 0.5 * float(np.dot(paint.astype(np.float32), paint.astype(np.float32)))
    if mask.mean() > _FULL:
        raise Unusable("it is one colour all over")
    if not mask.any():
        raise Unusable("its paint is too faint")
    return _Found(mask, ("mask painted as a picture",))


def _overlay(answer: UInt8Array, sent: UInt8Array) -> _Found:
    """Our picture with the object coloured in: laid over ours by its edges, then told apart by colour."""
    best, moved, shift = -1.0, answer, (0.0, 0.0)
    ours = _edges(sent)
    for framed in _framings(answer, (sent.shape[0], sent.shape[1])):
        (dx, dy), _ = cv2.phaseCorrelate(
            ours.astype(np.float64), _edges(framed).astype(np.float64), _hanning(ours.shape)
        )
        if abs(dx) > _MAX_SHIFT * ours.shape[1] or abs(dy) > _MAX_SHIFT * ours.shape[0]:
            dx = dy = 0.0
        back = _translated(framed, -dx, -dy)
        if (likeness := _correlation(ours, _edges(back))) > best:
            best, moved, shift = likeness, back, (dx, dy)
    if best < _LIKENESS:
        raise Unusable("it is neither a mask nor our picture painted over")
    mask = _paint(moved, sent)
    far = max(abs(shift[0]), abs(shift[1])) >= 1.0
    notes = ("mask painted over the picture", *(("picture came back shifted, laid back",) if far else ()))
    return _Found(mask, notes)


def _framings(answer: UInt8Array, size: tuple[int, int]) -> list[UInt8Array]:
    """The answer as it may lie over ours: stretched, or cut or padded to another aspect and centred."""
    (h, w), (Y, X) = answer.shape[:2], size
    framed = [resize(answer, size)]
    if abs(h * X - w * Y) > 0.01 * w * Y:
        for factor in (X / w, Y / h):
            scaled = resize(answer, (max(1, round(h * factor)), max(1, round(w * factor))))
            framed.append(_centred(scaled, size))
    return framed


def _centred(picture: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """Cut or padded with black to `size`, about the centre."""
    out = np.zeros((*size, 3), np.uint8)
    spans = []
    for have, want in zip(picture.shape[:2], size, strict=True):
        kept = min(have, want)
        spans.append((slice((want - kept) // 2, (want - kept) // 2 + kept), (have - kept) // 2, kept))
    (rows, top, height), (columns, left, width) = spans
    out[rows, columns] = picture[top : top + height, left : left + width]
    return out


def _edges(picture: UInt8Array) -> FloatArray:
    """(h,w) square root of the slightly smoothed luma's gradient, so that a few edges do not rule all."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    edges: FloatArray = np.sqrt(cv2.magnitude(across, down))
    return edges


def _hanning(shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(cv2.createHanningWindow((shape[1], shape[0]), cv2.CV_64F), np.float64)


def _translated(picture: UInt8Array, dx: float, dy: float) -> UInt8Array:
    if dx == dy == 0.0:
        return picture
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    out = cv2.warpAffine(picture, move, (picture.shape[1], picture.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8)


def _correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson's, of two maps; 0 where one of them is flat."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-6 else 0.0


def _paint(painted: UInt8Array, sent: UInt8Array) -> BoolArray:
    """Where `painted` was coloured: where it departs from ours by more than a change of tone explains."""
    a, b = painted.astype(np.float32), sent.astype(np.float32)
    # a model redraws everything a little: tone first, by the median so that the paint does not pull at it
    a -= np.median(a - b, axis=(0, 1))
    change = cv2.GaussianBlur(np.abs(a - b).max(axis=2), (0, 0), 1.0)
    eight = np.minimum(change, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(eight, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = change > max(threshold, _VISIBLE)
    if not mask.any():
        raise Unusable("nothing is painted on it")
    if float(np.median(change[mask])) < 2.5 * float(np.percentile(change[~mask], 90)):
        raise Unusable("its paint does not stand out from how the picture was redrawn")
    if mask.mean() > _FULL:
        raise Unusable("it is painted all over")
    return _filled(mask)


def _filled(mask: BoolArray) -> BoolArray:
    """An object that was only circled counts as a whole; specks go."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = cv2.drawContours(np.zeros_like(opened), outlines, -1, 1, cv2.FILLED)
    circled = int(opened.sum()) < 0.35 * int(whole.sum())
    if not opened.any():
        raise Unusable("nothing but specks is painted on it")
    return np.asarray(whole if circled else opened, np.bool_)
