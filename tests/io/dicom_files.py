"""Small DICOM files of known content, for the tests of reading them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import set_pixel_data
from pydicom.uid import (
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

RANDOM = np.random.default_rng(7)
GREY = RANDOM.integers(0, 256, (20, 33), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (20, 33, 3), dtype=np.uint8)
TWELVE = RANDOM.integers(0, 4096, (20, 33)).astype(np.uint16)
NAME = "Doe^Jane"


def made(path: Path, pixels: np.ndarray, photometric: str, bits: int, **elements: Any) -> Path:
    """`path`, after a small DICOM file of these pixels was written there."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.Modality = NAME, "4711", "OT"
    set_pixel_data(dataset, pixels, photometric, bits)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def packaged(name: str) -> Path:
    """A test file inside pydicom's wheel."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path))


def region(**elements: Any) -> Dataset:
    """A calibrated two-dimensional ultrasound region of a 33x20 picture."""
    dataset = Dataset()
    values = {
        "RegionSpatialFormat": 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.02,
        "PhysicalDeltaY": 0.03,
        "RegionLocationMinX0": 0,
        "RegionLocationMinY0": 0,
        "RegionLocationMaxX1": 32,
        "RegionLocationMaxY1": 19,
    }
    for name, value in (values | elements).items():
        setattr(dataset, name, value)
    return dataset
