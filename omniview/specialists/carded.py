"""What every specialist does alike, whatever runs its network: the image in as its card says, maps out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Protocol

import numpy as np

from omniview.core.geometry import View
from omniview.core.image import Array, FloatArray, Image, UInt8Array
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.errors import InferenceError
from omniview.inference.card import SpecialistCard
from omniview.inference.tensors import Prepared, prepare, to_nchw
from omniview.inference.worker import InferenceThread, Ticket
from omniview.specialists.views import Pooled, affordable, joined, pooled, probability, view_maps

__all__ = ["BATCH", "CardedSpecialist", "Network"]

BATCH = 8
"""Network inputs in one run: bounds memory, and a cancel waits for one run at most."""

_BLANK = 2
"""Grey levels between the darkest and the brightest pixel of a picture that shows nothing."""
_BLANK_NOVELTY = 10.0
"""An empty frame is nobody's picture, however like the dark ground between nuclei it looks."""


class Network(Protocol):
    """A loaded network, ready to run."""

    @property
    def provider(self) -> str:
        """Where it really runs."""
        ...

    @property
    def fallback(self) -> str | None:
        """Why it does not run where it was asked to, or None."""
        ...

    @property
    def variant(self) -> tuple[str, str] | None:
        """(what is special, SHA-256) of the weights that run, where they are not the card's own."""
        ...

    @property
    def batch(self) -> int:
        """The most inputs of one run."""
        ...

    @property
    def draws(self) -> int:
        """How many answers the same input is worth; 1 unless something is left to chance."""
        ...

    def run(self, inputs: FloatArray, ticket: Ticket, draw: int = 0) -> Sequence[Array]:
        """(N,C,h,w) float32 to all of its outputs, maps (N,K,h,w) first.

        Args:
            inputs: at most `batch` of them.
            ticket: of the work that this is part of.
            draw: which of an image's runs this is: it seeds what is left to chance.

        Raises:
            InferenceError: it failed.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """What the network said, before anybody thinks about it.

    `affordable` views could have been looked through; `strange`: novelty of each input, (n,1), where the
    network tells; `seconds` that it took.
    """

    seen: Pooled
    network: Network
    affordable: int
    strange: tuple[FloatArray, ...]
    seconds: float


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
        start = perf_counter()
        prepared = await asyncio.to_thread(lambda: prepare(image.rgb8(), self.card.input))
        lasted = perf_counter() - start
        looked = await self._thread.run(lambda ticket: self._look(prepared, task, ticket))
        return await asyncio.to_thread(self._told, prepared, looked, lasted)

    async def close(self) -> None:
        """Let go of the network."""
        self._network = None

    def _look(self, prepared: Prepared, task: Task, ticket: Ticket) -> _Looked:
        """All that needs the network. What goes before and after is for other threads: this one is shared."""
        start = perf_counter()
        network = self._open()
        ticket.check()
        views = affordable(self._views, len(prepared.inputs) * network.draws)
        strange: list[FloatArray] = []
        seen = pooled(self._samples(prepared, views, network, ticket, strange))
        if seen.mean.shape[1] != len(task.labels):
            raise InferenceError(
                f"{self.name} gives {seen.mean.shape[1]} label(s), the task {task.name} has "
                f"{len(task.labels)}.",
                "Choose a model for this task.",
            )
        return _Looked(seen, network, len(views), tuple(strange), perf_counter() - start)

    def _told(self, prepared: Prepared, looked: _Looked, lasted: float) -> Prediction:
        """What was seen, at the image's own size, judged and with a record of what ran."""
        start = perf_counter()
        seen, network = looked.seen.restored(prepared), looked.network
        limit = self.card.novelty_limit(int8=network.variant is not None)
        if limit is not None and not looked.strange:
            raise InferenceError(
                f"The card of {self.name} has a limit of novelty, but its network tells none.",
                "Take [novelty] out of the card, or choose another model.",
            )
        novelty = None if limit is None else _novelty(looked.strange, len(prepared.inputs)) / limit
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
            seconds=lasted + looked.seconds + perf_counter() - start,
            provenance=Provenance(
                provider=network.provider,
                fallback=network.fallback,
                weights_sha256=self.card.sha256 if network.variant is None else network.variant[1],
                variant=None if network.variant is None else network.variant[0],
                variant_of=None if network.variant is None else self.card.sha256,
                model_id=self.name,
                model_version=self.card.version,
                views=views,
                notes=self._notes(looked.affordable, views, network.draws, novelty),
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

    def _samples(
        self,
        prepared: Prepared,
        views: tuple[View, ...],
        network: Network,
        ticket: Ticket,
        strange: list[FloatArray],
    ) -> Iterator[FloatArray]:
        """Probabilities (N,K,h,w) of the inputs for each draw and view; `strange` gets their novelty."""
        draws = count()

        def run(pixels: UInt8Array) -> FloatArray:
            parts = []
            for start in range(0, len(pixels), network.batch):
                ticket.check()
                inputs = to_nchw(pixels[start : start + network.batch], prepared.spec)
                outputs = network.run(inputs, ticket, next(draws))
                parts.append(probability(outputs[0], self.card.output, self.name))
                strange.extend(outputs[1:])
            return joined(parts)

        seconds = None if self._view_seconds is None else self._view_seconds / network.draws
        looked = 0
        for maps in view_maps(prepared.inputs, views, run, seconds=seconds):
            looked += 1
            yield maps
        for _ in range(1, network.draws):
            yield from view_maps(prepared.inputs, views[:looked], run)


def _novelty(values: Sequence[FloatArray], inputs: int) -> float:
    """How unlike the training the image as it is (the first view) is: the mean over its inputs."""
    return float(np.concatenate(values)[:inputs].mean())
