"""What each column of cases.csv means: the sidecar without which a number in a table is a guess."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import omniview
from omniview.batch.rows import COLUMNS, FAILED, NO_TRUTH, NOT_ASKED, OBSERVER, OK, UNREADABLE
from omniview.core.metrics import DEFAULT_TOLERANCE, METRICS

__all__ = ["NUMBERS", "TABLE", "Column", "columns_json"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of cases.csv.

    Attributes:
        name: as in the file's first line.
        type: text, number, whole (number) or truth (1 or 0); any may be blank.
        definition: what stands in it.
        unit: of a number; "1" for a ratio, "mm|px" as distance_unit says; empty for words.
        range: smallest and largest possible value; None where there is no such end.
        direction: whether more is better; "none" where neither is.
        source: publication that defines it.
    """

    name: str
    type: Literal["text", "number", "whole", "truth"]
    definition: str
    unit: str = ""
    range: tuple[float | None, float | None] | None = None
    direction: Literal["higher is better", "lower is better", "none"] = "none"
    source: str = ""


def _metrics() -> list[Column]:
    found = []
    for metric in METRICS.values():
        low, high = (end if math.isfinite(end) else None for end in metric.range)
        tolerance = f" Tolerance: {DEFAULT_TOLERANCE:g} pixels." if metric.name.startswith("nsd") else ""
        found.append(
            Column(
                metric.name,
                "number",
                metric.definition + tolerance,
                metric.unit,
                (low, high),
                "higher is better" if metric.higher_is_better else "lower is better",
                metric.source,
            )
        )
    return found


def _whole(name: str, definition: str, unit: str) -> Column:
    return Column(name, "whole", definition, unit, (0, None))


_ROWS = (
    Column(
        "image",
        "text",
        "Name of the case, relative to the folder, unique within the run. Words that a spreadsheet would "
        "take for a formula (those that begin with = + - @, also behind apostrophes) have an "
        "apostrophe before them, in every column.",
    ),
    Column(
        "model",
        "text",
        f"specialist, omnimodel, fused; or {OBSERVER}NAME: that reader's mask, scored like a model's.",
    ),
    Column("truth", "text", "Reader whose mask it was scored against; blank where a case has one truth."),
    Column(
        "status",
        "text",
        f"{OK}: scored. {FAILED}: no usable mask, or the case ended in a defect. {NOT_ASKED}: by rule or "
        f"budget, or without consent, key or network. {NO_TRUTH}: nothing to compare with; without area_px "
        f"there is no mask either. {UNREADABLE}: image or truth cannot be used.",
    ),
    Column("task", "text", "What was looked for."),
    *_metrics(),
    Column("distance_unit", "text", "Unit of distances: mm where the spacing of pixels is known, else px."),
    Column("diagonal", "number", "The image's diagonal, the largest possible distance.", "mm|px", (0, None)),
    _whole("width", "Of the image.", "px"),
    _whole("height", "Of the image.", "px"),
    _whole("area_px", "Pixels of the mask, over all labels.", "px"),
    _whole("truth_area_px", "Pixels of the truth, over all labels.", "px"),
    Column("true_negative", "truth", "Both masks are empty: there was nothing, and nothing was found."),
    Column(
        "quality",
        "number",
        "Dice that was predicted for the mask, without its truth.",
        "1",
        (0, 1),
        "higher is better",
    ),
    Column("quality_low", "number", "Lower end of its 90 % interval.", "1", (0, 1)),
    Column("quality_high", "number", "Upper end of its 90 % interval.", "1", (0, 1)),
    Column(
        "omnimodel_share", "number", "Mean share of the omnimodel in the fused mask; fused only.", "1", (0, 1)
    ),
    _whole("answers_used", "Answers of the omnimodel that held a usable mask.", "answers"),
    _whole("tokens_in", "Tokens sent.", "tokens"),
    _whole("tokens_out", "Tokens received.", "tokens"),
    Column("cost", "number", "Price of the calls, in `currency`.", "currency", (0, None), "lower is better"),
    Column("currency", "text", "ISO 4217 code of `cost`."),
    Column("reason", "text", "Why there is no score, or what to know about it."),
)

TABLE: Mapping[str, Column] = MappingProxyType({column.name: column for column in _ROWS})
"""Every column by name, in the order of cases.csv."""

_NOT_KEPT = frozenset(("omnimodel_share", "answers_used", "tokens_in", "tokens_out", "cost"))
NUMBERS = tuple(name for name, column in TABLE.items() if column.type != "text" and name not in _NOT_KEPT)
"""Columns of numbers that summaries are made of."""


def columns_json() -> dict[str, Any]:
    """What columns.json holds."""
    return {
        "provided_by": f"OmniView {omniview.__version__}",
        "file": "cases.csv: UTF-8, commas, one row a case and model; blank: undefined or not known",
        "columns": [
            {
                "name": name,
                "type": TABLE[name].type,
                "definition": TABLE[name].definition,
                "unit": TABLE[name].unit,
                "range": None if TABLE[name].range is None else list(TABLE[name].range or ()),
                "direction": TABLE[name].direction,
                "source": TABLE[name].source,
            }
            for name in COLUMNS
        ],
    }
