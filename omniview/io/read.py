"""Any file to images, and any mask to a truth: the one door through which pixels come in.

The format is told by the first bytes, then by the name; a literal table leads from there to the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from omniview.core.case import Truth
from omniview.core.image import Array, Image
from omniview.errors import UnreadableFile
from omniview.io.dicom import open_dicom
from omniview.io.kinds import SUFFIXES, Kind, is_image_name, kind_of
from omniview.io.raster import is_turned, open_raster, raster_values
from omniview.io.tiff import open_tiff, tiff_values
from omniview.io.truth import check_mask_size, truth_from_values
from omniview.io.volume import open_volume

__all__ = ["SUFFIXES", "is_image", "open_series", "read", "read_truth"]


def _plain_values(reader: Callable[[Path], Sequence[Image]]) -> Callable[[Path, int], Array]:
    def values(path: Path, frame: int) -> Array:
        pixels: Array = reader(path)[frame].pixels.max(axis=2)
        return pixels

    return values


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one kind of file is read: as images, and as the (Y,X) values of a mask."""

    series: Callable[[Path], Sequence[Image]]
    values: Callable[[Path, int], Array]


_READERS: Mapping[Kind, _Reader] = MappingProxyType(
    {
        "raster": _Reader(open_raster, raster_values),
        "tiff": _Reader(open_tiff, tiff_values),
        "dicom": _Reader(open_dicom, _plain_values(open_dicom)),
        "volume": _Reader(open_volume, _plain_values(open_volume)),
    }
)


def open_series(path: Path) -> Sequence[Image]:
    """The images in a file: one, or the frames of a clip, the pages of a TIFF, the slices of a volume.

    The header is read now, pixels when an image is asked for; from then on UnreadableFile may come from
    there as well. Safe to use from several threads.

    Raises:
        UnreadableFile: missing, a folder, empty, cut short, too large, or of no known kind.
    """
    return _READERS[kind_of(path)].series(path)


def read(path: Path, frame: int = 0) -> Image:
    """One image of a file.

    Args:
        path: the file.
        frame: which one, from 0; a file with a single image has only frame 0.

    Raises:
        UnreadableFile: as `open_series`, or there is no such frame.
    """
    series = open_series(path)
    _check_frame(path, frame, len(series))
    return series[frame]


def is_image(path: Path) -> bool:
    """Whether the name says that this is something to open. The file is not touched.

    DICOM files without a suffix are found when they are opened, not by this.
    """
    return is_image_name(path.name)


def read_truth(path: Path, image: Image, labels: int = 1) -> Truth:
    """The reference segmentation of `image`, from a mask in any format that can be opened.

    What the values mean is decided by `omniview.io.truth`. Of a file with several frames the one with the
    image's own index is taken.

    Args:
        path: the mask file.
        image: the image that the mask belongs to.
        labels: K; with more than one, value k is label k.

    Raises:
        UnreadableFile: as `open_series`.
        SizeMismatch: the mask is of another size than the image.
    """
    kind = kind_of(path)
    count = len(_READERS[kind].series(path))
    frame = (image.frame or 0) if count > 1 else 0
    _check_frame(path, frame, count)
    found = _READERS[kind].values(path, frame)
    if found.shape != image.shape:
        turned = any(map(_is_turned, (path, Path(image.source))))
        check_mask_size((found.shape[0], found.shape[1]), image.shape, turned)
    with path.open("rb") as stream:
        lossy = stream.read(2) == b"\xff\xd8"
    return truth_from_values(found, labels=labels, lossy=lossy, source=str(path))


def _check_frame(path: Path, frame: int, count: int) -> None:
    if not 0 <= frame < count:
        raise UnreadableFile(
            f"{path.name} has no frame {frame}.",
            f"It has {count} frame{'s' * (count > 1)}, counted from 0.",
        )


def _is_turned(path: Path) -> bool:
    try:
        return kind_of(path) == "raster" and is_turned(path)
    except UnreadableFile:  # an image made by code has no file
        return False
