"""``python -m omniview.training``: repeats the training of one model, or of all, with one command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from omniview.errors import OmniViewError
from omniview.training.run import TASK_NAMES, default_settings, folders_of, train


def main(
    task: Annotated[str, typer.Option(help=f"{', '.join(TASK_NAMES)}, or all")],
    data: Annotated[list[Path], typer.Option(help="data folder; give the option once for each")],
    out: Annotated[Path, typer.Option(help="where the ONNX files, cards and checkpoints go")],
    minutes: Annotated[float | None, typer.Option(help="instead of the recipe's schedule")] = None,
    steps: Annotated[int | None, typer.Option(help="a counted schedule instead of minutes")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
) -> None:
    """Train, calibrate and export. The same command continues a run that was killed."""
    try:
        for name in TASK_NAMES if task == "all" else (task,):
            settings = default_settings(name) if name in TASK_NAMES else None
            if settings is not None:
                if minutes is not None or steps is not None:
                    settings = replace(settings, minutes=minutes, steps=steps)
                settings = replace(settings, threads=threads, seed=settings.seed if seed is None else seed)
            folders = folders_of(name, data) if task == "all" and name != "generalist" else data
            typer.echo(f"{name}: {', '.join(folder.name for folder in folders)}", err=True)
            card = train(
                name, folders, out, settings=settings, progress=lambda p: typer.echo(str(p), err=True)
            )
            typer.echo(card)
    except OmniViewError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    typer.run(main)
