"""Weights are run only if they are the very file that the card names."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from omniview.errors import WeightsError
from omniview.settings import home

__all__ = ["other_place", "verified"]


def other_place(name: str) -> Path:
    """Where fetched weights of cards lie that are not the person's own: those folders may be read-only."""
    return home() / "weights" / name


def verified(path: Path, sha256: str) -> Path:
    """The weights, once found to have that SHA-256; an unchanged file is hashed once a process.

    Args:
        path: beside the card; where that is not the file, `other_place` is looked at.
        sha256: lower-case hex.

    Returns:
        Where they are.

    Raises:
        WeightsError: missing, unreadable, or another file.
    """
    if not _is(path, sha256) and _is(fetched := other_place(path.name), sha256):
        path = fetched
    try:
        found = _found(path)
    except FileNotFoundError as error:
        raise WeightsError(
            f"The weights {path.name} are not there.",
            f"Run `omniview models fetch`, or put the file into {path.parent}.",
        ) from error
    except OSError as error:
        raise WeightsError(
            f"The weights {path.name} cannot be read ({error.strerror}).", f"Make {path} readable."
        ) from error
    if found != sha256:
        raise WeightsError(
            f"The weights {path.name} are not those of their card (SHA-256 {found[:12]}..., "
            f"the card says {sha256[:12]}...).",
            "Restore the original file, or correct the card if you changed the model on purpose.",
        )
    return path


def _is(path: Path, sha256: str) -> bool:
    try:
        return _found(path) == sha256
    except OSError:
        return False


def _found(path: Path) -> str:
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _digest(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
