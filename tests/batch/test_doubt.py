"""The specialist's look at all images, before anybody is asked about a share of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import pytest

from omniview.batch.doubt import threshold
from omniview.batch.one import Question
from omniview.core.image import Image
from omniview.core.task import Task
from omniview.inference.worker import InferenceThread
from omniview.io.pair_types import Pair
from tests.batch.otsu import OtsuModels
from tests.batch.traced import a_pair, traced_specialist


async def test_many_images_are_looked_at_in_few_threads(tmp_path: Path) -> None:
    """In those of a batch, with all else undisturbed; a file that is missing counts for nothing."""
    thread = InferenceThread()
    specialist = traced_specialist(tmp_path, thread)
    pairs = [a_pair(tmp_path, f"case{index}") for index in range(5)]
    threads = cv2.getNumThreads()
    try:
        found = await threshold(
            [*pairs, Pair(tmp_path / "none.png", None, "none")],
            OtsuModels(specialist),
            Question("polyp"),
            share=0.5,
        )
    finally:
        thread.close()
    assert 0.0 <= found <= 1.0
    assert len(specialist.steps) == 2 * len(pairs)
    assert all(name.startswith("compute") for name in specialist.steps)
    assert cv2.getNumThreads() == threads


async def test_a_large_folder_does_not_become_as_many_tasks(tmp_path: Path) -> None:
    """A few take one image after the other, so that memory does not grow with the folder."""
    most = 0

    class Counting(OtsuModels):
        def recognise(self, image: Image) -> Task | None:
            nonlocal most
            most = max(most, len(asyncio.all_tasks(loop)))
            return super().recognise(image)

    loop = asyncio.get_running_loop()
    pairs = [a_pair(tmp_path, f"case{index}") for index in range(40)]
    await threshold(pairs, Counting(), Question(), share=0.5)
    assert 0 < most < 10


async def test_a_share_beyond_all_is_refused_and_leaves_no_thread(tmp_path: Path) -> None:
    """As everywhere, with the rule."""
    with pytest.raises(ValueError, match="share"):
        await threshold([], OtsuModels(), Question("polyp"), share=1.5)
