"""DICOM: what is shown is what the standard says, and nothing of the patient comes along."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    MPEG4HP41,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from omniview.core.image import Modality
from omniview.errors import UnreadableFile
from omniview.io.read import open_series, read
from tests.io.dicom_files import GREY, RGB, TWELVE, made, packaged


def test_monochrome2_is_as_stored(tmp_path: Path) -> None:
    """8-bit and 12-bit greys without a rescale come as they are, named after the file."""
    image = read(made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8))
    assert np.array_equal(image.pixels, GREY[..., None])
    assert (image.name, image.frame, image.window, image.modality) == ("a.dcm", None, None, None)
    deep = read(made(tmp_path / "b.dcm", TWELVE, "MONOCHROME2", 12))
    assert np.array_equal(deep.pixels, TWELVE[..., None])


def test_nothing_of_the_patient_is_told(tmp_path: Path) -> None:
    """Neither an image nor an error message holds the patient's name or number."""
    path = made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8)
    assert "Doe" not in repr(read(path))
    assert "4711" not in repr(read(path))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableFile) as caught:
        read(path)
    assert "Doe" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    """Where the lowest value is white, values and window are mirrored within the range of stored bits."""
    image = read(made(tmp_path / "a.dcm", GREY, "MONOCHROME1", 8))
    assert np.array_equal(image.pixels[..., 0], 255 - GREY)
    deep = read(made(tmp_path / "b.dcm", TWELVE, "MONOCHROME1", 12, WindowCenter=1000, WindowWidth=401))
    assert np.array_equal(deep.pixels[..., 0], 4095 - TWELVE)
    assert deep.window == (4095 - 999.5, 400)


def test_rescale_gives_units(tmp_path: Path) -> None:
    """Stored values become what the rescale says, as in CT; a window goes along, in the same units."""
    path = made(
        tmp_path / "a.dcm",
        TWELVE,
        "MONOCHROME2",
        12,
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=[40, 300],
        WindowWidth=[401, 1501],
        Modality="CT",
        PixelSpacing=[0.5, 0.75],
    )
    image = read(path)
    assert image.pixels.dtype == np.float32
    assert np.array_equal(image.pixels[..., 0], TWELVE * 2.0 - 1024)
    assert (image.window, image.spacing_mm, image.modality) == ((39.5, 400), (0.5, 0.75), Modality.CT)


def test_inverted_rescale(tmp_path: Path) -> None:
    """MONOCHROME1 with a rescale is mirrored within the rescaled range."""
    path = made(tmp_path / "a.dcm", TWELVE, "MONOCHROME1", 12, RescaleSlope=1, RescaleIntercept=-1000)
    assert np.array_equal(read(path).pixels[..., 0], 2095 - (TWELVE - 1000.0))


def test_signed_values(tmp_path: Path) -> None:
    """Signed values become float32, and MONOCHROME1 mirrors them around their middle."""
    signed = TWELVE.astype(np.int16) - 2048
    assert np.array_equal(read(made(tmp_path / "a.dcm", signed, "MONOCHROME2", 12)).pixels[..., 0], signed)
    assert np.array_equal(
        read(made(tmp_path / "b.dcm", signed, "MONOCHROME1", 12)).pixels[..., 0], -1 - signed
    )


@pytest.mark.parametrize(
    ("window", "function", "expected"),
    [
        ((128, 256), None, None),
        ((127.5, 255), "LINEAR_EXACT", None),
        ((100, 51), None, (99.5, 50)),
        ((100, 51), "LINEAR", (99.5, 50)),
        ((100, 51), "SIGMOID", (100, 51)),
        ((100, 1), None, (99.5, 1e-3)),
        ((100, 0), None, None),
    ],
)
def test_window(
    tmp_path: Path, window: tuple[float, float], function: str | None, expected: tuple[float, float] | None
) -> None:
    """A window over the whole of 8 bits is dropped; others follow the function that is named."""
    elements = {"WindowCenter": window[0], "WindowWidth": window[1]}
    if function:
        elements["VOILUTFunction"] = function  # type: ignore[assignment]
    assert read(made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8, **elements)).window == expected


def test_window_table_gives_its_range(tmp_path: Path) -> None:
    """A VOI table is replaced by a window over the values that it covers."""
    table = Dataset()
    table.LUTDescriptor = [200, 1000, 8]
    table.LUTData = list(range(200))
    table["LUTDescriptor"].VR = "US"
    table["LUTData"].VR = "US"
    path = made(tmp_path / "a.dcm", TWELVE, "MONOCHROME2", 12, VOILUTSequence=[table])
    assert read(path).window == (1100, 200)


