"""One probability map out of a cloud model's hard masks.

A drawn mask carries no confidence, yet fusion wants to know where it is likely wrong, and that is along its
contour. So each mask gets a soft edge, and several answers vote: where they disagree, the probability is near
one half.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def vote(masks: Sequence[BoolArray]) -> tuple[FloatArray, FloatArray | None]:
    """What the majority of several answers says, less sure where they differ.

    p = 1/2 + (s - 1/2) |2 v - 1|, with v the share of answers that have the pixel and s the soft edge of the
    majority's mask, so that p > 0.5 exactly where more than half of the answers agree. Where they are split
    evenly, the mean of their soft edges decides: half-way between two contours.

    Args:
        masks: one or more (K,Y,X) bool.

    Returns:
        Probability (K,Y,X) float32, and the standard deviation of the soft-edged masks likewise; None for a
        single mask, which knows of no other.
    """
    if len(masks) == 0:
        raise ValueError("vote needs at least one mask")
    if len(masks) == 1:
        return soft_edge(masks[0]), None
    total = np.zeros(masks[0].shape, np.float32)
    squares, count = np.zeros_like(total), np.zeros_like(total)
    for mask in masks:
        soft = soft_edge(mask)
        total += soft
        soft *= soft
        squares += soft
        count += mask
    share = count / np.float32(len(masks))
    mean = total / np.float32(len(masks))
    spread = np.sqrt(np.maximum(squares / np.float32(len(masks)) - mean * mean, 0, dtype=np.float32))
    # rounded, so that a mask against an empty one is a draw everywhere and not a matter of the last bit
    undecided, draw = share == 0.5, np.round(mean, 4)
    majority = soft_edge(np.where(undecided, draw > 0.5, share > 0.5))
    probability = 0.5 + (majority - 0.5) * np.abs(2 * share - 1)
    return np.where(undecided, draw, probability).astype(np.float32), np.minimum(spread, 1)
