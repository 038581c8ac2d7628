"""What lies in folders: names of files that can be opened, as strings, however many there are.

Files are never touched here, and a folder is listed once: 100,000 entries take a second. A folder may be
remote (see `remote`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from omniview.errors import UnreadableFile
from omniview.io.kinds import is_image_name
from omniview.io.remote import entries, is_remote

__all__ = ["File", "folders", "folders_if_any", "listed"]


class File(NamedTuple):
    """A file that is still only strings: there may be 100,000, and a Path costs ten times as much.

    Attributes:
        folder: where it lies.
        name: its own.
        below: folders below the root, each with a slash behind it.
    """

    folder: str
    name: str
    below: str

    @property
    def path(self) -> Path:
        """The same as a Path."""
        return Path(self.folder, self.name)


def listed(
    folder: str,
    below: str = "",
    *,
    deep: bool = False,
    prefix: str = "",
    without: str = "",
    suffixless: bool = False,
) -> Iterator[File]:
    """The images in `folder`, by suffix, without hidden ones; links to folders are not followed.

    Args:
        folder: where to look.
        below: where that is, seen from the root.
        deep: look into folders as well.
        prefix: lower-case start of the names that matter.
        without: a folder not to look into.
        suffixless: also files whose name has no suffix at all, as DICOM studies have them.
    """
    if is_remote(folder):
        yield from _listed_elsewhere(folder, below, deep, prefix, without, suffixless)
        return
    try:
        with os.scandir(folder) as there:
            found = [entry for entry in there if entry.name[0] != "."]
    except OSError:  # a folder that vanished, or may not be listed, holds nothing that can be opened
        return
    for entry in found:
        name = entry.name
        if deep and entry.is_dir(follow_symlinks=False):
            if not without or os.path.realpath(entry.path) != without:
                yield from listed(
                    entry.path, f"{below}{name}/", deep=True, without=without, suffixless=suffixless
                )
        elif name.lower().startswith(prefix) and (
            is_image_name(name) or (suffixless and "." not in name and entry.is_file())
        ):
            yield File(folder, name, below)


def _listed_elsewhere(
    folder: str, below: str, deep: bool, prefix: str, without: str, suffixless: bool
) -> Iterator[File]:
    """As `listed`, through fsspec; `without` is compared as it is written."""
    for name, is_folder in entries(folder):
        if not name or name[0] == ".":
            continue
        inner = f"{folder.rstrip('/')}/{name}"
        if is_folder:
            if deep and inner != without:
                yield from _listed_elsewhere(inner, f"{below}{name}/", deep, "", without, suffixless)
        elif name.lower().startswith(prefix) and (is_image_name(name) or (suffixless and "." not in name)):
            yield File(folder, name, below)


def folders(folder: Path) -> dict[str, Path]:
    """Lower-case name to path of the folders directly in `folder`.

    Raises:
        UnreadableFile: it is not a folder that can be listed.
    """
    if is_remote(folder):
        return {name.lower(): folder / name for name, is_folder in entries(str(folder)) if is_folder}
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
