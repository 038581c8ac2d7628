"""TIFF: every layout, depth and compression gives the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from omniview.errors import UnreadableFile
from omniview.io.read import open_series, read

RANDOM = np.random.default_rng(6)
GREY = RANDOM.integers(0, 256, (37, 53), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (37, 53, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (37, 53)).astype(np.uint16)
DEEP_RGB = RANDOM.integers(0, 65536, (37, 53, 3)).astype(np.uint16)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (16, 16)},
        {"compression": "zlib", "predictor": True},
        {"bigtiff": True},
        {"byteorder": ">"},
    ],
)
@pytest.mark.parametrize("pixels", [GREY, RGB, DEEP, DEEP_RGB], ids=["L8", "RGB8", "L16", "RGB16"])
def test_layouts(tmp_path: Path, pixels: np.ndarray, options: dict[str, Any]) -> None:
    """Strips, tiles, compression, byte order and BigTIFF make no difference."""
    kind = "minisblack" if pixels.ndim == 2 else "rgb"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, metadata=None, **options)
    image = read(tmp_path / "a.tif")
    assert np.array_equal(image.pixels, pixels.reshape(37, 53, -1))
    assert image.pixels.dtype == pixels.dtype.newbyteorder("=")
    assert image.spacing_mm is None


@pytest.mark.parametrize("pixels", [GREY, RGB, DEEP], ids=["L8", "RGB8", "L16"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_compressions(tmp_path: Path, pixels: np.ndarray, compression: str) -> None:
    """LZW, which tifffile leaves to another package, is read by Pillow; packbits by tifffile."""
    Pillow.fromarray(pixels).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read(tmp_path / "a.tif").pixels, pixels.reshape(37, 53, -1))


def test_sixteen_bit_colour_lzw(tmp_path: Path) -> None:
    """16-bit colour with LZW keeps its 16 bits."""
    cv2.imwrite(str(tmp_path / "a.tif"), DEEP_RGB[..., ::-1])
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].aspage().compression == 5
    assert np.array_equal(read(tmp_path / "a.tif").pixels, DEEP_RGB)


def test_jpeg_and_fax(tmp_path: Path) -> None:
    """JPEG inside TIFF and group-4 fax are read by Pillow."""
    Pillow.fromarray(RGB).save(tmp_path / "j.tif", compression="jpeg", quality=95)
    assert np.array_equal(read(tmp_path / "j.tif").pixels, np.asarray(Pillow.open(tmp_path / "j.tif")))
    Pillow.fromarray(GREY > 99).save(tmp_path / "g4.tif", compression="group4")
    assert np.array_equal(read(tmp_path / "g4.tif").pixels[..., 0], np.where(GREY > 99, 255, 0))


def test_min_is_white_is_inverted(tmp_path: Path) -> None:
    """Where 0 means white, the picture is turned to 0 is black, in 8, 16 and 1 bit."""
    tifffile.imwrite(tmp_path / "8.tif", GREY, photometric="miniswhite")
    assert np.array_equal(read(tmp_path / "8.tif").pixels[..., 0], 255 - GREY)
    tifffile.imwrite(tmp_path / "16.tif", DEEP, photometric="miniswhite")
    assert np.array_equal(read(tmp_path / "16.tif").pixels[..., 0], 65535 - DEEP)
    tifffile.imwrite(tmp_path / "1.tif", GREY > 99, photometric="miniswhite")
    assert np.array_equal(read(tmp_path / "1.tif").pixels[..., 0], np.where(GREY > 99, 0, 255))


def test_planar_colour(tmp_path: Path) -> None:
    """Colour in three planes equals colour in triples."""
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read(tmp_path / "a.tif").pixels, RGB)


def test_palette(tmp_path: Path) -> None:
    """A palette becomes its colours, a grey palette one channel."""
    few = Pillow.fromarray(RGB).quantize(16)
    few.save(tmp_path / "p.tif")
    assert np.array_equal(read(tmp_path / "p.tif").pixels, np.asarray(few.convert("RGB")))
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)
    tifffile.imwrite(tmp_path / "g.tif", GREY, photometric="palette", colormap=ramp)
    assert np.array_equal(read(tmp_path / "g.tif").pixels, GREY[..., None])


def test_cmyk_lab_and_alpha(tmp_path: Path) -> None:
    """CMYK and Lab become RGB; alpha is composited on black; an unspecified extra sample is dropped."""
    cmyk = Pillow.fromarray(RGB).convert("CMYK")
    cmyk.save(tmp_path / "c.tif")
    assert np.array_equal(read(tmp_path / "c.tif").pixels, np.asarray(cmyk.convert("RGB")))
    Pillow.fromarray(RGB).convert("LAB").save(tmp_path / "lab.tif")
    assert read(tmp_path / "lab.tif").pixels.shape == (37, 53, 3)
    Pillow.fromarray(np.dstack([RGB, GREY])).save(tmp_path / "a.tif")
    blended = read(tmp_path / "a.tif").pixels
    assert np.abs(blended - RGB.astype(float) * GREY[..., None] / 255).max() <= 0.5
    extra = np.dstack([RGB, GREY])
    tifffile.imwrite(tmp_path / "x.tif", extra, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(read(tmp_path / "x.tif").pixels, RGB)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_other_numbers_become_float(tmp_path: Path, kind: type) -> None:
    """Number types that an Image does not hold become float32 with the same values."""
    values = (DEEP.astype(np.int64) - (20000 if np.dtype(kind).kind != "u" else 0)) % 30000
    tifffile.imwrite(tmp_path / "a.tif", values.astype(kind))
    image = read(tmp_path / "a.tif")
    assert image.pixels.dtype == np.float32
    assert np.array_equal(image.pixels[..., 0], values)


def test_missing_pixels_become_the_lowest(tmp_path: Path) -> None:
    """Not-a-number and infinities do not reach the models."""
    values = np.array([[1.5, np.nan], [np.inf, 2.5]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert read(tmp_path / "a.tif").pixels[..., 0].tolist() == [[1.5, 1.5], [1.5, 2.5]]


def test_pages_are_frames(tmp_path: Path) -> None:
    """Each page is a frame, whatever its size and kind; thumbnails are left out."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(GREY, metadata=None)
        writer.write(GREY[::4, ::4], subfiletype=1, metadata=None)
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(DEEP[:20], metadata=None)
    series = open_series(tmp_path / "a.tif")
    assert [(image.frame, image.pixels.shape) for image in series] == [
        (0, (37, 53, 1)),
        (1, (37, 53, 3)),
        (2, (20, 53, 1)),
    ]
    assert np.array_equal(series[2].pixels[..., 0], DEEP[:20])


