"""What every specialist does alike, whatever runs its network: the image in as its card says, maps out."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import numpy as np

from omniview.core.aside import aside
from omniview.core.geometry import View
from omniview.core.image import Image
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.errors import InferenceError
from omniview.inference.card import SpecialistCard
from omniview.inference.tensors import Prepared, prepare
from omniview.inference.worker import InferenceThread, Ticket
from omniview.specialists.course import Course, Network, bytes_ahead

__all__ = ["BATCH", "CardedSpecialist"]

T = TypeVar("T")

BATCH = 8
"""Network inputs in one run: bounds memory, and a cancel waits for one run at most."""

_AHEAD = 32 << 20
"""Bytes: a larger first input is made when its turn has come, since several images may wait at once."""

_BLANK = 2
"""Grey levels between the darkest and the brightest pixel of a picture that shows nothing."""
_BLANK_NOVELTY = 10.0
"""An empty frame is nobody's picture, however like the dark ground between nuclei it looks."""


class CardedSpecialist:
    """Segments with one card's network, which is loaded at first use, in the inference thread.

    Args:
        card: the model card.
        thread: the inference thread, shared by all local models.
        load: loads the network; called in that thread.
        views: how many of the card's test-time augmentations to average, from the first.
        view_seconds: how long all of them together may take; the first is always looked through. None: any
            time.
    """

    role: Role = "specialist"

    def __init__(
        self,
        card: SpecialistCard,
        thread: InferenceThread,
        load: Callable[[], Network],
        *,
        views: int,
        view_seconds: float | None = None,
    ) -> None:
        self.card = card
        self._thread = thread
        self._load = load
        self._views = tuple(View.parse(name) for name in card.views.names[:views])
        self._view_seconds = view_seconds
        self._network: Network | None = None

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Probability maps at the image's own size; mean and spread over the views.

        Raises:
            ModelError: the weights are missing, changed or broken, or the run failed.
        """
        (prepared, begun), before = await aside(lambda: _timed(lambda: self._prepared(image)))
        course, during = await self._thread.run(
            lambda ticket: _timed(lambda: self._look(prepared, begun, ticket))
        )
        return await aside(lambda: self._told(course, task, before + during))

    async def close(self) -> None:
        """Let go of the network."""
        self._network = None

    def _prepared(self, image: Image) -> tuple[Prepared, Course | None]:
        """The image as the network sees it and, where one knows that network already, its first run."""
        prepared, network = prepare(image.rgb8(), self.card.input), self._network
        # where time is limited, nothing may come between the first view's beginning and its end
        if network is None or self._view_seconds is not None:
            return prepared, None
        if bytes_ahead(prepared, network, self._views) > _AHEAD:
            return prepared, None
        return prepared, self._begun(prepared, network)

    def _begun(self, prepared: Prepared, network: Network) -> Course:
        return Course(prepared, network, self._views, self._view_seconds, self.card)

    def _look(self, prepared: Prepared, course: Course | None, ticket: Ticket) -> Course:
        """All that needs the network. What goes before and after is for other threads: this one is shared."""
        if course is None:
            course = self._begun(prepared, self._open())
        course.run(ticket)
        return course

    def _told(self, course: Course, task: Task, lasted: float) -> Prediction:
        """What was seen, at the image's own size, judged and with a record of what ran."""
        start = perf_counter()
        prepared, network = course.prepared, course.network
        pooled, strange = course.end()
        if pooled.mean.shape[1] != len(task.labels):
            raise InferenceError(
                f"{self.name} gives {pooled.mean.shape[1]} label(s), the task {task.name} has "
                f"{len(task.labels)}.",
                "Choose a model for this task.",
            )
        seen = pooled.restored(prepared)
        limit = self.card.novelty_limit(int8=network.variant is not None)
        if limit is not None and strange is None:
            raise InferenceError(
                f"The card of {self.name} has a limit of novelty, but its network tells none.",
                "Take [novelty] out of the card, or choose another model.",
            )
        # the mean over the inputs of the image as it is
        novelty = None if limit is None or strange is None else float(strange.mean()) / limit
        if novelty is not None and int(np.ptp(prepared.inputs)) <= _BLANK:
            novelty = max(novelty, _BLANK_NOVELTY)
        quality = self.card.quality
        judged = None
        if quality is not None:
            judged = quality.judge(seen.mean, seen.spread if seen.samples > 1 else None, novelty)
        views = seen.samples // network.draws
        return Prediction(
            model=self.name,
            role=self.role,
            probability=seen.mean,
            spread=seen.spread,
            mutual_information=seen.mutual_information,
            quality=judged,
            novelty=novelty,
            seconds=lasted + perf_counter() - start,
            provenance=Provenance(
                provider=network.provider,
                fallback=network.fallback,
                weights_sha256=self.card.sha256 if network.variant is None else network.variant[1],
                variant=None if network.variant is None else network.variant[0],
                variant_of=None if network.variant is None else self.card.sha256,
                model_id=self.name,
                model_version=self.card.version,
                views=views,
                notes=self._notes(course.affordable, views, network.draws, novelty),
            ),
        )

    def _notes(self, affordable: int, views: int, draws: int, novelty: float | None) -> tuple[str, ...]:
        notes = []
        if views < affordable:
            notes.append(f"{self._view_seconds:g} s for views: {views} of {len(self._views)} views")
        elif views < len(self._views):
            notes.append(f"a large image: {views} of {len(self._views)} views")
        if draws > 1:
            notes.append(f"dropout was left on: {draws} draws for each view")
        if novelty is not None and novelty > 1.0:
            notes.append(f"unlike what {self.name} was trained on ({novelty:.1f} times the limit)")
        return tuple(notes)

    def _open(self) -> Network:
        if self._network is None:
            self._network = self._load()
        return self._network


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What comes of it, and how many seconds it took."""
    start = perf_counter()
    return work(), perf_counter() - start
