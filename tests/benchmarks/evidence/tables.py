"""Tables as Markdown and CSV: numbers with n and interval, nothing chosen for looks."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omniview.batch.statistics import Difference, Interval, Spread

__all__ = ["Table", "interval", "mean", "p_value", "plain", "signed", "write", "write_csv"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: file name without suffix.
        title: what it shows.
        columns: heads.
        rows: cells as text.
        note: what has to be known to read it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """Title, note and rows."""
        lines = [f"### {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += [_line(self.columns), _line(["---"] * len(self.columns)), *map(_line, self.rows), ""]
        return "\n".join(lines)


def write(tables: Sequence[Table], out: Path) -> None:
    """Each as CSV, and all of them as ``evidence.md``."""
    write_csv(tables, out)
    (out / "evidence.md").write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")


def write_csv(tables: Sequence[Table], out: Path) -> None:
    """Each as CSV alone."""
    out.mkdir(parents=True, exist_ok=True)
    for table in tables:
        with (out / f"{table.name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([table.columns, *table.rows])


def mean(spread: Spread) -> str:
    """A mean with its interval."""
    return "-" if spread.mean is None else _with_ends(spread.mean, spread.low, spread.high, "")


def signed(difference: Difference) -> str:
    """A difference with its interval."""
    if difference.mean is None:
        return "-"
    return _with_ends(difference.mean, difference.low, difference.high, "+")


def interval(found: Interval | None) -> str:
    """A share with its interval."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.0%}"
    return f"{found.value:.0%} [{found.low:.0%}, {found.high:.0%}]"


def plain(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash."""
    return "-" if value is None or value != value else format(value, form)


def p_value(p: float | None) -> str:
    """A p value to what can be told of it."""
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _with_ends(value: float, low: float | None, high: float | None, sign: str) -> str:
    form = f"{sign}.3f"
    ends = "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"
    return f"{value:{form}}{ends}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
