"""Masks: whatever wrote them, they mean what their author meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import SimpleITK
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow

from omniview.core.image import Image
from omniview.errors import SizeMismatch, UnreadableFile
from omniview.io.read import read, read_truth
from omniview.io.truth import truth_from_values
from omniview.io.write import write_mask

MASK = np.zeros((48, 64), bool)
cv2.circle(MASK.view(np.uint8), (30, 20), 13, 1, -1)
IMAGE = Image(np.zeros((48, 64, 1), np.uint8))
BLOBS = np.zeros((48, 64), np.uint16)
for number in range(12):
    BLOBS[4 + 14 * (number // 4) :, :][:10, 3 + 15 * (number % 4) :][:, :11] = number + 1


def pillow(mode: str | None = None, **options: object) -> Callable[[Path, np.ndarray], None]:
    """A writer of arrays by Pillow."""

    def write(path: Path, array: np.ndarray) -> None:
        image = Pillow.fromarray(array)
        (image.convert(mode) if mode else image).save(path, **options)  # type: ignore[arg-type]

    return write


def tiff(path: Path, array: np.ndarray) -> None:
    """Write `array` by tifffile."""
    tifffile.imwrite(path, array)


EIGHT = MASK.astype(np.uint8)
RED = np.dstack([EIGHT * 255, EIGHT * 0, EIGHT * 0])
WRITERS: dict[str, tuple[str, np.ndarray, Callable[[Path, np.ndarray], None]]] = {
    "0/255 PNG": ("m.png", EIGHT * 255, pillow()),
    "0/1 PNG": ("m.png", EIGHT, pillow()),
    "0/38 PNG": ("m.png", EIGHT * 38, pillow()),
    "1/2 PNG": ("m.png", EIGHT + 1, pillow()),
    "0/255 in 16 bits": ("m.png", EIGHT.astype(np.uint16) * 255, pillow()),
    "0/65535": ("m.png", EIGHT.astype(np.uint16) * 65535, pillow()),
    "1-bit PNG": ("m.png", MASK, pillow()),
    "1-bit BMP": ("m.bmp", MASK, pillow()),
    "GIF": ("m.gif", EIGHT * 255, pillow()),
    "JPEG": ("m.jpg", EIGHT * 255, pillow(quality=80)),
    "0/255 RGB": ("m.png", np.dstack([EIGHT * 255] * 3), pillow()),
    "red on black": ("m.png", RED, pillow()),
    "white with alpha": ("m.png", np.dstack([EIGHT * 0 + 255] * 3 + [EIGHT * 255]), pillow()),
    "black with alpha": ("m.png", np.dstack([EIGHT * 0] * 3 + [EIGHT * 255]), pillow()),
    "white, opaque alpha": ("m.png", np.dstack([EIGHT * 255] * 3 + [EIGHT * 0 + 255]), pillow()),
    "lossless WebP": ("m.webp", EIGHT * 255, pillow(lossless=True)),
    "TIFF": ("m.tif", EIGHT * 255, pillow(compression="tiff_lzw")),
    "1-bit TIFF": ("m.tif", MASK, pillow(compression="group4")),
    "float TIFF": ("m.tif", EIGHT.astype(np.float32), tiff),
    "int64 TIFF": ("m.tif", EIGHT.astype(np.int64), tiff),
    "NIfTI": (
        "m.nii.gz",
        EIGHT.astype(np.int16),
        lambda p, a: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(a), str(p)),
    ),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_binary_mask(tmp_path: Path, kind: str) -> None:
    """The same shape comes out of every way of writing it down."""
    name, array, write = WRITERS[kind]
    write(tmp_path / name, array)
    truth = read_truth(tmp_path / name, IMAGE)
    wrong = truth.mask[0] ^ MASK
    assert wrong.sum() <= (12 if kind == "JPEG" else 0)
    assert truth.instances is None
    assert truth.source == str(tmp_path / name)
    assert bool(truth.notes) == (kind == "JPEG")


def test_jpeg_noise_of_an_empty_mask_is_no_object(tmp_path: Path) -> None:
    """Values of 0-7 in a JPEG are noise even when nothing brighter is there."""
    noise = np.random.default_rng(0).integers(0, 8, (48, 64), dtype=np.uint8)
    Pillow.fromarray(noise).save(tmp_path / "m.jpg", quality=95)
    assert not read_truth(tmp_path / "m.jpg", IMAGE).mask.any()


@pytest.mark.parametrize("value", [0, 1, 255])
def test_constant_masks(tmp_path: Path, value: int) -> None:
    """A mask of one value is empty where it is 0, else full; neither is worth a note."""
    Pillow.fromarray(np.full((48, 64), value, np.uint8)).save(tmp_path / "m.png")
    truth = read_truth(tmp_path / "m.png", IMAGE)
    assert truth.mask.all() == truth.mask.any() == (value > 0)
    assert not truth.notes


def test_grey_masks_are_cut_in_the_middle_with_a_note(tmp_path: Path) -> None:
    """A blurred mask and a probability map are cut at half of their range, and that is told."""
    blurred = cv2.GaussianBlur(EIGHT * np.uint8(255), (0, 0), 4)
    soft = cv2.resize(cv2.resize(EIGHT * 255, (33, 21)), (64, 48))
    for name, grey in (("blurred", blurred), ("soft", soft)):
        Pillow.fromarray(grey).save(tmp_path / f"{name}.png")
        truth = read_truth(tmp_path / f"{name}.png", IMAGE)
        assert np.array_equal(truth.mask[0], grey > 127)
        assert truth.instances is None
        assert "127.5" in truth.notes[0]
    y, x = np.mgrid[:256, :256]
    slope = np.clip(255 - np.hypot(y - 128, x - 128) * 2, 0, 255).astype(np.uint8)
    truth = truth_from_values(slope)
    assert truth.instances is None
    assert np.array_equal(truth.mask[0], slope > 127)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32])
def test_instances_are_kept(tmp_path: Path, kind: type) -> None:
    """Numbered objects stay numbered objects, and every one of them is in the mask."""
    tifffile.imwrite(tmp_path / "m.tif", BLOBS.astype(kind))
    truth = read_truth(tmp_path / "m.tif", IMAGE)
    assert truth.instances is not None
    assert np.array_equal(truth.instances, BLOBS)
    assert truth.instances.dtype == np.int32
    assert np.array_equal(truth.mask[0], BLOBS > 0)
    assert not truth.notes


def test_instances_of_a_crop_and_of_packed_cells() -> None:
    """Numbers may lack a few, and objects may fill the picture without any ground."""
    crop = np.where(BLOBS == 5, 0, BLOBS)
    assert truth_from_values(crop).instances is not None
    shuffled = np.random.default_rng(2).permutation(48) + 1
    packed = np.kron(shuffled.reshape(6, 8), np.ones((8, 8), int)).astype(np.uint16)
    truth = truth_from_values(packed)
    assert truth.instances is not None
    assert truth.mask.all()


def test_class_numbers_of_a_palette(tmp_path: Path) -> None:
    """Of a palette with colours the indices count: index 1 is label 1, whatever its colour."""
    palette = Pillow.fromarray(np.where(MASK, np.uint8(1), np.uint8(0)))
    palette.putpalette([0, 0, 0, 64, 0, 0, 0, 128, 0])
    palette.save(tmp_path / "m.png")
    assert np.array_equal(read_truth(tmp_path / "m.png", IMAGE).mask[0], MASK)
    palette.save(tmp_path / "m.tif")
    assert np.array_equal(read_truth(tmp_path / "m.tif", IMAGE).mask[0], MASK)


def test_several_labels(tmp_path: Path) -> None:
    """With K labels, value k is label k, and values beyond are told."""
    values = (BLOBS % 4).astype(np.uint8)
    Pillow.fromarray(values).save(tmp_path / "m.png")
    truth = read_truth(tmp_path / "m.png", IMAGE, labels=3)
    assert truth.mask.shape == (3, 48, 64)
    for k in range(3):
        assert np.array_equal(truth.mask[k], values == k + 1)
    assert not truth.notes
    assert "beyond its 2 labels" in read_truth(tmp_path / "m.png", IMAGE, labels=2).notes[0]
    with pytest.raises(UnreadableFile, match="fractional"):
        truth_from_values(np.array([[0.5, 1.0]]), labels=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_read_after_write_is_the_identity(tmp_path: Path, mask: np.ndarray) -> None:
    """A mask that was written is read back pixel by pixel, whatever it looks like."""
    write_mask(tmp_path / "m.png", mask)
    truth = read_truth(tmp_path / "m.png", Image(np.zeros((*mask.shape, 1), np.uint8)))
    assert np.array_equal(truth.mask[0], mask)
    assert not truth.notes


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_any_numbers_give_a_mask(found: np.ndarray) -> None:
    """Whatever numbers are in a mask, there is an answer, and everything marked is above 0."""
    truth = truth_from_values(found)
    assert truth.mask.shape == (1, *found.shape)
    assert not (truth.mask[0] & (found == 0)).any()


def test_wrong_size_names_both(tmp_path: Path) -> None:
    """A mask of another size is refused with both sizes, width first, and a next step."""
    Pillow.fromarray(np.zeros((480, 640), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(SizeMismatch) as caught:
        read_truth(tmp_path / "m.png", Image(np.zeros((512, 512, 3), np.uint8)))
    assert "mask is 640x480, the image is 512x512 (width x height)" in caught.value.message
    assert caught.value.next_step


def test_mask_of_the_picture_before_it_was_turned(tmp_path: Path) -> None:
    """Where an EXIF mark turns the image and the mask has none, the message says just that."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(EIGHT).save(tmp_path / "i.jpg", exif=exif)
    Pillow.fromarray(EIGHT).save(tmp_path / "m.png")
    with pytest.raises(SizeMismatch, match="EXIF"):
        read_truth(tmp_path / "m.png", read(tmp_path / "i.jpg"))
    with pytest.raises(SizeMismatch, match="swapped"):
        read_truth(tmp_path / "m.png", Image(np.zeros((64, 48, 1), np.uint8)))


