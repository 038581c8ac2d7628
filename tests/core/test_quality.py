"""Predicted quality says something sensible about every mask, empty ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.image import BoolArray, FloatArray
from omniview.core.quality import QualityTable, agreement, soft_dice_confidence

MAPS = arrays(np.float32, (2, 3, 4), elements=st.floats(0, 1, width=32))
MASKS = arrays(np.bool_, (3, 4))
TABLE = QualityTable((0.2, 0.6, 1.0), (0.1, 0.4, 0.9), 0.15)


def test_soft_dice_of_a_small_map_by_hand() -> None:
    """2 (0.9 + 0.6) / (0.9 + 0.6 + 0.5 + 2)."""
    p = np.array([[0.9, 0.6], [0.5, 0.0]], np.float32)
    assert soft_dice_confidence(p) == pytest.approx(3.0 / 4.0)


def test_a_hard_mask_is_sure_of_itself() -> None:
    """Probabilities of 0 and 1 alone give 1, whether or not there is anything in the mask."""
    hard = np.zeros((1, 4, 4), np.float32)
    assert soft_dice_confidence(hard) == 1.0
    hard[0, 1:3, 1:3] = 1.0
    assert soft_dice_confidence(hard) == 1.0


def test_an_empty_mask_is_as_sure_as_its_highest_probability_lets_it() -> None:
    """An empty mask can be right: its confidence is 1 - max p."""
    p = np.full((8, 8), 0.01, np.float32)
    assert soft_dice_confidence(p) == pytest.approx(0.99)
    p[3, 3] = 0.45
    assert soft_dice_confidence(p) == pytest.approx(0.55)


@given(maps=MAPS)
def test_confidence_is_a_share_and_the_mean_over_labels(maps: FloatArray) -> None:
    """Always in [0,1]; several labels count alike; memory order does not matter."""
    each = [soft_dice_confidence(p) for p in maps]
    assert all(0.0 <= c <= 1.0 for c in each)
    assert soft_dice_confidence(maps) == pytest.approx(np.mean(each))
    assert soft_dice_confidence(np.asfortranarray(maps)) == pytest.approx(soft_dice_confidence(maps))


def test_confidence_needs_a_map() -> None:
    """A vector or an empty array is refused by name."""
    for p in (np.zeros(3, np.float32), np.zeros((0, 3), np.float32)):
        with pytest.raises(ValueError, match="probability"):
            soft_dice_confidence(p)


@given(a=MASKS, b=MASKS)
def test_agreement_is_a_symmetric_dice(a: BoolArray, b: BoolArray) -> None:
    """Order does not matter, and a mask agrees with itself entirely unless it is empty."""
    assert agreement(a, b) == agreement(b, a)
    assert agreement(a, a) == (1.0 if a.any() else None)


def test_agreement_by_hand() -> None:
    """2 * 1 / (2 + 1); nothing in common gives 0; two empty masks are no evidence."""
    a, b, none = np.array([[True, True]]), np.array([[True, False]]), np.zeros((1, 2), bool)
    assert agreement(a, b) == pytest.approx(2 / 3)
    assert agreement(a, none) == 0.0
    assert agreement(none, none) is None
    with pytest.raises(ValueError, match="shape"):
        agreement(a, b.T)


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_more_confidence_never_predicts_less(low: float, high: float) -> None:
    """The curve is monotone, and its interval stays in [0,1] around the value."""
    low, high = sorted((low, high))
    below, above = TABLE.predict(low), TABLE.predict(high)
    assert below.value <= above.value
    assert below.low == pytest.approx(max(0.0, below.value - 0.15))
    assert above.high == pytest.approx(min(1.0, above.value + 0.15))


def test_the_curve_is_linear_between_its_knots_and_level_beyond() -> None:
    """Halfway between two knots lies halfway between their values."""
    assert TABLE.predict(0.4).value == pytest.approx(0.25)
    assert TABLE.predict(0.0).value == pytest.approx(0.1)
    assert TABLE.predict(1.0).value == pytest.approx(0.9)


def test_an_empty_mask_is_judged_by_what_empty_masks_were_worth() -> None:
    """Where it was measured, an empty mask has a predicted Dice of its own."""
    empty = np.full((1, 4, 4), 0.05, np.float32)
    found = np.ones((1, 4, 4), np.float32)
    assert TABLE.judge(empty).value == pytest.approx(TABLE.predict(0.95).value)
    measured = QualityTable(TABLE.confidence, TABLE.dice, 0.15, empty=0.05)
    assert measured.judge(empty).value == 0.05
    assert measured.judge(empty).low == 0.0
    assert measured.judge(found) == TABLE.predict(1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": (0.5,)},
        {"confidence": (0.2, 0.2, 1.0)},
        {"confidence": (0.2, float("nan"), 1.0)},
        {"dice": (0.1, 0.4)},
        {"dice": (0.4, 0.1, 0.9)},
        {"dice": (0.1, 0.4, 1.9)},
        {"dice": (-0.1, 0.4, 0.9)},
        {"half_width": -0.1},
        {"half_width": float("nan")},
        {"empty": 1.5},
    ],
)
def test_a_table_names_what_breaks_a_rule(changes: dict[str, Any]) -> None:
    """Every broken rule is told with the name of the field."""
    fields = {"confidence": TABLE.confidence, "dice": TABLE.dice, "half_width": 0.15, **changes}
    with pytest.raises(ValueError, match=next(iter(changes))):
        QualityTable(**fields)


def test_the_interval_is_as_wide_as_errors_are_there() -> None:
    """With a half width a knot, sure predictions get narrow intervals and doubtful ones wide ones."""
    table = QualityTable((0.0, 1.0), (0.5, 0.5), (0.4, 0.1), empty=0.5)
    assert table.predict(0.0).low == pytest.approx(0.1)
    assert table.predict(0.5).high == pytest.approx(0.75)
    assert table.predict(1.0).low == pytest.approx(0.4)
    nothing = table.judge(np.zeros((4, 4), np.float32))
    assert (nothing.low, nothing.high) == pytest.approx((0.1, 0.9))
    with pytest.raises(ValueError, match="half_width must be one number or 2"):
        QualityTable((0.0, 1.0), (0.5, 0.5), (0.4, 0.1, 0.1))
