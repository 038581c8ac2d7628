"""`omniview train`: a specialist or the generalist from labelled folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from omniview.cli.console import console
from omniview.cli.options import Out

__all__ = ["train"]


def train(
    task: Annotated[str, typer.Option(help="polyp, vessel, breast, nuclei, generalist, or all")],
    data: Annotated[list[Path], typer.Option(help="folder with images/, masks/, split.csv; repeatable")],
    out: Out,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="instead of the recipe's schedule")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="a counted schedule instead of minutes")] = None,
    seed: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 1,
) -> None:
    """Train, calibrate and export; the same command continues a run that was killed."""
    from omniview.training.run import TASK_NAMES, default_settings, folders_of
    from omniview.training.run import train as fit

    for name in TASK_NAMES if task == "all" else (task,):
        settings = replace(default_settings(name), threads=threads)
        if minutes is not None or steps is not None:
            settings = replace(settings, minutes=minutes, steps=steps)
        if seed is not None:
            settings = replace(settings, seed=seed)
        own = folders_of(name, data) if task == "all" and name != "generalist" else data
        card = fit(name, own, out, settings=settings, progress=lambda p: console.print(escape(str(p))))
        typer.echo(card)
