"""A finished run as its files tell of it, so that those of other machines and other versions can be read."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from omniview.batch.rows import FAILED, OK
from omniview.core.metrics import METRICS, worst
from omniview.errors import UnreadableFile

__all__ = ["Finished", "Key", "Line", "counted", "read_finished", "value_in"]

Key: TypeAlias = tuple[str, str, str]
"""Image, model, reader."""
Line: TypeAlias = Mapping[str, str]
"""Column of cases.csv to what stands there."""

_COLUMNS = ("image", "model", "truth", "status", "dice", "quality", "truth_area_px")


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What two runs are compared by.

    Attributes:
        name: of its folder.
        rows: lines of cases.csv, in order.
        about: what ran, as summary.json has it, without the files that were not paired.
    """

    name: str
    rows: Mapping[Key, Line]
    about: Mapping[str, Any]


def read_finished(folder: Path) -> Finished:
    """Read cases.csv and summary.json.

    Raises:
        UnreadableFile: there is no finished run, or it cannot be read.
    """
    called = folder.resolve().name
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        with (folder / "cases.csv").open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise UnreadableFile(
                    f"cases.csv in {called} has no column {', '.join(missing)}.",
                    "It is not of this version, or was changed; score the folder again.",
                )
            rows: dict[Key, Line] = {(row["image"], row["model"], row["truth"]): row for row in reader}
    except FileNotFoundError as error:
        raise UnreadableFile(
            f"{called} holds no finished run: {Path(str(error.filename)).name} is missing.",
            "Name a folder that `omniview score` wrote its results to.",
        ) from error
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableFile(
            f"The results in {called} cannot be read ({type(error).__name__}).",
            "Score the folder again, with --resume to keep what is finished.",
        ) from error
    about = summary.get("about") if isinstance(summary, dict) else None
    if not isinstance(about, dict):
        raise UnreadableFile(
            f"summary.json in {called} is not of a run of this version.",
            "Score the folder again, with --resume to keep what is finished.",
        )
    known = {name: value for name, value in about.items() if name != "unpaired"}
    return Finished(called, rows, known)


def value_in(line: Line, name: str) -> float | None:
    """A number of a line; None where it is blank or none."""
    try:
        value = float(line.get(name) or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def counted(line: Line, metric: str) -> float:
    """The metric as summaries count it, as far as a line of the file tells; nan where it does not count."""
    value = value_in(line, metric)
    if value is not None:
        return value
    if line["status"] not in (OK, FAILED):
        return math.nan
    distance = METRICS[metric].unit != "1"
    if line["status"] == OK and not distance:
        return math.nan
    lowest = value_in(line, "diagonal") if distance else worst(metric, (0, 0))
    return math.nan if lowest is None else lowest