def test_mask_of_a_frame(tmp_path: Path) -> None:
    """Of a mask with several frames, the image's own is taken; a single one serves every frame."""
    tifffile.imwrite(tmp_path / "m.tif", np.stack([EIGHT * 0, EIGHT * 255]), photometric="minisblack")
    second = Image(np.zeros((48, 64, 1), np.uint8), frame=1)
    assert np.array_equal(read_truth(tmp_path / "m.tif", second).mask[0], MASK)
    assert not read_truth(tmp_path / "m.tif", IMAGE).mask.any()
    with pytest.raises(UnreadableFile, match="no frame 7"):
        read_truth(tmp_path / "m.tif", Image(np.zeros((48, 64, 1), np.uint8), frame=7))
    Pillow.fromarray(EIGHT).save(tmp_path / "one.png")
    assert np.array_equal(read_truth(tmp_path / "one.png", second).mask[0], MASK)


@pytest.mark.parametrize(
    "name", ["polyp_kvasir", "breast_busi", "vessel_chase", "vessel_hrf", "nuclei_dsb2018"]
)
def test_real_masks(shared: Path, name: str) -> None:
    """Real masks read as they were prepared: 0/255, or one number a nucleus."""
    masks = sorted((shared / "data" / name / "masks").iterdir())
    for path in masks[:: max(len(masks) // 8, 1)]:
        stored = np.asarray(Pillow.open(path))
        image = read(next((shared / "data" / name / "images").glob(f"{path.stem}.*")))
        truth = read_truth(path, image)
        if name == "nuclei_dsb2018":
            assert np.array_equal(truth.mask[0], stored > 0)
            assert truth.instances is None or np.array_equal(truth.instances, stored)
            assert (truth.instances is None) == (stored.max() < 2)
        else:
            assert np.array_equal(truth.mask[0], stored > 127)
            assert truth.instances is None
        assert not truth.notes
