"""What lies in folders: names of files that can be opened, as strings, however many there are.

Files are never touched here, and a folder is listed once: 100,000 entries take a second. A folder may be
remote (see `remote`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from omniview.errors import UnreadableFile
from omniview.io.kinds import folded, is_image_name, is_text, unopened
from omniview.io.pair_types import Unpaired
from omniview.io.remote import entries, is_http, is_remote

__all__ = ["File", "folders", "folders_if_any", "listed"]

_OF_SYSTEMS = frozenset(("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"))
"""Folders that archives, disk stations and systems add, with copies and thumbnails, in lower case."""
_NO_IMAGES = frozenset(
    ("README", "LICENSE", "LICENCE", "COPYING", "AUTHORS", "CHANGELOG", "MAKEFILE", "VERSION")
)
"""Files without a suffix that lie beside images without one."""


class File(NamedTuple):
    """A file that is still only strings: there may be 100,000, and a Path costs ten times as much.

    Attributes:
        folder: where it lies.
        name: its own.
        below: folders below the root, each with a slash behind it.
        written: its name in an address, where that is quoted.
    """

    folder: str
    name: str
    below: str
    written: str = ""

    @property
    def path(self) -> Path:
        """The same as a Path."""
        return _path(self.folder) / (self.written or self.name)


@lru_cache(maxsize=1024)
def _path(folder: str) -> Path:
    return Path(folder)  # parsed once: that is most of what a Path costs


def listed(
    folder: str,
    below: str = "",
    *,
    deep: bool = False,
    holding: str = "",
    without: str = "",
    suffixless: bool = False,
    left: list[Unpaired] | None = None,
) -> Iterator[File]:
    """The images in `folder`, by suffix, without hidden ones and what systems keep for themselves.

    Links to folders are followed last, and only to where nothing has been or will be listed otherwise.

    Args:
        folder: where to look.
        below: where that is, seen from the root.
        deep: look into folders as well.
        holding: lower-case part of the names that matter.
        without: a folder not to look into.
        suffixless: also files whose name has no suffix at all, as DICOM studies have them.
        left: takes pictures and clips that cannot be opened, and folders that cannot be listed.
    """
    wanted = _Wanted(deep, holding, without, suffixless, [] if left is None else left)
    if is_remote(folder):
        yield from _listed_elsewhere(folder, below, wanted)
        return
    links: list[tuple[str, str]] = []
    yield from _listed_here(folder, below, wanted, links)
    links.sort()
    seen = [os.path.realpath(folder)] if links else []
    for link, there in links:
        real = os.path.realpath(link)
        if real != without and not any(_within(real, one) or _within(one, real) for one in seen):
            seen.append(real)
            yield from _listed_here(link, there, wanted, links)


class _Wanted(NamedTuple):
    """What `listed` is asked for."""

    deep: bool
    holding: str
    without: str
    suffixless: bool
    left: list[Unpaired]

    def name(self, folder: str, name: str) -> bool:
        """Whether a file of that name can be opened; what looks as if it should be is put into `left`."""
        if self.holding and self.holding not in folded(name):
            return False
        if is_image_name(name):
            return True
        if self.suffixless and "." not in name:
            if name.upper() == "DICOMDIR":
                self.left.append(Unpaired(Path(folder, name), "it is the index of a study"))
                return False
            return name.upper() not in _NO_IMAGES
        if (reason := unopened(name)) is not None:
            self.left.append(Unpaired(Path(folder, name), reason))
        return False


def _listed_here(folder: str, below: str, wanted: _Wanted, links: list[tuple[str, str]]) -> Iterator[File]:
    """As `listed`; links to folders are put into `links`, each with where it is seen from the root."""
    todo = [(folder, below)]  # no recursion: folders may be nested deeper than Python's calls
    while todo:
        folder, below = todo.pop()
        try:
            with os.scandir(folder) as there:
                found = [entry for entry in there if entry.name[0] != "."]
        except OSError as error:  # one that vanished, or may not be listed, holds nothing that can be opened
            if below:
                wanted.left.append(Unpaired(Path(folder), f"this folder cannot be listed ({error.strerror})"))
            continue
        for entry in found:
            name = entry.name
            if not is_text(name):  # bytes of another encoding: nothing that is written could name it
                seen = name.encode("utf-8", "replace").decode()
                wanted.left.append(
                    Unpaired(Path(folder, seen), "its name is no valid text (UTF-8): rename it")
                )
            elif wanted.deep and entry.is_dir():
                if name.lower() in _OF_SYSTEMS:
                    continue
                if entry.is_symlink():
                    links.append((entry.path, f"{below}{name}/"))
                elif not wanted.without or os.path.realpath(entry.path) != wanted.without:
                    todo.append((entry.path, f"{below}{name}/"))
            elif wanted.name(folder, name) and ("." in name or entry.is_file()):
                yield File(folder, name, below)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _listed_elsewhere(folder: str, below: str, wanted: _Wanted) -> Iterator[File]:
    """As `listed`, through fsspec; `without` is compared as it is written."""
    try:
        found = entries(folder)
    except UnreadableFile as error:
        if not below:
            raise
        wanted.left.append(Unpaired(Path(folder), f"this folder cannot be listed ({error.message})"))
        return
    for written, is_folder in found:
        name = unquote(written) if is_http(folder) else written
        if not name or name[0] in ".?":
            continue
        inner = f"{folder.rstrip('/')}/{written}"
        if is_folder:
            if wanted.deep and inner != wanted.without and name.lower() not in _OF_SYSTEMS:
                yield from _listed_elsewhere(inner, f"{below}{name}/", wanted)
        elif wanted.name(folder, name):
            yield File(folder, name, below, written if written != name else "")


def folders(folder: Path) -> dict[str, Path]:
    """Lower-case name to path of the folders directly in `folder`.

    Raises:
        UnreadableFile: it is not a folder that can be listed.
    """
    if is_remote(folder):
        inside = [name for name, is_folder in entries(str(folder)) if is_folder]
        quoted = is_http(folder)
        return {(unquote(name) if quoted else name).lower(): folder / name for name in inside}
    try:
        with os.scandir(folder) as there:
            return {entry.name.lower(): Path(entry.path) for entry in there if entry.is_dir()}
    except OSError as error:
        raise UnreadableFile(
            f"The folder {folder.name} cannot be listed ({error.strerror}).", "Check the path."
        ) from error


def folders_if_any(folder: Path) -> dict[str, Path]:
    """As `folders`; nothing where it may not be listed, as the folder of all homes on some systems."""
    try:
        return folders(folder)
    except UnreadableFile:
        return {}
