"""Small real segmenters: real masks from real pixels, with the delays and failures that a test asks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from omniview.core.asking import BECAUSE
from omniview.core.image import Image
from omniview.core.prediction import Prediction, Provenance, Quality, Role
from omniview.core.task import Task
from omniview.errors import UnusableAnswer

__all__ = ["OtsuSegmenter"]


@dataclass
class OtsuSegmenter:
    """Brightness against Otsu's threshold, softened: a mask that depends on the image and nothing else.

    Attributes:
        name: shown name.
        role: side of the fusion.
        delay_s: how long to wait before answering.
        error: raised instead of an answer.
        quality: predicted Dice that it claims.
        invert: the dark is what it finds.
        needs_evidence: it waits for the specialist's mask, and answers with nothing but that.
        asks_outside: it counts as one that costs money, so that the person's rule applies to it.
        asked: names of the images it was asked about.
        because: why it was asked, each time.
        cancelled: how often a call was cancelled.
        closed: whether it was closed.
    """

    name: str = "otsu"
    role: Role = "specialist"
    delay_s: float = 0.0
    error: Exception | None = None
    quality: Quality | None = None
    invert: bool = False
    needs_evidence: bool = False
    asks_outside: bool = False
    asked: list[str] = field(default_factory=list)
    because: list[str] = field(default_factory=list)
    cancelled: int = 0
    closed: bool = False

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Probability rises with brightness (or falls, inverted), 0.5 at Otsu's threshold."""
        self.asked.append(image.name)
        self.because.append(BECAUSE.get())
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        if self.needs_evidence:
            if evidence is None:
                raise UnusableAnswer("There is no mask to go by.", "Mend the specialist.")
            return replace(evidence, model=self.name, role=self.role)
        grey = cv2.cvtColor(image.rgb8(), cv2.COLOR_RGB2GRAY)
        threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
        signed = (grey.astype(np.float32) - np.float32(threshold)) * (-1 if self.invert else 1)
        one = (1 / (1 + np.exp(-signed / 20))).astype(np.float32)
        probability = np.ascontiguousarray(np.broadcast_to(one, (len(task.labels), *one.shape)))
        provenance = Provenance(provider="none: a threshold", views=1)
        return Prediction(self.name, self.role, probability, None, self.quality, self.delay_s, provenance)

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
