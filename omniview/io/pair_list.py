"""A list of files to score instead of a folder: paths line by line, or a table of images and masks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from omniview.errors import UnreadableFile
from omniview.io.kinds import is_image_name, stem_of
from omniview.io.pair_names import unique_name
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import is_remote, shown

__all__ = ["is_list", "pair_list"]

_SUFFIXES = (".txt", ".csv", ".tsv", ".lst", ".list")
_DELIMITERS = "\t;,"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Headings are compared without spaces, hyphens and underscores.
_BETWEEN = re.compile(r"[ _-]+")
_IMAGE = re.compile(r"(images?|imgs?)(file|path|name|filename|filepath|url)?|file(name|path)?|path|url")
_MASK = re.compile(r"mask|truth|gt|label|seg|manual|annot|observer|reader|rater|expert|\dstho|\dndho")
_VIEW = re.compile(r"fov|fieldofview")


def is_list(path: Path) -> bool:
    """Whether this is a file that lists others, by its name."""
    if is_remote(path):
        return PurePosixPath(shown(path)).suffix.lower() in _SUFFIXES
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def pair_list(path: Path, folder: Path | None, pair_folder: Callable[[Path], Pairing]) -> Pairing:
    """The pairs of a list; its paths, which may be addresses, start at `folder`, or at the list's own.

    Without a heading, a line is an image, or an image and its mask, or the masks of several readers. With
    one, a column is called image and every further column of file names holds one reader's masks, under that
    reader's name; where some of them say that they hold masks, only those do. Fields are parted by tabs,
    semicolons or commas, paths by either slash. Where no mask is named, the image has the truths that it has
    in its folder. Rows that name no image, or the same as a row before, and columns that are not looked at
    are among the unpaired.

    Args:
        path: the list, on this machine.
        folder: where its paths start; None: where it lies.
        pair_folder: pairs the folder of an image that the list names no mask for.

    Raises:
        UnreadableFile: the list cannot be read, names nothing, or does not say which column holds the images.
    """
    folder = path.parent if folder is None else folder
    columns, rows = _table(path, folder)
    own = folder / path.name
    unpaired = [Unpaired(own, f"its column {name!r} holds no masks by its name") for name in columns.ignored]
    pairs: list[Pair] = []
    names, folders = set[str](), dict[Path, Mapping[str, Pair]]()
    seen: dict[tuple[Path, tuple[TruthFiles, ...]], int] = {}
    for number, fields in rows:
        text = fields[columns.image] if columns.image < len(fields) else ""
        if not _parts(text):
            unpaired.append(Unpaired(own, f"line {number} names no image"))
            continue
        image = _at(folder, text)
        named = {reader: fields[i] for i, reader in columns.readers.items() if i < len(fields) and fields[i]}
        truths = tuple(TruthFiles(reader, (_at(folder, mask),)) for reader, mask in named.items())
        if (before := seen.setdefault((image, truths), number)) != number:
            unpaired.append(Unpaired(image, f"line {number} says the same as line {before}"))
            continue
        if not truths and (known := _in_its_folder(image, folders, pair_folder)) is not None:
            truths = known.truths
        pairs.append(Pair(image, truths[0].files[0] if truths else None, _named(text, names), truths))
        if not truths:
            unpaired.append(Unpaired(image, "the list names no mask, and none was found"))
    if not pairs:
        raise _nothing(path)
    return Pairing(tuple(pairs), tuple(unpaired))


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where images are, and whose masks; and columns of files that are not looked at."""

    image: int
    readers: Mapping[int, str]
    ignored: tuple[str, ...] = ()


_Row = tuple[int, list[str]]


def _table(path: Path, folder: Path) -> tuple[_Columns, list[_Row]]:
    """What the columns are, and the rows without the heading, each with the number of its last line."""
    rows = [row for row in _rows(path) if not _is_comment(row[1][0], folder)]
    if not rows:
        raise _nothing(path)
    (_, first), *further = rows
    columns = None if any(is_image_name(shown(field)) for field in first) else _headed(path, first, further)
    if columns is None:
        further = [(number, _unparted(fields, folder)) for number, fields in rows]
        masks = [column for column in _of_files(further) if column > 0]
        columns = _Columns(0, {column: str(column) for column in masks} if len(masks) > 1 else {1: ""})
    if further and not any(_is_image(folder, row, columns.image) for _, row in further):
        raise _nothing(path)  # a table of something else
    return columns, further


