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
    CHEAP,
    DEFAULT_TOLERANCE,
    METRICS,
    Comparison,
    Description,
    binarise,
    describe,
    is_true_negative,
    score,
    score_labels,
    score_truths,
    worst,
)
from omniview.core.surface import surface_distances

DISTANCES = ("hd", "hd95", "assd", "masd")
ERRORS = ("mae", "brier", "ece")
OF_BACKGROUND = ("specificity", "balanced_accuracy")
ON_MASKS = tuple(name for name, metric in METRICS.items() if not metric.needs_probability)
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
        "balanced_accuracy",
        "mcc",
        "volumetric_similarity",
        "hd",
        "hd95",
        "assd",
        "masd",
        "nsd",
        "nsd_weighted",
        "boundary_iou",
        "cldice",
        "cldice_precision",
        "cldice_sensitivity",
        "mae",
        "auc",
        "average_precision",
        "brier",
        "ece",
        "s_measure",
        "e_measure",
        "e_measure_max",
        "e_measure_adaptive",
        "weighted_f",
        "mean_dice_256",
        "mean_iou_256",
    ]
    names = list(METRICS)
    for name, metric in METRICS.items():
        assert name == metric.name
        assert metric.title
        assert metric.source
        assert metric.definition.endswith(".")
        assert metric.higher_is_better == (name not in (*DISTANCES, *ERRORS))
        assert metric.unit == ("mm|px" if name in DISTANCES else "1")
        low = -1.0 if name == "mcc" else 0.0
        assert metric.range == ((0.0, math.inf) if name in DISTANCES else (low, 1.0))
        assert metric.needs_probability == (names.index(name) >= names.index("mae"))
    assert [name for name in METRICS if name in CHEAP] == list(CHEAP)


def test_what_is_asked_for_is_what_comes() -> None:
    """The cheap ones by default; others by name; those of a probability map only with one."""
    assert list(score(FULL, FULL)) == list(CHEAP)
    assert list(score(FULL, FULL, names=("iou", "dice"))) == ["dice", "iou"]
    assert set(METRICS) - set(score(FULL, FULL, names=METRICS)) == {
        name for name, metric in METRICS.items() if metric.needs_probability
    }
    assert list(score(FULL, FULL, names=METRICS, probability=FULL.astype(np.float32))) == list(METRICS)
    with pytest.raises(ValueError, match=r"^probability"):
        Comparison(FULL, FULL, None, (1.0, 1.0), 2.0).soft  # noqa: B018 - asking is what fails


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
    one, other = score(a, b, names=METRICS), score(b, a, names=METRICS)
    aside = ("sensitivity", "specificity", "precision", "balanced_accuracy")
    for name in set(ON_MASKS) - {*aside, "cldice_precision", "cldice_sensitivity"}:
        assert one[name] == pytest.approx(other[name])
    assert one["sensitivity"] == other["precision"]
    assert one["cldice_sensitivity"] == other["cldice_precision"]


@given(a=MASKS, b=MASKS)
def test_scores_do_not_depend_on_how_one_looks(a: BoolArray, b: BoolArray) -> None:
    """Mirrored, transposed or stored in another order, a pair scores the same; thinning alone has a hand."""
    names = [name for name in ON_MASKS if not name.startswith("cldice")]
    here = score(a, b, names=names)
    for look in (np.fliplr, np.flipud, np.transpose, np.asfortranarray):
        there = score(look(a), look(b), names=names)
        assert there == pytest.approx(here)


@given(a=MASKS, b=MASKS)
def test_values_stay_in_their_range(a: BoolArray, b: BoolArray) -> None:
    """No value leaves the range that the table names, and none is worse than the worst."""
    for name, value in score(a, b, names=METRICS, probability=a.astype(np.float32)).items():
        metric = METRICS[name]
        if value is not None:
            assert metric.range[0] <= value <= metric.range[1] + 1e-12
            limit = worst(name, a.shape)
            assert value >= limit if metric.higher_is_better else value <= limit


@given(mask=MASKS.filter(np.any))
def test_a_mask_is_perfect_against_itself(mask: BoolArray) -> None:
    """Everything is 1 and every distance 0; specificity of a full mask has no denominator."""
    for name, value in score(mask, mask, names=ON_MASKS).items():
        if name in DISTANCES:
            assert value == 0.0
        else:
            assert value == 1.0 or (name in OF_BACKGROUND and mask.all() and value is None)


@given(mask=MASKS, truth=MASKS)
def test_dice_follows_from_iou(mask: BoolArray, truth: BoolArray) -> None:
    """Dice is 2 IoU / (1 + IoU)."""
    found = score(mask, truth)
    assert found["iou"] is not None
    assert found["dice"] == pytest.approx(2 * found["iou"] / (1 + found["iou"]))


def test_both_empty_is_a_true_negative() -> None:
    """Nothing to find, nothing marked: rates and overlaps 1, distances 0."""
    assert score(EMPTY, EMPTY, names=ON_MASKS) == {n: 0.0 if n in DISTANCES else 1.0 for n in ON_MASKS}
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


