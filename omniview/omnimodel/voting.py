"""One probability map out of a cloud model's hard masks.

A drawn mask carries no confidence, yet fusion wants to know where it is likely wrong, and that is along its
contour. So each mask gets a soft edge, and several answers are averaged: where they disagree, the vote is
near one half.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from omniview.core.image import BoolArray, FloatArray

__all__ = ["soft_edge", "vote"]

SURENESS = 0.98
"""Probability far inside a drawn mask. Never 1: a single answer may have invented its object."""
EDGE_SHARE = 0.01
"""Width of the soft edge as a share of the image's side. Coordinates come in thousandths of a side, and a
256-pixel mask is stretched over its box, so that a contour is known to a few thousandths at best."""


def soft_edge(mask: BoolArray) -> FloatArray:
    """Probability from the distance to the contour: logistic, 0.5 on the contour itself.

    p = 1/2 + (SURENESS - 1/2) * tanh(d / (2 w)), with d the signed distance of the pixel's centre to the
    contour (half-way between neighbouring pixel centres, so |d| >= 0.5; positive inside) and w the width, a
    share EDGE_SHARE of the geometric mean of the sides, at least 1 pixel. Thresholding at 0.5 gives back the
    mask exactly.

    Args:
        mask: (K,Y,X) bool.

    Returns:
        (K,Y,X) float32 within [1 - SURENESS, SURENESS].
    """
    width = max(1.0, EDGE_SHARE * float(np.sqrt(mask.shape[1] * mask.shape[2])))
    out = np.empty(mask.shape, np.float32)
    for one, soft in zip(mask, out, strict=True):
        np.tanh(_signed_distance(one) / np.float32(2 * width), out=soft)
    out *= np.float32(SURENESS - 0.5)
    out += np.float32(0.5)
    return out


def _signed_distance(mask: BoolArray) -> FloatArray:
    """(Y,X) Euclidean distance in pixels to the contour, positive inside; infinite where there is none."""
    inside = mask.astype(np.uint8)
    if not mask.any() or mask.all():
        return np.where(mask, np.float32(np.inf), np.float32(-np.inf))
    within = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    without = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance: FloatArray = np.where(mask, within - 0.5, 0.5 - without).astype(np.float32)
    return distance


def vote(masks: Iterable[BoolArray]) -> tuple[FloatArray, FloatArray | None]:
    """Mean and standard deviation of the soft-edged masks of several answers.

    Args:
        masks: one or more (K,Y,X) bool.

    Returns:
        Mean (K,Y,X) float32, and the spread likewise, None for a single mask, which knows of no other.
    """
    total = squares = None
    count = 0
    for mask in masks:
        soft = soft_edge(mask)
        count += 1
        if total is None or squares is None:
            total, squares = soft, soft * soft
        else:
            total += soft
            squares += soft * soft
    if total is None or squares is None:
        raise ValueError("vote needs at least one mask")
    if count == 1:
        return total, None
    mean = total / np.float32(count)
    spread = np.sqrt(np.maximum(squares / np.float32(count) - mean * mean, 0, dtype=np.float32))
    return np.clip(mean, 0, 1), np.clip(spread, 0, 1)
