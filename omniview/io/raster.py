"""PNG, JPEG, BMP, WebP, GIF and PNM, all through Pillow.

One library decodes every raster, because two libraries give different pixels for the same JPEG; Pillow is
the one that keeps palette indices and refuses truncated files. The one exception is stated at `_sixteen`.

What is settled here:
- EXIF orientation is applied.
- Palettes become RGB (grey where every entry is grey), CMYK becomes RGB, one bit becomes 0/255.
- 16-bit pixels stay 16-bit. Embedded colour profiles are not applied: models learnt from plain values.
- An alpha channel that is opaque everywhere is dropped; any other is composited on black, the background
  that endoscopes, ultrasound devices and fundus cameras draw around their pictures.
- Dots per inch are ignored: they are a printer's hint that editors fill in with 72 or 96, never a
  measurement of the body, so that a raster has no spacing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import cv2
import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pillow

from omniview.core.image import Array, Image
from omniview.io.decoding import check_size, decoding
from omniview.io.depth import held
from omniview.io.exif import orientation, upright
from omniview.io.frames import Frames

__all__ = ["flat", "is_turned", "open_raster", "picture", "raster_values", "values"]

# Called directly, not through PIL.Image.open, whose guard against huge pictures is a process-wide variable
# and warns instead of refusing; ours is `check_size`. Of a multi-picture JPEG the first picture is taken.
_PLUGINS: Mapping[bytes, tuple[str, Callable[[BinaryIO], ImageFile.ImageFile]]] = MappingProxyType(
    {
        b"\x89PNG": ("a PNG file", PngImagePlugin.PngImageFile),
        b"\xff\xd8": ("a JPEG file", JpegImagePlugin.JpegImageFile),
        b"BM": ("a BMP file", BmpImagePlugin.BmpImageFile),
        b"RIFF": ("a WebP file", WebPImagePlugin.WebPImageFile),
        b"GIF8": ("a GIF file", GifImagePlugin.GifImageFile),
        b"P": ("a PNM file", PpmImagePlugin.PpmImageFile),
    }
)
_COLOUR_TYPE, _RGB, _GREY_ALPHA, _RGBA = 25, 2, 4, 6  # where a PNG has it, and its values (PNG 11.2.2)
_CLIPS = (GifImagePlugin.GifImageFile, WebPImagePlugin.WebPImageFile)


def open_raster(path: Path) -> Frames:
    """The pictures of a raster file: one, or the frames of an animated GIF or WebP.

    Raises:
        UnreadableFile: missing, broken, cut short, or too large.
    """
    with _opened(path, 0) as file:
        count = int(getattr(file, "n_frames", 1)) if isinstance(file, _CLIPS) else 1

    def load(frame: int) -> Image:
        with _opened(path, frame) as file:
            pixels = _sixteen(path, file) if _is_deep_png(path) else picture(file)
            turned = orientation(file.info.get("exif", b""))
        return Image(
            upright(pixels, turned), name=path.name, source=str(path), frame=frame if count > 1 else None
        )

    return Frames(count, load)


def raster_values(path: Path, frame: int) -> Array:
    """(Y,X) values of a mask; see `values`."""
    with _opened(path, frame) as file:
        found = picture(file).max(axis=2) if _is_deep_png(path) else values(file)
        return upright(found, orientation(file.info.get("exif", b"")))


def is_turned(path: Path) -> bool:
    """Whether an EXIF mark swaps width and height of the raster at `path`."""
    with _opened(path, 0) as file:
        file.load()  # a PNG may carry the mark after its pixels
        return orientation(file.info.get("exif", b"")) >= 5


def picture(file: Pillow.Image) -> Array:
    """(Y,X,C) uint8 or uint16 pixels of a Pillow image, C 1 or 3."""
    if file.mode == "P":
        pixels = _colours(file)
        grey = (pixels[..., :3] == pixels[..., :1]).all()
        return flat(pixels[..., [0, *range(3, pixels.shape[2])]] if grey else pixels)
    if "transparency" in file.info and file.mode in ("1", "L", "RGB"):
        return flat(np.asarray(file.convert("RGBA" if file.mode == "RGB" else "LA")))
    if file.mode == "1":
        return np.asarray(file.convert("L"))[..., None]
    if file.mode.startswith("I;16") or (file.format == "PPM" and file.mode == "I"):
        return np.asarray(file).astype(np.uint16)[..., None]
    if file.mode in ("I", "F"):
        return held(np.asarray(file))[..., None]
    if file.mode in ("L", "LA", "RGB", "RGBA"):
        pixels = np.asarray(file)
        return flat(pixels if pixels.ndim == 3 else pixels[..., None])
    return np.asarray(file.convert("RGBA" if file.mode in ("RGBa", "PA", "La") else "RGB"))[..., :3]


def values(file: Pillow.Image) -> Array:
    """(Y,X) values of a mask: palette indices where the palette has colours, else the brightest channel.

    Where the alpha channel is all that varies, it is the mask.
    """
    if file.mode == "P":
        pixels = _colours(file)[..., :3]
        if not (pixels == pixels[..., :1]).all():
            return np.asarray(file)
    found: Array = picture(file).max(axis=2)
    if "A" in file.mode and found.min() == found.max():
        return np.asarray(file.getchannel("A"))
    return found


@contextmanager
def _opened(path: Path, frame: int) -> Iterator[ImageFile.ImageFile]:
    """The file, header read, at `frame`; what Pillow raises meanwhile becomes UnreadableFile."""
    with decoding(path, "a picture"), path.open("rb") as stream:
        head = stream.read(8)
        stream.seek(0)
        kind, plugin = next(found for magic, found in _PLUGINS.items() if head.startswith(magic))
        with decoding(path, kind), plugin(stream) as file:
            check_size(path, file.height, file.width)
            if frame:
                file.seek(frame)
            yield file


def _colours(file: Pillow.Image) -> Array:
    """(Y,X,3) or (Y,X,4) uint8 of a palette image."""
    return np.asarray(file.convert("RGBA" if "transparency" in file.info else "RGB"))


def flat(pixels: Array) -> Array:
    """(Y,X,C) without its alpha channel, where there is one: composited on black unless opaque everywhere."""
    channels = pixels.shape[2]
    if channels in (1, 3):
        return pixels
    colour, alpha = pixels[..., :-1], pixels[..., -1:]
    top = np.iinfo(pixels.dtype).max
    if (alpha == top).all():
        return np.ascontiguousarray(colour)
    product = colour.astype(np.uint32) * alpha
    blended: Array = ((product + top // 2) // top).astype(pixels.dtype)
    return blended


def _is_deep_png(path: Path) -> bool:
    """Whether this is a 16-bit PNG with more than one channel (bit depth at byte 24)."""
    with path.open("rb") as stream:
        head = stream.read(26)
    return head.startswith(b"\x89PNG") and head[24] == 16 and head[_COLOUR_TYPE] in (_RGB, _GREY_ALPHA, _RGBA)


def _sixteen(path: Path, file: ImageFile.ImageFile) -> Array:
    """(Y,X,C) uint16 of a 16-bit colour PNG.

    Pillow has no such mode and reduces to 8 bits, so OpenCV decodes this kind; PNG is lossless, therefore
    both agree. Pillow still decodes first, because OpenCV shows a truncated file as if it were whole.
    """
    file.load()
    stored = path.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("not a PNG that OpenCV knows")
    if pixels.shape[2] == 4:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
        return flat(pixels[..., [0, 3]] if stored[_COLOUR_TYPE] == _GREY_ALPHA else pixels)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
