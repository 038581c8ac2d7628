"""Cohorts are the right tenths, and say what regression to the mean would do."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.batch.cohorts import FAIRNESS, Cohort, cohorts
from omniview.batch.gather import Gatherer
from omniview.batch.rows import FAILED, NOT_ASKED
from omniview.batch.trust import coverage, reliability, risk_coverage
from tests.batch.made import gathered_of, record_of, row_of


def _named(found: tuple[Cohort, ...]) -> dict[tuple[str, str], Cohort]:
    return {(one.way.name, one.end): one for one in found}


def test_tenths_are_the_lowest_and_the_highest() -> None:
    """Of 25 cases, the three worst and the three best of the model that chooses."""
    dice = np.linspace(0, 0.96, 25)
    found = _named(cohorts(gathered_of({"specialist": list(dice), "omnimodel": list(dice[::-1])})))
    hardest = found["specialist", "hardest"]
    assert hardest.dice["specialist"].n == 3
    assert hardest.dice["specialist"].mean == pytest.approx(dice[:3].mean())
    assert hardest.dice["omnimodel"].mean == pytest.approx(dice[-3:].mean())
    assert found["omnimodel", "hardest"].dice["omnimodel"].mean == pytest.approx(dice[:3].mean())
    assert found["specialist", "easiest"].dice["specialist"].mean == pytest.approx(dice[-3:].mean())


def test_equal_models_gain_what_regression_predicts() -> None:
    """Of two equal models the second seems better on the first one's hardest cases, by as much as is told.

    In cohorts that neither chose, there is no difference.
    """
    rng = np.random.default_rng(2)
    hard = rng.normal(0.7, 0.1, 4000)
    own, other = (np.clip(hard + rng.normal(0, 0.1, 4000), 0, 1) for _ in range(2))
    quality = list(np.clip(hard, 0, 1))
    found = _named(cohorts(gathered_of({"specialist": list(own), "omnimodel": list(other)}, quality=quality)))
    chosen = found["specialist", "hardest"]
    seen = chosen.dice["omnimodel"].mean
    assert chosen.gains["omnimodel"].mean is not None
    assert chosen.gains["omnimodel"].mean > 0.05
    assert chosen.equal == pytest.approx(seen, abs=0.02)
    fair = found["quality", "hardest"]
    assert fair.equal is None
    assert fair.gains["omnimodel"].mean == pytest.approx(0.0, abs=0.02)
    assert found["both", "hardest"].gains["omnimodel"].mean == pytest.approx(0.0, abs=0.02)


def test_files_say_who_is_wronged() -> None:
    """The hardest cases by a model's own Dice are biased against it, the easiest for it."""
    rng = np.random.default_rng(2)
    both = {"specialist": list(rng.random(20)), "omnimodel": list(rng.random(20))}
    found = _named(cohorts(gathered_of(both)))
    assert found["specialist", "hardest"].to_json()["biased_against"] == "specialist"
    assert found["omnimodel", "easiest"].to_json()["biased_for"] == "omnimodel"
    assert found["both", "easiest"].to_json()["biased_for"] is None
    assert "egression to the mean" in FAIRNESS


def test_failures_are_hard_and_unasked_cases_are_left_out() -> None:
    """A case without a mask is among the hardest with 0; one that was not asked about is in no cohort."""
    gatherer = Gatherer()
    for case in range(21):
        name = f"c{case:02d}"
        status = FAILED if case == 7 else NOT_ASKED if case == 9 else "ok"
        rows = [row_of(name, "specialist", 0.5 + case / 100), row_of(name, "omnimodel", 0.9, status)]
        gatherer.add(record_of(name, rows))
    found = _named(cohorts(gatherer.finish()))
    hardest = found["omnimodel", "hardest"]
    assert hardest.ranked == 20
    assert hardest.dice["omnimodel"].mean == pytest.approx((0 + 0.9) / 2)


def test_readers_choose_where_there_are_several() -> None:
    """Where two people disagree is hard, whatever the models do."""
    gatherer = Gatherer()
    for case in range(20):
        name, agreed = f"c{case:02d}", 0.5 + case / 50
        models = [row_of(name, m, 0.8, truth=t) for m in ("specialist", "fused") for t in ("first", "second")]
        gatherer.add(record_of(name, [*models, row_of(name, "observer second", agreed, truth="first")]))
    gathered = gatherer.finish()
    way = _named(cohorts(gathered))["observers", "hardest"].way
    assert not way.chooser
    assert way.scores[0] == pytest.approx(0.5)
    assert set(gathered.models) == {"specialist", "fused"}


def test_cases_that_are_all_alike_have_no_tenth() -> None:
    """A model that failed everywhere chooses nobody: the first cases would be the hardest by chance."""
    found = cohorts(gathered_of({"specialist": [k / 20 for k in range(20)], "omnimodel": [0.0] * 20}))
    assert {one.way.name for one in found} == {"specialist", "both"}


def test_too_few_cases_have_no_cohort() -> None:
    """A tenth of nine is nobody; one model has nobody to be compared with."""
    assert cohorts(gathered_of({"specialist": [0.5] * 9, "fused": [0.5] * 9})) == ()
    assert cohorts(gathered_of({"specialist": [0.5] * 30})) == ()


def test_risk_coverage_by_hand() -> None:
    """Four cases: kept best first, the mean risks are 0.1, 0.15, 0.3, 0.4 and their mean the area."""
    gathered = gathered_of(
        {"specialist": [0.9, 0.8, 0.4, 0.3]},
        quality=[0.9, 0.8, 0.7, 0.6],
        quality_low=[0.8, 0.6, 0.5, 0.4],
        quality_high=[1.0, 1.0, 0.9, 0.8],
    )
    series = gathered.models["specialist"]
    curve = risk_coverage(series)
    assert curve is not None
    np.testing.assert_allclose(curve.risk, [0.1, 0.15, 0.3, 0.4])
    assert curve.area == pytest.approx(np.mean([0.1, 0.15, 0.3, 0.4]))
    assert curve.area == pytest.approx(curve.best)
    assert curve.gained == pytest.approx(1.0)
    assert curve.chance == pytest.approx(0.4)
    held = coverage(series)
    assert held is not None
    assert (held.inside.value, held.too_hopeful, held.too_careful) == (0.5, 2, 0)


def test_equal_trust_is_any_order() -> None:
    """Where all cases are trusted alike, every coverage has the mean risk: the area of chance."""
    gathered = gathered_of({"specialist": [0.1, 0.9, 0.5]}, quality=[0.7, 0.7, 0.7])
    curve = risk_coverage(gathered.models["specialist"])
    assert curve is not None
    np.testing.assert_allclose(curve.risk, 0.5)
    assert curve.area == curve.chance
    assert curve.correlation is None


def test_reliability_by_hand() -> None:
    """Two bins of 100 and 50 pixels: ECE is the mean of the gaps over pixels."""
    found = reliability(np.array([[100.0, 20.0, 10.0], [0.0, 0.0, 0.0], [50.0, 40.0, 45.0]]))
    assert found.error == pytest.approx((10 + 5) / 150)
    assert np.isnan(found.predicted[1])
    assert found.observed[2] == pytest.approx(0.9)
    assert found.inner_error is None
