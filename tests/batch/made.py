"""Records with chosen numbers, for what no small run would show: many cases, two tasks, several readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omniview.batch.gather import Gatherer
from omniview.batch.rows import OK, Record, Row
from omniview.batch.series import Gathered

__all__ = ["gathered_of", "record_of", "row_of"]


def row_of(image: str, model: str, dice: float | None, status: str = OK, truth: str = "", **more: Any) -> Row:
    """A row of an image of 100x100 pixels with 1000 pixels of truth."""
    values: dict[str, Any] = {
        "task": "polyp",
        "distance_unit": "px",
        "diagonal": 141.42,
        "width": 100,
        "height": 100,
    }
    if status == OK:
        values |= {"dice": dice, "area_px": 900, "truth_area_px": 1000, "true_negative": False}
    return Row(image, model, status, truth, {**values, **more})


def record_of(name: str, rows: Sequence[Row], **more: Any) -> Record:
    """A record of those rows."""
    return Record(name, f"{name}.png", {"": f"{name}.mask.png"}, tuple(rows), **more)


def gathered_of(dice: Mapping[str, Sequence[float]], **more: Sequence[Any]) -> Gathered:
    """Cases with that Dice for each model; `more` are columns, the same for every model."""
    gatherer = Gatherer()
    for case in range(len(next(iter(dice.values())))):
        name = f"case{case:05d}"
        extra = {column: values[case] for column, values in more.items()}
        rows = [row_of(name, model, values[case], **extra) for model, values in dice.items()]
        gatherer.add(record_of(name, rows))
    return gatherer.finish()
