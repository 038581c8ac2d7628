"""Doubt is measured in bits, and no extreme value breaks the arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.image import FloatArray
from omniview.core.uncertainty import entropy, mean_and_spread, mutual_information, quick_entropy, temper

PROBABILITY = st.floats(0.0, 1.0, width=32)
SAMPLES = arrays(
    np.float32, st.tuples(st.integers(1, 5), st.just(1), st.just(2), st.just(3)), elements=PROBABILITY
)


def test_entropy_of_known_values() -> None:
    """Certainty is 0 exactly, a coin toss 1, a quarter 0.8113 bits."""
    values = entropy(np.array([0.0, 1.0, 0.5, 0.25, 0.75], np.float32))
    assert values.dtype == np.float32
    assert values[:2].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(values[2:], [1.0, 0.8112781, 0.8112781], rtol=1e-6)


@given(p=arrays(np.float32, 16, elements=PROBABILITY))
def test_entropy_is_symmetric_and_bounded(p: FloatArray) -> None:
    """Yes and no are equally uncertain, and no value leaves [0,1]."""
    values = entropy(p)
    assert ((values >= 0) & (values <= 1)).all()
    np.testing.assert_allclose(values, entropy(1 - p), atol=1e-6)


def test_the_table_is_as_good_as_the_formula() -> None:
    """Quick entropy is entropy to within 2e-4 bits, and exact where it matters: certain, and a coin toss."""
    p = np.concatenate([np.linspace(0, 1, 100_003), np.geomspace(1e-9, 1e-3, 999)]).astype(np.float32)
    np.testing.assert_allclose(quick_entropy(p), entropy(p), atol=2e-4)
    np.testing.assert_allclose(quick_entropy(np.array([[0, 0.5, 1]], np.float32)), [[0, 1, 0]], atol=1e-6)


def test_entropy_leaves_its_input_alone() -> None:
    """Working in place stops at the function's door."""
    p = np.full((2, 2), 0.3, np.float32)
    p.flags.writeable = False
    entropy(p)
    assert (p == np.float32(0.3)).all()


@given(samples=SAMPLES)
def test_mean_and_spread_are_those_of_numpy(samples: FloatArray) -> None:
    """Population mean and standard deviation over the first axis, within [0,1]."""
    mean, spread = mean_and_spread(samples)
    np.testing.assert_allclose(mean, samples.mean(axis=0, dtype=np.float64), atol=1e-6)
    np.testing.assert_allclose(spread, samples.std(axis=0, dtype=np.float64), atol=1e-6)
    assert mean.dtype == spread.dtype == np.float32
    assert 0.0 <= mean.min() <= mean.max() <= 1.0


def test_one_sample_is_its_own_mean() -> None:
    """A single view is returned bit for bit and spreads nowhere."""
    sample = np.random.default_rng(0).random((1, 1, 5, 7), np.float32)
    mean, spread = mean_and_spread(sample)
    np.testing.assert_array_equal(mean, sample[0])
    assert not spread.any()


@given(samples=SAMPLES)
def test_mutual_information_is_a_part_of_the_entropy(samples: FloatArray) -> None:
    """It lies between 0 and the entropy of the mean, and is 0 where all samples say the same."""
    information = mutual_information(samples)
    assert (information >= 0).all()
    assert (information <= entropy(samples.mean(axis=0, dtype=np.float32)) + 1e-6).all()
    same = np.repeat(samples[:1], 4, axis=0)
    np.testing.assert_allclose(mutual_information(same), 0.0, atol=1e-6)


def test_contradiction_is_one_bit_and_shared_doubt_none() -> None:
    """Two sure and opposite views disagree by one bit; two views at 0.5 do not disagree."""
    samples = np.array([[[[0.0, 0.5]]], [[[1.0, 0.5]]]], np.float32)
    np.testing.assert_allclose(mutual_information(samples), [[[1.0, 0.0]]], atol=1e-6)


def test_samples_need_a_first_axis() -> None:
    """No sample at all is refused."""
    for samples in (np.zeros((0, 1, 2, 2), np.float32), np.zeros(3, np.float32)):
        with pytest.raises(ValueError, match="samples"):
            mean_and_spread(samples)
        with pytest.raises(ValueError, match="samples"):
            mutual_information(samples)


@given(z=st.floats(-50, 50), temperature=st.floats(0.1, 10), threshold=st.floats(0.01, 0.99))
def test_temper_is_the_formula(z: float, temperature: float, threshold: float) -> None:
    """sigmoid((z - logit(threshold)) / temperature)."""
    expected = 1 / (1 + np.exp(-(z - np.log(threshold / (1 - threshold))) / temperature))
    got = temper(np.array([z], np.float32), temperature, threshold)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-7)


def test_temper_moves_the_threshold_to_the_edge() -> None:
    """A network whose mask begins at 0.3 gets its edge at 0.5, at any temperature."""
    logit = np.log(0.3 / 0.7)
    for temperature in (0.5, 1.0, 3.0):
        below, above = temper(np.array([logit - 0.01, logit + 0.01]), temperature, 0.3)
        assert below < 0.5 < above


def test_temper_survives_any_logit_and_keeps_its_input() -> None:
    """Infinities and huge numbers give 0 and 1 without a warning, and the logits stay as they were."""
    logits = np.array([-np.inf, -1e30, 0.0, 1e30, np.inf], np.float32)
    kept = logits.copy()
    np.testing.assert_allclose(temper(logits), [0, 0, 0.5, 1, 1], atol=1e-30)
    np.testing.assert_array_equal(logits, kept)


@pytest.mark.parametrize(
    ("temperature", "threshold", "word"),
    [
        (0.0, 0.5, "temperature"),
        (np.inf, 0.5, "temperature"),
        (1.0, 0.0, "threshold"),
        (1.0, 1.0, "threshold"),
    ],
)
def test_temper_names_what_breaks_a_rule(temperature: float, threshold: float, word: str) -> None:
    """Temperature is positive and finite, threshold strictly between 0 and 1."""
    with pytest.raises(ValueError, match=word):
        temper(np.zeros(1, np.float32), temperature, threshold)
