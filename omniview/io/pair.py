"""Which mask belongs to which image, by their names.

Two layouts are known, nested to any depth:
- mirrored: `images/a/x.jpg` with `masks/a/x.png` (or another of the usual folder names);
- flat: `x.jpg` beside `x_mask.png` (or another of the usual suffixes).
In both, an image's and a mask's stem are compared without the suffixes that data sets add to them, so that
`images/21_training.tif` finds `1st_manual/21_manual1.gif`. Upper and lower case do not matter.

Folders are listed once each and files are never touched: 100,000 entries take a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omniview.errors import UnreadableFile
from omniview.io.kinds import stem_of
from omniview.io.read import is_image

__all__ = ["Pair", "Pairing", "Unpaired", "find_truth", "pair_folder"]

_IMAGE_FOLDERS = ("images", "image", "imgs", "img")
# First the names that only ever mean a reference drawn by a person: where those exist, `mask` is often the
# field of view (DRIVE, HRF).
_MASK_FOLDERS = (
    "1st_manual",
    "manual1",
    "manual",
    "ground_truth",
    "groundtruth",
    "gt",
    "truth",
    "labels",
    "label",
    "segmentations",
    "annotations",
    "masks",
    "mask",
)
_MASK_SUFFIX = re.compile(
    r"[_-](1st_?(?:HO|manual)|manual_?1?|mask|masks|segmentation|seg|ground_?truth|gt|truth|label|labels"
    r"|annotation|2nd_?(?:HO|manual)|manual_?2)([_-]\d+)?$",
    re.IGNORECASE,
)
_IMAGE_SUFFIX = re.compile(r"[_-](training|test|image|img|orig|original)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask, or None where no mask was found; `name` is unique within a Pairing."""

    image: Path
    truth: Path | None
    name: str


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A file without its counterpart, and why, in words."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """What is in a folder.

    Attributes:
        pairs: every image, in natural order of names; those without a mask have truth None.
        unpaired: images without a mask, and masks that were not used.
    """

    pairs: tuple[Pair, ...]
    unpaired: tuple[Unpaired, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file by its place: folders below the root in lower case, and the key its name comes down to."""

    path: Path
    within: str
    key: str
    rank: int  # among masks of the same key, the lowest is used


def find_truth(image: Path) -> Path | None:
    """The mask of one image: beside it, in a folder of masks within or beside its folder, or mirrored."""
    key = _image_key(image.name)
    for folder in (image.parent, *_mask_folders(image)):
        beside = folder == image.parent
        found = [
            file
            for file in _listed(folder, "", deep=False)
            if file.path.name != image.name or not beside
            if _mask_key(file.path.name)[0] == key
            if not beside or _MASK_SUFFIX.search(stem_of(file.path.name))
        ]
        if found:
            return min(found, key=lambda file: (_mask_key(file.path.name)[1], file.path.name)).path
    return None


def pair_folder(folder: Path, truth: Path | None = None) -> Pairing:
    """All images of a folder with their masks.

    Args:
        folder: a folder of images, or one that holds a folder of images and one of masks.
        truth: the folder of masks, where it is elsewhere or has another name.

    Raises:
        UnreadableFile: `folder` or `truth` is not a folder that can be listed, or there is no image in it.
    """
    image_root, mask_root = _roots(folder, truth)
    if mask_root is None:
        images, masks = _split_flat(list(_listed(image_root, "")))
    else:
        images = [file for file in _listed(image_root, "") if mask_root not in file.path.parents]
        masks = [_as_mask(file) for file in _listed(mask_root, "")]
    if not images:
        raise UnreadableFile(f"There is no image in {image_root.name}.", "Choose a folder that holds images.")
    return _match(image_root, images, masks)


