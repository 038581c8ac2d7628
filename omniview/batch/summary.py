"""Honest averages: n printed, failures counted as the worst case, true negatives counted apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omniview.core.metrics import METRICS, worst

__all__ = ["summarise"]

_WORST = {name: worst(name, (0, 0)) for name, metric in METRICS.items() if metric.unit == "1"}


def summarise(rows: Sequence[Mapping[str, Any]], models: Sequence[str]) -> dict[str, Any]:
    """Mean, standard deviation, median and quartiles of every metric for each model.

    Metrics without a unit count a failed case as their worst value, overlaps as 0. Distances have no worst
    value without the image's size, so their summary is over the cases where they are defined, and says how
    many that were.

    Args:
        rows: lines of cases.csv, column name to value.
        models: which models to summarise, in order.
    """
    return {
        "definition": "failed cases count as the worst value; distances: defined cases only, n given",
        "models": {model: _one([row for row in rows if row["model"] == model]) for model in models},
    }


def _one(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    scored = [row for row in rows if row["status"] in ("ok", "failed")]
    positives = [row for row in scored if not row.get("true_negative")]
    return {
        "cases": len(rows),
        "scored": sum(row["status"] == "ok" for row in rows),
        "failed": sum(row["status"] == "failed" for row in rows),
        "unreadable": sum(row["status"] == "unreadable" for row in rows),
        "without_truth": sum(row["status"] == "no truth" for row in rows),
        "true_negatives": len(scored) - len(positives),
        "metrics": {name: _spread(name, scored) for name in METRICS},
        "metrics_without_true_negatives": {name: _spread(name, positives) for name in METRICS},
    }


def _spread(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, float | int | None]:
    values = [row.get(name) for row in rows]
    if name in _WORST:
        values = [_WORST[name] if row["status"] == "failed" else row.get(name) for row in rows]
    known = np.array([v for v in values if v is not None], np.float64)
    if known.size == 0:
        return {"n": 0, "mean": None, "sd": None, "median": None, "q1": None, "q3": None}
    q1, median, q3 = np.percentile(known, [25, 50, 75])
    return {
        "n": int(known.size),
        "mean": float(known.mean()),
        "sd": float(known.std(ddof=1)) if known.size > 1 else None,
        "median": float(median),
        "q1": float(q1),
        "q3": float(q3),
    }
