"""A list of files to score instead of a folder: paths line by line, or a table of images and masks."""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from pathlib import Path

from omniview.errors import UnreadableFile
from omniview.io.kinds import is_image_name, stem_of
from omniview.io.pair_names import unique_name
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import is_remote, shown

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
    by commas, semicolons or tabs. Where no mask is named, it is looked for as `find_truth` does. Rows that
    name no image are among the unpaired, with the number of their line.

    Raises:
        UnreadableFile: the list cannot be read or names nothing.
    """
    numbered = _lines(path)
    lines = [fields for _, fields in numbered]
    heading = [field.strip().lower() for field in lines[0]]
    image_at = next((i for i, name in enumerate(heading) if name in _IMAGE), None)
    if image_at is None:
        image_at, readers = 0, {1: ""}
    else:
        masks = [i for i in range(len(heading)) if i != image_at and _names_files(lines[1:], i)]
        readers = {i: lines[0][i].strip() if len(masks) > 1 else "" for i in masks}
        numbered = numbered[1:]
    folder = path.parent if folder is None else folder
    pairs: list[Pair] = []
    unpaired: list[Unpaired] = []
    names = set[str]()
    for number, fields in numbered:
        text = fields[image_at] if image_at < len(fields) else ""
        if not _parts(text):
            unpaired.append(Unpaired(folder / path.name, f"line {number} names no image"))
            continue
        image, name = _at(folder, text), _named(text, names)
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


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that say anything, each with the number of the line that it ends on."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"The list {path.name} cannot be read.", "Save it as UTF-8 text.") from error
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in "\t;," if mark in first), "\t")
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    found = [(rows.line_num, [field.strip() for field in row]) for row in rows]
    kept = [(number, row) for number, row in found if any(row) and not row[0].startswith("#")]
    if not kept:
        raise UnreadableFile(f"{path.name} names no image.", "Write one path a line.")
    return kept


def _names_files(lines: list[list[str]], column: int) -> bool:
    return any(is_image_name(shown(line[column])) for line in lines if column < len(line))


def _named(text: str, names: set[str]) -> str:
    """A name for the results that no other case has, below the results' own folder."""
    parts = _parts(text)
    return unique_name("/".join((*parts[:-1], stem_of(parts[-1]))), "/".join(parts), names)


def _parts(text: str) -> list[str]:
    """The names in a path, without what only leads up or nowhere."""
    parts = [part for part in shown(text).replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return [part.replace(":", "") for part in parts]


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
