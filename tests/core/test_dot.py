"""The inner product that keeps to its own thread."""

from __future__ import annotations

import math

import numpy as np
import pytest

from omniview.core.dot import dot
from omniview.core.image import Array


@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_it_is_the_sum_of_the_products(kind: type) -> None:
    """Of more numbers than a BLAS library would sum in one thread, to the precision of doubles."""
    rng = np.random.default_rng(1)
    a: Array = rng.integers(0, 1000, 30_001).astype(kind)
    b = rng.random(30_001)
    exact = math.fsum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    assert dot(a, b) == pytest.approx(exact, rel=1e-13)


def test_whole_numbers_give_a_whole_number() -> None:
    """Counts are summed exactly."""
    a = np.arange(5, dtype=np.int64)
    assert dot(a, a) == 30.0


def test_of_nothing_it_is_nothing() -> None:
    """Empty arrays give 0."""
    assert dot(np.zeros(0), np.zeros(0)) == 0.0
