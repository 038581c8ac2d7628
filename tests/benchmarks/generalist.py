"""Regenerates the built-in generalist's test-split figures: unprompted, and after simulated clicks.

``python -m tests.benchmarks.generalist --data ../shared/data [--write]``. Each click falls on the innermost
pixel of the largest error, as a careful person would choose. Also told: how often the generalist is better by
more than 0.1 where the specialist of the task stays below 0.5, which is what a second opinion is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.inference.card import GeneralistCard, find_cards
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist, Guidance
from omniview.training.calibrate import dice, field_of_view
from omniview.training.dataset import Example, load
from omniview.training.prompts import POSITIVE, worst_point
from omniview.training.run import folders_of
from tests.benchmarks.specialists import Figure, figure, measure, specialists_of, update

CLICKS = (1, 3, 5)
CLICKED = ("polyp", "breast")


def main(
    data: Annotated[Path, typer.Option(help="folder of data folders named TASK_SET")],
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    limit: Annotated[int | None, typer.Option(help="only so many cases of each set")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves one core free")] = 0,
    write: Annotated[bool, typer.Option("--write", help="put the figures into the card")] = False,
) -> None:
    """Print the table; with --write also update the card."""
    typer.echo("| set | metric | n | mean | 95 % | note |\n|---|---|---|---|---|---|")
    for card in find_cards([models]).cards:
        if not isinstance(card, GeneralistCard):
            continue
        figures: list[Figure] = []
        for task in card.tasks:
            for folder in folders_of(task, sorted(data.iterdir())):
                examples = load([folder], "test")[:limit]
                rows = asyncio.run(opinions(card, task, examples, threads))
                found = [row for row, example in zip(rows, examples, strict=True) if not example.empty]
                new = [figure(folder.name, "dice", [row[0] for row in found], "no prompt")]
                if task in CLICKED:
                    new += [
                        figure(
                            folder.name, "dice", [row[n] for row in found], f"after {n} simulated click(s)"
                        )
                        for n in CLICKS
                    ]
                new += rescues(models, task, examples, [row[0] for row in rows], folder.name, threads)
                for row in new:
                    numbers = f"{row.mean:.3f} | {row.low:.3f}-{row.high:.3f}"
                    typer.echo(f"| {row.set} | {row.metric} | {row.n} | {numbers} | {row.note} |")
                figures += new
        if write:
            update(models, card.name, [row.fields(len(card.views.names)) for row in figures])


async def opinions(
    card: GeneralistCard, task: str, examples: Sequence[Example], threads: int
) -> list[dict[int, float]]:
    """For each example its Dice by number of clicks, 0 included."""
    thread = InferenceThread()
    generalist = BuiltinGeneralist(card, thread, threads=threads)
    rows = []
    for example in examples:
        image, truth = Image(example.image, modality=TASKS[task].modality), example.mask > 127
        inside = field_of_view(example.image) if task == "vessel" else np.ones_like(truth)
        clicks: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        row: dict[int, float] = {}
        for number in range(max(CLICKS) + 1 if task in CLICKED else 1):
            guidance = Guidance(positive=tuple(clicks[0]), negative=tuple(clicks[1]))
            mask = (await generalist.segment_prompted(image, TASKS[task], guidance)).mask[0]
            row[number] = dice(mask & inside, truth & inside)
            wrong = worst_point(mask, truth)
            if wrong is not None:
                clicks[0 if wrong[0] == POSITIVE else 1].append(wrong[1])
        rows.append(row)
    await generalist.close()
    thread.close()
    return rows


def rescues(
    models: Path, task: str, examples: Sequence[Example], scores: Sequence[float], name: str, threads: int
) -> list[Figure]:
    """Where the specialist stays below 0.5: how often the generalist is better by more than 0.1."""
    figures = []
    for card in specialists_of(models, task):
        theirs = asyncio.run(measure(card, examples, threads))
        gains = [
            float(score > other.dice + 0.1)
            for score, other in zip(scores, theirs, strict=True)
            if other.dice < 0.5 and not other.empty
        ]
        if gains:
            note = f"better by 0.1 where {card.name} is below 0.5"
            figures.append(figure(name, "rescue", gains, note))
    return figures


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    typer.run(main)
