"""Regenerates the test-split figures of every specialist through the path that ships.

``python -m tests.benchmarks.specialists --data ../shared/data`` prints a Markdown table; with ``--write`` the
figures also go into the cards. Means come with a bootstrap 95 % interval over cases. A case that fails counts
as Dice 0 and is counted. Nothing is chosen here: threshold, temperature and views are the card's.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import tomli_w
import typer

from omniview.core.image import Image
from omniview.core.instances import split
from omniview.core.matching import match
from omniview.core.task import TASKS
from omniview.errors import OmniViewError
from omniview.inference.card import SpecialistCard, find_cards
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.training.calibrate import counted, dice
from omniview.training.dataset import Example, load
from omniview.training.run import folders_of

FALSE_LESION_SHARE = 0.002
FAILED_BELOW = 0.5
"""Dice of a mask that is no use."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test case: Dice, the mask's share of the image, the Dice that was predicted, if any.

    ``f1`` at IoU 0.5 of the objects that the mask was split into, where the truth numbers objects.
    """

    name: str
    empty: bool
    dice: float
    area: float
    predicted: tuple[float, float, float] | None
    failed: bool
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    set: str
    metric: str
    n: int
    mean: float
    low: float
    high: float
    note: str

    def fields(self, views: int) -> dict[str, Any]:
        """As the card's ``[[figures]]`` has it."""
        return {
            "set": self.set,
            "split": "test",
            "n": self.n,
            "metric": self.metric,
            "mean": round(self.mean, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "views": views,
            "note": self.note,
        }


def main(
    data: Annotated[Path, typer.Option(help="folder of data folders named TASK_SET")],
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    task: Annotated[str | None, typer.Option(help="only this task")] = None,
    limit: Annotated[int | None, typer.Option(help="only so many cases of each set")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves one core free")] = 0,
    write: Annotated[bool, typer.Option("--write", help="put the figures into the cards")] = False,
) -> None:
    """Print the table; with --write also update the cards."""
    typer.echo("| model | set | metric | n | mean | 95 % | note |\n|---|---|---|---|---|---|---|")
    for card in specialists_of(models, task):
        figures: list[Figure] = []
        everything: list[Outcome] = []
        for folder in folders_of(card.task, sorted(data.iterdir())):
            start = perf_counter()
            outcomes = asyncio.run(measure(card, load([folder], "test")[:limit], threads))
            seconds = (perf_counter() - start) / max(1, len(outcomes))
            figures.extend(summarise(folder.name, outcomes, seconds))
            everything.extend(outcomes)
        figures.extend(judge_quality(everything))
        for row in figures:
            numbers = f"{row.mean:.3f} | {row.low:.3f}-{row.high:.3f}"
            typer.echo(f"| {card.name} | {row.set} | {row.metric} | {row.n} | {numbers} | {row.note} |")
        if write:
            update(models, card.name, [row.fields(len(card.views.names)) for row in figures])


def specialists_of(models: Path, task: str | None) -> list[SpecialistCard]:
    """The specialists' cards in a folder, of one task or of all."""
    cards = find_cards([models]).cards
    return [card for card in cards if isinstance(card, SpecialistCard) and task in (None, card.task)]


async def measure(card: SpecialistCard, examples: Sequence[Example], threads: int) -> list[Outcome]:
    """Segment every example as the viewer does and score it; for fundus inside the field of view."""
    thread = InferenceThread()
    specialist = OnnxSpecialist(card, thread, threads=threads)
    task = TASKS[card.task]
    outcomes = []
    for example in examples:
        truth = example.mask > 127
        try:
            prediction = await specialist.segment(Image(example.image, modality=task.modality), task)
        except OmniViewError as error:
            typer.echo(f"{example.name}: {error}", err=True)
            outcomes.append(Outcome(example.name, example.empty, 0.0, 0.0, None, failed=True))
            continue
        mask = prediction.mask[0]
        if (inside := counted(example, card.task)) is not None:
            mask, truth = mask & inside, truth & inside
        quality = prediction.quality
        predicted = None if quality is None else (quality.value, quality.low, quality.high)
        score = dice(mask, truth)
        objects = None
        if example.labels is not None:
            objects = match(split(prediction.probability[0]), example.labels).f1(0.5)
        area = float(mask.mean())
        outcomes.append(Outcome(example.name, example.empty, score, area, predicted, False, objects))
    await specialist.close()
    thread.close()
    return outcomes


def summarise(name: str, outcomes: Sequence[Outcome], seconds: float) -> list[Figure]:
    """Mean Dice over cases with something to find; for normal cases the share with a false find."""
    failed = sum(outcome.failed for outcome in outcomes)
    note = f"{failed} failed, {seconds:.2f} s a case"
    full = [outcome for outcome in outcomes if not outcome.empty]
    normal = [outcome for outcome in outcomes if outcome.empty]
    figures = [figure(name, "dice", [outcome.dice for outcome in full], note)]
    if normal:
        false_finds = [float(o.failed or o.area > FALSE_LESION_SHARE) for o in normal]
        found = [float(o.area > FALSE_LESION_SHARE and o.dice > 0) for o in full]
        area = f"mask over {FALSE_LESION_SHARE:.1%} of the image"
        figures.append(figure(name, "false find on normal images", false_finds, area))
        figures.append(figure(name, "sensitivity to lesions", found, f"{area}, touching the lesion"))
    counted = [outcome.f1 for outcome in full if outcome.f1 is not None]
    if counted:
        lost = [0.0 for outcome in full if outcome.failed]
        figures.append(figure(name, "F1 at IoU 0.5 after splitting", [*counted, *lost], ""))
    return figures


def judge_quality(outcomes: Sequence[Outcome]) -> list[Figure]:
    """How far predicted Dice is to be believed, over all test images of a task, normal ones included.

    Rank correlation with the true Dice; how often the 90 % interval holds the truth; and how many of the
    masks of no use lie in the quarter of which least was expected.
    """
    from scipy.stats import spearmanr

    pairs = [(o.dice, o.predicted) for o in outcomes if o.predicted is not None]
    if len(pairs) < 3:
        return []
    scores = np.array([score for score, _ in pairs])
    predicted = np.array([p for _, p in pairs])
    covered = [float(low <= s <= high) for s, (_, low, high) in zip(scores, predicted, strict=True)]

    def correlation(rows: np.ndarray) -> float:
        return float(np.nan_to_num(spearmanr(scores[rows], predicted[rows, 0]).statistic))

    rows = np.arange(len(scores))
    low, high = _bootstrap(correlation, len(scores), 300)
    rank = Figure("all", "spearman of predicted dice", len(scores), correlation(rows), low, high, "")
    figures = [rank, figure("all", "coverage of the 90 % interval", covered, "")]
    quarter = np.argsort(np.argsort(predicted[:, 0], kind="stable")) < len(scores) / 4
    useless = scores < FAILED_BELOW
    if useless.any():
        caught = quarter[useless].astype(float)
        name = f"of the masks with Dice < {FAILED_BELOW}, in the lowest predicted quarter"
        figures.append(figure("all", name, caught, f"{len(caught)} of {len(scores)} images"))
    return figures


def figure(name: str, metric: str, values: Iterable[float], note: str) -> Figure:
    """Mean of ``values`` with its bootstrap 95 % interval."""
    array = np.array(list(values))
    low, high = _bootstrap(lambda rows: float(array[rows].mean()), len(array), RESAMPLES)
    return Figure(name, metric, len(array), float(array.mean()), low, high, note)


def _bootstrap(statistic: Callable[[np.ndarray], float], n: int, resamples: int) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drawn = [statistic(rng.integers(0, n, n)) for _ in range(resamples)]
    return float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))


def update(models: Path, name: str, figures: Sequence[dict[str, Any]]) -> None:
    """Replace the ``[[figures]]`` of the card ``name``."""
    for path in models.glob("*.toml"):
        values = tomllib.loads(path.read_text("utf-8"))
        if values["name"] == name:
            values["figures"] = list(figures)
            path.write_bytes(tomli_w.dumps(values).encode())


if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    typer.run(main)
