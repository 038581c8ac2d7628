"""Bins of a reliability diagram hold every pixel once, and add up over cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.batch.pixels import BINS, reliability_bins


def test_counts_are_those_of_a_plain_loop() -> None:
    """Counts, sums and truths of each bin equal a loop over (l, r] intervals."""
    rng = np.random.default_rng(5)
    probability = rng.random((2, 30, 40), np.float32)
    truth = rng.random((2, 30, 40)) < probability
    for k, (n, total, positive) in enumerate(reliability_bins(probability, truth, 10)):
        inside = (probability * np.float32(10) > k) & (probability * np.float32(10) <= k + 1)
        assert n == inside.sum()
        assert total == pytest.approx(probability[inside].astype(float).sum())
        assert positive == truth[inside].sum()


def test_edges_belong_to_the_bin_below_and_zero_to_the_first() -> None:
    """0 and 1 are counted, 0.5 lies in the lower of two bins."""
    probability = np.array([[[0.0, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1.0]]], np.float32)
    truth = np.array([[[False, True, False, True]]])
    expected = [[2, 0.5, 1], [2, 1.5, 1]]
    np.testing.assert_allclose(reliability_bins(probability, truth, 2), expected, rtol=1e-6)


@given(seed=st.integers(0, 2**16), bins=st.integers(1, 127))
def test_nothing_is_lost(seed: int, bins: int) -> None:
    """Whatever the bins, their sums are those of the map."""
    rng = np.random.default_rng(seed)
    probability = rng.random((1, 9, 7), np.float32).round(2)
    truth = rng.random((1, 9, 7)) < 0.5
    found = np.array(reliability_bins(probability, truth, bins))
    np.testing.assert_allclose(
        found.sum(axis=0), [truth.size, probability.astype(np.float64).sum(), truth.sum()]
    )
    assert len(found) == bins


def test_default_is_fifteen() -> None:
    """As many bins as Guo et al. used."""
    assert len(reliability_bins(np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), bool))) == BINS == 15


@pytest.mark.parametrize(
    ("shape", "kind", "bins", "match"),
    [
        ((2, 2), np.float32, 15, "probability"),
        ((1, 2, 2), np.float64, 15, "probability"),
        ((1, 2, 3), np.float32, 15, "truth"),
        ((1, 2, 2), np.float32, 0, "bins"),
    ],
)
def test_wrong_arguments_are_named(shape: tuple[int, ...], kind: type, bins: int, match: str) -> None:
    """The message names the argument."""
    with pytest.raises(ValueError, match=match):
        reliability_bins(np.zeros(shape, kind), np.zeros((1, 2, 2), bool), bins)
