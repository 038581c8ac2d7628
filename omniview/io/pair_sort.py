"""Images and masks told apart, before any name is compared: by their folders, then by their own names."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from omniview.io.kinds import stem_of
from omniview.io.listing import File
from omniview.io.pair_match import Grouped
from omniview.io.pair_names import (
    is_field_of_view,
    is_further,
    is_mask_name,
    is_superpixels,
    mask_name,
    set_of,
)
from omniview.io.pair_places import Place, places_of
from omniview.io.pair_types import Unpaired

__all__ = ["Sorted", "images_alone", "masks_alone", "sorted_out"]

_ELSEWHERE = "another folder holds the masks"
_OUTSIDE = "it lies outside of the folder of images"
_LAST = 999
"""The rank of a further reader's masks where they stand alone."""


class Sorted(NamedTuple):
    """Images, masks, and what is neither."""

    images: list[Grouped]
    masks: list[Grouped]
    extra: list[Unpaired]


def sorted_out(files: Sequence[File], others: Iterable[str] = ()) -> Sorted:
    """Images and masks of one tree, without masks of folders that give way to surer ones.

    Args:
        files: all that can be opened.
        others: folders that are there as well, and may hold images.
    """
    counting = dict.fromkeys(others)
    everything = [file.below for file in files]
    files, extra = _without_odd(files)
    counting |= dict.fromkeys(file.below for file in files)
    places = places_of(everything, counting)
    surest = _surest({below: places[below] for below in counting})
    held = {place.parent for place in places.values() if place.rank is not None}
    # where some masks are known to be a first reader's, `mask` is the field of view in all splits of that
    # set (DRIVE), and nothing is said about the sets beside it
    drawn = {set_of(parent) for parent, rank in surest.items() if rank == 0}
    apart = {place.parent_of_images for place in places.values()} & {*held, ""}
    images, masks = list[Grouped](), list[Grouped]()
    for file in files:
        place = places[file.below]
        if place.rank is not None:
            is_view = set_of(place.parent) in drawn and place.called.lower() in ("mask", "masks")
            beaten = place.rank > surest[place.parent] and not is_further(place.reader)
            if is_view or beaten:
                extra.append(Unpaired(file.path, _ELSEWHERE))
            else:
                masks.append(_mask(file, place))
        elif place.parent_of_images in held:
            inner = any(
                parent in held and len(parent) > len(place.parent_of_images) for parent in place.parents
            )
            images.append(Grouped(file, file.below if inner else place.group, part=place.part))
        elif place.parent_of_images is None and -1 < _nearest(place, apart) >= _nearest(place, held):
            extra.append(Unpaired(file.path, _OUTSIDE))
        elif any(parent in held for parent in place.parents):
            images.append(Grouped(file, file.below))
        else:
            group = place.group if place.parent_of_images == "" else file.below
            one = Grouped(file, group, part=place.part)
            (masks if is_mask_name(file) else images).append(one)
    images, beside = _parted(images)
    return Sorted(*_same_parts(images, masks + beside), extra)


def _nearest(place: Place, folders: Container[str | None]) -> int:
    """Length of the lowest of the folders above a place that is one of these; -1 if none is."""
    return max((len(parent) for parent in place.parents if parent in folders), default=-1)


def images_alone(files: Sequence[File]) -> Sorted:
    """Images of a tree whose masks were named elsewhere; no masks."""
    files, extra = _without_odd(files)
    places = places_of(file.below for file in files)
    apart = {place.parent_of_images for place in places.values()}
    images = list[Grouped]()
    for file in files:
        place = places[file.below]
        if place.rank is not None:
            extra.append(Unpaired(file.path, _ELSEWHERE))
        elif place.parent_of_images is None and any(parent in apart for parent in place.parents):
            extra.append(Unpaired(file.path, _OUTSIDE))
        else:
            images.append(Grouped(file, place.group, part=place.part))
    images, beside = _parted(images)
    return Sorted(images, [], [*extra, *(Unpaired(one.file.path, _ELSEWHERE) for one in beside)])


def masks_alone(files: Sequence[File]) -> Sorted:
    """Masks of a tree that holds nothing else, but for images in folders that are named so; no images."""
    files, extra = _without_odd(files)
    places = places_of(file.below for file in files)
    surest = _surest(places)
    masks = list[Grouped]()
    for file in files:
        place = places[file.below]
        if place.rank is None and place.parent_of_images in surest:
            extra.append(Unpaired(file.path, "it lies in a folder of images"))
        elif place.rank is not None and place.rank > surest[place.parent] and not is_further(place.reader):
            extra.append(Unpaired(file.path, _ELSEWHERE))
        else:
            masks.append(_mask(file, place))
    return Sorted([], masks, extra)


def _mask(file: File, place: Place) -> Grouped:
    return Grouped(file, place.group, place.reader, place.called, place.part, in_folder=True)


def _surest(places: Mapping[str, Place]) -> dict[str, int]:
    """What lies above folders of masks, to the lowest rank of those that are a first reader's."""
    surest: dict[str, int] = {}
    for place in places.values():
        if place.rank is not None:
            own = _LAST if is_further(place.reader) else place.rank
            surest[place.parent] = min(surest.get(place.parent, own), own)
    return surest


def _without_odd(files: Iterable[File]) -> tuple[list[File], list[Unpaired]]:
    """What may be an image or a mask, and what is neither."""
    kept, odd = list[File](), list[Unpaired]()
    for file in files:
        if is_superpixels(file):
            odd.append(Unpaired(file.path, "superpixels are neither image nor mask"))
        elif is_field_of_view(file):
            odd.append(Unpaired(file.path, "it shows the field of view, which is no truth"))
        else:
            kept.append(file)
    return kept, odd


def _parted(images: list[Grouped]) -> tuple[list[Grouped], list[Grouped]]:
    """Images, and what lies among them but is the mask of another one by its name."""
    named = [image for image in images if is_mask_name(image.file)]
    if not named:
        return images, []
    stems = {(image.file.below, stem_of(image.file.name).lower()) for image in images}
    masks = {one for one in named if (one.file.below, mask_name(one.file).base.lower()) in stems}
    return [image for image in images if image not in masks], [one for one in named if one in masks]


def _same_parts(images: list[Grouped], masks: list[Grouped]) -> tuple[list[Grouped], list[Grouped]]:
    """Parts of ISIC where all images and masks of a group tell theirs, for only then they count."""
    silent = {one.group for one in (*images, *masks) if not one.part}
    if not silent:
        return images, masks
    return (
        [one._replace(part="") if one.group in silent and one.part else one for one in images],
        [one._replace(part="") if one.group in silent and one.part else one for one in masks],
    )
