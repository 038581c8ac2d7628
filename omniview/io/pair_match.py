"""Images and masks brought together by their names: reader by reader, the surest likeness first.

A mask that could be of two images is given to neither: no truth is better than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from omniview.io.kinds import stem_of
from omniview.io.listing import File
from omniview.io.pair_names import (
    LOOSE,
    Key,
    MaskName,
    image_key,
    is_further,
    mask_key,
    mask_name,
    mask_prefix,
    unique_name,
)
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired

__all__ = ["NO_IMAGE", "NO_MASK", "Grouped", "paired"]

_UNCLEAR = "more than one image could be meant"
_WITHOUT = "the mask of this name could be another image's"
NO_MASK = "no mask has this image's name"
NO_IMAGE = "no image has this mask's name"
"""Reasons of what is left over, which a segmentation that refers by number may take back."""
_OBJECT = re.compile(
    r"[0-9a-f]{16,}|(m|masks?|obj|objects?|inst|instances?|cell|nucle(us|i))?[ _-]?\d+", re.IGNORECASE
)
"""Names that say nothing but which object it is: hashes (DSB 2018) and numbers."""


class Grouped(NamedTuple):
    """A file with the group within which its name counts, and the reader that its folder names.

    Attributes:
        file: the file.
        group: folders below the root without those that only tell images from masks.
        reader: a digit or initials, or empty.
        called: the folder's own name for that reader.
        part: which year and split of ISIC; names count within it as well.
        in_folder: whether it is a mask of a folder of masks.
    """

    file: File
    group: str
    reader: str = ""
    called: str = ""
    part: str = ""
    in_folder: bool = False

    @property
    def scope(self) -> str:
        """Within what its name counts."""
        return self.group + self.part


class _Mask(NamedTuple):
    file: File
    scope: str
    stem: str
    name: MaskName
    prefix: str


def paired(
    images: Sequence[Grouped], masks: Sequence[Grouped], extra: Iterable[Unpaired] = (), *, root: str = ""
) -> Pairing:
    """All images with the masks that belong to them, each reader's.

    Args:
        images: in the order that the pairs are to have.
        masks: all that might belong to one.
        extra: what else could not be paired.
        root: the name of the folder that everything lies in.
    """
    prefixes = _prefixes(masks)
    by_reader: dict[str, list[_Mask]] = {}
    called: dict[str, str] = {}
    for mask in masks:
        name = mask_name(mask.file)
        reader = mask.reader or name.reader
        by_reader.setdefault(reader, []).append(
            _Mask(mask.file, mask.scope, stem_of(mask.file.name), name, prefixes.get(mask.file.folder, ""))
        )
        # a folder that says nothing of a reader is called alike for all whose masks lie in it
        own = name.called if name.reader and not mask.reader else mask.called
        called.setdefault(reader, own or name.called or name.word)
    left: dict[File, str] = {}
    found: dict[str, dict[File, list[File]]] = {}
    unclear = set[File]()
    for reader in sorted(by_reader):
        found[reader], unused = _matched(images, by_reader[reader], unclear)
        left.update(unused)
    _prefer_people(found, left)
    objects = _objects(images, masks, found, left, root)
    return _as_pairing(images, found, called, left, extra, objects, unclear)


def _prefixes(masks: Iterable[Grouped]) -> dict[str, str]:
    """Folder of masks to what stands before all names in it, and before no name by chance."""
    found: dict[str, str] = {}
    for mask in masks:
        prefix = mask_prefix(stem_of(mask.file.name)).lower() if mask.in_folder else ""
        if found.setdefault(mask.file.folder, prefix) != prefix:
            found[mask.file.folder] = ""
    return found


def _matched(
    images: Sequence[Grouped], masks: list[_Mask], unclear: set[File]
) -> tuple[dict[File, list[File]], dict[File, str]]:
    """Image to one reader's masks of it, and each mask that was not used to the reason why.

    Images that share a name with another one, so that no mask can be given to them, are put into `unclear`.
    """
    found: dict[File, list[File]] = {}
    left = {mask.file: NO_IMAGE for mask in masks}
    todo = masks
    for level in range(LOOSE + 1):
        waiting: dict[Key, list[File]] = {}
        for image in images:
            if image.file not in found:
                key = image_key(image.scope, stem_of(image.file.name), level)
                waiting.setdefault(key, []).append(image.file)
        candidates: dict[Key, list[_Mask]] = {}
        for mask in todo:
            key = mask_key(mask.scope, mask.stem, mask.name, level, mask.prefix)
            if key in waiting:
                candidates.setdefault(key, []).append(mask)
        for key, several in candidates.items():
            if len(waiting[key]) == len(several) == 1:  # nothing to choose: most of any set
                found[waiting[key][0]] = [several[0].file]
                del left[several[0].file]
                continue
            for image_file, used in _chosen(waiting[key], several, level).items():
                found[image_file] = used
                for file in used:
                    del left[file]
            used_first = next((found[file] for file in waiting[key] if file in found), None)
            if used_first is None:
                unclear.update(waiting[key])
            for one in several:
                if one.file in left:
                    left[one.file] = _UNCLEAR if used_first is None else _instead(one.file, used_first[0])
        if not left:
            break
        todo = [mask for mask in todo if mask.file in left]
    return found, left


def _chosen(images: list[File], several: list[_Mask], level: int) -> dict[File, list[File]]:
    """Image to its masks, of those that all have one name; nothing where that is not clear."""
    if len(images) == 1:
        best = min(several, key=lambda one: (one.file.folder != images[0].folder, *_first(one)))
        parts = sorted(one.file for one in several if _is_part(one, best)) if level else []
        return {images[0]: [best.file, *parts]}
    # masks beside their images, where there are others of that name in other folders
    near = {file: [one for one in several if one.file.folder == file.folder] for file in images}
    if any(near.values()) and len({file.folder for file in images}) == len(images):
        return {file: _chosen([file], own, level)[file] for file, own in near.items() if own}
    if level == LOOSE or len(images) != len(several):
        return {}
    # a.jpg and a.png with a_mask.jpg and a_mask.png; or a.png and A.png with a_mask.png and A_mask.png
    for own, theirs in (
        ({_suffix(file): file for file in images}, {_suffix(one.file): one.file for one in several}),
        (
            {stem_of(file.name): file for file in images},
            {(one.name.base if level else one.stem): one.file for one in several},
        ),
    ):
        if len(own) == len(images) and own.keys() == theirs.keys():
            return {file: [theirs[mark]] for mark, file in own.items()}
    return {}


def _suffix(file: File) -> str:
    return file.name[len(stem_of(file.name)) :].lower()


def _instead(file: File, used: File) -> str:
    return f"{used.name if used.name != file.name else used.below + used.name} is used instead"


def _first(mask: _Mask) -> tuple[bool, str, str]:
    return mask.name.number, mask.file.name, mask.file.below


def _is_part(mask: _Mask, best: _Mask) -> bool:
    """Whether a numbered mask shows another part of what `best` shows, as in BUSI."""
    return (
        mask is not best
        and mask.name.number
        and mask.name.word == best.name.word
        and mask.file.folder == best.file.folder
    )


def _prefer_people(found: Mapping[str, dict[File, list[File]]], left: dict[File, str]) -> None:
    """Where a name says that a first reader drew a mask, one without a name is the field of view (DRIVE)."""
    anybody = found.get("", {})
    for reader, own in found.items():
        if reader and not is_further(reader):
            for image in own.keys() & anybody.keys():
                left.update((mask, f"{own[image][0].name} is used instead") for mask in anybody.pop(image))


def _objects(
    images: Sequence[Grouped],
    masks: Sequence[Grouped],
    found: dict[str, dict[File, list[File]]],
    left: dict[File, str],
    root: str,
) -> set[File]:
    """Images whose masks show one object each, under names of their own: `ID/images/ID.png`, `ID/masks/*`.

    They are put into `found`, and their masks taken out of `left`.
    """
    alone: dict[str, list[Grouped]] = {}
    for image in images:
        alone.setdefault(image.group, []).append(image)
    theirs: dict[str, list[Grouped]] = {}
    for mask in masks:
        theirs.setdefault(mask.group, []).append(mask)
    done = set[File]()
    for group, own in theirs.items():
        if len(alone.get(group, ())) != 1 or any(alone[group][0].file in one for one in found.values()):
            continue
        (image,) = alone[group]
        folder = (group[:-1].rpartition("/")[2] or root).lower()
        if folder == stem_of(image.file.name).lower() and all(_is_object(mask, left) for mask in own):
            files = sorted(mask.file for mask in own)
            found.setdefault("", {})[image.file] = files
            for file in files:
                del left[file]
            done.add(image.file)
    return done


def _is_object(mask: Grouped, left: Mapping[File, str]) -> bool:
    return (
        mask.in_folder
        and not mask.reader
        and mask.file in left
        and _OBJECT.fullmatch(stem_of(mask.file.name)) is not None
    )


def _as_pairing(
    images: Sequence[Grouped],
    found: Mapping[str, Mapping[File, list[File]]],
    called: Mapping[str, str],
    left: Mapping[File, str],
    extra: Iterable[Unpaired],
    objects: set[File],
    unclear: set[File],
) -> Pairing:
    pairs, unpaired, names = [], [], set[str]()
    readers = [reader for reader, own in found.items() if own]
    for image, group, *_ in images:
        name = unique_name(group + stem_of(image.name), image.below + image.name, names)
        truths = tuple(
            TruthFiles(
                called.get(reader, "") if len(readers) > 1 else "",
                tuple(file.path for file in files),
                objects=image in objects,
            )
            for reader in readers
            if (files := found[reader].get(image)) is not None
        )
        pairs.append(Pair(image.path, truths[0].files[0] if truths else None, name, truths))
        if not truths:
            unpaired.append(Unpaired(image.path, _WITHOUT if image in unclear else NO_MASK))
    unpaired += [Unpaired(mask.path, reason) for mask, reason in left.items()]
    return Pairing(tuple(pairs), (*unpaired, *extra))