def _match(root: Path, images: list[_File], masks: list[_File]) -> Pairing:
    by_key: dict[tuple[str, str], list[_File]] = {}
    for mask in masks:
        by_key.setdefault((mask.within, mask.key), []).append(mask)
    for candidates in by_key.values():
        candidates.sort(key=lambda mask: (mask.rank, mask.path.name))
    pairs, unpaired, names = [], [], set[str]()
    wanted: set[tuple[str, str]] = set()
    for image in sorted(images, key=lambda file: _natural(str(file.path))):
        place = image.within, image.key
        wanted.add(place)
        found = by_key[place][0].path if place in by_key else None
        relative = image.path.relative_to(root)
        name = relative.with_name(stem_of(relative.name)).as_posix()
        name = relative.as_posix() if name in names else name
        names.add(name)
        pairs.append(Pair(image.path, found, name))
        if found is None:
            unpaired.append(Unpaired(image.path, "no mask has this image's name"))
    for place, candidates in by_key.items():
        if place not in wanted:
            unpaired += [Unpaired(mask.path, "no image has this mask's name") for mask in candidates]
        else:
            used = candidates[0].path.name
            unpaired += [Unpaired(mask.path, f"{used} is used instead") for mask in candidates[1:]]
    return Pairing(tuple(pairs), tuple(unpaired))


def _roots(folder: Path, truth: Path | None) -> tuple[Path, Path | None]:
    """The folder of images and that of masks; None where masks lie among the images."""
    inside = _folders(folder)
    images = next((inside[name] for name in _IMAGE_FOLDERS if name in inside), folder)
    if truth is not None:
        _folders(truth)  # refuses what is not a folder
        return images, truth
    masks = next((inside[name] for name in _MASK_FOLDERS if name in inside), None)
    if masks is None and images == folder and folder.name.lower() in _IMAGE_FOLDERS:
        beside = _folders(folder.resolve().parent)
        masks = next((beside[name] for name in _MASK_FOLDERS if name in beside), None)
    return images, masks


def _split_flat(files: list[_File]) -> tuple[list[_File], list[_File]]:
    """Images and masks of a folder that holds both."""
    masks = [_as_mask(file) for file in files if _MASK_SUFFIX.search(stem_of(file.path.name))]
    named = {mask.path for mask in masks}
    return [file for file in files if file.path not in named], masks


def _mask_folders(image: Path) -> Iterator[Path]:
    """Where the mask of an image may lie: mirrored first, then within or beside the image's folder."""
    parents = list(image.absolute().parents)
    for depth, parent in enumerate(parents[:-1]):
        if parent.name.lower() in _IMAGE_FOLDERS:
            inside = _folders(parent.parent)
            below = image.absolute().parent.relative_to(parents[depth])
            yield from (inside[name] / below for name in _MASK_FOLDERS if name in inside)
    for parent in parents[:2]:
        inside = _folders(parent)
        yield from (inside[name] for name in _MASK_FOLDERS if name in inside)


def _folders(folder: Path) -> dict[str, Path]:
    """Lower-case name to path of the folders directly in `folder`."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name.lower(): Path(entry.path) for entry in entries if entry.is_dir()}
    except OSError as error:
        raise UnreadableFile(
            f"The folder {folder.name} cannot be listed ({error.strerror}).", "Check the path."
        ) from error


def _listed(folder: Path, within: str, *, deep: bool = True) -> Iterator[_File]:
    """The images in `folder`, by suffix, without hidden ones; links to folders are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:  # a folder that vanished, or may not be listed, holds nothing that can be opened
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if deep:
                yield from _listed(Path(entry.path), f"{within}{entry.name.lower()}/")
        elif is_image(path := Path(entry.path)):
            yield _File(path, within, _image_key(entry.name), 0)


def _as_mask(file: _File) -> _File:
    key, rank = _mask_key(file.path.name)
    return _File(file.path, file.within, key, rank)


def _image_key(name: str) -> str:
    return _IMAGE_SUFFIX.sub("", stem_of(name)).lower()


def _mask_key(name: str) -> tuple[str, int]:
    """The key, and the rank: a second observer's mask and numbered extra masks come after the first."""
    stem = stem_of(name)
    found = _MASK_SUFFIX.search(stem)
    if not found:
        return _image_key(name), 0
    second = found[1].lower().startswith(("2nd", "manual2", "manual_2"))
    rank = (2 if second else 0) + (1 if found[2] else 0)
    return _image_key(stem[: found.start()] + "."), rank


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts `x2` before `x10`."""
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in re.split(r"(\d+)", text)]
