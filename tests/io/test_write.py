"""Files that are written are whole, or are not there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from omniview.core.image import Modality
from omniview.errors import OutputError
from omniview.io.write import replacing, write_json, write_map, write_mask

MASK = np.random.default_rng(1).random((40, 50)) > 0.5


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_mask_is_0_and_255(tmp_path: Path) -> None:
    """A mask is an 8-bit grey PNG that any program shows, at a path that need not exist yet."""
    path = tmp_path / "nächste Ebene" / "m.png"
    write_mask(path, MASK)
    image = Pillow.open(path)
    assert (image.format, image.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(image), np.where(MASK, 255, 0))
    assert [entry.name for entry in path.parent.iterdir()] == ["m.png"]


def test_map_is_0_to_255(tmp_path: Path) -> None:
    """A map keeps its values to half of 1/255."""
    values = np.random.default_rng(2).random((30, 20), np.float32)
    values[0, :2] = 0, 1
    write_map(tmp_path / "u.png", values)
    back = np.asarray(Pillow.open(tmp_path / "u.png")) / 255
    assert np.abs(back - values).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    "values", [np.full((2, 2), 1.5), np.full((2, 2), -0.1), np.full((2, 2), np.nan), np.zeros(4)]
)
def test_wrong_maps_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    """Values outside [0,1] are a defect of the caller, and leave no file."""
    with pytest.raises(ValueError, match=r"\[0,1\]"):
        write_map(tmp_path / "u.png", values.astype(np.float32))
    assert not list(tmp_path.iterdir())


def test_wrong_masks_are_refused(tmp_path: Path) -> None:
    """A mask is two-dimensional and bool."""
    with pytest.raises(ValueError, match=r"\(Y,X\) bool"):
        write_mask(tmp_path / "m.png", MASK[None])
    with pytest.raises(ValueError, match=r"\(Y,X\) bool"):
        write_mask(tmp_path / "m.png", MASK.astype(np.uint8))


def test_json_knows_our_values(tmp_path: Path) -> None:
    """Numpy numbers, arrays, paths and enumerations are written as plain JSON in UTF-8."""
    value = {
        "dice": np.float32(0.5),
        "n": np.int64(3),
        "edge": np.array([1, 2]),
        "file": Path("a") / "b.png",
        "modality": Modality.XRAY,
        "näme": (1, None, True),
    }
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "näme" in text
    assert json.loads(text) == {
        "dice": 0.5,
        "n": 3,
        "edge": [1, 2],
        "file": str(Path("a") / "b.png"),
        "modality": "x-ray",
        "näme": [1, None, True],
    }


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_json_refuses_what_it_cannot_hold(tmp_path: Path, value: object) -> None:
    """Not-a-number and foreign objects leave no file."""
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", {"x": value})
    assert not list(tmp_path.iterdir())


def test_parent_is_a_file(tmp_path: Path) -> None:
    """A path through a file is refused in words."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        OutputError, match=r"m\.png could not be written: part of its path is a file"
    ) as caught:
        write_mask(tmp_path / "file" / "m.png", MASK)
    assert caught.value.next_step
    with pytest.raises(OutputError, match="part of its path is a file"):
        write_mask(tmp_path / "file" / "deep" / "m.png", MASK)


def test_a_folder_has_the_name(tmp_path: Path) -> None:
    """A folder of that name is left alone, and no temporary file stays."""
    (tmp_path / "m.png").mkdir()
    with pytest.raises(OutputError, match="a folder has that name"):
        write_mask(tmp_path / "m.png", MASK)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.png"]


def test_read_only_folder(tmp_path: Path) -> None:
    """Without permission the message says so."""
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OutputError, match="may not write"):
            write_mask(tmp_path / "m.png", MASK)
    finally:
        tmp_path.chmod(0o700)


def test_read_only_disk() -> None:
    """A place that the system itself guards is refused even for the administrator."""
    if not Path("/proc/version").exists():
        pytest.skip("there is no /proc here")
    with pytest.raises(OutputError, match="could not be written"):
        write_mask(Path("/proc/omniview.png"), MASK)


def test_full_disk_keeps_the_old_file(tiny_disk: Path) -> None:
    """On a full disk the old content stays, no half file is left, and the message says what to do."""
    path = tiny_disk / "m.png"
    write_mask(path, MASK)
    before = path.read_bytes()
    noise = np.random.default_rng(3).random((1500, 1500)) > 0.5
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write_mask(path, noise)
    assert "Free some space" in caught.value.next_step
    assert path.read_bytes() == before
    assert [entry.name for entry in tiny_disk.iterdir()] == ["m.png"]


def test_longest_name(tmp_path: Path) -> None:
    """A name of the longest length that file systems allow is written; a longer one is refused in words."""
    write_json(tmp_path / ("a" * 250 + ".json"), 1)
    with pytest.raises(OutputError, match="too long"):
        write_json(tmp_path / ("a" * 300 + ".json"), 1)


def test_a_stream_replaces_the_file_when_it_is_whole(tmp_path: Path) -> None:
    """While a long file is written, its name has the old content; a block that fails leaves that too."""
    path = tmp_path / "long.csv"
    path.write_text("old")
    with replacing(path) as stream:
        stream.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"

    def break_off() -> None:
        with replacing(path) as stream:
            stream.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["long.csv"]