def _headed(path: Path, first: list[str], further: list[_Row]) -> _Columns | None:
    """The columns by their headings; None if the first line is none."""
    heading = [_BETWEEN.sub("", field.lower()) for field in first]
    files = _of_files(further)
    named = [column for column, name in enumerate(heading) if _IMAGE.fullmatch(name)]
    if not named and len(first) > 1 and files:
        raise UnreadableFile(
            f"{path.name} does not say which column holds the images.", "Call that column image."
        )
    if not named:
        return None
    image = next((column for column in files if column in named), named[0])
    said = [(column, heading[column]) for column in files if column != image and column < len(heading)]
    masks = [column for column, name in said if _MASK.search(name) and not _VIEW.search(name)]
    masks = masks or [column for column, name in said if not _VIEW.search(name)]
    taken = set[str]()
    readers = {one: unique_name(first[one], first[one], taken) if len(masks) > 1 else "" for one in masks}
    others = [column for column in files if column not in (image, *masks)]
    return _Columns(image, readers, tuple(first[n] if n < len(first) else str(n + 1) for n in others))


def _rows(path: Path) -> Iterator[_Row]:
    """The rows that say anything, each with the number of the line that it ends on."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in _UTF_16 else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"The list {path.name} cannot be read.", "Save it as UTF-8 text.") from error
    if "\0" in text:
        raise UnreadableFile(f"The list {path.name} is no text.", "Write one path a line.")
    told = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    delimiter = next((mark for mark in _DELIMITERS if mark in told), "\t")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            fields = [field.strip() for field in row]
            if any(fields):
                yield rows.line_num, fields
    except csv.Error as error:
        raise UnreadableFile(
            f"{path.name} cannot be understood up to line {rows.line_num} ({error}).",
            'Put names that hold a quotation mark into such marks, and double it: "5"" scan.png".',
        ) from error


def _of_files(rows: Sequence[_Row]) -> list[int]:
    """The columns in which any row names a file that can be opened."""
    return sorted({i for _, row in rows for i, field in enumerate(row) if is_image_name(shown(field))})


def _is_comment(text: str, folder: Path) -> bool:
    return text.startswith("#") and (is_remote(folder) or not (folder / text).exists())


def _is_image(folder: Path, row: list[str], column: int) -> bool:
    """Whether a cell names an image by its suffix, or a file that is there or cannot be looked for."""
    text = row[column] if column < len(row) else ""
    if not text or is_image_name(shown(text)):
        return bool(text)
    return is_remote(folder) or is_remote(text) or _at(folder, text).is_file()


def _unparted(fields: list[str], folder: Path) -> list[str]:
    """A row without a heading above it; a name that holds a comma itself is put together again."""
    if len(fields) > 1 and not is_image_name(shown(fields[0])) and not is_remote(folder):
        for between in (", ", ",", "; ", ";"):
            if (folder / (whole := between.join(fields))).is_file():
                return [whole]
    return fields


def _at(folder: Path, text: str) -> Path:
    if is_remote(text):
        return Path(text)
    if "\\" in text and not is_remote(folder) and not (folder / text).exists():
        text = text.replace("\\", "/")  # written on Windows; elsewhere a name may hold that sign
    return folder / text


def _nothing(path: Path) -> UnreadableFile:
    return UnreadableFile(f"{path.name} names no image.", "Write one path a line.")


def _named(text: str, names: set[str]) -> str:
    """A name for the results that no other case has, below the results' own folder."""
    parts = _parts(text)
    return unique_name("/".join((*parts[:-1], stem_of(parts[-1]))), "/".join(parts), names)


def _parts(text: str) -> list[str]:
    """The names in a path, without what only leads up or nowhere."""
    parts = [part for part in shown(text).replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return [part.replace(":", "") for part in parts]


def _in_its_folder(
    image: Path, known: dict[Path, Mapping[str, Pair]], pair_folder: Callable[[Path], Pairing]
) -> Pair | None:
    """The image as its folder has it; each folder is listed once, into `known`."""
    folder = image.parent
    if folder not in known:
        try:
            pairs = pair_folder(folder).pairs
        except UnreadableFile:
            pairs = ()
        known[folder] = {pair.image.name: pair for pair in pairs if pair.image.parent == folder}
    return known[folder].get(image.name)
