"""Soft edges and votes: they add doubt, and never move the mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.image import BoolArray
from omniview.omnimodel.voting import SURENESS, agreement, soft_edge, vote

masks = arrays(np.bool_, st.tuples(st.integers(1, 2), st.integers(1, 24), st.integers(1, 24)))


def disc(radius: float, shape: tuple[int, int] = (200, 220)) -> BoolArray:
    """(1,Y,X): pixels closer than `radius` to the centre."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (np.hypot(y - shape[0] / 2, x - shape[1] / 2) < radius)[None]


@given(masks)
@settings(max_examples=200, deadline=None)
def test_a_soft_edge_keeps_the_mask_exactly(mask: BoolArray) -> None:
    """Above one half inside, below one half outside, and never certain."""
    soft = soft_edge(mask)
    assert soft.dtype == np.float32
    np.testing.assert_array_equal(soft > 0.5, mask)
    assert not (soft == 0.5).any()
    assert soft.min() >= np.float32(1 - SURENESS) - 1e-6
    assert soft.max() <= np.float32(SURENESS) + 1e-6


def test_a_soft_edge_follows_its_formula() -> None:
    """On a straight edge the probability is the logistic of the distance to it, scaled to SURENESS."""
    mask = np.zeros((1, 400, 400), np.bool_)
    mask[:, :, 200:] = True
    row = soft_edge(mask)[0, 100]
    distance = np.arange(400) + 0.5 - 200
    np.testing.assert_allclose(row, 0.5 + (SURENESS - 0.5) * np.tanh(distance / 8), atol=1e-6)
    assert (np.diff(row) >= 0).all()


@pytest.mark.parametrize("shape", [(1500, 1400), (3, 2100), (2100, 1)])
def test_large_masks_are_kept_exactly_too(shape: tuple[int, int]) -> None:
    """Measuring on a reduced mask moves no pixel, however thin the mask is."""
    mask = np.random.default_rng(0).random((1, *shape)) < 0.02
    mask[:, : shape[0] // 3] = True
    np.testing.assert_array_equal(soft_edge(mask) > 0.5, mask)
    assert not (soft_edge(mask) == 0.5).any()


def test_a_reduced_mask_gives_the_same_edge() -> None:
    """The soft edge of a large disc does not depend on the shortcut."""
    big = soft_edge(disc(500, (2000, 2200)))[0, 1000]
    small = soft_edge(disc(250, (1000, 1100)))[0, 500]
    np.testing.assert_allclose(big[::2], small, atol=0.01)


def test_masks_without_a_contour() -> None:
    """All or nothing has no edge to be soft at."""
    assert np.ptp(soft_edge(np.zeros((1, 5, 5), np.bool_))) == 0
    np.testing.assert_allclose(soft_edge(np.ones((2, 5, 5), np.bool_)), SURENESS)


def test_one_mask_has_no_spread() -> None:
    """A single answer knows of no disagreement."""
    probability, spread = vote([disc(50)])
    assert spread is None
    np.testing.assert_array_equal(probability > 0.5, disc(50))


@given(st.lists(arrays(np.bool_, (1, 12, 10)), min_size=1, max_size=5), st.randoms())
@settings(max_examples=100, deadline=None)
def test_more_than_half_decide(answers: list[BoolArray], random: object) -> None:
    """The mask holds every pixel that most answers have, no pixel that most lack; order is nothing."""
    probability, spread = vote(answers)
    share = np.mean(answers, axis=0)
    assert (probability > 0.5)[share > 0.5].all()
    assert not (probability > 0.5)[share < 0.5].any()
    assert probability.min() >= 0
    assert probability.max() <= 1
    again, _ = vote(answers[::-1])
    np.testing.assert_allclose(probability, again, atol=1e-6)
    assert spread is None or (spread.min() >= 0 and spread.max() <= 0.5)


def test_agreement_is_surer_than_a_narrow_majority() -> None:
    """Far inside, three of three are surer than two of three; the spread says the reverse."""
    agreed, calm = vote([disc(50)] * 3)
    narrow, wild = vote([disc(50), disc(50), disc(0)])
    assert agreed[0, 100, 110] > 0.97
    assert 0.6 < narrow[0, 100, 110] < 0.7
    assert calm is not None
    assert wild is not None
    assert calm.max() < 1e-3
    assert wild[0, 100, 110] > 0.4


def test_a_draw_lies_half_way() -> None:
    """Two discs of radius 40 and 60 give one of about 50; a disc against nothing gives nothing."""
    probability, _ = vote([disc(40), disc(60)])
    found, between = probability > 0.5, disc(50)
    assert not (found & ~disc(53)).any()
    assert not (disc(47) & ~found).any()
    assert (found ^ between).sum() < 0.1 * between.sum()
    probability, _ = vote([disc(40), disc(0)])
    assert not (probability > 0.5).any()


def test_no_mask_is_no_vote() -> None:
    """There is no vote without votes."""
    with pytest.raises(ValueError, match="at least one"):
        vote([])


def test_an_answer_has_no_vote_outside_of_what_it_saw() -> None:
    """A crop's answer neither adds nor denies beyond its window; where nobody looked it stays open."""
    whole, shape = disc(50), (200, 220)
    window = (slice(0, 160), slice(0, 176))
    everything = (slice(0, 200), slice(0, 220))
    probability, spread = vote([whole, whole[:, *window]], [everything, window], shape)
    np.testing.assert_array_equal(probability > 0.5, whole)
    assert spread is not None
    assert spread[0, 170:].max() < 1e-3
    probability, _ = vote([whole[:, *window]], [window], shape)
    np.testing.assert_array_equal((probability > 0.5)[0, :160, :176], whole[0, :160, :176])
    assert (probability[0, 160:] == 0.5).all()
    probability, _ = vote([whole[:, *window]] * 2, [window] * 2, shape)
    assert (probability[0, :, 176:] == 0.5).all()


def test_a_crops_own_border_is_no_contour() -> None:
    """An object that a crop cuts is as sure at the cut as inside."""
    window = (slice(0, 200), slice(0, 110))
    probability, _ = vote([np.ones((1, 200, 110), np.bool_)], [window], (200, 220))
    assert probability[0, 100, 109] == pytest.approx(SURENESS)


def test_agreement_is_iou_where_both_looked() -> None:
    """Equal answers agree, halves by a half; two that found nothing agree; labels count one by one."""
    shape, everything = (200, 220), (slice(0, 200), slice(0, 220))
    left = (slice(0, 200), slice(0, 110))
    whole = disc(50)
    assert agreement(whole, whole, (everything, everything), shape) == 1
    assert agreement(whole, whole[:, *left], (everything, left), shape) == 1
    half = whole.copy()
    half[0, :, 110:] = False
    assert agreement(whole, half, (everything, everything), shape) == pytest.approx(half.sum() / whole.sum())
    assert agreement(half[:, *left], whole[:, *left], (left, left), shape) == 1
    nothing = disc(0)
    assert agreement(nothing, nothing, (everything, everything), shape) == 1
    both = np.concatenate([whole, nothing])
    assert agreement(both, both[::-1], (everything, everything), shape) == 0
