"""Whom to ask about, where a person allows a share of a batch: the specialist looks at every image first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from omniview.analyse import analyse
from omniview.batch.one import Models, Question, prepare, said_in_words
from omniview.batch.threads import computing, undisturbed
from omniview.core.aside import sharing
from omniview.core.quality import threshold_for_share
from omniview.errors import OmniViewError
from omniview.io.pair_types import Pair

__all__ = ["threshold"]

_AT_ONCE = 4


async def threshold(
    pairs: Sequence[Pair],
    models: Models,
    question: Question,
    share: float,
) -> float:
    """Predicted Dice below which at most `share` of the images lie; nothing leaves this machine.

    Images that cannot be read are not counted: nobody is asked about them. Those for which the specialist
    has no mask or no predicted quality are asked about in any case, and use up the share first.

    Args:
        pairs: the images; their truths are not looked at.
        models: where the specialist comes from.
        question: the task; who else is asked does not matter here.
        share: of all images, in [0,1].
    """
    alone = replace(question, omnimodel="none")
    qualities: list[float | None] = []
    todo = iter(pairs)  # of which several take, so that a large folder does not become as many tasks

    async def look() -> None:
        for pair in todo:
            await judge(pair)

    async def judge(pair: Pair) -> None:
        try:
            with said_in_words():
                ready = await asyncio.to_thread(prepare, pair.image, models, alone, pair.frame)
                case = await analyse(ready.image, ready.task, ready.segmenters)
        except OmniViewError:  # said again, as a row, when its turn comes
            return
        specialist = case.prediction("specialist")
        judged = None if specialist is None else specialist.quality
        qualities.append(None if judged is None else judged.value)

    threads = computing(_AT_ONCE)
    try:
        with undisturbed(), sharing(threads):
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(look())
    finally:
        await asyncio.to_thread(threads.shutdown)
    return threshold_for_share(qualities, share)
