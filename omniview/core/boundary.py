"""Overlap of what lies near the outlines: plain overlap hardly sees the outline of a large object."""

from __future__ import annotations

import math

import cv2
import numpy as np

from omniview.core.image import BoolArray, UInt8Array
from omniview.core.surface import common_box

__all__ = ["band", "boundary_iou", "boundary_width"]

COARSE = 8


def boundary_width(shape: tuple[int, int], ratio: float = 0.02) -> int:
    """Width of the band in pixels for an image of `shape` (Y,X): a share of its diagonal, at least 1."""
    return max(1, round(ratio * math.hypot(*shape)))


def boundary_iou(a: BoolArray, b: BoolArray, ratio: float = 0.02) -> float:
    """Boundary IoU (Cheng et al. 2021): IoU of the pixels of each mask that are near its own outline.

    Near is what erosion by a square takes away, `boundary_width` pixels to each side: 2 % of the diagonal of
    the whole image, as in the paper; outside the image is background. Pixels count, whatever the spacing.

    Args:
        a: (Y,X) bool.
        b: the same shape.
        ratio: width of the band as a share of the image's diagonal.

    Returns:
        In [0,1]; 1 if both masks are empty, 0 if one is.

    Raises:
        ValueError: shapes differ, or `ratio` is not positive.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a and b must be (Y,X) of one shape, got {a.shape} and {b.shape}")
    if not ratio > 0.0:
        raise ValueError(f"ratio must be positive, got {ratio}")
    width = boundary_width((a.shape[0], a.shape[1]), ratio)
    if not (a.any() and b.any()):
        return float(not (a.any() or b.any()))
    box = common_box(a, b)
    near_a, near_b = band(a[box], width), band(b[box], width)
    both = cv2.countNonZero(cv2.bitwise_and(near_a, near_b))
    return both / (cv2.countNonZero(near_a) + cv2.countNonZero(near_b) - both)


def band(mask: BoolArray, width: int) -> UInt8Array:
    """(Y,X) uint8, 0 or 1: pixels of a (Y,X) mask at most `width` from what lies outside it."""
    near = mask.copy()
    window = 2 * width + 1
    # a filled square holds a filled square of every 8th pixel; thin shapes hold none, and are done here
    if window >= 2 * COARSE and not _filled(mask[::COARSE, ::COARSE], window // COARSE).any():
        return near.view(np.uint8)
    inner = _filled(mask, window)
    core = near[width : width + inner.shape[0], width : width + inner.shape[1]]
    np.greater(core, inner, out=core)
    return near.view(np.uint8)


def _filled(mask: BoolArray, window: int) -> BoolArray:
    """Whether the square of `window` pixels that begins at a pixel is all set; only where it fits."""
    for _ in range(2):
        run = 1
        # runs are joined to runs of twice the length
        while run < window:
            step = min(run, window - run)
            mask = mask[:-step] & mask[step:]
            run += step
        mask = mask.T
    return mask
