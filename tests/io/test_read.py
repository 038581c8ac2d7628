"""The one door: the right reader by content, and clear words for everything that is no image."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from omniview.errors import UnreadableFile
from omniview.io.decoding import decoding
from omniview.io.frames import Frames
from omniview.io.pair import pair_folder
from omniview.io.read import SUFFIXES, is_image, open_series, read

GREY = np.random.default_rng(9).integers(0, 256, (9, 11), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("name", ["scan", "scan.dcm", "scan.png", "scan.tif", "scan.nii.gz", "scan.xyz"])
def test_content_decides_not_the_name(tmp_path: Path, kind: str, name: str) -> None:
    """A file of any name is read as what it is."""
    Pillow.fromarray(GREY).convert("RGB").save(tmp_path / name, format=kind)
    assert read(tmp_path / name).pixels.shape == (9, 11, 3)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.png", b"", "is empty"),
        ("text.png", b"Hello, this is not a picture at all." * 20, "not an image of a known kind"),
        ("notes.txt", b"abc", "not an image of a known kind"),
        ("none", b"\0" * 600, "not an image of a known kind"),
        ("short.png", b"\x89PNG\r\n\x1a\n", "broken or cut short"),
        ("short.jpg", b"\xff\xd8\xff\xe0", "broken or cut short"),
        ("short.tif", b"II*\0", "broken or cut short"),
        ("text.tif", b"no", "broken or cut short"),
        ("text.nii", b"no", "broken or cut short"),
        ("riff.webp", b"RIFF\x10\0\0\0WEBPVP8 " + b"\0" * 40, "broken or cut short"),
        ("page.png", gzip.compress(b"text", mtime=0), "compressed"),
        ("broken.nii.gz", b"\x1f\x8b" + b"\0" * 50, "compressed"),
    ],
)
def test_no_image_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    """Empty, foreign and broken files are named, with the cause and a next step."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=words) as caught:
        read(tmp_path / name)
    assert name in caught.value.message
    assert caught.value.next_step


def test_known_kinds_are_told(tmp_path: Path) -> None:
    """Whoever opens something else is told what can be opened."""
    (tmp_path / "a.docx").write_bytes(b"PK\3\4")
    with pytest.raises(UnreadableFile, match=r"PNG, JPEG.*DICOM"):
        open_series(tmp_path / "a.docx")


def test_missing_and_folder(tmp_path: Path) -> None:
    """A missing file and a folder are told apart."""
    with pytest.raises(UnreadableFile, match=r"no\.png does not exist"):
        open_series(tmp_path / "no.png")
    with pytest.raises(UnreadableFile, match="is a folder"):
        open_series(tmp_path)


def test_file_that_vanishes_after_opening(tmp_path: Path) -> None:
    """A file that is gone when its pixels are wanted gives the same clear message."""
    Pillow.fromarray(GREY).save(tmp_path / "a.png")
    series = open_series(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    with pytest.raises(UnreadableFile, match="does not exist"):
        series[0]


def test_a_folder_that_may_not_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in it is refused in words, although not even its kind can be asked."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)  # as it does below a folder of somebody else's
    with pytest.raises(UnreadableFile, match=r"a\.png may not be read"):
        open_series(tmp_path / "a.png")


def test_unreadable_by_permission(tmp_path: Path) -> None:
    """A file that this user may not read is named as such."""
    Pillow.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    if os.access(tmp_path / "a.png", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UnreadableFile, match="may not be read"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (PermissionError(13, "no"), "may not be read"),
        (MemoryError(), "does not fit"),
        (KeyError("x"), "broken"),
    ],
)
def test_what_decoders_raise(raised: Exception, words: str) -> None:
    """Each kind of failure has its own words."""
    with pytest.raises(UnreadableFile, match=words), decoding(Path("a.png"), "a PNG file"):
        raise raised


def test_a_defect_is_not_hidden() -> None:
    """An interrupt is not taken for a broken file."""
    with pytest.raises(KeyboardInterrupt), decoding(Path("a.png"), "a PNG file"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("frame", [-1, 1, 99])
def test_missing_frame(tmp_path: Path, frame: int) -> None:
    """A frame that is not there is refused with the number of frames."""
    Pillow.fromarray(GREY).save(tmp_path / "a.png")
    with pytest.raises(UnreadableFile, match="has 1 frame, counted from 0"):
        read(tmp_path / "a.png", frame)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.PNG", True),
        ("b.nii.gz", True),
        ("c.Dcm", True),
        ("d.csv", False),
        ("README", False),
        (".png", False),
    ],
)
def test_is_image_goes_by_name(name: str, known: bool) -> None:
    """The suffix decides, in upper and lower case, without touching the file."""
    assert is_image(Path("/nowhere") / name) is known


def test_suffixes_are_lower_case_with_a_dot() -> None:
    """Others may match against the set as it is."""
    assert {".png", ".jpg", ".tif", ".dcm", ".nii.gz", ".mha", ".webp", ".bmp"} <= SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)


def test_no_frames_is_no_series() -> None:
    """A series has at least one frame."""
    with pytest.raises(ValueError, match="at least one"):
        Frames(0, lambda _: read(Path("a.png")))


def test_reading_imports_nothing_heavy() -> None:
    """The readers start without SimpleITK, pydicom, scikit-image or torch."""
    code = (
        "import sys, omniview.io.read, omniview.io.pair, omniview.io.write, omniview.io.samples\n"
        "heavy = {'SimpleITK', 'pydicom', 'skimage', 'torch', 'scipy', 'tifffile'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name",
    [
        "polyp_kvasir",
        "polyp_clinicdb",
        "breast_busi",
        "vessel_chase",
        "vessel_hrf",
        "nuclei_dsb2018",
        "cells_bccd",
    ],
)
def test_real_images(shared: Path, name: str) -> None:
    """Real images read with the pixels that Pillow has, a sample of every set."""
    pairs = pair_folder(shared / "data" / name).pairs
    for pair in pairs[:: max(len(pairs) // 8, 1)]:
        stored = np.asarray(Pillow.open(pair.image))
        image = read(pair.image)
        assert np.array_equal(image.pixels, stored.reshape(image.pixels.shape))
