"""Which mask belongs to which image, by their names.

Four layouts are known, nested to any depth:
- mirrored: `images/a/x.jpg` with `masks/a/x.png` (or others of the usual folder names), also in each of
  several folders, `training/images` beside `training/1st_manual`;
- flat: `x.jpg` beside `x_mask.png` (or another of the usual suffixes);
- an image a folder: `ID/images/ID.png` with a mask for each object in `ID/masks` (see `pair_match`);
- listed: annotations in COCO's format, or a list of files (see `coco`, `pair_list`).
Stems are also compared without the suffixes that data sets add to them, so that
`images/21_training.tif` finds `1st_manual/21_manual1.gif`. Upper and lower case do not matter. Several
readers' masks of one image are kept apart, several masks of one reader are one truth. What could be the mask
of two images is given to neither, and a field of view is no truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from omniview.core.cycles import no_search
from omniview.errors import InputError, UnreadableFile
from omniview.io.kinds import folded, is_text, stem_of
from omniview.io.listing import File, folders, folders_if_any, listed
from omniview.io.pair_coco import pair_coco
from omniview.io.pair_frames import with_frames
from omniview.io.pair_list import is_list, pair_list
from omniview.io.pair_match import Grouped, paired
from omniview.io.pair_names import (
    LOOSE,
    image_key,
    is_image_folder,
    mask_prefix,
    natural,
    part_of_isic,
    rank_of_folder,
    twin_of,
)
from omniview.io.pair_sort import images_alone, masks_alone, sorted_out
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import fetched, is_http, is_remote, shown_name

__all__ = [
    "Pair",
    "Pairing",
    "TruthFiles",
    "Unpaired",
    "find_truths",
    "pair_anything",
    "pair_folder",
]

_HIGHEST = 4
"""How many folders above one of images may be the one that is named so."""


def find_truths(image: Path) -> tuple[TruthFiles, ...]:
    """The truths of one image, by the rules of `pair_folder` seen from its folder; empty without any."""
    here = Path(os.path.normpath(image.absolute()))
    tree = _tree(here.parent)
    part = image_key("", stem_of(here.name), LOOSE)[1]
    inside = [(path, f"{tree.below}{path.name}/") for path in _masks_in(here.parent)]
    of_masks = (*inside, *tree.masks)
    files = {File(str(here.parent), here.name, tree.below): None}
    files |= dict.fromkeys(listed(str(here.parent), tree.below, holding=part))
    # masks of objects have names of their own
    of_objects = part if tree.above.name.lower() != stem_of(here.name).lower() else ""
    for folder, below in of_masks:
        files |= dict.fromkeys(_telling(listed(str(folder), below), of_objects))
    # a folder of masks counts if it holds any, whosever they are
    others = [below for folder, below in of_masks if _holds_any(folder)]
    images, masks, _ = sorted_out(list(files), [*tree.others, *others])
    for pair in paired(images, masks, root=tree.above.name).pairs:
        if pair.image == here:
            return pair.truths
    return ()


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
            return with_frames(pair_list(here, folder.parent, pair_folder), keep=True)
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
    with no_search():
        return _paired(folder, truth, suffixless)


def _paired(folder: Path, truth: Path | None, suffixless: bool) -> Pairing:
    folders(folder)  # refuses what is not a folder
    if not is_text(str(folder)):
        raise UnreadableFile(
            "The folder's name, or that of one above it, is no valid text (UTF-8).", "Rename it."
        )
    left: list[Unpaired] = []
    if truth is None:
        tree = _Tree(folder, "", (), ()) if _masks_in(folder) else _tree(folder)
        files = list(listed(str(folder), tree.below, deep=True, suffixless=suffixless, left=left))
        for masks_folder, below in tree.masks:
            files += listed(str(masks_folder), below, deep=True, left=left)
        images, masks, extra = sorted_out(files, tree.others)
        root = tree.above.name
    else:
        of_masks = [] if truth.suffix.lower() == ".json" else _files_of(truth, left)
        real = str(truth) if is_remote(truth) else os.path.realpath(truth)
        files = list(listed(str(folder), deep=True, without=real, suffixless=suffixless, left=left))
        images, _, extra = images_alone(files)
        _, masks, odd = masks_alone(of_masks)
        masks, extra, root = _seen_from(folder, truth, images, masks), [*extra, *odd], folder.name
    if not images:
        raise _no_image(folder, left)
    images.sort(key=lambda image: (natural(image.file.below + image.file.name), image.file))
    pairing = None if masks else pair_coco(folder, truth, images)
    if pairing is None:
        pairing = paired(images, masks, root=root)
    unpaired = (*pairing.unpaired, *extra, *left)
    return replace(pairing, unpaired=tuple(sorted(unpaired, key=lambda one: natural(str(one.path)))))


class _Tree(NamedTuple):
    """A folder of images with the folders of masks beside it.

    Attributes:
        above: what holds both.
        below: where the folder of images is, seen from there.
        masks: the folders of masks, and where they are, seen from there.
        others: the folders in `above` that hold no masks by their names.
    """

    above: Path
    below: str
    masks: tuple[tuple[Path, str], ...]
    others: tuple[str, ...]


def _tree(folder: Path) -> _Tree:
    """What belongs to a folder of images, which may lie in one that is named so; without masks, it alone."""
    own = folder if is_remote(folder) else Path(os.path.normpath(folder.absolute()))
    for at in (own, *own.parents)[:_HIGHEST]:
        if not at.name:
            continue
        siblings = {name: path for name, path in folders_if_any(at.parent).items() if name[0] != "."}
        rest = own.relative_to(at)
        found = [path / rest for path in _beside(at.name.lower(), siblings)]
        if not found and at == own:  # `masks/x` beside `x`
            found = [path / at.name for name, path in siblings.items() if rank_of_folder(name) is not None]
        if found := [path for path in found if path.parent == at.parent or path.is_dir()]:
            masks = tuple((path, _seen(path, at.parent)) for path in sorted(found))
            others = [path for name, path in siblings.items() if rank_of_folder(name) is None]
            return _Tree(
                at.parent, _seen(own, at.parent), masks, tuple(_seen(path, at.parent) for path in others)
            )
    return _Tree(own, "", (), ())


def _seen(path: Path, above: Path) -> str:
    """Where a folder is, seen from one above it, with a slash behind each."""
    below = f"{path.relative_to(above).as_posix()}/"
    return unquote(below) if is_http(above) else below


def _beside(name: str, siblings: Mapping[str, Path]) -> Iterator[Path]:
    """The folders of masks beside a folder of images of that lower-case name."""
    others = [other for other in siblings if rank_of_folder(other) is None]
    ranked = is_image_folder(name) or (others == [name] and not _holds_any(siblings[name].parent))
    for other, path in siblings.items():
        is_masks = twin_of(other) == name or (ranked and rank_of_folder(other) is not None)
        if other != name and is_masks and part_of_isic(other) in ("", part_of_isic(name)):
            yield path


def _telling(masks: Iterable[File], part: str) -> Iterator[File]:
    """Masks whose names hold `part`, and one that shows that what stands before names does not mark them."""
    plain = False
    for file in masks:
        if part in folded(file.name):
            yield file
        elif not plain and not mask_prefix(stem_of(file.name)):
            plain = True
            yield file


def _holds_any(folder: Path) -> bool:
    """Whether a file that can be opened lies directly in a folder."""
    return next(listed(str(folder)), None) is not None


def _masks_in(folder: Path) -> list[Path]:
    """The folders of masks directly in a folder."""
    return [path for name, path in folders_if_any(folder).items() if rank_of_folder(name) is not None]


def _files_of(truth: Path, left: list[Unpaired]) -> list[File]:
    """Everything in a folder of masks that was named by hand."""
    folders(truth)  # refuses what is not a folder
    return list(listed(str(truth), deep=True, left=left))


def _seen_from(folder: Path, truth: Path, images: Sequence[Grouped], masks: list[Grouped]) -> list[Grouped]:
    """Masks as they lie in the folder of images, if there are images where theirs lies."""
    try:
        above = truth.parent.absolute().relative_to(folder.absolute()).as_posix()
    except ValueError:
        return masks
    if above == "." or not any(image.group.startswith(f"{above}/") for image in images):
        return masks
    return [mask._replace(group=f"{above}/{mask.group}") for mask in masks]


def _no_image(folder: Path, left: Sequence[Unpaired]) -> UnreadableFile:
    cause = f"There is no image in {shown_name(folder)}."
    if left:
        more = f", and {len(left) - 1} more" if len(left) > 1 else ""
        cause = f"{cause[:-1]} that can be opened ({left[0].name}: {left[0].reason}{more})."
    return UnreadableFile(cause, "Choose a folder that holds images.")
