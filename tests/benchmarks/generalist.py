"""Regenerates the built-in generalist's test-split figures: unprompted, after clicks, and the time they take.

``python -m tests.benchmarks.generalist --data ../shared/data [--write]``. Each simulated click falls on the
innermost pixel of the largest error, as a careful person would choose, and the last answer goes back as prior
mask. Also told: how often the generalist is better by more than 0.1 where the specialist of the task stays
below 0.5, which is what a second opinion is for, and how long a click takes on two threads beside the
network's bare run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer

from omniview.core.guidance import Guidance
from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.inference.card import GeneralistCard, find_cards
from omniview.inference.session import open_session
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.training.calibrate import dice, field_of_view
from omniview.training.calibrate_clicks import SCORED, clicked
from omniview.training.dataset import Example, load
from omniview.training.prompts import worst_point
from omniview.training.run import folders_of
from tests.benchmarks.specialists import Figure, figure, measure, specialists_of, update

CLICKED = ("polyp", "breast")
TIMED_RUNS = 15


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: Dice by number of clicks, 0 included, and each specialist's Dice by its name."""

    empty: bool
    dice: dict[int, float]
    specialists: dict[str, float]


def main(
    data: Annotated[Path, typer.Option(help="folder of data folders named TASK_SET")],
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    limit: Annotated[int | None, typer.Option(help="only so many cases of each set")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves one core free")] = 0,
    speed_only: Annotated[bool, typer.Option("--speed", help="only the time, for a quiet moment")] = False,
    write: Annotated[bool, typer.Option("--write", help="put the figures into the card")] = False,
) -> None:
    """Print the table; with --write also update the card, with --speed only its times."""
    typer.echo("| set | metric | n | mean | 95 % | note |\n|---|---|---|---|---|---|")
    for card in find_cards([models]).cards:
        if not isinstance(card, GeneralistCard):
            continue
        figures: list[Figure] = []

        def tell(rows: Sequence[Figure], into: list[Figure] = figures) -> None:
            for row in rows:
                numbers = f"{row.mean:.3f} | {row.low:.3f}-{row.high:.3f}"
                typer.echo(f"| {row.set} | {row.metric} | {row.n} | {numbers} | {row.note} |")
            into.extend(rows)

        for task in () if speed_only else card.tasks:
            pooled: list[Case] = []
            sets = folders_of(task, sorted(data.iterdir()))
            for folder in sets:
                cases = asyncio.run(judge(card, models, task, load([folder], "test")[:limit], threads))
                tell(summary(folder.name, task, cases))
                pooled += cases
            if len(sets) > 1:
                tell(summary(f"{task}, all sets", task, pooled))
        if (data / "polyp_kvasir").is_dir():
            examples = load([data / "polyp_kvasir"], "test")
            # Small enough for the closer look: the longer of the two ways.
            tell(asyncio.run(speed(card, next(e for e in examples if 0 < (e.mask > 127).mean() < 0.1))))
        if write:
            kept = [dict(row) for row in card.figures if speed_only and "ms on" not in row["note"]]
            update(models, card.name, kept + [row.fields(_views(card, row)) for row in figures])


def _views(card: GeneralistCard, row: Figure) -> int:
    """How many views the figure's answers were averaged over."""
    of_clicks = card.clicks is not None and "click" in row.metric + row.note
    task = row.set.replace(",", "_").split("_")[0]
    return len(card.clicks.views.names if card.clicks and of_clicks else card.views_of(task))


async def judge(
    card: GeneralistCard, models: Path, task: str, examples: Sequence[Example], threads: int
) -> list[Case]:
    """Every example, unprompted, clicked where the task is one of :data:`CLICKED`, and by its specialists."""
    theirs = {
        specialist.name: await measure(specialist, examples, threads)
        for specialist in specialists_of(models, task)
    }
    thread = InferenceThread()
    generalist = BuiltinGeneralist(card, thread, threads=threads)
    cases = []
    for index, example in enumerate(examples):
        truth = example.mask > 127
        inside = field_of_view(example.image) if task == "vessel" else np.ones_like(truth)
        scores: list[float] = []
        async with aclosing(clicked(generalist, example, task)) as answers:
            async for answer in answers:
                scores.append(dice(answer.mask[0] & inside, truth & inside))
                if task not in CLICKED or example.empty:
                    break
        # A person stops where nothing is wrong; that answer stands for all later ones.
        by_clicks = {number: scores[min(number, len(scores) - 1)] for number in (0, *SCORED)}
        other = {name: outcomes[index].dice for name, outcomes in theirs.items()}
        cases.append(Case(example.empty, by_clicks, other))
    await generalist.close()
    thread.close()
    return cases


def summary(name: str, task: str, cases: Sequence[Case]) -> list[Figure]:
    """Mean Dice by number of clicks, and how often the generalist rescues what a specialist has missed."""
    found = [case for case in cases if not case.empty]
    rows = [figure(name, "dice", [case.dice[0] for case in found], "no prompt")]
    if task in CLICKED:
        rows += [
            figure(name, "dice", [case.dice[n] for case in found], f"after {n} simulated click(s)")
            for n in SCORED
        ]
    for specialist in sorted({specialist for case in found for specialist in case.specialists}):
        missed = [case for case in found if case.specialists[specialist] < 0.5]
        if missed:
            gains = [float(case.dice[0] > case.specialists[specialist] + 0.1) for case in missed]
            rows.append(figure(name, "rescue", gains, f"better by 0.1 where {specialist} is below 0.5"))
    return rows


async def speed(card: GeneralistCard, example: Example) -> list[Figure]:
    """Milliseconds from a first click to its mask on two threads, after the embedding, and of a bare run."""
    thread = InferenceThread()
    generalist = BuiltinGeneralist(card, thread, device="cpu", threads=2)
    image, task = Image(example.image, modality=TASKS["polyp"].modality), TASKS["polyp"]
    seen = await generalist.segment(image, task)
    spot = worst_point(np.zeros(image.shape, np.bool_), example.mask > 127)
    assert spot is not None
    rows = []
    for note, prior in (
        ("the unprompted answer given", seen.probability[0]),
        ("no earlier answer given", None),
    ):
        guidance = Guidance((spot[1],), (), None, prior)
        taken = []
        for _ in range(TIMED_RUNS):
            start = perf_counter()
            await generalist.segment_prompted(image, task, guidance)
            taken.append(1000 * (perf_counter() - start))
        rows.append(_milliseconds("first click to mask", taken, note))
    await generalist.close()
    thread.close()
    if card.clicks is not None:
        session = open_session(card.folder / card.clicks.network, device="cpu", threads=2)
        height, width = card.input.size
        feeds = {
            "image": np.zeros((1, 3, height, width), np.float32),
            "prompts": np.zeros((1, 4, height, width), np.float32),
            "task": np.eye(len(card.tasks), dtype=np.float32)[:1],
        }
        rows.append(_milliseconds("bare run of the click network", _timed(lambda: session.run(feeds)), ""))
    return rows


def _timed(run: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(TIMED_RUNS + 1):
        start = perf_counter()
        run()
        taken.append(1000 * (perf_counter() - start))
    return taken[1:]


def _milliseconds(metric: str, taken: Sequence[float], note: str) -> Figure:
    low, middle, high = np.percentile(taken, (5, 50, 95))
    note = ", ".join(part for part in ("ms on two threads, median, 5th and 95th percentile", note) if part)
    return Figure("polyp_kvasir", metric, len(taken), float(middle), float(low), float(high), note)


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    typer.run(main)
