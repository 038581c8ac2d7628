"""How long fusing takes, and the calibrations that ship.

``python -m tests.benchmarks.fusion`` prints milliseconds of `fuse` at 1024x1024 on one core
(processor time, so that a busy machine does not count), beside copies of
the very arrays that it reads and writes. ``--data ../shared/data`` fits every shipped pair on the
``calibrate`` splits through the models as they ship, and prints the figures; with ``--write`` the files in
``resources/fusion`` are replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import process_time
from typing import Annotated

import cv2
import numpy as np
import typer

from omniview.core.fusion import Calibration, fuse
from omniview.core.image import Image
from omniview.core.prediction import Prediction, Quality
from omniview.core.task import TASKS
from omniview.core.trust import Margin
from omniview.inference.card import GeneralistCard, SpecialistCard, find_cards
from omniview.inference.pair_card import write_pair_card
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.training.calibrate import counted
from omniview.training.dataset import data_hash, load, read_rows
from omniview.training.fitting import card_of, fit
from omniview.training.observed import Observed, observe
from omniview.training.run import folders_of
from tests.benchmarks.specialists import specialists_of

SIDE = 1024
RUNS = 40


def main(
    data: Annotated[Path | None, typer.Option(help="folder of data folders named TASK_SET")] = None,
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    out: Annotated[Path, typer.Option(help="folder of calibrations")] = Path("resources/fusion"),
    task: Annotated[str | None, typer.Option(help="only this task")] = None,
    write: Annotated[bool, typer.Option("--write", help="replace the calibrations")] = False,
) -> None:
    """Print times, or fit."""
    if data is None:
        time_it()
        return
    (generalist,) = (c for c in find_cards([models]).cards if isinstance(c, GeneralistCard))
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    for specialist in specialists_of(models, task):
        own = folders_of(specialist.task, folders)
        seen = asyncio.run(look(specialist, generalist, own))
        rows = [(folder.name, row) for folder in own for row in read_rows(folder) if row.split == "calibrate"]
        groups = [f"{name} {row.group}" for name, row in rows]
        found = fit(seen, groups=groups, sets=[name for name, _ in rows])
        gain = found.gain
        means = ", ".join(f"{name} {mean:.4f}" for name, mean in found.dice.items())
        typer.echo(
            f"{specialist.task} (n {found.n}): {means}; gain {gain.mean:+.4f} "
            f"[{gain.low:+.4f}, {gain.high:+.4f}], harmed {found.harmed:.3f}, used: {found.better}"
        )
        card = card_of(
            found,
            task=specialist.task,
            omnimodel="builtin",
            specialist=(specialist.name, (specialist.sha256,)),
            other=(BuiltinGeneralist.name, tuple(sha256 for _, sha256 in generalist.files())),
            data={
                "sets": [folder.name for folder in own],
                "split": "calibrate",
                "sha256": data_hash(own, "calibrate"),
            },
        )
        if write:
            write_pair_card(card, out / f"{specialist.task}.builtin.toml")


async def look(specialist: SpecialistCard, generalist: GeneralistCard, own: list[Path]) -> list[Observed]:
    """Both models on every case of the calibrate splits; vessels inside the field of view."""
    thread, task = InferenceThread(), TASKS[specialist.task]
    pair = OnnxSpecialist(specialist, thread, threads=1), BuiltinGeneralist(generalist, thread, threads=1)
    seen = []
    for example in load(own, "calibrate"):
        image, truth = Image(example.image, modality=task.modality), example.mask > 127
        first, second = [await model.segment(image, task) for model in pair]
        seen.append(observe(example.name, first, second, truth[None], counted(example, task.name)))
    for model in pair:
        await model.close()
    thread.close()
    return seen


def time_it() -> None:
    """Milliseconds, with and without spreads, beside copies of the same arrays."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    grids = [
        cv2.GaussianBlur(rng.random((SIDE, SIDE)).astype(np.float32), (0, 0), 25)[None] for _ in range(4)
    ]
    maps = [(one - one.min()) / (one.max() - one.min()) for one in grids]
    measured = Calibration(ceiling=1.0, gamma=0.0, margin=Margin(0.2, 0.8))
    typer.echo("| what | median ms | 95th percentile |\n|---|---|---|")
    for name, spreads in (("no spread", (None, None)), ("both with spread", tuple(m / 4 for m in maps[2:]))):
        pair = (
            Prediction("s", "specialist", maps[0], spreads[0], Quality(0.6, 0.4, 0.8)),
            Prediction("o", "omnimodel", maps[1], spreads[1], Quality(0.8, 0.6, 0.9)),
        )
        _tell(f"fuse, {name}", partial(fuse, pair, measured))
        fusion = fuse(pair, measured)
        assert fusion.margin is not None
        arrays = [fusion.probability, fusion.mask, fusion.uncertainty, fusion.weight, *fusion.margin]
        arrays += [p.probability for p in pair] + [p.spread for p in pair if p.spread is not None]
        _tell(f"copies of its arrays, {name}", partial(_copied, arrays))


def _copied(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.array(one) for one in arrays]


def _tell(name: str, work: Callable[[], object]) -> None:
    taken = []
    for _ in range(RUNS):
        start = process_time()
        work()
        taken.append(1000 * (process_time() - start))
    middle, high = np.percentile(taken[2:], (50, 95))
    typer.echo(f"| {name} | {middle:.1f} | {high:.1f} |")


if __name__ == "__main__":
    typer.run(main)