def test_no_empty_probability_map_is_worse_than_another() -> None:
    """A blank map of a blank image is right where that can be said; one kind of pixel has no AUC."""
    blank = np.zeros((6, 7), np.float32)
    found = score(EMPTY, EMPTY, names=METRICS, probability=blank)
    assert found["auc"] is None
    assert found["average_precision"] is None
    assert [found[name] for name in ERRORS] == [0.0] * 3
    assert [found[name] for name in ("s_measure", "weighted_f")] == [1.0, 1.0]
    assert found["mean_dice_256"] == pytest.approx(255 / 256)
    full = score(FULL, EMPTY, names=METRICS, probability=blank + 1)
    assert full["weighted_f"] == full["s_measure"] == full["mean_iou_256"] == 0.0
    assert full["ece"] == full["mae"] == full["brier"] == 1.0


def test_matthews_correlation_has_limits() -> None:
    """Nothing wrong is 1, everything wrong -1, no information 0; else as by hand."""
    assert score(FULL, FULL, names=("mcc",))["mcc"] == 1.0
    assert score(EMPTY, FULL, names=("mcc",))["mcc"] == -1.0
    assert score(EMPTY, corner(2, 2), names=("mcc",))["mcc"] == 0.0
    expected = (6 * 28 - 2 * 6) / math.sqrt(8 * 12 * 30 * 34)
    found = score(corner(2, 4), corner(4, 3), names=METRICS)
    assert found["mcc"] == pytest.approx(expected)
    assert found["balanced_accuracy"] == pytest.approx((6 / 12 + 28 / 30) / 2)
    assert found["volumetric_similarity"] == pytest.approx(1 - 4 / 20)


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


def test_labels_come_one_by_one_and_pooled() -> None:
    """Each label, their mean, and all their pixels together where places do not matter."""
    masks, truths = np.stack([corner(2, 4), EMPTY]), np.stack([corner(4, 3), corner(3, 3)])
    soft = masks.astype(np.float32)
    region = corner(6, 4)
    found = score_labels(masks, truths, region=region, probability=soft, names=METRICS)
    assert found.each[0] == score(masks[0], truths[0], region=region, probability=soft[0], names=METRICS)
    assert found.macro == score(masks, truths, region=region, probability=soft, names=METRICS)
    assert found.micro["dice"] == pytest.approx(12 / (8 + 12 + 9))
    assert found.micro["mae"] == pytest.approx((2 + 6 + 9) / 48)
    assert set(found.micro) == {name for name, metric in METRICS.items() if metric.pixelwise}
    assert score_labels(masks, truths).micro["dice"] == found.micro["dice"]


def test_several_readers_are_each_met() -> None:
    """Each reference, the mean, and the best in each metric's own direction."""
    found = score_truths(corner(2, 4), [corner(2, 4), corner(4, 3), EMPTY])
    assert [one["dice"] for one in found.each] == [1.0, pytest.approx(0.6), 0.0]
    assert found.mean["dice"] == pytest.approx(1.6 / 3)
    assert found.mean["hd"] is None
    assert (found.best["dice"], found.best["hd"]) == (1.0, 0.0)
    assert score_truths(EMPTY, [FULL]).best["hd"] is None
    with pytest.raises(ValueError, match=r"^truths"):
        score_truths(FULL, [])


@pytest.mark.parametrize(
    ("values", "above"),
    [([0, 255], 255), ([0, 1], 1), ([0.0, 0.7], 0.7), ([0, 1000], 1000), ([False, True], True)],
)
def test_numbers_become_masks(values: list[float], above: float) -> None:
    """0/255, 0/1, probabilities and label numbers are cut at half of their range."""
    array = np.array([values])
    assert binarise("mask", array).tolist() == [[v == above for v in values]]


def test_greys_are_told() -> None:
    """More than two values are cut as well, but not in silence."""
    with pytest.warns(UserWarning, match="^truth has more than two values"):
        assert binarise("truth", np.array([[0, 100, 130, 255]])).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("values", [[[0.0, math.nan]], [[-1.0, 0.0]], [[0.0, math.inf]], [0.0, 1.0], [["a"]]])
def test_what_is_no_mask_is_refused_by_name(values: Any) -> None:
    """Not a number, negative, infinite, of the wrong shape or type."""
    with pytest.raises(ValueError, match=r"^prediction must be"):
        binarise("prediction", np.array(values))


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
        ({"names": ("dice", "beauty")}, "names .* beauty"),
        ({"convention": "home-made"}, "convention .* 'home-made'"),
        ({"probability": EMPTY.astype(np.float64)}, "probability"),
        ({"probability": np.zeros((6, 6), np.float32)}, "probability"),
        ({"probability": np.full((6, 7), np.nan, np.float32)}, "probability"),
        ({"probability": np.full((6, 7), 1.5, np.float32)}, "probability"),
        ({"probability": np.full((6, 7), -0.5, np.float32)}, "probability"),
    ],
)
def test_what_does_not_fit_is_told_by_name(arguments: dict[str, Any], word: str) -> None:
    """The message begins with the argument that breaks a rule."""
    with pytest.raises(ValueError, match=f"^{word}"):
        score(**{"mask": EMPTY, "truth": EMPTY, **arguments})


def test_the_worst_of_a_distance_is_the_diagonal() -> None:
    """0 where higher is better, else the image's diagonal in mm or px."""
    assert worst("dice", (30, 40)) == 0.0
    assert worst("mcc", (30, 40)) == -1.0
    assert worst("mae", (30, 40)) == 1.0
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
