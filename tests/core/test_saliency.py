"""Structure, alignment and weighted F follow their papers; figures by hand where a hand can compute them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import convolve, distance_transform_edt

from omniview.core.image import BoolArray, FloatArray
from omniview.core.probabilistic import SoftPair
from omniview.core.saliency import e_measure_adaptive, e_measures, s_measure, weighted_f

MAPS = arrays(np.float32, (9, 11), elements=st.floats(0, 1, width=32))
TRUTHS = arrays(np.bool_, (9, 11), elements=st.booleans())


def square() -> BoolArray:
    """A 4x4 square in a 12x10 image."""
    truth = np.zeros((12, 10), bool)
    truth[3:7, 2:6] = True
    return truth


def test_a_perfect_map_has_1_everywhere() -> None:
    """All three; alignment in the authors' programs is a little more."""
    truth = square()
    for probability in (truth.astype(np.float32), truth.astype(np.uint8) * 255):
        pair = SoftPair(probability, truth)
        assert s_measure(pair) == pytest.approx(1.0)
        assert e_measures(pair)[:-1] == pytest.approx(np.ones(255))
        assert e_measures(pair, less=1)[0] == pytest.approx(120 / 119)
        assert e_measure_adaptive(pair) == pytest.approx(1.0)
        assert weighted_f(pair) == pytest.approx(1.0)


def test_an_inverted_map_has_0() -> None:
    """Everything is wrong and misaligned; the weighted F's window finds nothing wrong beyond the image."""
    pair = SoftPair((~square()).astype(np.float32), square())
    assert s_measure(pair) < 0.1
    assert e_measures(pair)[:-1] == pytest.approx(np.zeros(255), abs=1e-12)
    assert weighted_f(pair) < 0.01


def test_without_truth_or_background_means_remain() -> None:
    """An empty truth wants a dark map, a full truth a bright one."""
    grey = np.full((4, 5), 0.25, np.float32)
    empty, full = SoftPair(grey, np.zeros((4, 5), bool)), SoftPair(grey, np.ones((4, 5), bool))
    assert (s_measure(empty), s_measure(full)) == (0.75, 0.25)
    dark, bright = 255 - 63, 64  # thresholds above and up to floor(0.25 * 255)
    assert e_measures(empty).mean() == pytest.approx(dark / 256)
    assert e_measures(full).mean() == pytest.approx(bright / 256)


def test_one_pixel_is_enough() -> None:
    """A truth of one pixel, at any corner, leaves no quadrant undefined."""
    for row, column in ((0, 0), (3, 4), (0, 4), (2, 2)):
        truth = np.zeros((4, 5), bool)
        truth[row, column] = True
        for probability in (truth.astype(np.float32), truth.astype(np.uint8) * 255):
            pair = SoftPair(probability, truth)
            assert s_measure(pair) == pytest.approx(1.0)
            assert weighted_f(pair) == pytest.approx(1.0)


@given(probability=MAPS, truth=TRUTHS.filter(np.any))
def test_weighted_f_follows_margolin(probability: FloatArray, truth: BoolArray) -> None:
    """Written out with a whole distance transform, as the paper gives it."""
    distance, nearest = distance_transform_edt(~truth, return_indices=True)
    error = np.abs(probability.astype(float) - truth)
    spread = error[tuple(nearest)]
    x = np.arange(-3, 4)
    window = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / 50.0)
    smooth = convolve(spread, window / window.sum(), mode="constant")
    least = np.where(truth, np.minimum(error, smooth), error)
    weight = np.where(truth, 1.0, 2.0 - np.exp(math.log(0.5) / 5.0 * distance))
    missed, false = least[truth].sum(), (least * weight)[~truth].sum()
    recall, true = 1.0 - missed / truth.sum(), truth.sum() - missed
    precision = true / (true + false) if true + false else 0.0
    expected = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    assert weighted_f(SoftPair(probability, truth)) == pytest.approx(expected, abs=1e-6)


@given(probability=MAPS, truth=TRUTHS)
def test_values_stay_in_their_range(probability: FloatArray, truth: BoolArray) -> None:
    """Structure and alignment lie in [0,1]; weighted F does where it is defined."""
    pair = SoftPair(probability, truth)
    values: list[Any] = [s_measure(pair), e_measure_adaptive(pair), *e_measures(pair)]
    if truth.any():
        values.append(weighted_f(pair))
    assert min(values) >= 0.0
    assert max(values) <= 1.0 + 1e-9


@given(probability=MAPS, truth=TRUTHS.filter(np.any))
def test_a_region_is_a_smaller_image(probability: FloatArray, truth: BoolArray) -> None:
    """A frame outside the region changes nothing, whatever lies in it."""
    inner = SoftPair(probability, truth)
    region = np.pad(np.ones_like(truth), 4)
    framed = SoftPair(
        np.pad(probability, 4, constant_values=1.0), np.pad(truth, 4, constant_values=True), region
    )
    assert s_measure(framed) == pytest.approx(s_measure(inner), abs=1e-6)
    assert e_measures(framed) == pytest.approx(e_measures(inner))
    assert weighted_f(framed) == pytest.approx(weighted_f(inner), abs=1e-6)


def test_importance_ends_where_it_no_longer_grows() -> None:
    """Far from the truth an error weighs double; the box around the truth does not matter."""
    truth = np.zeros((300, 20), bool)
    truth[10, 10] = True
    probability = truth.astype(np.float32)
    probability[290, 10] = 0.5
    precision = 1 / (1 + 2 * 0.5)
    assert weighted_f(SoftPair(probability, truth)) == pytest.approx(
        2 * precision / (1 + precision), rel=1e-7
    )
