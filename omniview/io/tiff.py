"""TIFF: each page is a frame.

tifffile reads what it can decode by itself (raw, deflate, packbits, every layout and depth). The other
compressions (LZW, JPEG, fax) are left to Pillow where pages are 8-bit or grey, and to OpenCV for 16-bit
colour, which Pillow would reduce to 8 bits.

The resolution tags are ignored, as in rasters: most programs fill them in with a printer's 72 or 96.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from omniview.core.image import Array, Image
from omniview.errors import UnreadableFile
from omniview.io.decoding import check_size, decoding
from omniview.io.depth import held
from omniview.io.exif import upright
from omniview.io.frames import Frames
from omniview.io.raster import flat, picture, values

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

__all__ = ["open_tiff", "tiff_values"]

_KIND = "a TIFF file"
_ORIENTATION = 274
_REDUCED_OR_MASK = 0b101  # bits of NewSubfileType


def open_tiff(path: Path) -> Frames:
    """The pages of a TIFF; thumbnails and transparency masks are left out.

    A stack that is stored behind a single page (large ImageJ files) counts as its planes. Channels that are
    planes of their own, as in ImageJ and OME files, are frames.

    Raises:
        UnreadableFile: missing, broken, too large, of an unknown compression, or neither grey nor RGB.
    """
    with _opened(path) as tiff:
        pages = _pages(tiff)
        planes = _planes(tiff)
        first = tiff.pages[pages[0]].aspage()
        check_size(path, first.imagelength, first.imagewidth)
    count = max(len(pages), planes)

    def load(frame: int) -> Image:
        with _opened(path) as tiff:
            stacked = planes > len(pages)
            pixels = _of_stack(tiff, frame) if stacked else _of_page(path, tiff, pages[frame])
        return Image(pixels, name=path.name, source=str(path), frame=frame if count > 1 else None)

    return Frames(count, load)


def tiff_values(path: Path, frame: int) -> Array:
    """(Y,X) values of a mask: palette indices where the palette has colours, else the brightest channel."""
    from tifffile import PHOTOMETRIC

    with _opened(path) as tiff:
        index = _pages(tiff)[min(frame, len(_pages(tiff)) - 1)]
        page = tiff.pages[index].aspage()
        if page.photometric == PHOTOMETRIC.PALETTE and not _is_grey(page.colormap):
            with _by_pillow(path, index) as file:
                return values(file)
    brightest: Array = open_tiff(path)[frame].pixels.max(axis=2)
    return brightest


@contextmanager
def _opened(path: Path) -> Iterator[TiffFile]:
    from tifffile import TiffFile

    with decoding(path, _KIND), TiffFile(path) as tiff:
        yield tiff


def _pages(tiff: TiffFile) -> list[int]:
    """Indices of the pages that are pictures."""
    pages = (tiff.pages[index].aspage() for index in range(len(tiff.pages)))
    return [page.index for page in pages if not page.subfiletype & _REDUCED_OR_MASK] or [0]


def _planes(tiff: TiffFile) -> int:
    """Number of planes in the first series where it is a stack of planes (Y,X), else 1."""
    if not tiff.is_imagej or len(tiff.pages) > 1 or not tiff.series[0].axes.endswith("YX"):
        return 1
    return math.prod(tiff.series[0].shape[:-2])


def _of_stack(tiff: TiffFile, frame: int) -> Array:
    """(Y,X,1) pixels of one plane behind the only page; ImageJ stores such stacks raw, so this is cheap."""
    stack = tiff.series[0].asarray(out="memmap")
    return held(np.array(stack.reshape(-1, *stack.shape[-2:])[frame]))[..., None]


def _of_page(path: Path, tiff: TiffFile, index: int) -> Array:
    """(Y,X,C) pixels of one page."""
    page = tiff.pages[index].aspage()
    check_size(path, page.imagelength, page.imagewidth)
    from tifffile import COMPRESSION, PHOTOMETRIC

    if page.photometric in (PHOTOMETRIC.YCBCR, PHOTOMETRIC.CIELAB) or page.compression not in (
        COMPRESSION.NONE,
        COMPRESSION.ADOBE_DEFLATE,
        COMPRESSION.DEFLATE,
        COMPRESSION.PACKBITS,
    ):
        if page.samplesperpixel > 1 and page.bitspersample == 16:
            return _by_opencv(path, index)
        with _by_pillow(path, index) as file:
            return picture(file)
    pixels = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, 2)
    elif page.axes == "YX":
        pixels = pixels[..., None]
    elif page.axes != "YXS":
        raise UnreadableFile(
            f"{path.name} has pages of axes {page.axes}, not flat pictures.", "Export it as plain pages."
        )
    turned = page.tags[_ORIENTATION].value if _ORIENTATION in page.tags else 1
    return upright(_as_grey_or_rgb(path, page, pixels), int(turned))


def _as_grey_or_rgb(path: Path, page: TiffPage, pixels: Array) -> Array:
    """(Y,X,C) pixels of one page, C 1 or 3, from (Y,X,S) samples as they are stored."""
    from tifffile import EXTRASAMPLE, PHOTOMETRIC

    if page.photometric == PHOTOMETRIC.PALETTE:
        colours = np.asarray(page.colormap)[:, pixels[..., 0]] >> 8  # entries are 16-bit (TIFF 6.0, ColorMap)
        grey = _is_grey(page.colormap)
        return np.moveaxis(colours[:1] if grey else colours, 0, 2).astype(np.uint8)
    if pixels.dtype == np.uint8 and page.bitspersample < 8:
        pixels = (pixels.astype(np.uint16) * 255 // (2**page.bitspersample - 1)).astype(np.uint8)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        pixels = ~pixels if pixels.dtype.kind in "bu" else -pixels
    if page.photometric == PHOTOMETRIC.SEPARATED and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        return np.asarray(Pillow.fromarray(np.ascontiguousarray(pixels), "CMYK").convert("RGB"))
    pixels = held(pixels)
    wanted = 3 if page.photometric == PHOTOMETRIC.RGB else 1
    if pixels.shape[2] not in (wanted, wanted + 1):
        raise UnreadableFile(
            f"{path.name} has {pixels.shape[2]} channels in one page; only grey and RGB can be shown.",
            "Export the channel or the RGB picture that you need.",
        )
    alpha = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
    if pixels.shape[2] > wanted and (page.extrasamples[0] not in alpha or pixels.dtype == np.float32):
        return pixels[..., :wanted]
    return flat(pixels)


def _is_grey(palette: Array | None) -> bool:
    return palette is None or bool((palette == palette[:1]).all())


@contextmanager
def _by_pillow(path: Path, index: int) -> Iterator[TiffImagePlugin.TiffImageFile]:
    """The page as Pillow (libtiff) sees it; it turns the page upright by itself."""
    with decoding(path, _KIND), path.open("rb") as stream, TiffImagePlugin.TiffImageFile(stream) as file:
        file.seek(index)
        file.load()
        yield file


def _by_opencv(path: Path, index: int) -> Array:
    """(Y,X,C) uint16 of a compressed 16-bit colour page; OpenCV turns it upright by itself."""
    stored = np.frombuffer(path.read_bytes(), np.uint8)
    done, pages = cv2.imdecodemulti(stored, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
    if not done:
        raise ValueError("its compression is unknown")
    if pages[0].shape[2] == 4:
        return flat(cv2.cvtColor(pages[0], cv2.COLOR_BGRA2RGBA))
    return cv2.cvtColor(pages[0], cv2.COLOR_BGR2RGB)
