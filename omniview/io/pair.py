"""Which mask belongs to which image, by their names.

Three layouts are known, nested to any depth:
- mirrored: `images/a/x.jpg` with `masks/a/x.png` (or others of the usual folder names), also in each of
  several folders, `training/images` beside `training/1st_manual`;
- flat: `x.jpg` beside `x_mask.png` (or another of the usual suffixes);
- listed: annotations in COCO's format, or a list of files (see `coco`, `pair_list`).
Stems are also compared without the suffixes that data sets add to them, so that
`images/21_training.tif` finds `1st_manual/21_manual1.gif`. Upper and lower case do not matter. Several
readers' masks of one image are kept apart, several masks of one reader are one truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from omniview.errors import InputError, UnreadableFile
from omniview.io.coco import pair_coco
from omniview.io.kinds import stem_of
from omniview.io.listing import File, folders, folders_if_any, listed
from omniview.io.pair_frames import with_frames
from omniview.io.pair_list import is_list, pair_list
from omniview.io.pair_match import Grouped, paired
from omniview.io.pair_names import (
    IMAGE_FOLDERS,
    LOOSE,
    MASK_FOLDERS,
    image_key,
    is_further,
    is_image_folder,
    is_mask_name,
    is_superpixels,
    mask_key,
    mask_name,
    natural,
    preference,
    rank_of_folder,
    reader_of_folder,
    set_of,
)
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import fetched, is_remote, shown_name

__all__ = ["Pair", "Pairing", "TruthFiles", "Unpaired", "find_truth", "pair_anything", "pair_folder"]


def find_truth(image: Path) -> Path | None:
    """The mask of one image: beside it, in a folder of masks within or beside its folder, or mirrored."""
    own = File(str(image.parent), image.name, "")
    stem = stem_of(image.name)
    loose = image_key("", stem, LOOSE)[1]
    beside = [file for file in listed(own.folder, prefix=loose) if file.name != own.name]
    # beside a plain `x`, an `x_test` is another image, and the masks of `x` are not its own
    levels = range(LOOSE if any(stem_of(file.name).lower() == loose for file in beside) else LOOSE + 1)
    for folder in (image.parent, *_mask_folders(image)):
        if folder == image.parent:
            masks = [file for file in beside if is_mask_name(file)]
        else:
            masks = list(listed(str(folder), prefix=loose))
        for level in levels:
            key = image_key("", stem, level)
            found = [m for m in masks if mask_key("", stem_of(m.name), mask_name(m), level) == key]
            if found:
                return min(found, key=preference).path
    return None


def pair_anything(folder: Path, truth: Path | None = None) -> Pairing:
    """What a batch scores: a folder as `pair_folder` has it, with DICOM studies frame by frame; or a list.

    Raises:
        UnreadableFile: as `pair_folder`, or the list cannot be read.
        InputError: a list beside a folder of masks: a list names its masks itself.
    """
    if is_list(folder):
        if truth is not None:
            raise InputError(
                f"{folder.name} is a list, and names its masks itself: {truth.name} would not be looked at.",
                "Write each mask into the list behind its image, or name a folder of images instead.",
            )
        with fetched(folder) as here:
            return pair_list(here, folder.parent)
    return with_frames(pair_folder(folder, truth, suffixless=True))


def pair_folder(folder: Path, truth: Path | None = None, *, suffixless: bool = False) -> Pairing:
    """All images of a folder with their masks.

    Args:
        folder: a folder of images, or one that holds a folder of images and one of masks.
        truth: the folder of masks, where it is elsewhere or has another name, or a COCO file.
        suffixless: whether files without a suffix are images, as in DICOM studies.

    Raises:
        UnreadableFile: `folder` or `truth` is not a folder that can be listed, or there is no image in it.
    """
    inside = folders(folder)
    root = folder
    if truth is None and not any(_is_masks(name) for name in inside):
        root, truth = _beside(folder)
    extra: list[Unpaired] = []
    if truth is not None and truth.suffix.lower() == ".json":
        images, masks = _of(root, suffixless), list[Grouped]()
    elif truth is not None:
        folders(truth)  # refuses what is not a folder
        images = _of(root, suffixless, without=str(truth) if is_remote(truth) else os.path.realpath(truth))
        masks = [_as_mask(file) for file in listed(str(truth), deep=True)]
    else:
        files = list(listed(str(root), deep=True, suffixless=suffixless))
        images, masks, extra = _sorted_out(files)
    odd = [one.file for one in (*images, *masks) if is_superpixels(one.file)]
    extra += [Unpaired(file.path, "superpixels are neither image nor mask") for file in odd]
    images, masks = ([one for one in some if not is_superpixels(one.file)] for some in (images, masks))
    if not images:
        raise UnreadableFile(
            f"There is no image in {shown_name(root)}.", "Choose a folder that holds images."
        )
    images.sort(key=lambda image: natural(image.file))
    if not masks and (pairing := pair_coco(root, truth, images)) is not None:
        return replace(pairing, unpaired=(*pairing.unpaired, *extra))
    return paired(images, masks, extra)


def _beside(folder: Path) -> tuple[Path, Path | None]:
    """A folder of images alone, with the folder of masks that lies beside it."""
    if is_image_folder(folder.name.lower()):
        siblings = folders_if_any(folder.parent if is_remote(folder) else folder.resolve().parent)
        ranked = [(rank_of_folder(name), path) for name, path in siblings.items()]
        masks = [(rank, path) for rank, path in ranked if rank is not None]
        return folder, min(masks, key=lambda one: one[0])[1] if masks else None
    return folder, None


def _is_masks(name: str) -> bool:
    return rank_of_folder(name) is not None


def _of(root: Path, suffixless: bool, without: str = "") -> list[Grouped]:
    """The images of a folder whose masks are elsewhere."""
    inside = folders(root)
    start = next((inside[name] for name in inside if is_image_folder(name)), root)
    files = listed(str(start), deep=True, without=without, suffixless=suffixless)
    return [Grouped(file, file.below) for file in files]


def _as_mask(file: File) -> Grouped:
    """A mask of a folder that holds nothing else; folders inside may name readers."""
    parts = file.below.split("/")[:-1]
    at = next((i for i, part in enumerate(parts) if reader_of_folder(part.lower())), None)
    if at is None:
        return Grouped(file, file.below)
    group = "".join(f"{part}/" for i, part in enumerate(parts) if i != at)
    return Grouped(file, group, reader_of_folder(parts[at].lower()), parts[at])


def _sorted_out(files: Sequence[File]) -> tuple[list[Grouped], list[Grouped], list[Unpaired]]:
    """Images and masks, told apart folder by folder, and masks of folders that give way to surer ones."""
    places = {below: _Place(below) for below in dict.fromkeys(file.below for file in files)}
    of_masks = [place for place in places.values() if place.rank is not None]
    surest: dict[str, int] = {}
    for place in of_masks:
        assert place.rank is not None
        own = len(MASK_FOLDERS) if is_further(place.reader) else place.rank
        surest[place.parent] = min(surest.get(place.parent, own), own)
    # where some masks are known to be a first reader's, `mask` is the field of view in all splits of that
    # set (DRIVE), and nothing is said about the sets beside it
    drawn = {set_of(parent) for parent, rank in surest.items() if rank == 0}
    apart = {p.parent_of_images for p in places.values()} & {*surest, ""}
    images, masks, extra = list[Grouped](), list[Grouped](), list[Unpaired]()
    for file in files:
        place = places[file.below]
        if place.rank is not None:
            is_view = set_of(place.parent) in drawn and place.called.lower() in ("mask", "masks")
            beaten = place.rank > surest[place.parent] and not is_further(place.reader)
            if is_view or beaten:
                extra.append(Unpaired(file.path, "another folder holds the masks"))
            else:
                masks.append(Grouped(file, place.group, place.reader, place.called))
        elif place.parent_of_images in surest:
            images.append(Grouped(file, place.group))
        elif place.parent_of_images is None and any(parent in apart for parent in place.parents):
            extra.append(Unpaired(file.path, "it lies outside of the folder of images"))
        elif any(parent in surest for parent in place.parents):
            images.append(Grouped(file, file.below))
        else:
            group = place.group if place.parent_of_images == "" else file.below
            (masks if is_mask_name(file) else images).append(Grouped(file, group))
    return images, masks, extra


class _Place:
    """What the names of the folders say that a file lies in.

    Attributes:
        rank: how surely they hold masks, or None.
        called: the name of the folder of masks.
        reader: whose masks they are.
        parent: what lies above the folder of masks.
        parent_of_images: what lies above the folder of images, or None where none is named so.
        parents: every folder above, and the folder itself.
        group: the folders without those that only tell images from masks.
    """

    def __init__(self, below: str) -> None:
        parts = below.split("/")[:-1]
        self.parents = ["".join(f"{part}/" for part in parts[:n]) for n in range(len(parts) + 1)]
        self.rank: int | None = None
        self.called = self.reader = self.parent = ""
        self.parent_of_images: str | None = None
        self.group = below
        for at, part in enumerate(parts):
            name = part.lower()
            rank = rank_of_folder(name)
            if rank is not None or is_image_folder(name):
                self.group = "".join(f"{other}/" for i, other in enumerate(parts) if i != at)
                if rank is None:
                    self.parent_of_images = self.parents[at]
                else:
                    self.rank, self.parent, self.called = rank, self.parents[at], part
                    self.reader = reader_of_folder(name)
                return


def _mask_folders(image: Path) -> Iterator[Path]:
    """Where the mask of an image may lie: mirrored first, then within or beside the image's folder."""
    parents = list(image.absolute().parents)
    for depth, parent in enumerate(parents[:-1]):
        if parent.name.lower() in IMAGE_FOLDERS:
            inside = folders_if_any(parent.parent)
            below = image.absolute().parent.relative_to(parents[depth])
            yield from (inside[name] / below for name in MASK_FOLDERS if name in inside)
    for parent in parents[:2]:
        inside = folders_if_any(parent)
        yield from (inside[name] for name in MASK_FOLDERS if name in inside)
