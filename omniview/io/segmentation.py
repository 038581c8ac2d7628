"""DICOM segmentation objects (SEG): the truths of a study lie among its images, and refer to them by number.

A frame of such an object shows one segment of one image, and empty frames are often left out. So the mask of
an image is put together from the frames that refer to it. References are to DICOM PS3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from omniview.core.case import Truth
from omniview.core.image import Array, BoolArray, Image
from omniview.errors import SizeMismatch, UnreadableFile
from omniview.io.decoding import check_size, decoding

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Facts", "facts_of", "images_of", "read_segmentation"]

_KIND = "a DICOM file"
# Segmentation Storage and Label Map Segmentation Storage, PS3.4 B.5
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_HALF = 0.5
"""Of the largest value of a fractional segmentation: the edge of the mask."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header of a DICOM file says it is.

    Attributes:
        uid: its number, unique in the world; empty where it has none.
        frames: how many it has.
        is_segmentation: whether it is masks of other files.
        has_picture: whether there is anything to see in it.
    """

    uid: str
    frames: int
    is_segmentation: bool
    has_picture: bool


def facts_of(path: Path) -> Facts:
    """What a DICOM file is.

    Raises:
        UnreadableFile: missing, or broken.
    """
    from pydicom import dcmread

    wanted = ["SOPClassUID", "SOPInstanceUID", "NumberOfFrames", "Rows", "Columns"]
    with decoding(path, _KIND, quote=False):
        header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=wanted)
        storage = str(header.get("SOPClassUID", ""))
        return Facts(
            str(header.get("SOPInstanceUID", "")),
            max(int(header.get("NumberOfFrames") or 1), 1),
            storage in _SEGMENTATIONS,
            # a broken file may lack anything: only one that says what it is instead is no picture
            not storage or ("Rows" in header and "Columns" in header),
        )


def images_of(path: Path) -> frozenset[str]:
    """The numbers of the images that a segmentation object speaks of.

    Raises:
        UnreadableFile: missing, or broken.
    """
    header = _header(path, path.stat().st_mtime_ns)
    with decoding(path, _KIND, quote=False):
        named = {uid for frame in range(_count(header)) for uid, _ in _sources(header, frame)}
        return frozenset(named | _instances(header))


def read_segmentation(path: Path, uid: str, frame: int, image: Image, labels: tuple[str, ...]) -> Truth:
    """The segments of one image as a mask.

    A label takes the segment of its name; a single label that no segment is named after takes them all.

    Args:
        path: the segmentation object.
        uid: the image's number.
        frame: which frame of the image's file, from 0.
        image: the image.
        labels: names of the K labels.

    Raises:
        UnreadableFile: missing, broken, it speaks of other images, or a label has no segment.
        SizeMismatch: it was made for an image of another size.
    """
    header = _header(path, path.stat().st_mtime_ns)
    with decoding(path, _KIND, quote=False):
        shape = int(header.Rows), int(header.Columns)
        check_size(path, *shape)
        if uid not in images_of(path):
            raise UnreadableFile(
                f"{path.name} does not refer to {image.name}.", "Use the segmentation of this very image."
            )
        if shape != image.shape:
            raise SizeMismatch(
                f"{path.name} was made for {shape[1]}x{shape[0]}, the image is"
                f" {image.shape[1]}x{image.shape[0]} (width x height).",
                "Use the segmentation that was drawn on this very image.",
            )
        names = {int(one.SegmentNumber): str(one.SegmentLabel).lower() for one in header.SegmentSequence}
        everything = len(labels) == 1 and labels[0].lower() not in names.values()
        missing = [label for label in labels if label.lower() not in names.values()]
        if missing and not everything:
            raise UnreadableFile(f"{path.name} has no segment {missing[0]!r}.", "Rename its segments.")
        mask = np.zeros((len(labels), *shape), np.bool_)
        for segment, drawn in _drawn(path, header, uid, frame):
            for k, label in enumerate(labels):
                if everything or names.get(segment) == label.lower():
                    mask[k] |= drawn
    return Truth(mask, str(path))


@lru_cache(maxsize=8)
def _header(path: Path, _changed: int) -> Dataset:
    """Everything before the pixels, parsed once as long as it does not change."""
    from pydicom import dcmread

    with decoding(path, _KIND, quote=False):
        header: Dataset = dcmread(path, stop_before_pixels=True)
    return header


def _count(header: Dataset) -> int:
    return int(header.get("NumberOfFrames") or 1)


def _drawn(path: Path, header: Dataset, uid: str, frame: int) -> Iterator[tuple[int, BoolArray]]:
    """Number of the segment and (Y,X) bool, of every frame that refers to that frame of that image."""
    from pydicom.pixels.utils import pixel_array

    kind = str(header.get("SegmentationType", "BINARY"))
    for index in range(_count(header)):
        if not any(
            one == uid and (not frames or frame + 1 in frames) for one, frames in _sources(header, index)
        ):
            continue
        values: Array = pixel_array(path, index=index)
        if kind == "LABELMAP":
            yield from ((int(number), values == number) for number in np.unique(values[values > 0]))
            continue
        top = float(header.get("MaximumFractionalValue", 1)) if kind == "FRACTIONAL" else 1.0
        groups = header.PerFrameFunctionalGroupsSequence[index]
        segment = _first(groups, header, "SegmentIdentificationSequence")
        yield int(segment.ReferencedSegmentNumber), values > top * _HALF


def _first(groups: Dataset, header: Dataset, name: str) -> Dataset:
    """The item of a functional group of one frame, or of all frames (C.7.6.16)."""
    if name not in groups:
        groups = header.SharedFunctionalGroupsSequence[0]
    found: Dataset = groups[name].value[0]
    return found


def _sources(header: Dataset, frame: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The images that a frame was drawn on: number, and frames from 1, or none for all (C.7.6.16.2.6)."""
    groups = (
        header.PerFrameFunctionalGroupsSequence[frame],
        *header.get("SharedFunctionalGroupsSequence", ()),
    )
    said = False
    for one in groups:
        for derivation in one.get("DerivationImageSequence", ()):
            for source in derivation.get("SourceImageSequence", ()):
                said = True
                frames = source.get("ReferencedFrameNumber") or ()
                several = frames if hasattr(frames, "__iter__") else (frames,)
                yield str(source.ReferencedSOPInstanceUID), tuple(map(int, several))
    # a frame that does not say: clear only where the whole object was drawn on one image of one frame
    if not said and len(whole := _instances(header)) == 1 and _is_single(header):
        yield from ((uid, ()) for uid in whole)


def _is_single(header: Dataset) -> bool:
    """Whether there are no more frames than segments, so that they all show one image."""
    return _count(header) <= len(header.SegmentSequence)


def _instances(header: Dataset) -> frozenset[str]:
    """The images that the whole object was drawn on (C.12.4, Common Instance Reference)."""
    return frozenset(
        str(one.ReferencedSOPInstanceUID)
        for series in header.get("ReferencedSeriesSequence", ())
        for one in series.get("ReferencedInstanceSequence", ())
    )