def test_modality_table_is_applied(tmp_path: Path) -> None:
    """A modality table replaces the rescale."""
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.LUTData = [3 * i for i in range(256)]
    table.ModalityLUTType = "US"
    table["LUTDescriptor"].VR = "US"
    table["LUTData"].VR = "US"
    path = made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8, ModalityLUTSequence=[table])
    assert np.array_equal(read(path).pixels[..., 0], GREY.astype(int) * 3)


def test_few_bits_fill_the_screen(tmp_path: Path) -> None:
    """Of 8-bit values that use only 4 bits, the window spans those 4 bits."""
    image = read(made(tmp_path / "a.dcm", GREY >> 4, "MONOCHROME2", 4))
    assert image.window == (7.5, 15.0)
    assert image.rgb8().max() == 255


def test_overlay_bits_are_masked(tmp_path: Path) -> None:
    """Bits above those that are stored, where old devices hide overlays, are no brightness."""
    path = made(tmp_path / "a.dcm", TWELVE | np.uint16(0x8000), "MONOCHROME2", 16)
    dataset = dcmread(path)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.save_as(path)
    assert np.array_equal(read(path).pixels[..., 0], TWELVE)


def test_colour(tmp_path: Path) -> None:
    """RGB stays; YBR_FULL becomes RGB; planes equal triples."""
    assert np.array_equal(read(made(tmp_path / "a.dcm", RGB, "RGB", 8)).pixels, RGB)
    flat = np.broadcast_to(
        np.array([81, 90, 240], np.uint8), (20, 33, 3)
    )  # a red, by ITU-R BT.601 full range
    red = read(made(tmp_path / "b.dcm", np.ascontiguousarray(flat), "YBR_FULL", 8)).pixels[0, 0]
    assert red[0] > 230
    assert red[1:].max() < 30
    path = made(tmp_path / "c.dcm", RGB, "RGB", 8)
    dataset = dcmread(path)
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.ascontiguousarray(np.moveaxis(RGB, 2, 0)).tobytes()
    dataset.save_as(path)
    assert np.array_equal(read(path).pixels, RGB)


def test_palette_color(tmp_path: Path) -> None:
    """PALETTE COLOR becomes its 8-bit colours."""
    path = made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8)
    dataset = dcmread(path)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    ramp = np.arange(256, dtype=np.uint16)
    for colour, values in (("Red", ramp), ("Green", 255 - ramp), ("Blue", ramp // 2)):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(dataset, f"{colour}PaletteColorLookupTableData", (values * 257).astype("<u2").tobytes())
    dataset.save_as(path)
    expected = np.dstack([GREY, 255 - GREY, GREY // 2])
    assert np.array_equal(read(path).pixels, expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("pixels", [GREY, TWELVE, RGB], ids=["grey", "twelve", "rgb"])
def test_lossless_compression(tmp_path: Path, syntax: str, pixels: np.ndarray) -> None:
    """RLE and lossless JPEG 2000 change nothing."""
    kind, bits = ("RGB", 8) if pixels.ndim == 3 else ("MONOCHROME2", 12 if pixels is TWELVE else 8)
    pixels = np.tile(pixels, (4, 4, 1)[: pixels.ndim])  # too small a picture cannot be JPEG 2000
    path = made(tmp_path / "a.dcm", pixels, kind, bits)
    dataset = dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    assert np.array_equal(read(path).pixels, pixels.reshape(80, 132, -1))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_frames_are_lazy_and_safe_in_threads(tmp_path: Path, syntax: str) -> None:
    """Frames of a clip come one at a time, in any order, from any thread."""
    clip = np.stack([np.roll(RGB, i, axis=0) for i in range(12)])
    path = made(tmp_path / "a.dcm", clip, "RGB", 8)
    if syntax == RLELossless:
        dataset = dcmread(path)
        dataset.compress(syntax)
        dataset.save_as(path)
    series = open_series(path)
    assert len(series) == 12
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(series.__getitem__, [*range(12)] * 3))
    for index, image in zip([*range(12)] * 3, images, strict=True):
        assert image.frame == index
        assert np.array_equal(image.pixels, clip[index])


@pytest.mark.parametrize(
    ("code", "modality"),
    [
        ("US", "ultrasound"),
        ("ES", "endoscopy"),
        ("OP", "fundus"),
        ("MG", "x-ray"),
        ("OPT", "oct"),
        ("SM", "pathology"),
    ],
)
def test_modality(tmp_path: Path, code: str, modality: str) -> None:
    """The modality's code becomes the word used here."""
    assert read(made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8, Modality=code)).modality == modality


def test_file_without_preamble_or_suffix(tmp_path: Path) -> None:
    """A bare data set without a suffix is recognised and read as Implicit VR Little Endian."""
    path = made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8)
    dataset = dcmread(path)
    bare = Dataset({element.tag: element for element in dataset})
    bare.save_as(tmp_path / "IM000001", implicit_vr=True, little_endian=True)
    assert (tmp_path / "IM000001").read_bytes()[:2] == b"\x08\0"
    assert np.array_equal(read(tmp_path / "IM000001").pixels[..., 0], GREY)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtstruct.dcm", r"without a picture \(RT Structure Set Storage\)"),
        ("test-SR.dcm", "without a picture"),
        ("MR_truncated.dcm", "broken or cut short"),
        ("badVR.dcm", "broken or cut short"),
    ],
)
def test_unusable_files_are_refused(name: str, words: str) -> None:
    """Files without a picture, and broken ones, are refused in words."""
    with pytest.raises(UnreadableFile, match=words) as caught:
        read(packaged(name))
    assert caught.value.next_step


