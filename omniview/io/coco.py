"""Annotations in the format of COCO: one JSON file with the outlines or runs of every object of many images.

Polygons are filled by the centres of pixels, an object being all its polygons together; runs (RLE) are
decoded bit by bit, compressed or not. Format: Lin et al. 2014, https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from omniview.core.case import Truth
from omniview.core.image import BoolArray, Image
from omniview.errors import SizeMismatch, UnreadableFile
from omniview.io.remote import is_remote

__all__ = ["Annotations", "annotations_of", "annotations_or_none", "read_coco_truth"]

_BROKEN = "Save it again in COCO's format: images, annotations, categories."
_FARTHEST = 1e7
"""Pixels from the origin within which a corner makes sense."""


class _Object(NamedTuple):
    """One annotation: its category's number as text, its outline or None, and whether it is a crowd."""

    category: str
    outline: Any
    is_crowd: bool


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """What one file says.

    Attributes:
        files: image's number, as text, to its file name.
        sizes: image's number to (Y,X).
        objects: image's number to its objects.
        categories: number, as text, to lower-case name.
        has_outlines: whether any object has one, or there is no object.
        has_key_points: whether it was made for the joints of bodies.
    """

    files: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]
    objects: Mapping[str, Sequence[_Object]]
    categories: Mapping[str, str]
    has_outlines: bool
    has_key_points: bool


def read_coco_truth(path: Path, item: str, image: Image, labels: tuple[str, ...]) -> Truth:
    """The objects of one image as a mask.

    A label takes the category of its name; a single label that no category is named after takes them all.

    Args:
        path: the JSON file.
        item: the image's number in it.
        image: the image.
        labels: names of the K labels.

    Raises:
        UnreadableFile: an outline cannot be understood, or a label has no category.
        SizeMismatch: the file was made for an image of another size.
    """
    found = annotations_of(path)
    size = found.sizes.get(item, image.shape)
    if size != image.shape:
        raise SizeMismatch(
            f"{path.name} was made for {size[1]}x{size[0]}, the image is {image.shape[1]}x{image.shape[0]}"
            " (width x height).",
            "Use the annotations that were drawn on this very image.",
        )
    mask = np.zeros((len(labels), *image.shape), np.bool_)
    instances = np.zeros(image.shape, np.int32)
    names = set(found.categories.values())
    everything = len(labels) == 1 and labels[0].lower() not in names
    for label in labels:
        if not everything and label.lower() not in names:
            raise UnreadableFile(f"{path.name} has no category {label!r}.", "Rename its categories.")
    number = crowds = nameless = 0
    for one in found.objects.get(item, ()):
        name = found.categories.get(one.category)
        nameless += name is None and not everything
        for k, label in enumerate(labels):
            if everything or name == label.lower():
                number += 1
                crowds += one.is_crowd
                drawn = _object(one.outline, image.shape, path)
                mask[k] |= drawn
                instances[drawn] = number
    notes = []
    if nameless:
        notes.append(f"Objects of categories that {path.name} does not name were left out: {nameless}.")
    if crowds:
        notes.append(f"Objects are not told apart: outlines of several at once (iscrowd): {crowds}.")
    counted = len(labels) == 1 and number and not crowds
    return Truth(mask, str(path), instances if counted else None, tuple(notes))


def annotations_of(path: Path) -> Annotations:
    """What a file says.

    Raises:
        UnreadableFile: it is not there, lies elsewhere, or is no such file.
    """
    found = annotations_or_none(path)
    if found is None:
        raise UnreadableFile(f"{path.name} is not a file of COCO annotations.", _BROKEN)
    return found


def annotations_or_none(path: Path) -> Annotations | None:
    """What a file says; None if it is JSON of another kind.

    Raises:
        UnreadableFile: it is not there, lies elsewhere, or is broken.
    """
    if is_remote(path):
        raise UnreadableFile(
            f"The annotations {path.name} do not lie on this machine.",
            "Download the file, and name the copy; the images may stay where they are.",
        )
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be read ({error.strerror}).", "Check the path.") from error
    return _annotations(path, changed)


@lru_cache(maxsize=4)
def _annotations(path: Path, _changed: int) -> Annotations | None:
    """What a file says, parsed once as long as it does not change."""
    try:
        values = json.loads(path.read_bytes())
        if not isinstance(values, dict) or not {"images", "annotations"} <= values.keys():
            return None
        images = {str(one["id"]): one for one in values["images"]}
        if len(images) < len(values["images"]):
            raise ValueError  # two images of one number: whose are the objects?
        files = {item: str(one["file_name"]) for item, one in images.items()}
        sizes = {
            item: (int(one["height"]), int(one["width"]))
            for item, one in images.items()
            if one.get("height") and one.get("width")
        }
        objects: dict[str, list[_Object]] = {}
        for one in values["annotations"]:
            outline = one.get("segmentation") or None
            found = _Object(str(one.get("category_id")), outline, bool(one.get("iscrowd")))
            objects.setdefault(str(one["image_id"]), []).append(found)
        categories = {str(one["id"]): str(one["name"]).lower() for one in values.get("categories") or ()}
        bodies = any(one.get("keypoints") for one in values.get("categories") or ())
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be read ({error.strerror}).", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UnreadableFile(f"{path.name} is not a file of COCO annotations.", _BROKEN) from error
    outlined = not objects or any(one.outline for each in objects.values() for one in each)
    return Annotations(files, sizes, objects, categories, outlined, bodies)


def _object(segmentation: Any, shape: tuple[int, int], path: Path) -> BoolArray:
    """(Y,X) bool of one object."""
    if segmentation is None:
        raise UnreadableFile(
            f"An object in {path.name} has a box but no outline.",
            "Use annotations with outlines (segmentation).",
        )
    try:
        if isinstance(segmentation, Mapping):
            height, width = segmentation["size"]
            counts = segmentation["counts"]
            runs = _unpacked(counts) if isinstance(counts, str) else [int(n) for n in counts]
            if (height, width) != shape or sum(runs) != height * width or min(runs, default=0) < 0:
                raise ValueError
            values = np.arange(len(runs)) % 2 == 1
            return np.repeat(values, runs).reshape(width, height).T
        mask = np.zeros(shape, np.bool_)
        for polygon in segmentation:
            points = np.asarray(polygon, np.float64).reshape(-1, 2)
            if not (np.abs(points) < _FARTHEST).all():
                raise ValueError
            mask |= _filled(points, shape)
        return mask
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UnreadableFile(f"An outline in {path.name} cannot be understood.", _BROKEN) from error


def _unpacked(text: str) -> list[int]:
    """Runs of a compressed RLE: 5 bits a character; from the fourth on, changes of the last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _filled(points: npt.NDArray[np.float64], shape: tuple[int, int]) -> BoolArray:
    """Pixels whose centres lie inside a polygon of (x, y) corners, by the even-odd rule."""
    height, width = shape
    crossings = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        # rows whose centre lies in [y0, y1): a corner counts for one of its two edges
        first, last = max(0, math.ceil(y0 - 0.5)), min(height, math.ceil(y1 - 0.5))
        if first >= last:
            continue
        rows = np.arange(first, last)
        x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
        crossings[rows, columns] += 1  # an edge crosses a row once
    odd: BoolArray = np.cumsum(crossings[:, :width], axis=1) % 2 == 1
    return odd
