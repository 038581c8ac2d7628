"""Which mask belongs to which image, by their names.

Two layouts are known, nested to any depth:
- mirrored: `images/a/x.jpg` with `masks/a/x.png` (or another of the usual folder names);
- flat: `x.jpg` beside `x_mask.png` (or another of the usual suffixes).
In both, stems are also compared without the suffixes that data sets add to them, so that
`images/21_training.tif` finds `1st_manual/21_manual1.gif`. Upper and lower case do not matter.

Folders are listed once each and files are never touched: 100,000 entries take two seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from omniview.errors import UnreadableFile
from omniview.io.kinds import is_image_name, stem_of
from omniview.io.pair_types import Pair, Pairing, Unpaired

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


_DIGITS = re.compile(r"([0-9]+)")
_LOOSE = 2
"""Names are compared at three levels, each only for what the one before has left over:

0. equal stems;
1. the mask's stem without the suffix of a mask;
2. both without the suffix of an image as well, where no second image could be meant.
"""
_Key: TypeAlias = tuple[str, str]  # folders below the root, name; both in lower case


class _File(NamedTuple):
    """A file that is still only strings: there may be 100,000, and a Path costs ten times as much."""

    folder: str
    name: str
    below: str  # folders below the root, each with a slash behind it

    @property
    def path(self) -> Path:
        return Path(self.folder, self.name)


def find_truth(image: Path) -> Path | None:
    """The mask of one image: beside it, in a folder of masks within or beside its folder, or mirrored."""
    own = _File(str(image.parent), image.name, "")
    loose = _image_key(own, _LOOSE)[1]
    beside = [file for file in _listed(own.folder, prefix=loose) if file.name != own.name]
    # beside a plain `x`, an `x_test` is another image, and the masks of `x` are not its own
    levels = range(_LOOSE if any(_image_key(file, 0)[1] == loose for file in beside) else _LOOSE + 1)
    for folder in (image.parent, *_mask_folders(image)):
        if folder == image.parent:
            masks = [file for file in beside if _MASK_SUFFIX.search(stem_of(file.name))]
        else:
            masks = list(_listed(str(folder), prefix=loose))
        for level in levels:
            key = _image_key(own, level)
            if found := [mask for mask in masks if _mask_key(mask, level) == key]:
                return min(found, key=_preference).path
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
        files = list(_listed(str(image_root), deep=True))
        named = [bool(_MASK_SUFFIX.search(stem_of(file.name))) for file in files]
        images = [file for file, is_mask in zip(files, named, strict=True) if not is_mask]
        masks = [file for file, is_mask in zip(files, named, strict=True) if is_mask]
    else:
        images = list(_listed(str(image_root), deep=True, without=os.path.realpath(mask_root)))
        masks = list(_listed(str(mask_root), deep=True))
    if not images:
        raise UnreadableFile(f"There is no image in {image_root.name}.", "Choose a folder that holds images.")
    images.sort(key=_natural)
    return _as_pairing(images, *_matched(images, masks))


def _matched(images: list[_File], masks: list[_File]) -> tuple[dict[_File, _File], dict[_File, str]]:
    """Image to mask, and mask to the reason why it was not used."""
    found: dict[_File, _File] = {}
    left = dict.fromkeys(masks, "no image has this mask's name")
    for level in range(_LOOSE + 1):
        waiting: dict[_Key, list[_File]] = {}
        for image in images:
            if image not in found:
                waiting.setdefault(_image_key(image, level), []).append(image)
        candidates: dict[_Key, list[_File]] = {}
        for mask in left:
            if (key := _mask_key(mask, level)) in waiting:
                candidates.setdefault(key, []).append(mask)
        for key, several in candidates.items():
            if level == _LOOSE and len(waiting[key]) > 1:
                left.update(dict.fromkeys(several, "more than one image could be meant"))
                continue
            best = min(several, key=_preference)
            left.update(dict.fromkeys(several, f"{best.name} is used instead"))
            del left[best]
            found.update(dict.fromkeys(waiting[key], best))
    return found, left


def _as_pairing(images: list[_File], found: dict[_File, _File], left: dict[_File, str]) -> Pairing:
    pairs, unpaired, names = [], [], set[str]()
    for image in images:
        name = image.below + stem_of(image.name)
        # lower case: results are named so, and a and A are one file on Windows and macOS
        name = image.below + image.name if name.lower() in names else name
        names.add(name.lower())
        mask = found.get(image)
        pairs.append(Pair(image.path, mask.path if mask else None, name))
        if mask is None:
            unpaired.append(Unpaired(image.path, "no mask has this image's name"))
    unpaired += [Unpaired(mask.path, reason) for mask, reason in left.items()]
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


def _mask_folders(image: Path) -> Iterator[Path]:
    """Where the mask of an image may lie: mirrored first, then within or beside the image's folder."""
    parents = list(image.absolute().parents)
    for depth, parent in enumerate(parents[:-1]):
        if parent.name.lower() in _IMAGE_FOLDERS:
            inside = _folders_if_any(parent.parent)
            below = image.absolute().parent.relative_to(parents[depth])
            yield from (inside[name] / below for name in _MASK_FOLDERS if name in inside)
    for parent in parents[:2]:
        inside = _folders_if_any(parent)
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


def _folders_if_any(folder: Path) -> dict[str, Path]:
    """As `_folders`; nothing where it may not be listed, as the folder of all homes on some systems."""
    try:
        return _folders(folder)
    except UnreadableFile:
        return {}


def _listed(
    folder: str, below: str = "", *, deep: bool = False, prefix: str = "", without: str = ""
) -> Iterator[_File]:
    """The images in `folder`, by suffix, without hidden ones; links to folders are not followed.

    Args:
        folder: where to look.
        below: where that is, seen from the root.
        deep: look into folders as well.
        prefix: lower-case start of the names that matter.
        without: a folder not to look into.
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name[0] != "."]
    except OSError:  # a folder that vanished, or may not be listed, holds nothing that can be opened
        return
    for entry in found:
        name = entry.name
        if deep and entry.is_dir(follow_symlinks=False):
            if os.path.realpath(entry.path) != without:
                yield from _listed(entry.path, f"{below}{name}/", deep=True, without=without)
        elif name.lower().startswith(prefix) and is_image_name(name):
            yield _File(folder, name, below)


def _image_key(image: _File, level: int) -> _Key:
    """What the image's name comes down to: its stem, and at the last level that without an image's suffix."""
    stem = stem_of(image.name)
    return image.below.lower(), (_IMAGE_SUFFIX.sub("", stem) if level == _LOOSE else stem).lower()


def _mask_key(mask: _File, level: int) -> _Key:
    """The same for a mask: first its stem, then that without a mask's suffix, then without an image's too."""
    stem = stem_of(mask.name)
    if level > 0:
        stem = _MASK_SUFFIX.sub("", stem)
    return mask.below.lower(), (_IMAGE_SUFFIX.sub("", stem) if level == _LOOSE else stem).lower()


def _preference(mask: _File) -> tuple[bool, bool, str]:
    """The lowest is used: a first observer before a second, the mask before numbered further ones."""
    suffix = _MASK_SUFFIX.search(stem_of(mask.name))
    second = suffix is not None and suffix[1].lower().startswith(("2nd", "manual2", "manual_2"))
    return second, suffix is not None and suffix[2] is not None, mask.name


def _natural(file: _File) -> list[tuple[int, str]]:
    """Sorts `x2` before `x10`."""
    parts = _DIGITS.split(file.below.lower() + file.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
