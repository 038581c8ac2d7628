"""Ambiguous views stay views: right shapes, and something of the truth is always left."""

from __future__ import annotations

import numpy as np

from omniview.training.ambiguity import altered, obscured, wrong


def disc() -> np.ndarray:
    """A disc of 255 on 0."""
    y, x = np.mgrid[:64, :64]
    return np.where(np.hypot(y - 30, x - 34) < 12, 255, 0).astype(np.uint8)


def test_an_obscured_image_is_an_image() -> None:
    """Same shape and type; most are left as they are, the others differ."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    changed = 0
    for seed in range(60):
        out = obscured(np.random.default_rng(seed), image, image[::-1].copy())
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        changed += not np.array_equal(out, image)
    assert 10 < changed < 50


def test_an_altered_truth_keeps_most_of_itself() -> None:
    """A piece at the edge is added or taken, never all; the original is not touched."""
    mask = disc()
    changed = 0
    for seed in range(100):
        out = altered(np.random.default_rng(seed), mask)
        assert np.count_nonzero((out > 127) & (mask > 127)) > 20
        changed += not np.array_equal(out, mask)
    assert 5 < changed < 40
    np.testing.assert_array_equal(mask, disc())


def test_a_wrong_answer_is_a_probability_that_errs() -> None:
    """Pieces are added or taken within [0,1], also where there was nothing."""
    right = disc().astype(np.float32) / np.float32(255)
    for seed in range(20):
        out = wrong(np.random.default_rng(seed), right)
        assert 0 <= out.min() <= out.max() <= 1
    assert any(wrong(np.random.default_rng(seed), np.zeros_like(right)).any() for seed in range(9))
    np.testing.assert_array_equal(right, disc() / 255)
