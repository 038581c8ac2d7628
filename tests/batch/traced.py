"""A specialist that notes in which threads it prepares images and makes sense of what its network said."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from omniview.core.image import Image
from omniview.core.prediction import Prediction
from omniview.core.task import Task
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.tensors import Prepared
from omniview.inference.worker import InferenceThread
from omniview.io.pair_types import Pair
from omniview.specialists.course import Course
from omniview.specialists.onnx_specialist import OnnxSpecialist
from tests.networks import write_specialist

__all__ = ["TracedSpecialist", "a_pair", "traced_specialist"]


class TracedSpecialist(OnnxSpecialist):
    """One view of a tiny network, on the CPU."""

    def __init__(self, card: SpecialistCard, thread: InferenceThread) -> None:
        super().__init__(card, thread, device="cpu", threads=1, views=1)
        self.steps: list[str] = []
        """Names of the threads, one for each step."""

    def _prepared(self, image: Image) -> tuple[Prepared, Course | None]:
        self.steps.append(threading.current_thread().name)
        return super()._prepared(image)

    def _told(self, course: Course, task: Task, lasted: float) -> Prediction:
        self.steps.append(threading.current_thread().name)
        return super()._told(course, task, lasted)


def traced_specialist(folder: Path, thread: InferenceThread, **card: Any) -> TracedSpecialist:
    """For polyps; `card` holds what is different in its card."""
    read = read_card(write_specialist(folder / "model", **card))
    assert isinstance(read, SpecialistCard)
    return TracedSpecialist(read, thread)


def a_pair(folder: Path, name: str) -> Pair:
    """An image of 48x64 pixels, bright on the left, and its mask."""
    image, mask = folder / f"{name}.png", folder / f"{name}.mask.png"
    bright = np.zeros((48, 64), np.uint8)
    bright[:, :32] = 255
    cv2.imwrite(str(image), cv2.merge([bright // 2 + 60] * 3))
    cv2.imwrite(str(mask), bright)
    return Pair(image, mask, name)
