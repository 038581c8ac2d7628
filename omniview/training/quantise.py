"""Gives a specialist's card an eight-bit variant for CPUs, if that is faster and next to nothing is lost.

Ranges come from images of the `train` split, through the very geometry that ships; whether the variant is
admitted is decided on the `calibrate` split, with all views: mean Dice may fall by less than 0.005, and no
more than 2 % more images may be taken for unlike the training. One number is fitted there too: the variant's
novelty limit is the card's, raised by the median ratio of both networks' novelties, so that the 2 % are those
of the very images which the limit comes from. A variant that is not admitted leaves a sentence in the card's
training notes, and no file.

`python -m omniview.training.quantise --card CARD --data FOLDER --data FOLDER` adds, renews or removes the
variant of a card.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from omniview.core.geometry import View
from omniview.core.image import FloatArray, Image
from omniview.core.task import TASKS
from omniview.errors import CardError, InputError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.session import open_session
from omniview.inference.tensors import prepare, to_nchw
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.training.calibrate import counted, dice
from omniview.training.dataset import Example, load, read_image, read_rows
from omniview.training.eight_bits import to_int8
from omniview.training.export import sha256, write_card

MOST_LOST = 0.005
MOST_ESTRANGED = 0.02
MOST_STRETCHED = 2.0
"""By how much rounding may raise novelty: beyond, its noise drowns what is really strange."""
IMAGES = 100
RESAMPLES = 2000
RUNS = 15


@dataclass(frozen=True, slots=True)
class Verdict:
    """What eight bits do to a specialist.

    Attributes:
        change: mean change of Dice over `n` images of the `calibrate` split.
        low: lower end of its bootstrap 95 % interval.
        high: upper end.
        n: images.
        speedup: how many times as fast a run of one input is.
        estranged: share of the images beyond the novelty limit, less that with the full network.
        strangeness: median ratio of both networks' novelties, by which the limit is raised.
    """

    change: float
    low: float
    high: float
    n: int
    speedup: float
    estranged: float = 0.0
    strangeness: float = 1.0

    @property
    def admitted(self) -> bool:
        """Whether the variant ships: faster, Dice and novelty next to the same."""
        same = self.change > -MOST_LOST and self.estranged <= MOST_ESTRANGED
        return same and self.strangeness <= MOST_STRETCHED and self.speedup > 1.0

    def __str__(self) -> str:
        words = "shipped" if self.admitted else "not shipped"
        return (
            f"{words}: mean Dice {self.change:+.4f} [{self.low:+.4f}, {self.high:+.4f}] "
            f"on {self.n} calibrate images, {self.speedup:.2f} times as fast, "
            f"{self.estranged:+.1%} of the images beyond the novelty limit, "
            f"novelty {self.strangeness:.2f} times as high"
        )


def add_variant(
    card_path: Path, folders: Sequence[Path], *, threads: int = 0, images: int = IMAGES
) -> Verdict:
    """Write the eight-bit variant beside a specialist's card and into its card, or take both away.

    Args:
        card_path: the card; its weights lie beside it, or where they were fetched to.
        folders: data folders of its task; only their train and calibrate splits are read.
        threads: CPU threads; 0 leaves one core free.
        images: how many train images the ranges are taken from.

    Raises:
        CardError: not a specialist's card.
        WeightsError: the weights are missing, or not those that the card names.
        InputError: the folders have no train or no calibrate case.
        OmniViewError: see :mod:`omniview.training.dataset`, :mod:`omniview.training.eight_bits`.
    """
    card = read_card(card_path)
    if not isinstance(card, SpecialistCard):
        raise CardError(f"{card_path.name} is not a specialist's card.", "Name the card of a specialist.")
    cases = load(folders, "calibrate")
    if not cases:
        raise InputError("There is no calibrate case in these folders.", "Give folders with one.")
    full = verified(card.folder / card.weights, card.sha256)
    variant = card.folder / f"{Path(card.weights).stem}.int8.onnx"
    inputs = calibration_inputs(card, folders, images)
    name = next(iter(open_session(full, device="cpu", threads=threads).inputs))
    to_int8(full, lambda: ({name: one} for one in inputs), variant)
    eight = card.model_copy(update={"weights": variant.name, "sha256": sha256(variant), "int8": None})
    before, after = (scores(one, cases, threads) for one in (card.model_copy(update={"int8": None}), eight))
    change = after[:, 0] - before[:, 0]
    low, high = _interval(change)
    strangeness = float(np.median(after[:, 1] / before[:, 1])) if card.novelty is not None else 1.0
    estranged = (after[:, 1] > strangeness).mean() - (before[:, 1] > 1.0).mean()
    verdict = Verdict(
        round(float(change.mean()), 4),
        round(low, 4),
        round(high, 4),
        len(cases),
        round(_speedup(full, variant, inputs[0], threads), 2),
        round(float(estranged), 4),
        round(strangeness, 4),
    )
    write_verdict(card_path, verdict, variant)
    return verdict


def calibration_inputs(card: SpecialistCard, folders: Sequence[Path], images: int) -> list[FloatArray]:
    """Network inputs (1,C,h,w) float32 of `images` train images: of each a random tile in a random view.

    Where there are fewer images, each is looked at several times.

    Raises:
        InputError: there is no train case.
    """
    rows = [row for folder in folders for row in read_rows(folder) if row.split == "train"]
    if not rows:
        raise InputError("There is no train case in these folders.", "Give folders with a train split.")
    rng = np.random.default_rng(0)
    inputs = []
    for place in np.resize(rng.permutation(len(rows)), images):
        prepared = prepare(read_image(rows[int(place)].image), card.input)
        tile = prepared.inputs[rng.integers(len(prepared.inputs))][None]
        view = View.parse(str(rng.choice(card.views.names)))
        inputs.append(to_nchw(view.apply(tile), prepared.spec))
    return inputs


def scores(card: SpecialistCard, cases: Sequence[Example], threads: int) -> NDArray[np.float64]:
    """Each case as the viewer segments it on a CPU: (N,2), Dice and novelty in multiples of the limit.

    Dice of fundus photographs is that inside the field of view; where there is no novelty, it is 1.
    """

    async def measured() -> list[tuple[float, float]]:
        specialist = OnnxSpecialist(card, thread, device="cpu", threads=threads)
        found = [await _score(specialist, case) for case in cases]
        await specialist.close()
        return found

    thread = InferenceThread("quantise")
    try:
        return np.array(asyncio.run(measured()), np.float64)
    finally:
        thread.close()


async def _score(specialist: OnnxSpecialist, case: Example) -> tuple[float, float]:
    task = TASKS[specialist.card.task]
    prediction = await specialist.segment(Image(case.image, modality=task.modality), task)
    mask, truth = prediction.mask[0], case.mask > 127
    if (inside := counted(case, task.name)) is not None:
        mask, truth = mask & inside, truth & inside
    return dice(mask, truth), 1.0 if prediction.novelty is None else prediction.novelty


def _interval(change: NDArray[np.float64]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = [change[rng.integers(0, len(change), len(change))].mean() for _ in range(RESAMPLES)]
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def _speedup(full: Path, variant: Path, one: FloatArray, threads: int) -> float:
    sessions = [open_session(path, device="cpu", threads=threads) for path in (full, variant)]
    name = next(iter(sessions[0].inputs))
    seconds = np.empty((RUNS, len(sessions)))
    for row in seconds:
        for place, session in enumerate(sessions):  # in turn, so that a busy machine slows both down
            start = perf_counter()
            session.run({name: one})
            row[place] = perf_counter() - start
    before, after = np.median(seconds, axis=0)
    return float(before / after)


def write_verdict(card_path: Path, verdict: Verdict, variant: Path) -> None:
    """Put the variant into the card, or take it away, file and all; the training notes say why."""
    values: dict[str, Any] = tomllib.loads(card_path.read_text("utf-8"))
    training: Mapping[str, Any] = values.get("training", {})
    values["training"] = {**training, "int8": str(verdict)}
    values.pop("int8", None)
    if verdict.admitted:
        values["int8"] = {
            "weights": variant.name,
            "sha256": sha256(variant),
            "dice_change": verdict.change,
            "low": verdict.low,
            "high": verdict.high,
            "n": verdict.n,
            "speedup": verdict.speedup,
        }
        if "novelty" in values:
            limit = round(values["novelty"]["limit"] * verdict.strangeness, 4)
            values["int8"]["novelty_limit"] = limit
    write_card(card_path, values)
    if not verdict.admitted:
        variant.unlink(missing_ok=True)


def _main(
    card: Annotated[Path, typer.Option(help="the specialist's card, its weights beside it or fetched")],
    data: Annotated[list[Path], typer.Option(help="data folder of its task; again for more")],
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves one core free")] = 0,
    images: Annotated[int, typer.Option(min=1, help="train images for the ranges")] = IMAGES,
) -> None:
    """Add, renew or remove the eight-bit variant of a card."""
    typer.echo(f"{card.stem}: {add_variant(card, data, threads=threads, images=images)}")


if __name__ == "__main__":
    typer.run(_main)
