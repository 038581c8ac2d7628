"""Prompts as maps, and a simulated person who gives them: clicks on errors, boxes, old masks.

A prompt stack is ``(4,S,S) float32`` in [0,1]: positive clicks, negative clicks, box, prior mask. A click is
a small Gaussian disc (highest value wins where discs overlap), a box is 1 inside, the prior mask is a
probability.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

POSITIVE, NEGATIVE, BOX, PRIOR = range(4)

# Standard deviation of a click's disc in pixels of the network's input.
CLICK_SIGMA_PX = 4.0

Maps = NDArray[np.float32]


def no_prompt(size: int) -> Maps:
    """An empty prompt stack."""
    return np.zeros((4, size, size), np.float32)


def add_clicks(prompts: Maps, kind: int, points: Iterable[tuple[int, int]]) -> None:
    """Draw discs at ``points`` (y, x) into map ``kind`` of ``prompts (4,S,S)``, in place."""
    size = prompts.shape[1]
    axis = np.arange(size, dtype=np.float32)
    for y, x in points:
        rows = np.exp(-0.5 * ((axis - y) / CLICK_SIGMA_PX) ** 2)
        columns = np.exp(-0.5 * ((axis - x) / CLICK_SIGMA_PX) ** 2)
        np.maximum(prompts[kind], rows[:, None] * columns, out=prompts[kind])


def worst_point(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[int, tuple[int, int]] | None:
    """Where a person would click next: the innermost pixel of the largest error region.

    Returns the click's kind and (y, x), or None if the prediction is right everywhere. ``(S,S)`` both.
    """
    best: tuple[float, int, tuple[int, int]] | None = None
    for kind, wrong in ((POSITIVE, truth & ~prediction), (NEGATIVE, prediction & ~truth)):
        if not wrong.any():
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        largest = 1 + int(np.argmax(stats[1:count, cv2.CC_STAT_AREA]))
        area = float(stats[largest, cv2.CC_STAT_AREA])
        if best is None or area > best[0]:
            depth = cv2.distanceTransform(np.pad(labels == largest, 1).astype(np.uint8), cv2.DIST_L2, 3)[
                1:-1, 1:-1
            ]
            y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
            best = (area, kind, (int(y), int(x)))
    return None if best is None else (best[1], best[2])


def random_clicks(
    rng: np.random.Generator,
    prompts: Maps,
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    count: int,
) -> None:
    """Draw ``count`` clicks into ``prompts``, in place: the worst point first, then any wrong pixels."""
    first = worst_point(prediction, truth)
    if first is None:
        return
    add_clicks(prompts, first[0], [first[1]])
    for _ in range(count - 1):
        kind = POSITIVE if rng.random() < 0.6 else NEGATIVE
        wrong = truth & ~prediction if kind == POSITIVE else prediction & ~truth
        places = np.flatnonzero(wrong)
        if places.size:
            y, x = divmod(int(rng.choice(places)), wrong.shape[1])
            add_clicks(prompts, kind, [(y, x)])


def random_box(rng: np.random.Generator, prompts: Maps, truth: NDArray[np.bool_]) -> None:
    """Draw the truth's bounding box with each side off by up to a tenth of its length, in place."""
    if not truth.any():
        return
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    jitter = rng.uniform(-0.1, 0.1, 4) * (height, height, width, width)
    sides = np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1]) + jitter
    top, bottom, left, right = np.clip(np.rint(sides), 0, truth.shape[0]).astype(int)
    prompts[BOX, top:bottom, left:right] = 1.0


def random_prior(rng: np.random.Generator, prompts: Maps, truth: NDArray[np.bool_]) -> None:
    """Draw a spoilt copy of the truth as prior mask, in place: shifted, grown or shrunk, its edge smeared."""
    size = truth.shape[0]
    mask: NDArray[Any] = truth.astype(np.float32)
    reach = int(rng.integers(1, max(2, size // 20)))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    mask = (cv2.dilate if rng.random() < 0.5 else cv2.erode)(mask, window)
    shift = rng.normal(0, 0.03 * size, 2)
    mask = cv2.warpAffine(mask, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (size, size))
    prompts[PRIOR] = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 0.02 * size))
