"""A list of files to score instead of a folder: paths line by line, or a table of images and masks."""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from pathlib import Path

from omniview.errors import UnreadableFile
from omniview.io.kinds import is_image_name, stem_of
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import is_remote

__all__ = ["is_list", "pair_list"]

_SUFFIXES = (".txt", ".csv", ".tsv", ".lst", ".list")
_IMAGE = ("image", "images", "img", "file", "filename", "path")


def is_list(path: Path) -> bool:
    """Whether this is a file that lists others, by its name."""
    return path.suffix.lower() in _SUFFIXES and (is_remote(path) or path.is_file())


def pair_list(path: Path, folder: Path | None = None) -> Pairing:
    """The pairs of a list; its paths, which may be addresses, start at `folder`, or at the list's own.

    Without a heading, a line is an image, or an image and its mask. With one, a column is called image and
    every further column of file names holds one reader's masks, under that reader's name. Fields are parted
    by commas, semicolons or tabs. Where no mask is named, it is looked for as `find_truth` does.

    Raises:
        UnreadableFile: the list cannot be read or names nothing.
    """
    lines = _lines(path)
    heading = [field.strip().lower() for field in lines[0]]
    image_at = next((i for i, name in enumerate(heading) if name in _IMAGE), None)
    if image_at is None:
        image_at, readers = 0, {1: ""}
    else:
        masks = [i for i in range(len(heading)) if i != image_at and _names_files(lines[1:], i)]
        readers = {i: lines[0][i].strip() if len(masks) > 1 else "" for i in masks}
        lines = lines[1:]
    folder = path.parent if folder is None else folder
    pairs: list[Pair] = []
    unpaired: list[Unpaired] = []
    names = set[str]()
    for fields in lines:
        image = _at(folder, fields[image_at])
        name = _named(fields[image_at], names)
        named = {reader: fields[i] for i, reader in readers.items() if i < len(fields) and fields[i]}
        if named:
            truths = tuple(TruthFiles(reader, (_at(folder, mask),)) for reader, mask in named.items())
            pairs.append(Pair(image, truths[0].files[0], name, truths))
            continue
        truth = _looked_for(image)
        pairs.append(Pair(image, truth, name))
        if truth is None:
            unpaired.append(Unpaired(image, "the list names no mask, and none was found"))
    if not pairs:
        raise UnreadableFile(f"{path.name} names no image.", "Write one path a line.")
    return Pairing(tuple(pairs), tuple(unpaired))


def _at(folder: Path, text: str) -> Path:
    return Path(text) if is_remote(text) else folder / text


def _lines(path: Path) -> list[list[str]]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"The list {path.name} cannot be read.", "Save it as UTF-8 text.") from error
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in "\t;," if mark in first), "\t")
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    found = [[field.strip() for field in row] for row in rows]
    kept = [row for row in found if row and row[0] and not row[0].startswith("#")]
    if not kept:
        raise UnreadableFile(f"{path.name} names no image.", "Write one path a line.")
    return kept


def _names_files(lines: list[list[str]], column: int) -> bool:
    return any(is_image_name(line[column]) for line in lines if column < len(line))


def _named(text: str, names: set[str]) -> str:
    """A name for the results that no other case has, below the results' own folder."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    parts = [part.replace(":", "") for part in parts]
    name = "/".join((*parts[:-1], stem_of(parts[-1])))
    name = "/".join(parts) if name.lower() in names else name
    number, own = 1, name
    while name.lower() in names:
        number += 1
        name = f"{own}-{number}"
    names.add(name.lower())
    return name


def _looked_for(image: Path) -> Path | None:
    """The mask of an image that the list gives none for."""
    paired = _folder_pairs(image.parent)
    return paired.get(image.name)


@lru_cache(maxsize=16)
def _folder_pairs(folder: Path) -> dict[str, Path]:
    """File name to mask of the images directly in `folder`, each folder looked at once."""
    from omniview.io.pair import pair_folder

    try:
        pairing = pair_folder(folder)
    except UnreadableFile:
        return {}
    return {
        pair.image.name: pair.truth for pair in pairing.pairs if pair.truth and pair.image.parent == folder
    }
