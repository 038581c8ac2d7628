"""NIfTI, MHA and NRRD through SimpleITK, a slice at a time.

Slices are cut along the third stored axis, in stored order, and turned as a person is used to see them. In
the patient's coordinates (L, P, S: left, posterior, superior), the columns of a slice run towards L, or,
where that axis is the one cut along, towards P; rows run towards P where they can (axial), else towards I
(inferior). So an axial slice has the patient's front on top and the right hand on the left. Oblique volumes
are not resampled: each stored axis counts as the patient axis that it is closest to. A fourth axis (time)
follows the third: frame = time * slices + slice.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from omniview.core.image import Array, Image
from omniview.errors import UnreadableFile
from omniview.io.calibration import known_spacing
from omniview.io.decoding import check_size, decoding
from omniview.io.depth import held
from omniview.io.frames import Frames

__all__ = ["open_volume"]

_KIND = "a NIfTI, MHA or NRRD file"
_INFERIOR = 2


def open_volume(path: Path) -> Frames:
    """The slices of a volume.

    Spacing is the file's, in millimetres. These formats do not tell the modality. Numbers of other types
    than uint8 and uint16 become float32.

    Raises:
        UnreadableFile: missing, broken, cut short, or neither grey nor RGB.
    """
    with decoding(path, _KIND, quote=False):
        reader = _reader(path)
        size = reader.GetSize()
        channels = reader.GetNumberOfComponents()
        direction = np.asarray(reader.GetDirection()).reshape(len(size), len(size))
        spacing = reader.GetSpacing()
    if len(size) > 4 or channels not in (1, 3):
        raise UnreadableFile(
            f"{path.name} has {len(size)} axes and {channels} channels; only grey and RGB can be shown.",
            "Export the channel that you need as a volume of its own.",
        )
    check_size(path, size[1], size[0])
    swap, flip_rows, flip_columns = _turns(direction) if len(size) > 2 else (False, False, False)
    spacing_mm = known_spacing(spacing[:2] if swap else spacing[1::-1])
    count = math.prod(size[2:])

    def load(frame: int) -> Image:
        with decoding(path, _KIND, quote=False):
            pixels = _slice(path, size, frame)
        pixels = pixels.swapaxes(0, 1) if swap else pixels
        pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
        return Image(
            np.ascontiguousarray(held(pixels)),
            spacing_mm=spacing_mm,
            name=path.name,
            source=str(path),
            frame=frame if count > 1 else None,
        )

    return Frames(count, load)


def _reader(path: Path) -> Any:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # it prints to stderr, past Python
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _slice(path: Path, size: tuple[int, ...], frame: int) -> Array:
    """(Y,X,C) of one slice as stored; of an uncompressed file only its own bytes are read."""
    import SimpleITK

    reader = _reader(path)
    start, extent = [0, 0], [*size[:2]]
    for length in size[2:]:
        frame, offset = divmod(frame, length)
        start.append(offset)
        extent.append(1)  # 0 would drop the axis, which ITK refuses for coronal and sagittal slices
    reader.SetExtractIndex(start)
    reader.SetExtractSize(extent)
    image = reader.Execute()
    pixels: Array = SimpleITK.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    return pixels.reshape(size[1], size[0], channels)


def _turns(direction: Array) -> tuple[bool, bool, bool]:
    """Whether to swap the two axes of a slice, then flip its rows, then flip its columns.

    Args:
        direction: cosines; column i is the direction of stored axis i in the patient's coordinates (L,P,S).
    """
    nearest = np.abs(direction[:3, :2]).argmax(axis=0)
    column_axis, row_axis = (1, 0) if nearest[0] > nearest[1] else (0, 1)
    towards = [float(direction[nearest[axis], axis]) for axis in (row_axis, column_axis)]
    if nearest[row_axis] == _INFERIOR:
        towards[0] = -towards[0]
    return (row_axis, column_axis) == (0, 1), towards[0] < 0, towards[1] < 0
