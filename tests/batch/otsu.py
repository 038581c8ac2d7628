"""Sets of images on disk, and models that need no weights, for the tests of batches."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from omniview.batch.one import Question
from omniview.batch.progress import Progress
from omniview.batch.run import Resume, Run, Workers
from omniview.batch.station import Station
from omniview.batch.work import Order
from omniview.core.image import Image
from omniview.core.prediction import Prediction
from omniview.core.segmenter import Segmenter
from omniview.core.task import TASKS, Task
from omniview.io.pair import pair_folder
from tests.fakes import OtsuSegmenter

__all__ = ["MakeOtsu", "Notes", "OtsuModels", "a_run", "write_set"]


def write_set(folder: Path, count: int = 12, size: int = 40) -> Path:
    """Images with a bright rectangle, and masks that are a little narrower."""
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    rng = np.random.default_rng(3)
    for index in range(count):
        pixels = np.zeros((size, size), np.uint8)
        y, x = rng.integers(2, size // 2, 2)
        pixels[y : y + 10, x : x + 12] = 200
        cv2.imwrite(str(images / f"case{index:02d}.png"), pixels)
        truth = np.zeros_like(pixels)
        truth[y : y + 10, x : x + 10] = 255
        cv2.imwrite(str(masks / f"case{index:02d}.png"), truth)
    return folder


@dataclass
class Killer(OtsuSegmenter):
    """Kills its own process at certain images: always, or as long as a file is not there to say otherwise."""

    deadly: str = ""
    once: str = ""

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """A mask, or the end."""
        if self.deadly and self.deadly in image.name and self._may_kill():
            os.kill(os.getpid(), signal.SIGKILL)
        return await OtsuSegmenter.segment(self, image, task)

    def _may_kill(self) -> bool:
        if self.once:
            try:
                Path(self.once).touch(exist_ok=False)
            except FileExistsError:
                return False
        return True


@dataclass
class OtsuModels:
    """An Otsu specialist and, if one is asked for, another segmenter as omnimodel.

    Attributes:
        specialist: answers as specialist.
        omnimodel: answers as omnimodel.
        closed: whether it was closed.
    """

    specialist: Segmenter = field(default_factory=lambda: OtsuSegmenter("own"))
    omnimodel: Segmenter = field(default_factory=lambda: OtsuSegmenter("other", role="omnimodel"))
    closed: bool = False

    def tasks(self) -> Mapping[str, Task]:
        """The built-in tasks."""
        return TASKS

    def recognise(self, image: Image) -> Task | None:
        """Never clear."""
        return None

    def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
        """One or two segmenters."""
        return (self.specialist,) if omnimodel == "none" else (self.specialist, self.omnimodel)

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


@dataclass(frozen=True)
class MakeOtsu:
    """Builds the models in whatever process it is sent to."""

    deadly: str = ""
    once: str = ""

    def __call__(self) -> OtsuModels:
        """New models."""
        return OtsuModels(Killer("own", deadly=self.deadly, once=self.once))


class Notes(list[Progress]):
    """Collects what a run tells."""

    @property
    def names(self) -> list[str]:
        """Names of the finished cases as they came."""
        return [one.record.name for one in self if one.record is not None]


def a_run(
    folder: Path,
    out: Path,
    models: OtsuModels | None = None,
    *,
    omnimodel: str = "none",
    task: str = "polyp",
    masks: bool = False,
    limit: int | None = None,
    resume: Resume = "no",
    deciding: Mapping[str, object] | None = None,
    notes: Notes | None = None,
    workers: Workers | None = None,
    make: MakeOtsu | None = None,
) -> Run:
    """A run over a folder, by Otsu's threshold."""
    pairs = pair_folder(folder).pairs[:limit]
    return Run(
        pairs,
        Order(Question(task, omnimodel), masks=masks),
        make or MakeOtsu(),
        workers or Station(models or OtsuModels()),
        out,
        deciding=deciding or {"settings": {"views": 8}},
        resume=resume,
        on_progress=None if notes is None else notes.append,
    )