@pytest.mark.parametrize("truncate", [True, False])
def test_imagej_stack(tmp_path: Path, truncate: bool) -> None:
    """An ImageJ stack is its planes, even where they all hide behind a single page."""
    stack = np.stack([np.roll(GREY, i) for i in range(5)])
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, truncate=truncate)
    series = open_series(tmp_path / "a.tif")
    assert len(series) == 5
    assert np.array_equal(np.stack([image.pixels[..., 0] for image in series]), stack)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_orientation(tmp_path: Path, compression: str | None) -> None:
    """The orientation tag is applied once, by whichever library decodes."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(GREY).save(tmp_path / "a.tif", exif=exif, compression=compression)
    assert np.array_equal(read(tmp_path / "a.tif").pixels[..., 0], np.rot90(GREY, -1))


def test_many_channels_are_refused(tmp_path: Path) -> None:
    """Five channels in one page are neither grey nor RGB, and the message says so."""
    tifffile.imwrite(
        tmp_path / "a.tif", np.dstack([RGB, GREY, GREY]), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(UnreadableFile, match="5 channels"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_cut_file_is_refused(tmp_path: Path, share: float, compression: str | None) -> None:
    """A TIFF that was cut is refused in words."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression=compression, rowsperstrip=4)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(8, int(len(whole) * share))])
    with pytest.raises(UnreadableFile, match="broken or cut short"):
        read(path)


def test_sixteen_bit_colour_with_alpha_and_lzw(tmp_path: Path) -> None:
    """16-bit RGBA with LZW keeps its 16 bits, composited on black."""
    alpha = np.full((37, 53), 65535, np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), np.dstack([DEEP_RGB[..., ::-1], alpha]))
    assert np.array_equal(read(tmp_path / "a.tif").pixels, DEEP_RGB)


def test_solid_pages_are_refused(tmp_path: Path) -> None:
    """A page that is a volume by itself is refused in words."""
    solid = np.zeros((16, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", solid, volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    with pytest.raises(UnreadableFile, match="not flat pictures"):
        read(tmp_path / "a.tif")
