"""Ranges for eight bits cover what counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx

from omniview.core.image import FloatArray
from omniview.training.ranges import BINS, Histogram, observe
from tests.networks import write_brightness


def _histogram(values: np.ndarray) -> Histogram:
    low, high = float(values.min()), float(values.max())
    return Histogram(low, high, np.histogram(values, BINS, (low, high))[0].astype(np.float64))


def test_even_values_are_covered_whole() -> None:
    """Without outliers nothing is clipped, and zero lies within the range."""
    values = np.linspace(0.5, 2.0, 100_000)
    low, high = _histogram(values).range()
    assert low == 0.0
    assert abs(high - 2.0) < 0.01


def test_a_lone_outlier_does_not_stretch_the_range() -> None:
    """One value in a million that lies far out costs less clipped than all others rounded coarsely."""
    values = np.append(np.random.default_rng(0).uniform(-1.0, 1.0, 1_000_000), 30.0)
    low, high = _histogram(values).range()
    assert -1.1 < low < -0.9
    assert high < 3.0


def test_a_constant_has_a_range_with_zero() -> None:
    """A tensor that never changes needs no histogram."""
    assert Histogram(2.0, 2.0, np.zeros(BINS)).range() == (0.0, 2.0)


def test_inputs_and_inner_tensors_are_counted(tmp_path: Path) -> None:
    """Extremes are those of all feeds, and every value is counted once."""
    write_brightness(tmp_path / "m.onnx", gain=2.0)
    images = np.random.default_rng(0).random((3, 1, 3, 8, 8), dtype=np.float32)

    def feeds() -> Iterator[Mapping[str, FloatArray]]:
        return ({"image": image} for image in images)

    seen = observe(onnx.load(tmp_path / "m.onnx"), ["image", "logits"], feeds)
    assert (seen["image"].low, seen["image"].high) == (images.min(), images.max())
    logits = images.mean(2) * 2.0 - 1.0
    np.testing.assert_allclose(
        (seen["logits"].low, seen["logits"].high), (logits.min(), logits.max()), atol=1e-5
    )
    assert (seen["image"].counts.sum(), seen["logits"].counts.sum()) == (images.size, logits.size)
