"""Any number type to the three that an Image holds."""

from __future__ import annotations

import numpy as np

from omniview.core.image import Array

__all__ = ["held"]


def held(pixels: Array) -> Array:
    """`pixels` as uint8 or uint16 where they are, bool as 0/255, and everything else as finite float32.

    float32 holds whole numbers exactly up to 2^24. Not-a-number and infinities, which mark missing pixels,
    become the lowest finite value.
    """
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, and is caught below
        real = pixels.astype(np.float32)
    finite = np.isfinite(real)
    if not finite.all():
        real = np.where(finite, real, real[finite].min() if finite.any() else np.float32(0))
    return real
