"""Rasters: every mode of every format comes out with the pixels that a person would see."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from omniview.errors import UnreadableFile
from omniview.io.read import open_series, read

RANDOM = np.random.default_rng(5)
GREY = RANDOM.integers(0, 256, (19, 31), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (19, 31, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (19, 31)).astype(np.uint16)
DEEP_RGB = RANDOM.integers(0, 65536, (19, 31, 3)).astype(np.uint16)
LOSSLESS = pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp"])


def saved(path: Path, image: Pillow.Image, **options: Any) -> Path:
    """`path`, after `image` was written there; WebP without loss."""
    if path.suffix == ".webp":
        options |= {"lossless": True, "exact": True}
    image.save(path, **options)
    return path


@LOSSLESS
def test_rgb_is_kept(tmp_path: Path, suffix: str) -> None:
    """RGB of a lossless format comes back pixel by pixel, and knows its name and source."""
    path = saved(tmp_path / f"Röntgen 図{suffix}", Pillow.fromarray(RGB))
    image = read(path)
    assert np.array_equal(image.pixels, RGB)
    assert (image.name, image.source) == (path.name, str(path))
    assert (image.frame, image.spacing_mm, image.modality, image.window) == (None, None, None, None)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".pgm", ".gif"])
def test_grey_is_kept(tmp_path: Path, suffix: str) -> None:
    """Grey stays one channel."""
    image = read(saved(tmp_path / f"a{suffix}", Pillow.fromarray(GREY)))
    assert np.array_equal(image.pixels, GREY[..., None])


def test_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    """A JPEG's pixels are Pillow's; grey stays grey."""
    path = saved(tmp_path / "a.jpg", Pillow.fromarray(RGB), quality=90)
    assert np.array_equal(read(path).pixels, np.asarray(Pillow.open(path)))
    assert read(saved(tmp_path / "b.jpg", Pillow.fromarray(GREY))).pixels.shape == (19, 31, 1)


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    """16-bit grey and colour PNG and PGM stay 16-bit."""
    grey = read(saved(tmp_path / "g.png", Pillow.fromarray(DEEP)))
    assert np.array_equal(grey.pixels, DEEP[..., None])
    assert grey.pixels.dtype == np.uint16
    cv2.imwrite(str(tmp_path / "c.png"), DEEP_RGB[..., ::-1])
    colour = read(tmp_path / "c.png")
    assert np.array_equal(colour.pixels, DEEP_RGB)
    cv2.imwrite(str(tmp_path / "g.pgm"), DEEP)
    assert np.array_equal(read(tmp_path / "g.pgm").pixels, DEEP[..., None])


def test_sixteen_bit_alpha_is_composited_on_black(tmp_path: Path) -> None:
    """A 16-bit alpha channel darkens in 16 bits; where it is opaque everywhere it is dropped."""
    half = np.full((19, 31, 1), 32768, np.uint16)
    cv2.imwrite(str(tmp_path / "half.png"), np.dstack([DEEP_RGB[..., ::-1], half]))
    expected = DEEP_RGB.astype(np.float64) * 32768 / 65535
    assert np.abs(read(tmp_path / "half.png").pixels - expected).max() <= 0.5
    cv2.imwrite(str(tmp_path / "full.png"), np.dstack([DEEP_RGB[..., ::-1], half * 0 + 65535]))
    assert np.array_equal(read(tmp_path / "full.png").pixels, DEEP_RGB)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    """One bit becomes 0 and 255."""
    image = read(saved(tmp_path / "a.png", Pillow.fromarray(GREY > 99)))
    assert np.array_equal(image.pixels[..., 0], np.where(GREY > 99, 255, 0))


def test_palette_becomes_colour_or_grey(tmp_path: Path) -> None:
    """A palette of colours becomes RGB, a palette of greys one channel, transparent entries black."""
    few = Pillow.fromarray(RGB).quantize(9)
    path = saved(tmp_path / "p.png", few)
    assert np.array_equal(read(path).pixels, np.asarray(few.convert("RGB")))
    ramp = Pillow.fromarray(GREY // 64).convert("P")
    ramp.putpalette([0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240])
    assert np.array_equal(read(saved(tmp_path / "g.png", ramp)).pixels[..., 0], GREY // 64 * 80)
    hole = read(saved(tmp_path / "t.png", few, transparency=3)).pixels
    index = np.asarray(few)
    assert (hole[index == 3] == 0).all()
    assert np.array_equal(hole[index != 3], np.asarray(few.convert("RGB"))[index != 3])


def test_transparency_bytes_of_a_palette_do_not_warn(tmp_path: Path) -> None:
    """A palette with an alpha for each entry, of which Pillow warns, is composited on black."""
    few = Pillow.fromarray(RGB).quantize(4)
    path = saved(tmp_path / "p.png", few, transparency=bytes([0, 255, 255, 255]))
    assert (read(path).pixels[np.asarray(few) == 0] == 0).all()


def test_opaque_alpha_is_dropped_other_is_composited_on_black(tmp_path: Path) -> None:
    """An alpha channel of 255 changes nothing; a partial one darkens; grey with alpha stays grey."""
    opaque = Pillow.fromarray(np.dstack([RGB, np.full_like(GREY, 255)]))
    assert np.array_equal(read(saved(tmp_path / "o.png", opaque)).pixels, RGB)
    partial = read(saved(tmp_path / "a.png", Pillow.fromarray(np.dstack([RGB, GREY])))).pixels
    assert np.abs(partial - RGB.astype(float) * GREY[..., None] / 255).max() <= 0.5
    both = Pillow.fromarray(np.dstack([GREY, GREY]), "LA")
    grey = read(saved(tmp_path / "la.png", both)).pixels
    assert grey.shape == (19, 31, 1)
    assert np.abs(grey[..., 0] - GREY.astype(float) ** 2 / 255).max() <= 0.5


def test_transparent_colour_is_black(tmp_path: Path) -> None:
    """The one transparent colour of a PNG without alpha channel is black, in grey and RGB alike."""
    grey = read(saved(tmp_path / "g.png", Pillow.fromarray(GREY), transparency=int(GREY[0, 0]))).pixels[
        ..., 0
    ]
    assert np.array_equal(grey, np.where(GREY[0, 0] == GREY, 0, GREY))
    colour = tuple(int(c) for c in RGB[0, 0])
    rgb = read(saved(tmp_path / "c.png", Pillow.fromarray(RGB), transparency=colour)).pixels
    assert (rgb[0, 0] == 0).all()
    assert np.array_equal(rgb[1:], RGB[1:])


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    """A white CMYK JPEG as Adobe writes it (inverted) is white, and a red one red."""
    flat = np.zeros((16, 16, 4), np.uint8)
    white = read(saved(tmp_path / "w.jpg", Pillow.fromarray(flat, "CMYK"), quality=95)).pixels
    assert white.min() > 250
    flat[..., 1:3] = 255
    red = read(saved(tmp_path / "r.jpg", Pillow.fromarray(flat, "CMYK"), quality=95)).pixels
    assert red[..., 0].min() > 240
    assert red[..., 1:].max() < 15


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("mark", TURNS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_exif_orientation_is_applied(tmp_path: Path, mark: int, suffix: str) -> None:
    """All eight orientations stand upright, in every format that has them."""
    exif = Pillow.Exif()
    exif[0x0112] = mark
    path = saved(tmp_path / f"a{suffix}", Pillow.fromarray(RGB), exif=exif)
    plain = np.asarray(Pillow.open(path))
    assert np.array_equal(read(path).pixels, TURNS[mark](plain))
    assert read(path).pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x09"]
)
def test_broken_exif_is_ignored(tmp_path: Path, block: bytes) -> None:
    """A malformed EXIF block neither hides the picture nor warns."""
    path = saved(tmp_path / "a.jpg", Pillow.fromarray(RGB), exif=block)
    assert read(path).shape == (19, 31)


def test_resolution_is_no_spacing(tmp_path: Path) -> None:
    """Dots per inch are a printer's matter."""
    path = saved(tmp_path / "a.png", Pillow.fromarray(GREY), dpi=(254, 254))
    assert read(path).spacing_mm is None


