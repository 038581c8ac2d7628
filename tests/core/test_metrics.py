"""Every metric follows its definition, and empty masks follow one policy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from omniview.core.image import BoolArray
from omniview.core.metrics import (
    DEFAULT_TOLERANCE,
    METRICS,
    Description,
    describe,
    is_true_negative,
    score,
    worst,
)
from omniview.core.surface import surface_distances

DISTANCES = ("hd", "hd95", "assd", "masd")
MASKS = arrays(np.bool_, (6, 7))
EMPTY = np.zeros((6, 7), bool)
FULL = np.ones((6, 7), bool)


def corner(height: int, width: int) -> BoolArray:
    """A 6x7 mask with a filled corner."""
    mask = EMPTY.copy()
    mask[:height, :width] = True
    return mask


def test_the_table_speaks_for_itself() -> None:
    """Rows are keyed by name, in the order of tables, and say what they are."""
    assert list(METRICS) == [
        "dice",
        "iou",
        "sensitivity",
        "specificity",
        "precision",
        "accuracy",
        "hd",
        "hd95",
        "assd",
        "masd",
        "nsd",
    ]
    for name, metric in METRICS.items():
        assert name == metric.name
        assert metric.title
        assert metric.source
        assert metric.higher_is_better == (name not in DISTANCES)
        assert metric.unit == ("mm|px" if name in DISTANCES else "1")
        assert metric.range == ((0.0, math.inf) if name in DISTANCES else (0.0, 1.0))


def test_counts_by_hand() -> None:
    """Six true positives, two false positives, six false negatives, 28 true negatives."""
    found = score(corner(2, 4), corner(4, 3))
    assert found["dice"] == pytest.approx(12 / 20)
    assert found["iou"] == pytest.approx(6 / 14)
    assert found["sensitivity"] == pytest.approx(6 / 12)
    assert found["precision"] == pytest.approx(6 / 8)
    assert found["specificity"] == pytest.approx(28 / 30)
    assert found["accuracy"] == pytest.approx(34 / 42)


def test_distances_are_those_of_the_surfaces() -> None:
    """One pass of surface distances feeds all five metrics."""
    a, b, spacing = corner(2, 4), corner(4, 3), (0.5, 0.25)
    distances = surface_distances(a, b, spacing)
    found = score(a, b, spacing)
    assert found["hd"] == distances.hausdorff()
    assert found["hd95"] == distances.hausdorff(95)
    assert found["assd"] == distances.assd()
    assert found["masd"] == distances.masd()
    assert found["nsd"] == distances.nsd(DEFAULT_TOLERANCE * 0.5)
    assert score(a, b, spacing, tolerance=0.25)["nsd"] == distances.nsd(0.25)
    assert score(a, b, tolerance=0.0)["nsd"] == surface_distances(a, b).nsd(0.0)


@given(a=MASKS, b=MASKS)
def test_the_table_is_symmetric_where_it_should_be(a: BoolArray, b: BoolArray) -> None:
    """Mask and truth may change places; sensitivity and precision change places with them."""
    one, other = score(a, b), score(b, a)
    for name in ("dice", "iou", "accuracy", *DISTANCES, "nsd"):
        assert one[name] == pytest.approx(other[name])
    assert one["sensitivity"] == other["precision"]


@given(a=MASKS, b=MASKS)
def test_scores_do_not_depend_on_how_one_looks(a: BoolArray, b: BoolArray) -> None:
    """Mirrored, transposed or stored in another order, a pair scores the same."""
    here = score(a, b)
    for look in (np.fliplr, np.flipud, np.transpose, np.asfortranarray):
        there = score(look(a), look(b))
        assert there == pytest.approx(here)


@given(a=MASKS, b=MASKS)
def test_values_stay_in_their_range(a: BoolArray, b: BoolArray) -> None:
    """No value leaves the range that the table names, and none is worse than the worst."""
    for name, value in score(a, b).items():
        metric = METRICS[name]
        if value is not None:
            assert metric.range[0] <= value <= metric.range[1]
            limit = worst(name, a.shape)
            assert value >= limit if metric.higher_is_better else value <= limit


@given(mask=MASKS.filter(np.any))
def test_a_mask_is_perfect_against_itself(mask: BoolArray) -> None:
    """Everything is 1 and every distance 0; specificity of a full mask has no denominator."""
    for name, value in score(mask, mask).items():
        if name in DISTANCES:
            assert value == 0.0
        else:
            assert value == 1.0 or (name == "specificity" and mask.all() and value is None)


@given(mask=MASKS, truth=MASKS)
def test_dice_follows_from_iou(mask: BoolArray, truth: BoolArray) -> None:
    """Dice is 2 IoU / (1 + IoU)."""
    found = score(mask, truth)
    assert found["iou"] is not None
    assert found["dice"] == pytest.approx(2 * found["iou"] / (1 + found["iou"]))


def test_both_empty_is_a_true_negative() -> None:
    """Nothing to find, nothing marked: rates and overlaps 1, distances 0."""
    assert score(EMPTY, EMPTY) == {name: 0.0 if name in DISTANCES else 1.0 for name in METRICS}
    assert is_true_negative(EMPTY, EMPTY)
    assert not is_true_negative(FULL, EMPTY)
    assert not is_true_negative(EMPTY, FULL)


@pytest.mark.parametrize(
    ("mask", "truth", "undefined"),
    [(EMPTY, corner(2, 2), "precision"), (corner(2, 2), EMPTY, "sensitivity")],
)
def test_one_empty_scores_nothing(mask: BoolArray, truth: BoolArray, undefined: str) -> None:
    """Overlaps and surface Dice 0, distances undefined, and so is the rate without a denominator."""
    found = score(mask, truth)
    assert [found[n] for n in DISTANCES] == [None] * 4
    assert found[undefined] is None
    other = {"precision": "sensitivity", "sensitivity": "precision"}[undefined]
    assert [found[n] for n in ("dice", "iou", "nsd", other)] == [0.0] * 4
    assert found["accuracy"] == pytest.approx(38 / 42)


def test_a_full_truth_has_no_specificity() -> None:
    """Where everything is to be found, there is nothing to leave alone."""
    assert score(corner(2, 2), FULL)["specificity"] is None


def test_nothing_outside_the_field_of_view_counts() -> None:
    """Counts and outlines are those of the pair inside the region."""
    region = np.zeros((6, 7), bool)
    region[:, :3] = True
    a, b = corner(2, 4), corner(4, 7)
    found = score(a, b, region=region)
    assert found["dice"] == pytest.approx(12 / 18)
    assert found["specificity"] == 1.0
    assert found["accuracy"] == pytest.approx(12 / 18)
    assert found["hd"] == score(a & region, b & region)["hd"] == 2.0
    outside = EMPTY.copy()
    outside[:, 5] = True
    assert score(outside, EMPTY, region=region)["dice"] == 1.0


def test_several_labels_are_averaged() -> None:
    """The mean over labels; undefined in one label is undefined in all."""
    masks, truths = np.stack([corner(2, 4), corner(3, 3)]), np.stack([corner(4, 3), corner(3, 3)])
    found = score(masks, truths)
    assert found["dice"] == pytest.approx((0.6 + 1.0) / 2)
    assert found["hd"] == pytest.approx((2.0 + 0.0) / 2)
    missed = score(np.stack([EMPTY, corner(3, 3)]), truths)
    assert missed["dice"] == pytest.approx(0.5)
    assert missed["hd"] is None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"mask": EMPTY.astype(np.uint8)}, "mask"),
        ({"mask": EMPTY[0]}, "mask"),
        ({"mask": EMPTY[:0], "truth": EMPTY[:0]}, "mask"),
        ({"truth": EMPTY.astype(float)}, "truth"),
        ({"truth": EMPTY[:, :3]}, "truth"),
        ({"region": EMPTY[:, :3]}, "region"),
        ({"region": EMPTY.astype(int)}, "region"),
        ({"spacing_mm": (1.0, 0.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, math.nan)}, "spacing_mm"),
        ({"spacing_mm": (1.0, 1.0, 1.0)}, "spacing_mm"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"tolerance": math.nan}, "tolerance"),
    ],
)
def test_what_does_not_fit_is_told_by_name(arguments: dict[str, Any], word: str) -> None:
    """The message begins with the argument that breaks a rule."""
    with pytest.raises(ValueError, match=f"^{word}"):
        score(**{"mask": EMPTY, "truth": EMPTY, **arguments})


def test_the_worst_of_a_distance_is_the_diagonal() -> None:
    """0 where higher is better, else the image's diagonal in mm or px."""
    assert worst("dice", (30, 40)) == 0.0
    assert worst("hd95", (30, 40)) == 50.0
    assert worst("hd", (30, 40), (2.0, 2.0)) == 100.0
    with pytest.raises(KeyError):
        worst("beauty", (3, 4))


def test_a_mask_describes_itself() -> None:
    """Pixels, share of the image, pieces that touch at corners or edges, area where the spacing is known."""
    mask = EMPTY.copy()
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    assert describe(mask) == Description(3, 3 / 42, 2, None)
    assert describe(np.stack([mask, EMPTY]), (0.5, 2.0)) == Description(3, 3 / 84, 2, 3.0)
