"""What is kept of records: money once a case, and the first reader's rows for the headline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omniview.batch.cohorts import cohorts
from omniview.batch.findings import find
from omniview.batch.gather import Gatherer
from omniview.batch.rows import FAILED, UNREADABLE, Row
from omniview.batch.trust import risk_coverage
from tests.batch.made import record_of, row_of

MODELS = ("specialist", "omnimodel", "fused")


def test_money_is_counted_once_a_case() -> None:
    """Two readers' rows name the same price, which was paid once; another currency stands apart."""
    gatherer = Gatherer()
    for name, currency in (("a", "USD"), ("b", "USD"), ("c", "EUR")):
        paid: dict[str, Any] = {"cost": 0.25, "currency": currency}
        rows = [row_of(name, "omnimodel", 0.8, truth=reader, **paid) for reader in ("first", "second")]
        gatherer.add(record_of(name, rows))
    assert gatherer.finish().spent == {"EUR": 0.25, "USD": 0.5}


def test_no_reader_takes_the_place_of_the_first() -> None:
    """Where the first reader's mask cannot be used, the case does not count, and is no picture's headline."""
    gatherer = Gatherer()
    for name in ("a", "b"):
        rows = [
            row
            for model in MODELS
            for row in (
                row_of(name, model, 0.7, UNREADABLE if name == "a" else "ok", "first"),
                row_of(name, model, 0.2, truth="second"),
            )
        ]
        gatherer.add(record_of(name, rows, thumbnail=b"jpeg"))
    gathered = gatherer.finish()
    np.testing.assert_array_equal(gathered.models["fused"].counted("dice"), [np.nan, 0.7])
    assert [(picture.name, picture.dice["fused"]) for picture in gathered.worst] == [("b", 0.7)]


def test_one_named_reader_stays_in_that_readers_series() -> None:
    """A case that only one of the readers drew counts for that reader; a truth without a name for none."""
    gatherer = Gatherer()
    gatherer.add(
        record_of("both", [row_of("both", "fused", d, truth=t) for d, t in ((0.9, "x"), (0.8, "y"))])
    )
    gatherer.add(record_of("one", [row_of("one", "fused", 0.5, truth="y")]))
    gatherer.add(record_of("plain", [row_of("plain", "fused", 0.4)]))
    readers = gatherer.finish().readers
    assert set(readers) == {("fused", "x"), ("fused", "y")}
    np.testing.assert_array_equal(readers["fused", "y"].columns["dice"], [0.8, 0.5, np.nan])


def test_failures_do_not_improve_the_risk() -> None:
    """A model that fails has a risk of 1 there, and is left out first; its correlation is of its masks."""
    gatherer = Gatherer()
    for name, dice in (("a", 0.9), ("b", 0.7)):
        gatherer.add(record_of(name, [row_of(name, "fused", dice, quality=dice)]))
    gatherer.add(record_of("c", [row_of("c", "fused", None, FAILED)]))
    curve = risk_coverage(gatherer.finish().models["fused"])
    assert curve is not None
    np.testing.assert_allclose(curve.risk, [0.1, 0.2, 1.4 / 3])
    assert (curve.failed, curve.to_json()["n"]) == (1, 3)
    assert curve.correlation == pytest.approx(1.0)
    assert curve.chance == pytest.approx(1.4 / 3)


def test_a_model_without_predicted_quality_leaves_the_cohorts_of_the_other() -> None:
    """The cases are then ranked by the one that predicts its quality."""
    gatherer = Gatherer()
    for case in range(20):
        name, judged = f"c{case:02d}", case / 20
        rows = [row_of(name, "specialist", 0.8, quality=judged), row_of(name, "omnimodel", 0.8)]
        gatherer.add(record_of(name, rows))
    way = next(one.way for one in cohorts(gatherer.finish()) if one.way.name == "quality")
    assert way.scores[3] == pytest.approx(0.15)
    assert "both" not in way.title


def test_a_case_that_died_leaves_the_unit_of_distances() -> None:
    """Of a case whose work died the unit is not known; the others' millimetres are no mixture for it."""
    gatherer = Gatherer()
    for name in ("a", "b"):
        gatherer.add(record_of(name, [row_of(name, "fused", 0.8, hd95=2.0, distance_unit="mm")]))
    gatherer.add(record_of("c", [Row("c", "fused", FAILED, values={"reason": "Its process ended."})]))
    found = find(gatherer.finish())
    assert found.everything.unit == "mm"
    assert found.everything.models["fused"].metrics["dice"].mean == pytest.approx(1.6 / 3)
