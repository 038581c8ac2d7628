"""`omniview segment`: masks of single images."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from omniview.cli.console import complain, console
from omniview.cli.options import (
    Answers,
    Ask,
    Budget,
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

__all__ = ["segment"]


def segment(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", readable=False)],
    out: Out,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    answers: Answers = None,
    views: Views = None,
    frame: Annotated[int, typer.Option(min=0, help="which frame of a clip or volume")] = 0,
    ask: Ask = None,
    budget: Budget = None,
    consent: Consent = False,
) -> None:
    """Write masks, uncertainty and a JSON record for each image."""
    from omniview.batch.one import analyse_file
    from omniview.batch.results import unique_stems, write_case

    settings = chosen_settings(omnimodel, offline, answers, views, ask, budget)

    async def work() -> bool:
        composer, question = composer_of(settings, consent), question_of(settings, task)
        question.chosen(composer)
        clean = True
        try:
            for image, stem in zip(images, unique_stems(images), strict=True):
                try:
                    case = await analyse_file(image, composer, question, frame=frame)
                    await asyncio.to_thread(write_case, case, out, stem)
                except OmniViewError as error:
                    complain(error, image.name)
                    clean = False
                    continue
                for failure in case.failures:
                    console.print(
                        escape(f"{image.name}: {failure.model}: {failure.reason} {failure.next_step}")
                    )
                clean = clean and case.fusion is not None
        finally:
            await composer.close()
        return clean

    raise typer.Exit(0 if asyncio.run(work()) else 1)