def test_animation_is_frames(tmp_path: Path) -> None:
    """An animated GIF or WebP is a lazy sequence of its frames."""
    frames = [Pillow.fromarray(np.roll(GREY, 7 * i, 0)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], loop=0, duration=50)
    series = open_series(tmp_path / "a.gif")
    assert len(series) == 3
    for index, frame in enumerate(series):
        assert frame.frame == index
        assert np.array_equal(frame.pixels[..., 0], np.asarray(frames[index]))
    assert [image.frame for image in series[1:]] == [1, 2]
    assert series[-1].frame == 2
    with pytest.raises(IndexError):
        series[3]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".gif", ".ppm"])
def test_every_cut_file_is_refused(tmp_path: Path, suffix: str) -> None:
    """Cut at any length, a raster is refused in words; it is never half a picture."""
    path = saved(tmp_path / f"a{suffix}", Pillow.fromarray(RGB))
    whole = path.read_bytes()
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
        path.write_bytes(whole[: max(int(len(whole) * share), 1)])
        with pytest.raises(UnreadableFile) as caught:
            read(path)
        assert path.name in caught.value.message
        assert caught.value.next_step


def test_cut_sixteen_bit_colour_png_is_refused(tmp_path: Path) -> None:
    """The kind that OpenCV decodes is refused as well, though OpenCV would show it."""
    cv2.imwrite(str(tmp_path / "c.png"), DEEP_RGB)
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:-900])
    with pytest.raises(UnreadableFile, match="broken or cut short"):
        read(tmp_path / "c.png")


