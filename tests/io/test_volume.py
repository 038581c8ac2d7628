"""Volumes: slice by slice, turned as a person is used to see them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from omniview.errors import UnreadableFile
from omniview.io.read import open_series, read

RANDOM = np.random.default_rng(8)
# (S,P,L) as SimpleITK has arrays: axial slices, rows towards the back, columns towards the left
BODY = RANDOM.integers(-1000, 3000, (4, 6, 9)).astype(np.int16)


def stored(path: Path, array: np.ndarray, **geometry: tuple[float, ...]) -> Path:
    """`path`, after `array` was written there with this spacing and direction."""
    image = SimpleITK.GetImageFromArray(array, isVector=False)
    if "spacing" in geometry:
        image.SetSpacing(geometry["spacing"])
    if "direction" in geometry:
        image.SetDirection(geometry["direction"])
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"])
def test_slices(tmp_path: Path, suffix: str) -> None:
    """Every format gives the same slices, with (row, column) spacing in millimetres."""
    path = stored(tmp_path / f"vol{suffix}", BODY, spacing=(0.7, 0.8, 2.5))
    series = open_series(path)
    assert len(series) == 4
    assert series[2].spacing_mm == pytest.approx((0.8, 0.7))
    assert [image.frame for image in series] == [0, 1, 2, 3]
    assert np.array_equal(np.stack([image.pixels[..., 0] for image in series]), BODY)
    assert series[0].pixels.dtype == np.float32
    assert series[0].name == path.name


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1.0, -1.0), repeat=3)))
def test_any_orientation_is_turned(tmp_path: Path, order: tuple[int, ...], signs: tuple[float, ...]) -> None:
    """However a volume is stored, left is on the right, and the front or the head on top."""
    # stored axis i (SimpleITK's x, y, z) runs along patient axis order[i] (L, P, S), with sign signs[i]
    patient = BODY.transpose(2, 1, 0)  # (L,P,S)
    turned = patient.transpose(order)
    turned = turned[tuple(slice(None, None, int(sign)) for sign in signs)]
    direction = np.zeros((3, 3))
    for axis in range(3):
        direction[order[axis], axis] = signs[axis]
    mm = (0.5, 0.6, 0.7)
    path = stored(
        tmp_path / ("v.nii" if signs[0] > 0 else "v.mha"),
        np.ascontiguousarray(turned.transpose(2, 1, 0)),
        direction=tuple(direction.ravel()),
        spacing=tuple(mm[axis] for axis in order),
    )
    through = order[2]
    planes = {
        2: patient.transpose(2, 1, 0),  # axial: rows to the back, columns to the left
        1: patient[:, :, ::-1].transpose(1, 2, 0),  # coronal: rows downwards, columns to the left
        0: patient[:, :, ::-1].transpose(0, 2, 1),  # sagittal: rows downwards, columns to the back
    }[through]
    series = open_series(path)
    last = patient.shape[through] - 1
    for index in (0, last):
        place = index if signs[2] > 0 else last - index
        assert np.array_equal(series[index].pixels[..., 0], planes[place])
    rows_and_columns = {2: (mm[1], mm[0]), 1: (mm[2], mm[0]), 0: (mm[2], mm[1])}[through]
    assert series[0].spacing_mm == pytest.approx(rows_and_columns)


def test_plain_picture_is_left_as_it_is(tmp_path: Path) -> None:
    """A two-dimensional MHA is one image, without a frame number; uint16 stays."""
    grey = RANDOM.integers(0, 65536, (5, 7)).astype(np.uint16)
    image = read(stored(tmp_path / "a.mha", grey))
    assert image.frame is None
    assert np.array_equal(image.pixels[..., 0], grey)
    assert image.pixels.dtype == np.uint16


def test_colour_and_time(tmp_path: Path) -> None:
    """RGB volumes keep their colour; a fourth axis follows the third."""
    rgb = RANDOM.integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(rgb, isVector=True), str(tmp_path / "c.mha"))
    assert np.array_equal(open_series(tmp_path / "c.mha")[1].pixels, rgb[1])
    clip = RANDOM.integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)
    path = stored(tmp_path / "t.nii.gz", clip)
    series = open_series(path)
    assert len(series) == 6
    assert np.array_equal(series[4].pixels[..., 0], clip[1, 1])


def test_odd_channels_are_refused(tmp_path: Path) -> None:
    """Two channels are neither grey nor RGB."""
    field = RANDOM.normal(size=(3, 5, 7, 2)).astype(np.float32)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(field, isVector=True), str(tmp_path / "a.nrrd"))
    with pytest.raises(UnreadableFile, match="2 channels"):
        open_series(tmp_path / "a.nrrd")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.8])
def test_cut_volume_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    """A volume that was cut is refused when the missing slice is asked for."""
    path = stored(tmp_path / f"v{suffix}", np.tile(BODY, (1, 8, 8)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableFile, match=r"broken or cut short|compressed"):
        open_series(path)[3]


def test_impossible_spacing_is_none(tmp_path: Path) -> None:
    """A broken spacing in a header is no spacing, and the picture is still shown."""
    path = stored(tmp_path / "v.nii", BODY)
    header = bytearray(path.read_bytes())
    header[80:84] = np.float32(-1e-36).tobytes()  # pixdim[1]
    path.write_bytes(header)
    assert read(path).spacing_mm is None
