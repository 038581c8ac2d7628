"""Counting probabilities gives what the definitions say, however the map is stored."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core import levels as counting
from omniview.core import probabilistic
from omniview.core.image import BoolArray, FloatArray, UInt8Array
from omniview.core.levels import ece, rank
from omniview.core.probabilistic import GREYS, SoftPair, brier, mae, mean_dice, mean_iou

GREY = arrays(np.uint8, (5, 6))
FLOAT = arrays(np.float32, (5, 6), elements=st.floats(0, 1, width=32))
TRUTH = arrays(np.bool_, (5, 6))
MIXED = TRUTH.filter(lambda t: bool(t.any() and not t.all()))

# the example of Metrics Reloaded (Maier-Hein, Reinke et al. 2024; pitfalls, figure SN 2.18)
PUBLISHED = SoftPair(
    np.array([[0.21, 0.35, 0.63, 0.92, 0.32, 0.79]], np.float32), np.array([[0, 0, 0, 1, 1, 1]], bool)
)


def test_the_published_example() -> None:
    """AUC 0.78 is in the paper; the two areas under precision and recall are computed by hand."""
    assert PUBLISHED.ranking.auc == pytest.approx(7 / 9)
    assert PUBLISHED.ranking.average_precision == pytest.approx((1 + 1 + 3 / 5) / 3)
    by_hand = (1 + 1 + (1 / 2 + 3 / 5) / 2) / 3
    assert PUBLISHED.ranking.trapezoid == pytest.approx(by_hand)


@given(probability=FLOAT | GREY, truth=MIXED)
def test_auc_is_the_chance_to_rank_a_pair_well(
    probability: FloatArray | UInt8Array, truth: BoolArray
) -> None:
    """By comparing every pixel of the truth with every pixel outside."""
    inside, outside = probability[truth].astype(float)[:, None], probability[~truth].astype(float)[None]
    expected = np.mean((inside > outside) + 0.5 * (inside == outside))
    assert SoftPair(probability, truth).ranking.auc == pytest.approx(expected)


@given(grey=GREY, truth=TRUTH, region=TRUTH)
def test_bytes_and_floats_agree(grey: UInt8Array, truth: BoolArray, region: BoolArray) -> None:
    """A byte counts as its level / 255."""
    one = SoftPair(grey, truth, region)
    other = SoftPair((grey / np.float32(255)).astype(np.float32), truth, region)
    assert mae(one) == pytest.approx(mae(other), abs=1e-7)
    assert brier(one) == pytest.approx(brier(other), abs=1e-7)
    assert one.ranking.auc == pytest.approx(other.ranking.auc)
    assert one.ranking.average_precision == pytest.approx(other.ranking.average_precision)
    assert one.sweep.tp.tolist() == other.sweep.tp.tolist()
    assert one.sweep.fp.tolist() == other.sweep.fp.tolist()
    assert one.mean == pytest.approx(other.mean, abs=1e-7)
    for threshold in (0.0, 0.3, 1.0):
        assert one.at_or_above(threshold) == other.at_or_above(threshold)


@given(probability=FLOAT | GREY, truth=TRUTH, region=TRUTH)
def test_nothing_outside_the_region_counts(
    probability: FloatArray | UInt8Array, truth: BoolArray, region: BoolArray
) -> None:
    """As if the pixels of the region were all there is."""
    whole = SoftPair(probability, truth, region)
    if not region.any():
        assert mae(whole) == brier(whole) == whole.mean == 0.0
        assert ece(whole.bins) is None
        assert whole.stretched() is whole
        return
    alone = SoftPair(probability[region][None], truth[region][None])
    assert mae(whole) == pytest.approx(mae(alone))
    assert brier(whole) == pytest.approx(brier(alone), abs=1e-12)
    assert whole.ranking.auc == pytest.approx(alone.ranking.auc)
    assert ece(whole.bins) == pytest.approx(ece(alone.bins))
    assert mae(whole.stretched()) == pytest.approx(mae(alone.stretched()), abs=1e-6)


@given(grey=GREY, truth=TRUTH)
def test_the_sweep_counts_at_every_threshold(grey: UInt8Array, truth: BoolArray) -> None:
    """From 255 down to 0, at or above."""
    sweep = SoftPair(grey, truth).sweep
    for k in (0, 1, 100, 255):
        marked = grey >= k
        assert sweep.tp[255 - k] == np.count_nonzero(marked & truth)
        assert sweep.fp[255 - k] == np.count_nonzero(marked & ~truth)


def test_a_stretched_map_runs_from_0_to_1() -> None:
    """Smallest and largest value move to the ends; a flat map has none and stays."""
    truth = np.array([[True, False, False]])
    for probability in (np.array([[51, 102, 153]], np.uint8), np.array([[0.2, 0.4, 0.6]], np.float32)):
        pair = SoftPair(probability, truth).stretched()
        assert pair.values(slice(None), slice(None)) == pytest.approx(np.array([[0, 0.5, 1]]), abs=1e-6)
    flat = SoftPair(np.full((1, 3), 9, np.uint8), truth)
    assert flat.stretched() is flat


def test_calibration_by_hand() -> None:
    """Bins are closed above: 51 / 255 is in (0.1, 0.2], 0.5 in (0.4, 0.5]; the float32 0.1 is above 0.1."""
    grey = SoftPair(np.array([[0, 0, 51, 52]], np.uint8), np.array([[True, False, True, False]]))
    first, second, third = 1.0, 1 - 51 / 255, 52 / 255
    assert ece(grey.bins) == pytest.approx((first + second + third) / 4)
    assert ece(grey.bins, with_zero=False) == pytest.approx((second + third) / 2)
    half = SoftPair(np.array([[0.5, 0.45, 0.55]], np.float32), np.array([[True, False, False]]))
    assert ece(half.bins) == pytest.approx((abs(1 - 0.95) + 0.55) / 3)
    tenth = SoftPair(np.array([[0.1, 0.05, 0.3]], np.float32), np.array([[True, False, False]]))
    assert tenth.bins.total.tolist() == [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]
    nothing = SoftPair(np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool))
    assert (ece(nothing.bins), ece(nothing.bins, with_zero=False)) == (0.0, None)


@given(probability=FLOAT | GREY, truth=TRUTH, region=TRUTH.filter(np.any))
def test_calibration_in_double_precision(
    probability: FloatArray | UInt8Array, truth: BoolArray, region: BoolArray
) -> None:
    """As the definition says, bin by bin, edges compared in float64."""
    scale = 255 if probability.dtype == np.uint8 else 1
    p, t = probability[region].astype(np.float64) / scale, truth[region]
    gap = gap_above = 0.0
    for k in range(10):
        low, high = k / 10, (k + 1) / 10
        for zero in (True, False):
            chosen = (p > low) & (p <= high) | (zero & (k == 0) & (p == 0))
            error = abs(t[chosen].sum() - p[chosen].sum())
            gap, gap_above = (gap + error, gap_above) if zero else (gap, gap_above + error)
    bins = SoftPair(probability, truth, region).bins
    assert ece(bins) == pytest.approx(gap / p.size, abs=1e-12)
    above = int((p > 0).sum())
    assert ece(bins, with_zero=False) == (pytest.approx(gap_above / above, abs=1e-12) if above else None)


def test_means_over_thresholds_by_hand() -> None:
    """Level 255 is marked at all 256 thresholds, level 127 at 128 of them, level 0 at the last alone."""
    pair = SoftPair(np.array([[255, 127, 0]], np.uint8), np.array([[True, False, False]]))
    assert mean_dice(pair.sweep) == pytest.approx((128 * 1 + 127 * 2 / 3 + 2 / 4) / GREYS)
    assert mean_iou(pair.sweep) == pytest.approx((128 * 1 + 127 / 2 + 1 / 3) / GREYS)
    nothing = SoftPair(np.zeros((1, 3), np.uint8), np.zeros((1, 3), bool))
    assert (mean_dice(nothing.sweep), mean_dice(nothing.sweep, 0.0)) == (255 / 256, 0.0)


def test_one_kind_of_pixel_has_no_curve() -> None:
    """Neither ROC nor precision and recall without truth; with nothing else there is still precision."""
    empty, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    grey = np.full((2, 2), 128, np.uint8)
    assert SoftPair(grey, empty).ranking.auc is None
    assert SoftPair(grey, full).ranking.auc is None
    assert SoftPair(grey, empty).ranking.average_precision is None
    assert SoftPair(grey, empty).ranking.trapezoid is None
    assert SoftPair(grey, full).ranking.average_precision == 1.0


def test_large_images_are_counted_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a histogram of float32 cannot hold is added up."""
    grey = np.arange(120, dtype=np.uint8).reshape(10, 12)
    truth = grey > 50
    whole = SoftPair(grey, truth).sweep
    monkeypatch.setattr(probabilistic, "EXACT", 30)
    parts = SoftPair(grey, truth).sweep
    assert parts.tp.tolist() == whole.tp.tolist()
    assert parts.fp.tolist() == whole.fp.tolist()


@given(probability=FLOAT, truth=MIXED, part=st.integers(1, 7))
def test_sorted_pixels_are_read_in_parts(probability: FloatArray, truth: BoolArray, part: int) -> None:
    """Ties that go on in the next part, or through several, change nothing."""
    coarse = (np.round(probability * 3) / 3).astype(np.float32)
    levels = SoftPair(coarse, truth).levels()
    whole = rank(levels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "PART", part)
        runs = list(levels.runs())
        parts = rank(levels)
    assert asdict(parts) == pytest.approx(asdict(whole))
    lowest, highest = coarse[truth].min(), coarse[~truth].max()
    contested = (coarse >= lowest) & (coarse <= highest)
    values = np.concatenate([run.values for run in runs]) if runs else np.zeros(0)
    assert values.tolist() == np.unique(coarse[contested]).tolist()
    assert sum(int(run.positive.sum()) for run in runs) == np.count_nonzero(truth & contested)
    assert sum(int(run.negative.sum()) for run in runs) == levels.negatives - levels.below
