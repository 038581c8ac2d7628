"""Whatever a network ends in, its labels are read as logits of independent labels."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.inference.card import OutputSpec
from omniview.inference.outputs import logits_of


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-z.astype(np.float64))))


def _raw(channels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (2, channels, 4, 5)).astype(np.float32)


def test_logits_are_taken_as_they_are() -> None:
    """The ordinary network costs nothing: the very array comes back."""
    raw = _raw(1)
    assert logits_of(raw, OutputSpec()) is raw


def test_a_softmax_keeps_its_probabilities_without_its_background() -> None:
    """The sigmoid of what comes out is the softmax's own probability of that class."""
    raw = _raw(4)
    soft = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    got = logits_of(raw, OutputSpec(activation="softmax", channels=(3, 1)))
    np.testing.assert_allclose(_sigmoid(got), soft[:, [3, 1]], atol=1e-6)


def test_a_softmax_does_not_overflow() -> None:
    """Logits of any size stay finite."""
    raw = np.array([-3e4, 2e4, 1e4], np.float32).reshape(1, 3, 1, 1)
    got = logits_of(raw, OutputSpec(activation="softmax", channels=(0, 1)))
    np.testing.assert_allclose(got.ravel(), [-5e4, 1e4])


def test_probabilities_of_chosen_channels() -> None:
    """A softmax inside of the graph gives probabilities; those of the lesion are taken."""
    raw = np.array([0.9, 0.1, 1.0, 0.0], np.float32).reshape(1, 2, 1, 2)
    got = logits_of(raw, OutputSpec(activation="probability", channels=(1,)))
    np.testing.assert_allclose(_sigmoid(got).ravel(), [1.0, 0.0], atol=2e-6)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 1, 2, 3)])
def test_class_numbers_become_masks(shape: tuple[int, ...]) -> None:
    """A map of class numbers, with or without a channel axis, is sure of the class that it names."""
    raw = np.array([0, 1, 2, 2, 1, 0], np.int64).reshape(shape)
    got = logits_of(raw, OutputSpec(activation="classes", channels=(2,)))
    assert got.dtype == np.float32
    assert (_sigmoid(got).ravel() > 0.5).tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("raw", "spec", "said"),
    [
        (np.zeros((1, 4), np.float32), OutputSpec(), "2-dimensional"),
        (np.full((1, 1, 2, 2), np.nan, np.float32), OutputSpec(), "not finite"),
        (np.zeros((1, 2, 2, 2), np.float32), OutputSpec(channels=(2,)), "has 2 channels"),
        (np.zeros((1, 1, 2, 2), np.float32), OutputSpec(activation="softmax", channels=(0,)), "one channel"),
        (np.zeros((1, 2, 2, 2), np.int64), OutputSpec(activation="classes", channels=(1,)), "class numbers"),
    ],
)
def test_what_contradicts_the_card_is_said(raw: np.ndarray, spec: OutputSpec, said: str) -> None:
    """The reason is in words that complete a sentence."""
    with pytest.raises(ValueError, match=said):
        logits_of(raw, spec)


@pytest.mark.parametrize("activation", ["softmax", "classes"])
def test_classes_are_named(activation: str) -> None:
    """Which class is the background is nowhere guessed."""
    with pytest.raises(ValueError, match="channels"):
        OutputSpec.model_validate({"activation": activation})
