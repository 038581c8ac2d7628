"""`omniview ask`: a question about an image, in words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from omniview.cli.console import console, say
from omniview.cli.options import Budget, Consent, Offline, Omnimodel, chosen_settings, composer_of

__all__ = ["ask"]


def ask(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", readable=False)],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="in your own words")],
    region: Annotated[
        Path | None, typer.Option(metavar="MASK", readable=False, help="what the question is about")
    ] = None,
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    frame: Annotated[int, typer.Option(min=0, help="which frame of a clip or volume")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print text and findings as JSON")] = False,
    out: Annotated[Path | None, typer.Option(help="folder for the findings' masks and a JSON")] = None,
    budget: Budget = None,
    consent: Consent = False,
) -> None:
    """Ask a cloud omnimodel about an image; each finding points at a mask or a box, or is not grounded."""
    from omniview.batch.answer_files import answer_json, write_answer
    from omniview.core.interpreter import Answer
    from omniview.io.kinds import stem_of
    from omniview.io.read import read, read_truth

    settings = chosen_settings(omnimodel, offline, None, None, budget=budget)
    picture = read(image, frame)
    marked = None if region is None else read_truth(region, picture).mask[0]

    async def work() -> Answer:
        composer = composer_of(settings, consent)
        try:
            talking = composer.interpreter(settings.omnimodel, settings.offline)
            try:
                answer: Answer = await talking.ask(picture, question, marked)
                return answer
            finally:
                await talking.close()
        finally:
            await composer.close()

    answer = asyncio.run(work())
    stem = stem_of(image.name)
    if out is not None:
        write_answer(answer, picture, question, out, stem)
    if as_json:
        say(json.dumps(answer_json(answer, picture, question, stem if out else None), indent=2))
    else:
        say(answer.text)
        for finding in answer.findings:
            say(f"- {finding.text} [{', '.join(word for word in (finding.label, finding.place) if word)}]")
    for note in answer.provenance.notes:
        console.print(escape(f"note: {note}"))
