"""Numbers as people read them in tables: so many digits as mean something, and the interval beside."""

from __future__ import annotations

from omniview.batch.statistics import Interval, Spread
from omniview.core.metrics import METRICS

__all__ = [
    "DASH",
    "MAIN",
    "between",
    "correlation",
    "number_of",
    "p_value",
    "plain",
    "share",
    "signed",
    "title_of",
    "value_of",
]

MAIN = ("dice", "iou", "sensitivity", "specificity", "precision", "nsd", "hd95", "assd")
"""Metrics of the tables that a paper prints; the others are in summary.json."""

_SHORT = {"nsd": "NSD", "hd95": "HD95", "assd": "ASSD"}

DASH = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def title_of(metric: str, unit: str | None) -> str:
    """A metric's name with its unit, for the head of a table."""
    row = METRICS[metric]
    title = _SHORT.get(metric, row.title)
    return title if row.unit == "1" else f"{title}, {unit or 'px or mm'}"


def plain(value: float | None, metric: str) -> str:
    """A value of a metric: three decimals of a ratio, four digits at most of a distance."""
    if value is None:
        return DASH
    digits = 3 if METRICS[metric].unit == "1" else 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f}".replace("-", _MINUS)


def value_of(spread: Spread | None, metric: str) -> str:
    """A mean, or a dash."""
    return DASH if spread is None else plain(spread.mean, metric)


def between(spread: Spread | Interval | None, metric: str = "dice") -> str:
    """An interval in brackets, or nothing where there is none."""
    if spread is None or spread.low is None or spread.high is None:
        return ""
    return f"[{plain(spread.low, metric)}, {plain(spread.high, metric)}]"


def signed(value: float | None, metric: str = "dice") -> str:
    """A difference with its sign."""
    if value is None:
        return DASH
    return ("+" if value > 0 else "") + plain(value, metric)


def p_value(p: float | None) -> str:
    """A p value; those too small to matter as a bound."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def share(part: int, whole: int) -> str:
    """A count as a share, with both numbers."""
    return f"{part} of {whole} ({part / whole:.0%})" if whole else DASH


def number_of(count: int, what: str) -> str:
    """How many of something whose plural ends in s."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def correlation(value: float | None) -> str:
    """A correlation, two decimals."""
    return DASH if value is None else f"{value:.2f}".replace("-", _MINUS)
