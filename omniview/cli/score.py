"""`omniview score`: a whole folder against its ground truth."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from omniview.cli.console import console
from omniview.cli.options import (
    Answers,
    Consent,
    Offline,
    Omnimodel,
    Out,
    Task,
    Views,
    chosen_settings,
    composer_of,
    question_of,
)
from omniview.errors import OmniViewError

__all__ = ["score"]


def score(
    folder: Annotated[Path, typer.Argument(help="images/ + masks/, or masks beside the images")],
    out: Out,
    truth: Annotated[Path | None, typer.Option(help="folder of the masks, if elsewhere")] = None,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    answers: Answers = None,
    views: Views = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many images")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="also write every mask")] = False,
    consent: Consent = False,
) -> None:
    """Score a whole folder: cases.csv and summary.json."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from omniview.batch.run import Row, Totals, score_pairs
    from omniview.io.pair import pair_folder

    settings = chosen_settings(omnimodel, offline, answers, views)
    pairing = pair_folder(folder, truth)
    for left in pairing.unpaired:
        console.print(escape(f"not paired: {left.path.name}: {left.reason}"))
    pairs = pairing.pairs[:limit]
    if not pairs:
        raise OmniViewError(
            f"No images were found in {folder}.", "It needs images/ and masks/, or both side by side."
        )

    async def work() -> Totals:
        composer = composer_of(settings, consent)
        bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)
        step = bar.add_task("score", total=len(pairs))

        def advance(_index: int, rows: list[Row]) -> None:
            bar.advance(step)
            for row in rows:
                if row.status != "ok":
                    console.print(
                        escape(f"{row.image}: {row.model}: {row.status}. {row.values.get('reason', '')}")
                    )

        try:
            with bar:
                return await score_pairs(
                    pairs, composer, question_of(settings, task), out, masks=masks, on_case=advance
                )
        finally:
            await composer.close()

    totals = asyncio.run(work())
    for name, one in totals.summary["models"].items():
        dice = one["metrics"]["dice"]
        if dice["n"]:
            console.print(f"{name}: mean Dice {dice['mean']:.3f} (n {dice['n']}, failed {one['failed']})")
    raise typer.Exit(1 if totals.failed else 0)
