"""Scores with their meaning, ready for JSON: what each number is, and why another library says otherwise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from omniview.core.case import Scores
from omniview.core.metrics_conventions import CONVENTIONS, DEFAULT_CONVENTION, why
from omniview.core.metrics_table import METRICS

__all__ = ["definitions", "differences", "plain"]


def plain(scores: Scores) -> tuple[dict[str, float | None], dict[str, str]]:
    """Scores that JSON can hold, and apart from them what was nan or infinite: JSON has no word for it."""
    odd = {name: str(v) for name, v in scores.items() if v is not None and not math.isfinite(v)}
    return {name: None if name in odd else value for name, value in scores.items()}, odd


def definitions(names: Iterable[str], convention: str) -> dict[str, dict[str, Any]]:
    """What each metric is: title, unit, range (None for no end), direction, source, definition."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        row, reading = METRICS[name], CONVENTIONS[convention][name]
        found[name] = {
            "title": row.title,
            "unit": row.unit,
            "range": [end if math.isfinite(end) else None for end in row.range],
            "higher_is_better": row.higher_is_better,
            "needs_probability": row.needs_probability,
            "source": row.source,
            "definition": row.definition,
        }
        if convention != DEFAULT_CONVENTION:
            found[name]["convention"] = reading.how
    return found


def differences(found: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """Each metric to which two conventions give two values, with the values (as text) and the reason.

    Args:
        found: name of the convention to its scores of one pair.
    """
    return [
        {
            "metric": metric,
            "values": {name: _text(found[name][metric]) for name in (one, other)},
            "why": why(metric, one, other),
        }
        for one, other in itertools.combinations(found, 2)
        for metric in found[one]
        if metric in found[other] and not _same(found[one][metric], found[other][metric])
    ]


def _same(one: float | None, other: float | None) -> bool:
    """Equal but for rounding; None and nan are two ways to say undefined."""
    a, b = (math.nan if v is None else v for v in (one, other))
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def _text(value: float | None) -> str:
    return "undefined" if value is None else format(value, ".6g")
