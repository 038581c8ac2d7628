"""A specialist that ONNX Runtime runs: its card says how, the inference thread says when."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Literal

import numpy as np

from omniview.core.geometry import View
from omniview.core.image import FloatArray, Image, UInt8Array
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.core.uncertainty import temper
from omniview.errors import InferenceError, WeightsError
from omniview.inference.card import InputSpec, SpecialistCard
from omniview.inference.outputs import logits_of
from omniview.inference.session import Session, open_session
from omniview.inference.tensors import Prepared, prepare, to_nchw
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread, Ticket

__all__ = ["OnnxSpecialist"]

_BATCH = 8
"""Network inputs in one run: bounds memory, and a cancel waits for one run at most."""
_MOST_INPUTS = 96
"""Network inputs for one image, views times tiles: a huge image is seen through fewer views, and says so."""


class OnnxSpecialist:
    """Segments with one card's network. Weights are loaded at first use, in the inference thread.

    Args:
        card: the model card.
        thread: the inference thread, shared by all local models.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads of one run; 0 leaves one core free.
        views: how many of the card's test-time augmentations to average, from the first.
    """

    role: Role = "specialist"

    def __init__(
        self,
        card: SpecialistCard,
        thread: InferenceThread,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int = 0,
        views: int = 8,
    ) -> None:
        self.card = card
        self._thread = thread
        self._device = device
        self._threads = threads
        self._views = tuple(View.parse(name) for name in card.views.names[:views])
        self._session: Session | None = None

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Probability maps at the image's own size; mean and spread over the views.

        Raises:
            ModelError: the weights are missing, changed or broken, or the run failed.
        """
        return await self._thread.run(lambda ticket: self._segment(image, task, ticket))

    async def close(self) -> None:
        """Let go of the network."""
        self._session = None

    def _segment(self, image: Image, task: Task, ticket: Ticket) -> Prediction:
        start = perf_counter()
        session = self._open()
        ticket.check()
        prepared = prepare(image.rgb8(), self.card.input)
        views = self._views[: max(1, _MOST_INPUTS // len(prepared.inputs))]
        mean, spread = self._average(prepared, views, session, ticket)
        if mean.shape[0] != len(task.labels):
            raise InferenceError(
                f"{self.name} gives {mean.shape[0]} label(s), the task {task.name} has {len(task.labels)}.",
                "Choose a model for this task.",
            )
        quality = self.card.quality
        return Prediction(
            model=self.name,
            role=self.role,
            probability=mean,
            spread=spread,
            quality=None if quality is None else quality.table().judge(mean),
            seconds=perf_counter() - start,
            provenance=Provenance(
                provider=session.provider,
                fallback=session.fallback,
                weights_sha256=self.card.sha256,
                model_id=self.name,
                model_version=self.card.version,
                views=len(views),
                notes=self._notes(len(views)),
            ),
        )

    def _notes(self, views: int) -> tuple[str, ...]:
        fewer = views < len(self._views)
        return (f"a large image: {views} of {len(self._views)} views",) if fewer else ()

    def _open(self) -> Session:
        if self._session is None:
            path = verified(self.card.folder / self.card.weights, self.card.sha256)
            session = open_session(path, device=self._device, threads=self._threads)
            if len(session.inputs) != 1 or len(session.outputs) != 1:
                raise WeightsError(
                    f"{path.name} has {len(session.inputs)} inputs and {len(session.outputs)} outputs.",
                    "A specialist needs one of each: an image in, maps out.",
                )
            self._session = session
        return self._session

    def _average(
        self, prepared: Prepared, views: tuple[View, ...], session: Session, ticket: Ticket
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation over the views, each (K,Y,X) at the image's own size."""
        total = squares = None
        for maps in self._view_maps(prepared, views, session, ticket):
            if total is None or squares is None:
                total, squares = maps.copy(), maps * maps
            else:
                total += maps
                squares += maps * maps
        assert total is not None
        assert squares is not None
        n = np.float32(len(views))
        total /= n
        squares /= n
        spread = np.sqrt(np.maximum(squares - total * total, 0, dtype=np.float32))
        mean, spread = prepared.restore(total), prepared.restore(spread)
        return np.clip(mean, 0, 1), np.clip(spread, 0, 1)

    def _view_maps(
        self, prepared: Prepared, views: tuple[View, ...], session: Session, ticket: Ticket
    ) -> Iterator[FloatArray]:
        """Probabilities (N,K,h,w) of each view in turn, already turned back."""
        inputs = prepared.inputs
        if len(inputs) == 1 and inputs.shape[1] == inputs.shape[2]:
            # one square input: all views in one run
            batch = np.concatenate([view.apply(inputs) for view in views])
            maps = self._run(batch, prepared.spec, session, ticket)
            for index, view in enumerate(views):
                yield view.inverse(maps[index : index + 1])
            return
        for view in views:
            yield view.inverse(self._run(view.apply(inputs), prepared.spec, session, ticket))

    def _run(self, pixels: UInt8Array, spec: InputSpec, session: Session, ticket: Ticket) -> FloatArray:
        """(N,h,w,3) uint8 to calibrated probabilities (N,K,h,w)."""
        (name, shape), *_ = session.inputs.items()
        batch = shape[0] if isinstance(shape[0], int) else _BATCH
        parts = []
        for start in range(0, len(pixels), batch):
            ticket.check()
            feeds = {name: to_nchw(pixels[start : start + batch], spec)}
            parts.append(self._probability(ticket.run(session, feeds)[0]))
        return np.concatenate(parts)

    def _probability(self, raw: FloatArray) -> FloatArray:
        output = self.card.output
        try:
            logits = logits_of(raw, output)
        except ValueError as error:
            raise InferenceError(f"The output of {self.name} {error}.", "Check the model and its card.") from error
        return temper(logits, output.temperature, output.threshold)
