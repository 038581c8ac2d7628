"""`omniview metrics`: two mask files against each other."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from omniview.cli.console import console, say
from omniview.errors import OmniViewError

__all__ = ["metrics"]


def metrics(
    prediction: Annotated[
        Path,
        typer.Argument(
            readable=False, metavar="PREDICTION", help="mask, grey probability map (0-255), or label image"
        ),
    ],
    truth: Annotated[
        Path, typer.Argument(readable=False, metavar="TRUTH", help="mask or label image of the same size")
    ],
    spacing: Annotated[str | None, typer.Option(metavar="ROW,COL", help="millimetres a pixel")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="of NSD, in px or mm")] = 2.0,
    convention: Annotated[
        str, typer.Option(help="omniview, metricsreloaded, monai, deepmind, pysod, nnunet")
    ] = "omniview",
    region: Annotated[
        Path | None, typer.Option(readable=False, help="mask of what counts, such as a field of view")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="with definitions, and why values differ")
    ] = False,
    everybody: Annotated[
        bool, typer.Option("--all", help="beside it the values of every convention")
    ] = False,
) -> None:
    """Print every metric of a mask against its ground truth as JSON."""
    from omniview.batch.compare import compare_files

    if not isfinite(tolerance):
        raise OmniViewError(f"--tolerance is {tolerance}.", "Give a distance in px, or in mm with --spacing.")
    found = compare_files(
        prediction,
        truth,
        region=region,
        spacing_mm=_spacing(spacing),
        tolerance=tolerance,
        convention=convention,
        explain=explain,
        everybody=everybody,
    )
    for note in found.notes:
        console.print(escape(f"note: {note}"))
    say(json.dumps(found.values, indent=2, allow_nan=False))


def _spacing(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        row, column = (float(part) for part in text.split(","))
    except ValueError:
        row = column = 0.0
    if not (row > 0 and column > 0 and isfinite(row) and isfinite(column)):
        raise OmniViewError(f"--spacing is {text!r}.", "Give two positive numbers: ROW,COL in millimetres.")
    return row, column
