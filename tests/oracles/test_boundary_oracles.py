"""Boundary IoU agrees with the erosion that its paper prescribes, step by step, with scipy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion

from omniview.core.boundary import boundary_iou
from omniview.core.image import BoolArray
from tests.oracles.pairs import pairs
from tests.oracles.peers import agree


def near(mask: BoolArray, ratio: float) -> BoolArray:
    """A 3x3 square, as many times as the band is wide, outside is background (Cheng et al. 2021)."""
    steps = max(1, round(ratio * float(np.hypot(*mask.shape))))
    return mask & ~binary_erosion(mask, np.ones((3, 3), bool), iterations=steps)


def test_iterated_erosion() -> None:
    """On every pair, at the paper's width and at wider ones."""
    for pair in pairs():
        for ratio in (0.005, 0.02, 0.1):
            a, b = near(pair.mask, ratio), near(pair.truth, ratio)
            union = np.count_nonzero(a | b)
            expected = np.count_nonzero(a & b) / union if union else 1.0
            agree(f"{pair.name} {ratio}", boundary_iou(pair.mask, pair.truth, ratio), expected)
