"""How large a DICOM pixel is in the patient, where the file truly says so."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["functional_group", "known_spacing", "spacing_of"]

_CENTIMETRES = 3  # Physical Units X/Y Direction, PS3.3 C.8.5.5.1.15
_TWO_DIMENSIONAL = 1  # Region Spatial Format, PS3.3 C.8.5.5.1.1


def spacing_of(header: Dataset, frame: int) -> tuple[float, float] | None:
    """(row, column) spacing of pixel centres in millimetres, or None.

    Ultrasound is calibrated by region (PS3.3 C.8.5.5). That holds for the picture as a whole only where
    every region is a two-dimensional one, lies within the picture (the regions of a scaled-down copy do
    not), and has the same centimetres a pixel as the others. Everything else is calibrated by Pixel Spacing,
    of the frame (Pixel Measures) or the image. Imager Pixel Spacing is not taken: it is measured at the
    detector, where a projection is larger than the patient.
    """
    regions = header.get("SequenceOfUltrasoundRegions")
    if regions:
        return _of_regions(header, regions)
    measures = functional_group(header, frame, "PixelMeasuresSequence")
    source = measures if measures is not None and "PixelSpacing" in measures else header
    return known_spacing(source.get("PixelSpacing"))


def functional_group(header: Dataset, frame: int, name: str) -> Dataset | None:
    """The macro `name` of a multi-frame file (PS3.3 C.7.6.16): the frame's own, the shared one, or None."""
    return next(_groups(header, frame, name), None)


def known_spacing(pair: Any) -> tuple[float, float] | None:
    """`pair` (row, column) where it is a spacing, else None: both numbers positive and finite."""
    if pair is None or len(pair) != 2:
        return None
    row, column = float(pair[0]), float(pair[1])
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None


def _groups(header: Dataset, frame: int, name: str) -> Iterator[Dataset]:
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for group in (*own[frame : frame + 1], *shared[:1]):
        if macro := group.get(name):
            yield macro[0]


def _of_regions(header: Dataset, regions: Sequence[Dataset]) -> tuple[float, float] | None:
    deltas = [_of_region(header, region) for region in regions]
    first = deltas[0]
    if first is None or any(d is None or not _close(d, first) for d in deltas):
        return None
    return first


def _of_region(header: Dataset, region: Dataset) -> tuple[float, float] | None:
    units = region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")
    inside = int(region.get("RegionLocationMaxX1", 0)) <= int(header.Columns) and int(
        region.get("RegionLocationMaxY1", 0)
    ) <= int(header.Rows)  # some devices write the first pixel outside, not the last inside
    if region.get("RegionSpatialFormat") != _TWO_DIMENSIONAL or units != (_CENTIMETRES,) * 2 or not inside:
        return None
    return known_spacing([10 * abs(float(region.get(f"PhysicalDelta{axis}", 0))) for axis in "YX"])


def _close(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(one, other, strict=True))
