"""Overlap of what lies near the outlines: plain overlap hardly sees the outline of a large object."""

from __future__ import annotations

import math

import cv2
import numpy as np

from omniview.core.image import BoolArray, UInt8Array

__all__ = ["boundary_iou", "boundary_width"]


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
    band_a, band_b = _band(a, width), _band(b, width)
    union = cv2.countNonZero(band_a | band_b)
    return cv2.countNonZero(band_a & band_b) / union if union else 1.0


def _band(mask: BoolArray, width: int) -> UInt8Array:
    solid = np.ascontiguousarray(mask).view(np.uint8)
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    inner = cv2.erode(solid, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.bitwise_xor(solid, inner), np.uint8)
