"""Makes images and truths ambiguous, so that only a person's clicks can settle what is meant.

A network that knows its training images by heart has no use for clicks: its errors there are slivers, while
on unseen images it misses whole lesions. Here a lesion fades into another picture, is nearly hidden, or the
truth itself departs from what the image shows; then the way to a low loss leads through the prompts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

GHOSTS = 0.28
HIDDEN = 0.14
ALTERED = 0.18


def obscured(rng: np.random.Generator, image: Pixels, other: Pixels) -> Pixels:
    """``image (Y,X,3)``, with luck as it is, else blended with ``other``, faded or blurred."""
    luck = rng.random()
    if luck < GHOSTS:
        share = rng.uniform(0.35, 0.85)
        return np.asarray(cv2.addWeighted(image, share, other, 1 - share, 0), np.uint8)
    if luck < GHOSTS + HIDDEN / 2:
        share = rng.uniform(0.1, 0.5)
        level = float(image.mean())
        return np.asarray(cv2.addWeighted(image, share, image, 0, (1 - share) * level), np.uint8)
    if luck < GHOSTS + HIDDEN:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(3, 10)), np.uint8)
    return image


def altered(rng: np.random.Generator, mask: Pixels) -> Pixels:
    """``mask (Y,X)``, now and then with an elliptical piece too much or too little at its edge."""
    if rng.random() >= ALTERED:
        return mask
    out = mask.copy()
    cv2.ellipse(out, _ellipse_at_edge(rng, mask), int(rng.choice((0, 255))), cv2.FILLED)
    return out if np.count_nonzero(out > 127) > 20 else mask


def wrong(rng: np.random.Generator, probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """``probability (Y,X)`` in [0,1] with one to three pieces added or taken, each at an edge."""
    hard = np.where(probability > 0.5, 255, 0).astype(np.uint8)
    out = np.array(probability, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        cv2.ellipse(out, _ellipse_at_edge(rng, hard), float(rng.choice((0.0, 1.0))), cv2.FILLED)
    return out


def _ellipse_at_edge(
    rng: np.random.Generator, mask: Pixels
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Centre, axes and angle of an ellipse on the edge of ``mask (Y,X)``; anywhere if that is empty."""
    height, width = mask.shape
    contours, _ = cv2.findContours(
        np.where(mask > 127, 255, 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if contours:
        edge = max(contours, key=len)[:, 0]
        x, y = edge[int(rng.integers(len(edge)))]
        reach = max(6.0, float(np.sqrt(np.count_nonzero(mask > 127))))
    else:
        x, y = rng.integers(width), rng.integers(height)
        reach = 0.2 * width
    axes = rng.uniform(0.3, 1.1, 2) * reach
    return (float(x), float(y)), (float(axes[0]), float(axes[1])), float(rng.uniform(0, 180))
