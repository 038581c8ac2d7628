"""Annotations in the format of COCO: one JSON file with the outlines or runs of every object of many images.

Polygons are filled by the centres of pixels, an object being all its polygons together; runs (RLE) are
decoded bit by bit, compressed or not. Format: Lin et al. 2014, https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from omniview.core.case import Truth
from omniview.core.image import BoolArray, Image
from omniview.errors import SizeMismatch, UnreadableFile
from omniview.io.kinds import stem_of
from omniview.io.pair_match import Grouped
from omniview.io.pair_names import unique_name
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import is_remote

__all__ = ["pair_coco", "read_coco_truth"]

_BROKEN = "Save it again in COCO's format: images, annotations, categories."


@dataclass(frozen=True, slots=True, eq=False)
class _Annotations:
    """What one file says.

    Attributes:
        files: image's number, as text, to its file name.
        sizes: image's number to (Y,X).
        objects: image's number to (category, segmentation) of its objects.
        categories: number to lower-case name.
    """

    files: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]
    objects: Mapping[str, Sequence[tuple[Any, Any]]]
    categories: Mapping[Any, str]


def pair_coco(root: Path, truth: Path | None, images: Sequence[Grouped]) -> Pairing | None:
    """The images with their annotations, or None if there are none.

    Args:
        root: of the images; without `truth` its JSON files, those of `annotations` and of the folders
            directly inside are looked at.
        truth: the JSON file, if it is known.
        images: in the order that the pairs are to have.

    Raises:
        UnreadableFile: `truth` is no such file, is not there, or lies elsewhere.
    """
    if truth is not None and truth.suffix.lower() != ".json":
        return None
    found: dict[Path, _Annotations] = {}
    for path in (*root.glob("*.json"), *root.glob("*/*.json")) if truth is None else (truth,):
        try:
            found[path] = _known(path)
        except UnreadableFile:
            if truth is not None:
                raise
    if not found:
        return None
    whose = {
        name.replace("\\", "/").lower(): TruthFiles("", (path,), item)
        for path, one in found.items()
        for item, name in one.files.items()
    }
    alone = Counter(name.rsplit("/", 1)[-1] for name in whose)
    by_name = {name.rsplit("/", 1)[-1]: truth for name, truth in whose.items()}
    pairs, unpaired, used, names = [], [], set[TruthFiles](), set[str]()
    for file, group, *_ in images:
        short = file.name.lower()
        mine = whose.get((file.below + file.name).lower()) or whose.get((group + file.name).lower())
        if mine is None and alone[short] == 1:
            mine = by_name[short]
        name = unique_name(group + stem_of(file.name), group + file.name, names)
        if mine is None:
            unpaired.append(Unpaired(file.path, "no annotation file names this image"))
            pairs.append(Pair(file.path, None, name))
        else:
            used.add(mine)
            pairs.append(Pair(file.path, mine.files[0], name, (mine,)))
    unpaired += [
        Unpaired(Path(name), "annotated, but there is no such image")
        for name, truth in whose.items()
        if truth not in used
    ]
    return Pairing(tuple(pairs), tuple(unpaired))


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
    found = _known(path)
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
    number = 0
    for category, segmentation in found.objects.get(item, ()):
        name = found.categories.get(category, "")
        for k, label in enumerate(labels):
            if everything or name == label.lower():
                number += 1
                one = _object(segmentation, image.shape, path)
                mask[k] |= one
                instances[one] = number
    return Truth(mask, str(path), instances if len(labels) == 1 and number else None)


def _known(path: Path) -> _Annotations:
    """What a file says.

    Raises:
        UnreadableFile: it is not there, lies elsewhere, or is no such file.
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
def _annotations(path: Path, _changed: int) -> _Annotations:
    """What a file says, parsed once as long as it does not change."""
    try:
        values = json.loads(path.read_bytes())
        files = {str(one["id"]): str(one["file_name"]) for one in values["images"]}
        sizes = {
            str(one["id"]): (int(one["height"]), int(one["width"]))
            for one in values["images"]
            if "height" in one and "width" in one
        }
        objects: dict[str, list[tuple[Any, Any]]] = {}
        for one in values["annotations"]:
            objects.setdefault(str(one["image_id"]), []).append((one.get("category_id"), one["segmentation"]))
        categories = {one["id"]: str(one["name"]).lower() for one in values.get("categories", ())}
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be read ({error.strerror}).", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableFile(f"{path.name} is not a file of COCO annotations.", _BROKEN) from error
    return _Annotations(files, sizes, objects, categories)


def _object(segmentation: Any, shape: tuple[int, int], path: Path) -> BoolArray:
    """(Y,X) bool of one object."""
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
            mask |= _filled(np.asarray(polygon, np.float64).reshape(-1, 2), shape)
        return mask
    except (ValueError, KeyError, TypeError) as error:
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
