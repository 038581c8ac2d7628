"""Weights are run only if they are the very file that the card names."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from omniview.errors import WeightsError

__all__ = ["verified"]


def verified(path: Path, sha256: str) -> Path:
    """`path`, once its SHA-256 has been found to be `sha256`. An unchanged file is hashed once a process.

    Raises:
        WeightsError: missing, unreadable, or another file.
    """
    try:
        stat = path.stat()
        found = _digest(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise WeightsError(
            f"The weights {path.name} cannot be read ({error.strerror}).", f"Put the file into {path.parent}."
        ) from error
    if found != sha256:
        raise WeightsError(
            f"The weights {path.name} are not those of their card (SHA-256 {found[:12]}..., "
            f"the card says {sha256[:12]}...).",
            "Restore the original file, or correct the card if you changed the model on purpose.",
        )
    return path


@lru_cache(maxsize=64)
def _digest(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
