"""Results to files: complete or not at all.

Everything goes to a temporary file beside the target, to the disk, and then takes the target's name in one
step. Whoever looks at the name sees the old content or the new, never half of it, whatever is pulled out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from omniview.core.image import BoolArray, FloatArray
from omniview.errors import OutputError

__all__ = ["is_torn", "mask_png", "replacing", "write_bytes", "write_json", "write_map", "write_mask"]

_CAUSES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose another folder."),
    errno.EDQUOT: ("your share of the disk is full", "Free some space or choose another folder."),
    errno.EFBIG: ("the file would be larger than is allowed here", "Choose another folder."),
    errno.EACCES: ("this user may not write there", "Choose a folder of your own."),
    errno.EPERM: ("this user may not write there", "Choose a folder of your own."),
    errno.EROFS: ("the disk is read-only", "Choose another folder."),
    errno.ENOTDIR: ("part of its path is a file, not a folder", "Choose another folder."),
    errno.EEXIST: ("part of its path is a file, not a folder", "Choose another folder."),
    errno.EISDIR: ("a folder has that name", "Choose another name."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
}

_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)


def write_mask(path: Path, mask: BoolArray) -> None:
    """Write a mask as an 8-bit grey PNG, 0 and 255.

    Args:
        path: where to; missing folders are made, an existing file is replaced.
        mask: (Y,X) bool.

    Raises:
        OutputError: it cannot be written; an existing file is left as it was.
    """
    write_bytes(path, mask_png(mask))


def mask_png(mask: BoolArray) -> bytes:
    """A mask, (Y,X) bool, as an 8-bit grey PNG, 0 and 255."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"mask must be (Y,X) bool, got {mask.shape} {mask.dtype}")
    return _png(mask.astype(np.uint8) * np.uint8(255))


def write_map(path: Path, values: FloatArray) -> None:
    """Write a map as an 8-bit grey PNG, 0 to 255 for 0.0 to 1.0.

    Args:
        path: where to, as in `write_mask`.
        values: (Y,X) float32 in [0,1].

    Raises:
        OutputError: as `write_mask`.
    """
    if values.ndim != 2 or not (values.min() >= 0 and values.max() <= 1):  # written so that nan fails too
        raise ValueError(f"write_map: values must be (Y,X) within [0,1], got {values.shape}")
    write_bytes(path, _png(np.rint(values * 255).astype(np.uint8)))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as UTF-8 JSON; numpy numbers and arrays, paths and enumerations are known.

    Raises:
        OutputError: as `write_mask`.
        ValueError: a number is not finite, which JSON cannot hold.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    # a file name that is no UTF-8 comes as lone surrogates, and goes as the escapes that JSON has for them
    write_bytes(path, (text + "\n").encode(errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, atomically.

    Raises:
        OutputError: as `write_mask`.
    """
    with replacing(path) as stream:
        stream.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream for what is too long to hold in memory; the file has it all when the block ends, else nothing.

    Raises:
        OutputError: as `write_mask`, also where the block itself raises an OSError.
    """
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        cause, next_step = _CAUSES.get(
            error.errno or 0, (error.strerror or type(error).__name__, "Choose another folder.")
        )
        raise OutputError(f"{path.name} could not be written: {cause}.", next_step) from error


def is_torn(path: Path) -> bool:
    """Whether this is what `replacing` leaves where its process is killed, by its name."""
    return _PART.fullmatch(path.name) is not None


def _png(grey: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    _, encoded = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return encoded.tobytes()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"write_json: {type(value).__name__} is not JSON")