def test_huge_header_is_refused_before_decoding(tmp_path: Path) -> None:
    """A header that claims a gigantic picture is refused with its size and the limit."""
    head = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"
    checked = head + zlib.crc32(head[12:]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(checked + b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big"))
    with pytest.raises(UnreadableFile, match=r"60000x60000 pixels.*400 million") as caught:
        open_series(tmp_path / "bomb.png")
    assert "smaller copy" in caught.value.next_step


def test_large_picture_does_not_warn(tmp_path: Path) -> None:
    """A picture beyond Pillow's own alarm, but within our limit, is read without a warning."""
    path = saved(tmp_path / "a.png", Pillow.new("1", (10_000, 9_500)))
    assert open_series(path)[0].shape == (9_500, 10_000)


def test_sixteen_bit_grey_with_alpha(tmp_path: Path) -> None:
    """16-bit grey with alpha, which no library here writes, stays 16-bit grey."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
        )

    pairs = np.dstack([DEEP, np.full_like(DEEP, 65535)]).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pairs)
    header = (31).to_bytes(4, "big") + (19).to_bytes(4, "big") + bytes([16, 4, 0, 0, 0])
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert np.array_equal(read(tmp_path / "a.png").pixels, DEEP[..., None])


def test_orientation_after_the_pixels(tmp_path: Path) -> None:
    """A PNG whose EXIF block follows its pixels is turned as well."""
    exif = Pillow.Exif()
    exif[0x0112] = 8
    path = saved(tmp_path / "a.png", Pillow.fromarray(GREY), exif=exif)
    whole = path.read_bytes()
    start = whole.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(whole[start : start + 4], "big")
    last = whole.index(b"IEND") - 4
    path.write_bytes(whole[:start] + whole[end:last] + whole[start:end] + whole[last:])
    assert np.array_equal(read(path).pixels[..., 0], np.rot90(GREY))
