"""Objects are matched one to one, and counted as the papers count them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.matching import INSTANCE_METRICS, Matches, instance_scores, match

LABELS = arrays(np.int32, (6, 7), elements=st.integers(0, 4))
NOTHING = np.zeros((6, 7), np.int32)


def two() -> npt.NDArray[np.int32]:
    """Object 3 of 2x4 pixels, object 7 of 2x3."""
    labels = NOTHING.copy()
    labels[0:2, 0:4] = 3
    labels[4:6, 2:5] = 7
    return labels


def test_by_hand() -> None:
    """One match of IoU 6/8, one predicted object too many, one true object missed."""
    found = NOTHING.copy()
    found[0:2, 0:3] = 1
    found[3, 0] = 9
    scores = instance_scores(found, two())
    assert scores["instance_f1_50"] == scores["instance_f1_70"] == 0.5
    assert scores["instance_f1_80"] == 0.0
    assert scores["instance_precision_50"] == scores["instance_recall_50"] == 0.5
    assert scores["instance_ap_50"] == pytest.approx(1 / 3)
    assert scores["instance_ap"] == pytest.approx(5 / 3 / 10)  # thresholds 0.5 to 0.7; 0.75 is not exceeded
    assert scores["panoptic_quality"] == pytest.approx(0.75 * 0.5)
    assert scores["segmentation_quality"] == 0.75
    assert scores["recognition_quality"] == 0.5
    assert scores["count_error"] == 0.0
    assert list(scores) == list(INSTANCE_METRICS)


def test_half_an_overlap_is_no_match() -> None:
    """IoU must exceed one half, so that nobody has two partners."""
    half = NOTHING.copy()
    half[0:2, 0:2] = 1
    assert match(half, np.where(two() == 3, 1, 0)).found(0.5) == 0


def test_nothing_to_find() -> None:
    """Right about nothing is right; a rate without a denominator is undefined otherwise."""
    right = instance_scores(NOTHING, NOTHING)
    assert {name: 0.0 if name == "count_error" else 1.0 for name in right} == right
    missed, invented = instance_scores(NOTHING, two()), instance_scores(two(), NOTHING)
    assert missed["count_error"] == invented["count_error"] == 2.0
    assert missed["panoptic_quality"] == missed["instance_f1_50"] == invented["instance_ap"] == 0.0
    assert (missed["instance_precision_50"], missed["instance_recall_50"]) == (None, 0.0)
    assert (invented["instance_precision_50"], invented["instance_recall_50"]) == (0.0, None)
    assert missed["segmentation_quality"] is None


def test_outside_the_region_is_background() -> None:
    """Objects are cut at the rim and gone beyond."""
    region = np.zeros((6, 7), bool)
    region[:3] = True
    matches = match(two(), two(), region)
    assert (matches.predicted, matches.true, matches.found(0.9)) == (1, 1, 1)


@given(a=LABELS, b=LABELS)
def test_matching_knows_no_side(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> None:
    """Prediction and truth may change places; precision and recall change places with them."""
    one, other = instance_scores(a, b), instance_scores(b, a)
    for name, value in one.items():
        assert value == pytest.approx(
            other[name.replace("precision", "x").replace("recall", "precision").replace("x", "recall")]
        )


@given(a=LABELS, b=LABELS)
def test_values_stay_in_their_range_and_fall_with_the_threshold(
    a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]
) -> None:
    """No value leaves the range that the table names; a stricter match finds no more."""
    scores = instance_scores(a, b)
    for name, value in scores.items():
        low, high = INSTANCE_METRICS[name].range
        assert value is None or low <= value <= high
    f1 = [scores[f"instance_f1_{t}"] or 0.0 for t in (50, 60, 70, 80, 90)]
    assert f1 == sorted(f1, reverse=True)


@given(a=LABELS)
def test_numbers_do_not_matter(a: npt.NDArray[np.int32]) -> None:
    """Renumbered, the same objects match perfectly."""
    assert instance_scores(a * 5, a)["panoptic_quality"] == 1.0


def test_every_row_says_what_it_is() -> None:
    """Names are keys; errors alone are better when lower."""
    for name, metric in INSTANCE_METRICS.items():
        assert name == metric.name
        assert metric.title
        assert metric.source
        assert metric.higher_is_better == (name != "count_error")
        assert metric.unit == ("objects" if name == "count_error" else "1")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"labels": NOTHING[0]}, "labels"),
        ({"labels": NOTHING.astype(float)}, "labels"),
        ({"truth": NOTHING - 1}, "truth"),
        ({"truth": NOTHING[:, :3]}, "truth"),
        ({"region": NOTHING}, "region"),
        ({"region": np.ones((2, 2), bool)}, "region"),
    ],
)
def test_what_does_not_fit_is_told_by_name(arguments: dict[str, Any], word: str) -> None:
    """The message begins with the argument that breaks a rule."""
    with pytest.raises(ValueError, match=f"^{word}"):
        match(**{"labels": NOTHING, "truth": NOTHING, **arguments})


@pytest.mark.parametrize("threshold", [0.4, 1.1])
def test_thresholds_below_one_half_are_refused(threshold: float) -> None:
    """There an object may have several partners, and none above 1."""
    with pytest.raises(ValueError, match=r"^threshold"):
        Matches(np.zeros(0), 0, 0).found(threshold)
