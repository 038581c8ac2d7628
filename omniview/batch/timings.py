"""How long each case took, in a table of its own: times differ from run to run, and results must not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from omniview.io.write import write_bytes

__all__ = ["COLUMNS", "write_timings"]

COLUMNS = ("image", "read", "specialist", "omnimodel", "score", "total")
"""Seconds: reading image and truth; each model's answer; scoring; from the start of reading to the rows."""


def write_timings(path: Path, seconds: Iterable[tuple[str, Mapping[str, float]]]) -> None:
    """Write timings.csv; cases that were read and scored while others were inferred overlap in time.

    Args:
        path: where to.
        seconds: name of each case, and what took how long.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, took in seconds:
        table.writerow([name, *(f"{took[one]:.4f}" if one in took else "" for one in COLUMNS[1:])])
    write_bytes(path, text.getvalue().encode())
