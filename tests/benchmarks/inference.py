"""Measures what a specialist costs beside its bare network, and a large photograph's time and memory.

``python -m tests.benchmarks.inference`` prints a table and ends with status 1 if a bar is missed: on two CPU
threads, from decoded pixels to mask through one view at most 1.15 times as long as `session.run` alone on
ready tensors of the same file, and eight views at most eight times one. Both are measured in turn in one run,
so that a busy machine slows both down; medians. The images are phantoms of usual sizes. A fundus photograph
of 3504x2336 pixels is then segmented in a process of its own, so that the peak of its memory is known.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import Annotated

import cv2
import numpy as np
import typer

from omniview.core.case import Truth
from omniview.core.image import Image
from omniview.core.phantom import endoscopy, fundus, nuclei, ultrasound
from omniview.core.task import TASKS
from omniview.inference.card import SpecialistCard
from omniview.inference.session import open_session
from omniview.inference.tensors import prepare, to_nchw
from omniview.inference.variants import chosen_weights
from omniview.inference.worker import InferenceThread
from omniview.settings import Precision
from omniview.specialists.onnx_specialist import OnnxSpecialist, batch_on_cpu
from tests.benchmarks.specialists import specialists_of

ONE_VIEW, EIGHT_VIEWS = 1.15, 8.0
LARGE = (2336, 3504)
PHANTOMS: Mapping[str, tuple[Callable[[int, tuple[int, int]], tuple[Image, Truth]], tuple[int, int]]] = (
    MappingProxyType(
        {
            "polyp": (endoscopy, (530, 620)),
            "breast": (ultrasound, (470, 560)),
            "vessel": (fundus, (960, 999)),
            "nuclei": (nuclei, (520, 696)),
        }
    )
)


@dataclass(frozen=True, slots=True)
class Times:
    """Medians of one model on one image, in seconds; `many` is how many views the last has."""

    bare: float
    one: float
    all: float
    many: int

    @property
    def kept(self) -> bool:
        """Whether both bars are kept."""
        return self.one <= ONE_VIEW * self.bare and self.all <= self.many * self.one


def main(
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    task: Annotated[str | None, typer.Option(help="only this task")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 2,
    rounds: Annotated[int, typer.Option(min=3, help="of each measurement")] = 21,
) -> None:
    """Print the table; status 1 if a bar is missed."""
    cv2.setNumThreads(threads)
    kept = True
    # first, since a process is born with the peak of its parent's memory
    for card in specialists_of(models, "vessel") if task in (None, "vessel") else []:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            seconds, before, peak = apart.submit(large, card, threads).result()
        typer.echo(
            f"{card.name}, {LARGE[1]}x{LARGE[0]}, {len(card.views.names)} views: {seconds:.1f} s, "
            f"{peak:.0f} MB at most ({before:.0f} MB before)\n"
        )
    typer.echo("| model | runs | image | bare run | one view | ratio | views | all views | times one view |")
    typer.echo("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for card in specialists_of(models, task):
        make, size = PHANTOMS[card.task]
        image, _ = make(1, size)
        for precision in ("fp32", "int8") if card.int8 is not None else ("fp32",):
            found = measure(card, image, precision, threads, rounds)
            kept &= found.kept
            typer.echo(
                f"| {card.name} | {precision} | {size[1]}x{size[0]} | {found.bare * 1e3:.1f} ms "
                f"| {found.one * 1e3:.1f} ms | {found.one / found.bare:.3f} | {found.many} "
                f"| {found.all * 1e3:.0f} ms | {found.all / found.one:.2f} |"
            )
    if not kept:
        raise typer.Exit(1)


def measure(card: SpecialistCard, image: Image, precision: Precision, threads: int, rounds: int) -> Times:
    """Bare runs, one view and all views of `image`, in turn."""
    weights = chosen_weights(card, "cpu", precision)
    session = open_session(weights.path, device="cpu", threads=threads)
    (name,) = session.inputs
    prepared = prepare(image.rgb8(), card.input)
    tensors = to_nchw(prepared.inputs, prepared.spec)
    batch = batch_on_cpu(card.input.size)
    chunks = [tensors[start : start + batch] for start in range(0, len(tensors), batch)]
    thread = InferenceThread()
    one, full = (
        OnnxSpecialist(card, thread, device="cpu", precision=precision, threads=threads, views=views)
        for views in (1, 8)
    )

    def bare() -> None:
        for chunk in chunks:
            session.run({name: chunk})

    async def timed() -> tuple[list[float], list[float], list[float], int]:
        task, seen = TASKS[card.task], 0
        times: tuple[list[float], list[float], list[float]] = ([], [], [])
        for turn in range(-2, rounds):
            start = perf_counter()
            bare()
            middle = perf_counter()
            prediction = await one.segment(image, task)
            assert prediction.mask.shape[1:] == image.shape
            end = perf_counter()
            taken = [middle - start, end - middle]
            if turn % 3 == 0:
                prediction = await full.segment(image, task)
                assert prediction.mask.shape[1:] == image.shape
                taken.append(perf_counter() - end)
                seen = prediction.provenance.views or 0
            if turn >= 0:
                for into, value in zip(times, taken, strict=False):
                    into.append(value)
        return *times, seen

    bares, ones, alls, many = asyncio.run(timed())
    thread.close()
    return Times(median(bares), median(ones), median(alls), many)


def large(card: SpecialistCard, threads: int) -> tuple[float, float, float]:
    """Seconds for a large photograph, and the process's peak memory in MB before and after."""
    cv2.setNumThreads(threads)
    small, _ = fundus(1, (LARGE[0] // 4, LARGE[1] // 4))
    # enlarged, since drawing one this large takes more memory than segmenting it
    image = Image(np.asarray(cv2.resize(small.pixels, LARGE[::-1], interpolation=cv2.INTER_LINEAR), np.uint8))
    before = _peak()
    thread = InferenceThread()
    specialist = OnnxSpecialist(card, thread, device="cpu", threads=threads)
    start = perf_counter()
    prediction = asyncio.run(specialist.segment(image, TASKS[card.task]))
    assert prediction.mask.shape[1:] == LARGE
    seconds = perf_counter() - start
    thread.close()
    return seconds, before, _peak()


def _peak() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


if __name__ == "__main__":
    typer.run(main)
