from __future__ import annotations

import numpy as np
import pytest

from omniview.core.image import FloatArray
from omniview.core.prediction import Prediction
from omniview.core.trust import Margin
from omniview.training.margins import fit_margin
from omniview.training.observed import Observed, observe


def cases(n: int, seed: int) -> tuple[list[Observed], np.ndarray, list[tuple[FloatArray, np.ndarray]]]:
    """Discs that a model outlines well where it expects to, and 6 px off to one side elsewhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    seen, expected, maps = [], [], []
    for index in range(n):
        sure = index % 2 == 0
        cy, cx, radius = rng.uniform(26, 38, 3) * (1, 1, 0.4)
        truth = np.hypot(y - cy, x - cx) < radius
        far = radius - np.hypot(y - cy, x - cx - (0 if sure else rng.uniform(2, 10)))
        p = (1 / (1 + np.exp(-far / 1.5))).astype(np.float32)[None]
        model = Prediction("s", "specialist", p)
        seen.append(observe(str(index), model, Prediction("o", "omnimodel", p), truth[None]))
        expected.append(0.9 if sure else rng.uniform(0.3, 0.6))
        maps.append((p, truth[None]))
    return seen, np.array(expected), maps


def kept(
    margin: Margin, expected: np.ndarray, maps: list[tuple[FloatArray, np.ndarray]]
) -> tuple[float, float]:
    """Mean share of the truth inside the outer contour, and of the inner contour's area that is truth."""
    outer, inner = [], []
    for said, (p, truth) in zip(expected, maps, strict=True):
        contours = margin.at(float(said))
        outer.append((truth & (p > contours.outer)).sum() / truth.sum())
        held = p > contours.inner
        inner.append((truth & held).sum() / held.sum() if held.any() else 1.0)
    return float(np.mean(outer)), float(np.mean(inner))


def test_doubted_masks_get_wider_contours_and_each_part_keeps_the_promise() -> None:
    """On fresh cases 90 % is kept among the sure and among the doubted; the sure ones' contours stay near."""
    seen, expected, _ = cases(120, 0)
    margin = fit_margin(seen, np.zeros(120), expected, 0.1)
    assert margin is not None
    assert margin.at(0.95).outer > 3 * margin.at(0.4).outer
    assert margin.at(0.95).inner < margin.at(0.4).inner
    assert margin.at(None) == margin.at(0.0)
    _, fresh, maps = cases(400, 1)
    for chosen in (fresh > 0.8, fresh < 0.8):
        part = [one for one, take in zip(maps, chosen, strict=True) if take]
        outer, inner = kept(margin, fresh[chosen], part)
        assert outer > 0.88
        assert inner > 0.88


def test_few_cases_share_one_pair_of_contours() -> None:
    """Below two parts' worth nothing is split; unknown qualities are the lowest."""
    seen, expected, _ = cases(40, 2)
    margin = fit_margin(seen, np.zeros(40), expected, 0.1)
    assert margin is not None
    assert margin.doubtful is None
    unknown = fit_margin(cases(90, 2)[0], np.zeros(90), np.full(90, np.nan), 0.1)
    assert unknown is None or unknown.doubtful is None


def test_a_margin_says_which_of_its_contours_hold() -> None:
    """By predicted Dice, through as many parts as there are; what cannot be is refused."""
    low = Margin(0.01, 0.99)
    middle = Margin(0.1, 0.9, below=0.5, doubtful=low)
    high = Margin(0.4, 0.6, below=0.8, doubtful=middle)
    assert [high.at(q) for q in (0.9, 0.8, 0.79, 0.5, 0.49, None)] == [high, high, middle, middle, low, low]
    with pytest.raises(ValueError, match="below must"):
        Margin(0.4, 0.6, below=1.5)
    with pytest.raises(ValueError, match="same alpha"):
        Margin(0.4, 0.6, 0.1, 0.5, Margin(0.4, 0.6, 0.2))
