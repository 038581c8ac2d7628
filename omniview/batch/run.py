"""A folder of images against its ground truth: one row a case and model, written as soon as it is known.

Rows are appended to cases.csv case by case and flushed, so that a killed run leaves what it had finished. One
bad case is a row with its reason, never a stop.
"""

from __future__ import annotations

import asyncio
import csv
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from omniview.analyse import FUSED
from omniview.batch.one import Models, Question, analyse_file
from omniview.batch.results import write_masks
from omniview.batch.rows import COLUMNS, Row, rows_of, rows_without_case, text_of
from omniview.batch.summary import summarise
from omniview.core.case import Case
from omniview.core.prediction import ROLES
from omniview.errors import OmniViewError, OutputError
from omniview.io.pair import Pair
from omniview.io.write import write_json

__all__ = ["Totals", "score_pairs"]

_IN_FLIGHT = 4
"""Cases at work at once: enough to overlap reading, inference and scoring, and a bound on memory."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How a run went.

    Attributes:
        cases: images that were tried.
        failed: images that could not be read or for which no model gave a mask.
        summary: what summary.json holds.
    """

    cases: int
    failed: int
    summary: dict[str, Any]


async def score_pairs(
    pairs: Sequence[Pair],
    models: Models,
    question: Question,
    out: Path,
    *,
    masks: bool = False,
    on_case: Callable[[int, Sequence[Row]], None] | None = None,
) -> Totals:
    """Analyse and score every pair; write cases.csv, summary.json and, if asked for, masks/.

    Args:
        pairs: images with their truths; a pair without one gets a row "no truth".
        models: where segmenters come from.
        question: what every image is asked.
        out: folder for the results; made if missing. An earlier cases.csv in it is replaced.
        masks: also write the masks of every case into out/masks, named as cases.csv names its image.
        on_case: called after each case with its index and rows.

    Raises:
        OutputError: results cannot be written (what was written so far stays).
        SettingsError: the question names what does not exist.
    """
    question.chosen(models)  # a wrong task is one message, not one row for each image
    roles = ROLES if question.omnimodel != "none" else ROLES[:1]
    names = (*roles, FUSED)
    everything: list[Row] = []
    failed = 0
    try:
        with await asyncio.to_thread(_create, out / "cases.csv") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            # closed however the loop is left, so that nothing is at work any more when the models are closed
            async with aclosing(_results(pairs, models, question)) as results:
                async for index, result in results:
                    name = pairs[index].name
                    rows = await asyncio.to_thread(_rows, name, result, names)
                    if masks and isinstance(result, Case):
                        await asyncio.to_thread(write_masks, result, out / "masks", name)
                    for row in rows:
                        writer.writerow({k: text_of(v) for k, v in row.as_dict().items()})
                    _flush(file)
                    everything += rows
                    failed += rows[-1].status in ("failed", "unreadable")  # the fused row comes last
                    if on_case is not None:
                        on_case(index, rows)
    except OSError as error:
        raise OutputError(
            f"Results cannot be written to {out} ({error.strerror}).",
            "Free space or choose another folder; finished cases are in cases.csv.",
        ) from error
    summary = summarise([row.as_dict() for row in everything], names)
    write_json(out / "summary.json", summary)
    return Totals(len(pairs), failed, summary)


async def _results(
    pairs: Sequence[Pair], models: Models, question: Question
) -> AsyncGenerator[tuple[int, Case | OmniViewError], None]:
    """Case or error of each pair in order, with a few at work ahead of the one that is awaited."""
    waiting: deque[tuple[int, asyncio.Task[Case | OmniViewError]]] = deque()
    ahead = iter(enumerate(pairs))
    try:
        while True:
            while len(waiting) < _IN_FLIGHT and (following := next(ahead, None)) is not None:
                index, pair = following
                waiting.append((index, asyncio.create_task(_result(pair, models, question))))
            if not waiting:
                return
            index, task = waiting[0]
            result = await task
            waiting.popleft()
            yield index, result
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def _result(pair: Pair, models: Models, question: Question) -> Case | OmniViewError:
    try:
        return await analyse_file(pair.image, models, question, truth=pair.truth)
    except OmniViewError as error:
        return error


def _rows(image: str, result: Case | OmniViewError, names: Sequence[str]) -> tuple[Row, ...]:
    """One row for each model that was to answer; a model without a mask has blank metrics and a reason."""
    if isinstance(result, OmniViewError):
        return rows_without_case(image, names, result)
    truths = {} if result.truth is None else {"": result.truth}
    return rows_of(image, result, names, truths)


def _create(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8", newline="")


def _flush(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())
