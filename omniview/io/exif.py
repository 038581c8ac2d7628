"""The one thing wanted from EXIF: how the camera was held.

Read here rather than by Pillow, which warns through process-wide state on the malformed blocks that real
cameras write, and would need the rest of the block to be sound.
"""

from __future__ import annotations

import struct

import numpy as np

from omniview.core.image import Array

__all__ = ["orientation", "upright"]

_ORIENTATION = 0x0112
_SHORT = 3


def orientation(block: bytes) -> int:
    r"""The orientation 1-8 (EXIF 2.32, tag 0x0112) in an EXIF block; 1 where there is none or it is broken.

    Args:
        block: TIFF structure, with or without the leading `Exif\0\0`.
    """
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, entry)
            if tag == _ORIENTATION and kind == _SHORT:
                (value,) = struct.unpack_from(order + "H", block, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(pixels: Array, turned: int) -> Array:
    """`pixels` (Y,X,...) turned and mirrored so that they stand as `turned` (1-8) says they should."""
    if turned in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turned in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turned in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
