"""DICOM: pixels as they are meant to be seen, and nothing about the patient.

pydicom decodes (with pylibjpeg for compressed syntaxes); SimpleITK (GDCM) is asked where pydicom cannot.
Frames are decoded one at a time. Decoders' own words are never repeated, since they may quote the header.

References are to DICOM PS3.3 and PS3.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from omniview.core.image import Array, Image, Modality
from omniview.errors import UnreadableFile
from omniview.io.calibration import spacing_of
from omniview.io.decoding import check_size, decoding
from omniview.io.depth import held
from omniview.io.frames import Frames
from omniview.io.greyscale import as_displayed, window_of

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

__all__ = ["open_dicom"]

_KIND = "a DICOM file"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

# (0008,0060), PS3.3 C.7.3.1.1.1. Modalities of mixed content (OT, SC, ...) are left unknown.
_MODALITIES: Mapping[str, Modality] = MappingProxyType(
    {
        "US": Modality.ULTRASOUND,
        "IVUS": Modality.ULTRASOUND,
        "ES": Modality.ENDOSCOPY,
        "OP": Modality.FUNDUS,
        "OPT": Modality.OCT,
        "IVOCT": Modality.OCT,
        "CT": Modality.CT,
        "MR": Modality.MRI,
        "CR": Modality.XRAY,
        "DX": Modality.XRAY,
        "MG": Modality.XRAY,
        "RF": Modality.XRAY,
        "XA": Modality.XRAY,
        "IO": Modality.XRAY,
        "PX": Modality.XRAY,
        "GM": Modality.MICROSCOPY,
        "SM": Modality.PATHOLOGY,
        "DMS": Modality.DERMOSCOPY,
    }
)


def open_dicom(path: Path) -> Frames:
    """The frames of a DICOM file.

    MONOCHROME1 is inverted, colour becomes RGB, greys go through the modality rescale, and the window is kept
    in `Image.window`. The image is named after its file.

    Raises:
        UnreadableFile: missing, broken, cut short, without a picture, a video, or of an unknown compression.
    """
    header = _header(path)
    with decoding(path, _KIND, quote=False):
        count = max(int(header.get("NumberOfFrames") or 1), 1)
        modality = _MODALITIES.get(str(header.get("Modality", "")))
        check_size(path, int(header.Rows), int(header.Columns))

    def load(frame: int) -> Image:
        with decoding(path, _KIND, quote=False):
            pixels, window = _frame(path, header, frame)
            spacing_mm = spacing_of(header, frame)
        return Image(
            np.ascontiguousarray(pixels),
            spacing_mm=spacing_mm,
            modality=modality,
            name=path.name,
            source=str(path),
            frame=frame if count > 1 else None,
            window=window,
        )

    return Frames(count, load)


def _header(path: Path) -> FileDataset:
    """Everything before the pixels."""
    from pydicom import dcmread
    from pydicom.uid import UID

    with decoding(path, _KIND, quote=False):
        header = dcmread(path, stop_before_pixels=True, force=True)
        if not header:
            raise UnreadableFile(f"{path.name} is not a DICOM file.", "Check that it was copied completely.")
        if "Rows" not in header or "Columns" not in header:
            raise UnreadableFile(
                f"{path.name} is a DICOM file without a picture{_kind_name(header)}.",
                "Open the images that belong to it.",
            )
        syntax = UID(str(header.file_meta.get("TransferSyntaxUID", ""))).name
        if any(word in syntax for word in ("MPEG", "HEVC", "H.264")):
            raise UnreadableFile(
                f"{path.name} holds a video ({syntax}).", "Export the frames of interest as single images."
            )
        return header


def _kind_name(header: Dataset) -> str:
    """The storage class in words and brackets, from the standard's dictionary; empty where not known."""
    from pydicom.uid import UID

    name = UID(str(header.get("SOPClassUID", ""))).name
    return f" ({name})" if name and not name[0].isdigit() else ""


def _frame(path: Path, header: Dataset, frame: int) -> tuple[Array, tuple[float, float] | None]:
    """(Y,X,C) pixels as displayed, and the window."""
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    try:
        try:
            stored = pixel_array(path, index=frame)
        except (AttributeError, ValueError, KeyError):
            # no preamble, no transfer syntax, or deflated: only a forced read of everything finds the pixels
            whole = dcmread(path, force=True)
            stored = pixel_array(_with_syntax(whole), index=frame)
    except (AttributeError, ValueError, KeyError, NotImplementedError, RuntimeError, TypeError):
        # GDCM has turned MONOCHROME1 around already, within a range that it does not tell: no window fits
        turned = header.PhotometricInterpretation == "MONOCHROME1"
        return _by_simpleitk(path, frame), None if turned else window_of(header, frame)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(stored, header)
        return (colours >> 8 if colours.dtype == np.uint16 else colours).astype(np.uint8), None
    if stored.ndim == 3:
        return held(stored), None
    return as_displayed(header, frame, stored)


def _with_syntax(whole: Dataset) -> Dataset:
    """`whole` with a transfer syntax; without one it is Implicit VR Little Endian (PS3.5, 10.1)."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian

    meta: Any = getattr(whole, "file_meta", None) or FileMetaDataset()
    if "TransferSyntaxUID" not in meta:
        meta.TransferSyntaxUID = ImplicitVRLittleEndian
        whole.file_meta = meta
    return whole


def _by_simpleitk(path: Path, frame: int) -> Array:
    """(Y,X,C) of a frame that pydicom cannot decode; GDCM applies the rescale itself."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    reader.ReadImageInformation()
    size = reader.GetSize()
    if len(size) > 2:
        reader.SetExtractIndex([0, 0, frame])
        reader.SetExtractSize([*size[:2], 1])
    image = reader.Execute()
    channels = image.GetNumberOfComponentsPerPixel()
    return held(SimpleITK.GetArrayFromImage(image).reshape(size[1], size[0], channels))
