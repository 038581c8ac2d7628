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
from omniview.omnimodel.sides import Window

__all__ = ["agreement", "soft_edge", "vote"]

SURENESS = 0.98
"""Probability far inside a drawn mask. Never 1: a single answer may have invented its object."""
EDGE_SHARE = 0.01
"""Width of the soft edge as a share of the image's side. Coordinates come in thousandths of a side, and a
256-pixel mask is stretched over its box, so that a contour is known to a few thousandths at best."""
_FINE = 1024


def soft_edge(mask: BoolArray) -> FloatArray:
    """Probability from the distance to the contour: logistic, 0.5 on the contour itself.

    p = 1/2 + (SURENESS - 1/2) tanh(d / (2 w)), with d the signed distance of the pixel's centre to the
    contour (half-way between neighbouring pixel centres, so |d| >= 0.5; positive inside) and w the width, a
    share EDGE_SHARE of the geometric mean of the sides, at least 1 pixel. Above _FINE pixels a side, d is
    measured on a reduced mask, which w dwarfs. Thresholding at 0.5 gives back the mask exactly.

    Args:
        mask: (K,Y,X) bool.

    Returns:
        (K,Y,X) float32 within [1 - SURENESS, SURENESS].
    """
    width = max(1.0, EDGE_SHARE * float(np.sqrt(mask.shape[1] * mask.shape[2])))
    least = np.float32(np.tanh(0.5 / (2 * width)))
    out = np.empty(mask.shape, np.float32)
    for one, soft in zip(mask, out, strict=True):
        scaled = _scaled_distance(one, width)
        np.copyto(soft, np.minimum(scaled, -least))
        np.maximum(scaled, least, out=soft, where=one)
    out *= np.float32(SURENESS - 0.5)
    out += np.float32(0.5)
    return out


def _scaled_distance(mask: BoolArray, width: float) -> FloatArray:
    """(Y,X) tanh(d / (2 width)), within [-1,1]."""
    Y, X = mask.shape
    factor = max(Y, X) / _FINE
    if factor <= 1:
        return _tanh(_signed_distance(mask) / np.float32(2 * width))
    size = max(1, round(X / factor)), max(1, round(Y / factor))
    small = cv2.resize(mask.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA) > 127
    scaled = _tanh(_signed_distance(small) * np.float32(factor / (2 * width)))
    return np.asarray(cv2.resize(scaled, (X, Y), interpolation=cv2.INTER_LINEAR), np.float32)


def _tanh(values: FloatArray) -> FloatArray:
    np.tanh(values, out=values)
    return values


def _signed_distance(mask: BoolArray) -> FloatArray:
    """(Y,X) Euclidean distance in pixels to the contour, positive inside; infinite where there is none."""
    inside = mask.astype(np.uint8)
    if not mask.any() or mask.all():
        return np.where(mask, np.float32(np.inf), np.float32(-np.inf))
    within = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    without = cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance: FloatArray = np.where(mask, within - 0.5, 0.5 - without).astype(np.float32)
    return distance


def vote(
    masks: Sequence[BoolArray], windows: Sequence[Window] | None = None, shape: tuple[int, int] | None = None
) -> tuple[FloatArray, FloatArray | None]:
    """What the majority of several answers says, less sure where they differ.

    p = 1/2 + (s - 1/2) |2 v - 1|, with v the share of answers that have the pixel and s the soft edge of the
    majority's mask, so that p > 0.5 exactly where more than half of the answers agree. Where they are split
    evenly, the mean of their soft edges decides: half-way between two contours. An answer has no vote outside
    of the window that it saw, and where nobody looked p is 0.5.

    Args:
        masks: one or more (K,h,w) bool, each as large as its window.
        windows: what of the image each answer saw; None: all of it.
        shape: (Y,X) of the image; None with `windows` None: that of the masks.

    Returns:
        Probability (K,Y,X) float32, and the standard deviation of the soft-edged masks likewise; None for a
        single mask, which knows of no other.
    """
    if len(masks) == 0:
        raise ValueError("vote needs at least one mask")
    size = shape or (masks[0].shape[1], masks[0].shape[2])
    whole = (slice(0, size[0]), slice(0, size[1]))
    places = [whole] * len(masks) if windows is None else list(windows)
    mean, squares = (np.zeros((len(masks[0]), *size), np.float32) for _ in range(2))
    count = np.zeros(mean.shape, np.uint16)
    voters = np.zeros(size, np.uint16)
    for mask, window in zip(masks, places, strict=True):
        # softened within its window: the window's own border is no contour
        soft = soft_edge(mask)
        mean[:, *window] += soft
        soft *= soft
        squares[:, *window] += soft
        count[:, *window] += mask
        voters[window] += 1
    n = np.maximum(voters, 1).astype(np.float32)
    mean /= n
    if len(masks) == 1:
        np.copyto(mean, np.float32(0.5), where=voters == 0)
        return mean, None
    squares /= n
    squares -= mean * mean
    spread = np.sqrt(np.clip(squares, 0, 1, out=squares), out=squares)
    majority, undecided = 2 * count > voters, 2 * count == voters
    # rounded, so that a mask against an empty one is a draw everywhere and not a matter of the last bit
    draw = np.round(mean, 4)
    majority |= undecided & (draw > 0.5)
    probability = soft_edge(majority)
    probability -= np.float32(0.5)
    probability *= np.abs(2 * count / n - 1, dtype=np.float32)
    probability += np.float32(0.5)
    np.copyto(probability, draw, where=undecided)
    np.copyto(probability, np.float32(0.5), where=voters == 0)
    return probability, spread


def agreement(
    first: BoolArray, second: BoolArray, windows: tuple[Window, Window], shape: tuple[int, int]
) -> float:
    """IoU of two answers where both looked, the least of all labels; 1 where both found nothing.

    Args:
        first: (K,h,w) bool, as large as its window.
        second: likewise.
        windows: what of the image each saw.
        shape: (Y,X) of the image.
    """
    layers = np.zeros((2, len(first), *shape), np.bool_)
    common = np.ones(shape, np.bool_)
    for layer, mask, window in zip(layers, (first, second), windows, strict=True):
        layer[:, *window] = mask
        seen = np.zeros(shape, np.bool_)
        seen[window] = True
        common &= seen
    both = (layers[0] & layers[1] & common).sum(axis=(1, 2))
    either = ((layers[0] | layers[1]) & common).sum(axis=(1, 2))
    return float(np.where(either == 0, 1.0, both / np.maximum(either, 1)).min())
