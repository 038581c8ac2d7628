"""Scores go into JSON with their meaning."""

from __future__ import annotations

import json
import math

import numpy as np

from omniview.core.metrics import CONVENTIONS, METRICS, score
from omniview.core.metrics_explain import definitions, differences, plain

MASK = np.zeros((6, 7), bool)
TRUTH = MASK.copy()
TRUTH[1:3, 2:5] = True


def test_json_has_no_infinity() -> None:
    """What JSON cannot hold is null, and named beside."""
    values, odd = plain({"dice": 0.5, "hd": math.inf, "hd95": math.nan, "assd": None})
    assert values == {"dice": 0.5, "hd": None, "hd95": None, "assd": None}
    assert odd == {"hd": "inf", "hd95": "nan"}


def test_every_row_can_be_explained() -> None:
    """In every convention, as JSON; another library's reading stands beside our definition."""
    for convention, readings in CONVENTIONS.items():
        found = definitions(readings, convention)
        json.dumps(found, allow_nan=False)
        assert list(found) == list(readings)
        for name, row in found.items():
            assert row["definition"] == METRICS[name].definition
            assert row.get("convention") == (None if convention == "omniview" else readings[name].how)


def test_each_difference_has_a_reason() -> None:
    """Undefined here and nan there are no difference; infinite or 1 against 0 are."""
    found = {name: score(MASK, MASK, names=METRICS, convention=name) for name in CONVENTIONS}
    told = {(d["metric"], *d["values"]): d for d in differences(found)}
    dice = told["dice", "omniview", "pysod"]
    assert dice["values"] == {"omniview": "1", "pysod": "0"}
    assert dice["why"].startswith("omniview: ")
    assert ("dice", "monai", "nnunet") not in told
    empty = {name: score(MASK, TRUTH, names=METRICS, convention=name) for name in ("omniview", "monai")}
    assert {d["metric"]: d["values"] for d in differences(empty)} == {
        "hd": {"omniview": "undefined", "monai": "inf"},
        "assd": {"omniview": "undefined", "monai": "inf"},
        "mcc": {"omniview": "0", "monai": "nan"},
    }