def test_video_is_refused(tmp_path: Path) -> None:
    """A DICOM video is named as such."""
    path = made(tmp_path / "a.dcm", RGB, "RGB", 8)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41
    dataset.PixelData = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\x04\0\0\0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(UnreadableFile, match="video"):
        open_series(path)


def test_text_called_dcm_is_refused(tmp_path: Path) -> None:
    """A text file with a DICOM suffix is not taken for one."""
    (tmp_path / "a.dcm").write_text("no picture here, " * 40)
    with pytest.raises(UnreadableFile, match="DICOM"):
        read(tmp_path / "a.dcm")


SHOWN = {
    "693_J2KI.dcm": ((512, 512, 1), "float32"),
    "CT_small.dcm": ((128, 128, 1), "float32"),
    "ExplVR_BigEnd.dcm": ((60, 80, 3), "uint8"),
    "GDCMJ2K_TextGBR.dcm": ((400, 400, 3), "uint8"),
    "JPEG-lossy.dcm": ((1024, 256, 1), "uint16"),
    "JPEGLSNearLossless_16.dcm": ((50, 10, 1), "uint16"),
    "JPGExtended.dcm": ((1024, 256, 1), "uint16"),
    "SC_rgb_dcmtk_+eb+cy+s2.dcm": ((100, 100, 3), "uint8"),
    "SC_rgb_rle_16bit.dcm": ((100, 100, 3), "uint16"),
    "SC_rgb_rle_32bit.dcm": ((100, 100, 3), "float32"),
    "SC_ybr_full_422_uncompressed.dcm": ((100, 100, 3), "uint8"),
    "examples_jpeg2k.dcm": ((480, 640, 3), "uint8"),
    "examples_palette.dcm": ((350, 800, 3), "uint8"),
    "image_dfl.dcm": ((512, 512, 1), "uint8"),
    "liver_1frame.dcm": ((512, 512, 1), "uint8"),
    "rtdose_rle.dcm": ((10, 10, 1), "float32"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_packaged_files(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Pydicom's own files of many syntaxes are read, without a warning or a log line."""
    with caplog.at_level(logging.WARNING):
        image = read(packaged(name))
    assert (image.pixels.shape, str(image.pixels.dtype)) == SHOWN[name]
    assert image.pixels.min() < image.pixels.max()
    assert not caplog.records


def test_same_picture_in_every_syntax() -> None:
    """One picture, stored in five ways, is the same picture."""
    plain = read(packaged("MR_small.dcm")).pixels
    for name in ("MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_jp2klossless"):
        assert np.array_equal(read(packaged(f"{name}.dcm")).pixels, plain)
    wanted = read(packaged("SC_rgb_rle.dcm")).pixels.astype(int)
    for name in ("SC_rgb_jpeg_dcmtk", "SC_rgb_gdcm_KY", "SC_rgb_dcmtk_+eb+cr", "SC_rgb_jls_lossy_line"):
        assert np.abs(read(packaged(f"{name}.dcm")).pixels.astype(int) - wanted).mean() < 3, name


def test_clip_of_a_scaled_copy_is_not_calibrated() -> None:
    """A clip that was scaled down after its regions were written has no size."""
    series = open_series(packaged("examples_ybr_color.dcm"))
    assert len(series) == 30
    assert series[29].spacing_mm is None
    assert series[29].modality is Modality.ULTRASOUND
    assert not np.array_equal(series[0].pixels, series[29].pixels)


def test_fallback_follows_the_same_rules(tmp_path: Path) -> None:
    """What only SimpleITK can decode is inverted and windowed as well."""
    dataset = dcmread(packaged("JPEG-lossy.dcm"))
    dataset.WindowCenter, dataset.WindowWidth = 100, 51
    dataset.save_as(tmp_path / "2.dcm")
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.save_as(tmp_path / "1.dcm")
    plain, inverted = read(tmp_path / "2.dcm"), read(tmp_path / "1.dcm")
    assert plain.window == (99.5, 50.0)
    assert np.array_equal(inverted.pixels, 4095 - plain.pixels)
    assert inverted.window is None
