"""Intervals and tests give what the textbooks and scipy give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.batch.statistics import (
    compare,
    holm,
    proportion,
    rank_correlation,
    spreads,
    tidy,
)

RNG = np.random.default_rng(8)


def test_spread_is_numpys() -> None:
    """Mean, sd, median and quartiles of each column are those of its values, missing ones left out."""
    values = RNG.random((30, 2))
    values[3:7, 1] = np.nan
    first, second = spreads(values)
    assert first.n == 30
    assert first.mean == pytest.approx(values[:, 0].mean())
    assert first.sd == pytest.approx(values[:, 0].std(ddof=1))
    assert [first.q1, first.median, first.q3] == pytest.approx(np.quantile(values[:, 0], [0.25, 0.5, 0.75]))
    assert second.n == 26
    assert second.mean == pytest.approx(np.nanmean(values[:, 1]))


@pytest.mark.parametrize("skewed", [False, True])
def test_interval_is_scipys_bca(skewed: bool) -> None:
    """Against scipy's BCa bootstrap with many samples, within what chance leaves."""
    from scipy.stats import bootstrap

    values = RNG.beta(8, 1, 80) if skewed else RNG.normal(5, 1, 60)
    (ours,) = spreads(values[:, None])
    random = np.random.default_rng(1)
    theirs = bootstrap((values,), np.mean, method="BCa", n_resamples=20000, rng=random).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_interval_covers_as_often_as_it_says() -> None:
    """Of 150 samples of 40 values, the interval holds the true mean for 95 %, give or take 4."""
    hits = 0
    for _ in range(150):
        (spread,) = spreads(RNG.normal(0, 1, (40, 1)))
        assert spread.low is not None
        assert spread.high is not None
        hits += spread.low <= 0 <= spread.high
    assert 0.90 <= hits / 150 <= 0.99


def test_intervals_repeat_exactly() -> None:
    """The same values give the same interval, also beside other columns."""
    values = RNG.random((50, 3))
    assert spreads(values) == spreads(values.copy())
    alone = spreads(values[:, :1])[0]
    assert tidy(alone.low) == tidy(spreads(values)[0].low)


def test_few_values_have_no_interval() -> None:
    """Nothing, one value, and equal values."""
    empty, one = spreads(np.array([[np.nan, 0.5]]))
    assert (empty.n, empty.mean) == (0, None)
    assert (one.n, one.mean, one.low, one.sd) == (1, 0.5, None, None)
    (equal,) = spreads(np.full((9, 1), 0.7))
    assert [equal.low, equal.high] == pytest.approx([0.7, 0.7])
    assert [s.n for s in spreads(np.zeros((0, 2)))] == [0, 0]


def test_comparison_is_scipys_wilcoxon() -> None:
    """The test's p without equal pairs, the mean difference, and who was better how often."""
    from scipy.stats import wilcoxon

    a = RNG.random(25)
    b = a + RNG.normal(0.05, 0.1, 25)
    b[4] = a[4]
    found = compare(np.append(a, np.nan), np.append(b, 0.3))
    assert found.n == 25
    assert found.p == pytest.approx(wilcoxon((b - a)[b != a]).pvalue)
    assert found.mean == pytest.approx((b - a).mean())
    assert (found.better, found.worse) == ((b > a).sum(), (b < a).sum())


def test_effect_of_a_hand_made_example() -> None:
    """Differences 1, 2, -3: ranks 1 + 2 - 3 of 6 in all: no effect; turned round for errors."""
    zero = np.zeros(3)
    assert compare(zero, np.array([1.0, 2.0, -3.0])).effect == 0
    assert compare(zero, np.array([1.0, 2.0, 3.0])).effect == 1
    lower_is_better = compare(zero, np.array([1.0, 2.0, 3.0]), higher_is_better=False)
    assert (lower_is_better.effect, lower_is_better.worse) == (-1, 3)


def test_nothing_different_and_nothing_at_all() -> None:
    """Equal models have p = 1 and no effect; without pairs there is no p."""
    same = compare(np.ones(5), np.ones(5))
    assert (same.p, same.effect, same.better) == (1.0, None, 0)
    none = compare(np.array([np.nan]), np.array([1.0]))
    assert (none.n, none.p, none.mean) == (0, None, None)


def test_holm_by_hand() -> None:
    """Holm's own recipe: 0.01 x 4, 0.02 x 3, then never falling, at most 1."""
    assert holm([0.04, 0.01, 0.9, 0.02]) == pytest.approx([0.08, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers(p: list[float]) -> None:
    """Adjusted values are no smaller, in [0,1], and ordered as before; the smallest is Bonferroni's."""
    adjusted = holm(p)
    assert all(x <= y <= 1.0 for x, y in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
    assert min(adjusted) == pytest.approx(min(1.0, min(p) * len(p)))


def test_wilsons_interval() -> None:
    """Of a textbook: 8 of 10 gives 0.490 to 0.943; none and all stay in [0,1]."""
    found = proportion(8, 10)
    assert found is not None
    assert [found.low, found.high] == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert proportion(0, 0) is None
    nobody = proportion(0, 5)
    assert nobody is not None
    assert nobody.low == 0.0


def test_rank_correlation_is_scipys() -> None:
    """With ties too; None where nothing varies."""
    from scipy.stats import spearmanr

    x, y = RNG.integers(0, 6, 40).astype(float), RNG.random(40)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert rank_correlation(np.ones(4), y[:4]) is None


def test_tidy_numbers() -> None:
    """Seven digits; what is no number is none."""
    assert tidy(0.123456789) == 0.1234568
    assert tidy(float("nan")) is None
    assert tidy(3) == 3
