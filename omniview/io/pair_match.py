"""Images and masks brought together by their names: reader by reader, the surest likeness first."""

from __future__ import annotations

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
    unique_name,
)
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired

__all__ = ["Grouped", "paired"]


class Grouped(NamedTuple):
    """A file with the group within which its name counts, and the reader that its folder names.

    Attributes:
        file: the file.
        group: folders below the root without those that only tell images from masks.
        reader: a digit or initials, or empty.
        called: the folder's own name for that reader.
    """

    file: File
    group: str
    reader: str = ""
    called: str = ""


class _Mask(NamedTuple):
    file: File
    group: str
    stem: str
    name: MaskName


def paired(images: Sequence[Grouped], masks: Iterable[Grouped], extra: Iterable[Unpaired] = ()) -> Pairing:
    """All images with the masks that belong to them, each reader's.

    Args:
        images: in the order that the pairs are to have.
        masks: all that might belong to one.
        extra: what else could not be paired.
    """
    by_reader: dict[str, list[_Mask]] = {}
    called: dict[str, str] = {}
    for mask in masks:
        name = mask_name(mask.file)
        reader = mask.reader or name.reader
        by_reader.setdefault(reader, []).append(_Mask(mask.file, mask.group, stem_of(mask.file.name), name))
        called.setdefault(reader, mask.called or name.called or name.word)
    left: dict[File, str] = {}
    found: dict[str, dict[File, list[File]]] = {}
    for reader in sorted(by_reader):
        found[reader], unused = _matched(images, by_reader[reader])
        left.update(unused)
    _prefer_people(found, left)
    return _as_pairing(images, found, called, left, extra)


def _matched(images: Sequence[Grouped], masks: list[_Mask]) -> tuple[dict[File, list[File]], dict[File, str]]:
    """Image to one reader's masks of it, and each mask that was not used to the reason why."""
    found: dict[File, list[File]] = {}
    left = {mask.file: "no image has this mask's name" for mask in masks}
    todo = masks
    for level in range(LOOSE + 1):
        waiting: dict[Key, list[File]] = {}
        for image in images:
            if image.file not in found:
                waiting.setdefault(image_key(image.group, stem_of(image.file.name), level), []).append(
                    image.file
                )
        candidates: dict[Key, list[_Mask]] = {}
        for mask in todo:
            if (key := mask_key(mask.group, mask.stem, mask.name, level)) in waiting:
                candidates.setdefault(key, []).append(mask)
        for key, several in candidates.items():
            if level == LOOSE and len(waiting[key]) > 1:
                left.update((mask.file, "more than one image could be meant") for mask in several)
                continue
            best = min(several, key=_first)
            used = (
                [best.file, *sorted(m.file for m in several if _is_part(m, best))] if level else [best.file]
            )
            left.update((mask.file, f"{best.file.name} is used instead") for mask in several)
            for file in used:
                del left[file]
            found.update(dict.fromkeys(waiting[key], used))
        if not left:
            break
        todo = [mask for mask in todo if mask.file in left]
    return found, left


def _first(mask: _Mask) -> tuple[bool, str]:
    return mask.name.number, mask.file.name


def _is_part(mask: _Mask, best: _Mask) -> bool:
    """Whether a numbered mask shows another part of what `best` shows, as in BUSI."""
    return mask is not best and mask.name.number and mask.name.word == best.name.word


def _prefer_people(found: Mapping[str, dict[File, list[File]]], left: dict[File, str]) -> None:
    """Where a name says that a first reader drew a mask, one without a name is the field of view (DRIVE)."""
    anybody = found.get("", {})
    for reader, own in found.items():
        if reader and not is_further(reader):
            for image in own.keys() & anybody.keys():
                left.update((mask, f"{own[image][0].name} is used instead") for mask in anybody.pop(image))


def _as_pairing(
    images: Sequence[Grouped],
    found: Mapping[str, Mapping[File, list[File]]],
    called: Mapping[str, str],
    left: Mapping[File, str],
    extra: Iterable[Unpaired],
) -> Pairing:
    pairs, unpaired, names = [], [], set[str]()
    readers = [reader for reader, own in found.items() if own]
    for image, group, *_ in images:
        name = unique_name(group + stem_of(image.name), group + image.name, names)
        truths = tuple(
            TruthFiles(called[reader] if len(readers) > 1 else "", tuple(file.path for file in files))
            for reader in readers
            if (files := found[reader].get(image)) is not None
        )
        pairs.append(Pair(image.path, truths[0].files[0] if truths else None, name, truths))
        if not truths:
            unpaired.append(Unpaired(image.path, "no mask has this image's name"))
    unpaired += [Unpaired(mask.path, reason) for mask, reason in left.items()]
    return Pairing(tuple(pairs), (*unpaired, *extra))
