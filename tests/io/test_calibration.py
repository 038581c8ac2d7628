"""Sizes hold only where the file says so without contradiction, frame by frame where it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from omniview.io.read import open_series, read
from tests.io.dicom_files import GREY, TWELVE, made, region


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ([region()], (0.3, 0.2)),
        ([region(), region()], (0.3, 0.2)),
        ([region(), region(PhysicalDeltaX=0.05)], None),
        ([region(), region(RegionSpatialFormat=3)], None),
        ([region(PhysicalUnitsYDirection=4)], None),
        ([region(RegionLocationMaxX1=595)], None),
        ([region(PhysicalDeltaY=0.0)], None),
        ([region(PhysicalDeltaY=-0.03)], (0.3, 0.2)),
    ],
)
def test_ultrasound_calibration(
    tmp_path: Path, regions: list[Dataset], expected: tuple[float, float] | None
) -> None:
    """Centimetres a pixel hold only where all regions are two-dimensional, agree, and lie in the picture."""
    path = made(
        tmp_path / "a.dcm", GREY, "MONOCHROME2", 8, Modality="US", SequenceOfUltrasoundRegions=regions
    )
    spacing = read(path).spacing_mm
    assert spacing == (pytest.approx(expected) if expected else None)


def test_spacing_at_the_detector_is_not_taken(tmp_path: Path) -> None:
    """Imager Pixel Spacing is not a size in the patient; a spacing of 0 is none at all."""
    path = made(tmp_path / "a.dcm", GREY, "MONOCHROME2", 8, Modality="DX", ImagerPixelSpacing=[0.1, 0.1])
    assert read(path).spacing_mm is None
    assert read(made(tmp_path / "b.dcm", GREY, "MONOCHROME2", 8, PixelSpacing=[0, 0])).spacing_mm is None


def test_functional_groups(tmp_path: Path) -> None:
    """In enhanced files, spacing, rescale and window are those of the frame, else the shared ones."""

    def groups(**macros: dict[str, Any]) -> Dataset:
        group = Dataset()
        for name, elements in macros.items():
            macro = Dataset()
            for element, value in elements.items():
                setattr(macro, element, value)
            setattr(group, name, [macro])
        return group

    shared = groups(
        PixelMeasuresSequence={"PixelSpacing": [0.4, 0.5]},
        FrameVOILUTSequence={"WindowCenter": 100, "WindowWidth": 51},
    )
    own = [
        groups(PixelValueTransformationSequence={"RescaleSlope": 1, "RescaleIntercept": 10 * frame})
        for frame in range(2)
    ]
    path = made(
        tmp_path / "a.dcm",
        np.stack([TWELVE, TWELVE]),
        "MONOCHROME2",
        12,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=own,
    )
    first, second = open_series(path)
    assert np.array_equal(first.pixels[..., 0], TWELVE)
    assert np.array_equal(second.pixels[..., 0], TWELVE + 10.0)
    assert second.spacing_mm == (0.4, 0.5)
    assert second.window == (99.5, 50)
