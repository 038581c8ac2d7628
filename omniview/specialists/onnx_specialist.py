"""A specialist that ONNX Runtime runs: its card says how, the inference thread says when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from omniview.core.image import Array, FloatArray
from omniview.errors import WeightsError
from omniview.inference.card import SpecialistCard
from omniview.inference.session import CPU, Session, open_session
from omniview.inference.variants import Weights, chosen_weights
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread, Ticket
from omniview.settings import Device, Precision
from omniview.specialists.carded import BATCH, CardedSpecialist

__all__ = ["OnnxSpecialist", "batch_on_cpu"]

_PIXELS = 8 * 256 * 256
"""In one run on a CPU."""


def batch_on_cpu(size: tuple[int, int]) -> int:
    """How many inputs of `size` (h,w) one run takes on a CPU.

    A batch of small inputs is as quick as each alone; one of large inputs takes up to a fifth longer.
    """
    return max(1, min(BATCH, _PIXELS // (size[0] * size[1])))


class OnnxSpecialist(CardedSpecialist):
    """Segments with one card's ONNX network.

    Args:
        card: the model card.
        thread: the inference thread, shared by all local models.
        device: where to run it, as `open_session` has it.
        precision: "auto" takes the card's int8 variant on a CPU that is made for it.
        threads: CPU threads of one run; 0 leaves one core free.
        views: how many of the card's test-time augmentations to average, from the first.
        view_seconds: how long all views of an image together may take; the first is always looked through.
    """

    def __init__(
        self,
        card: SpecialistCard,
        thread: InferenceThread,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        threads: int = 0,
        views: int = 8,
        view_seconds: float | None = None,
    ) -> None:
        load = partial(_load, card, device, precision, threads)
        super().__init__(card, thread, load, views=views, view_seconds=view_seconds)


@dataclass(frozen=True, slots=True)
class _OnnxNetwork:
    """A session, as a specialist's network.

    Attributes:
        session: that runs it.
        weights: the file that it was built from.
        image: name of the input.
        batch: the most inputs of one run.
        fixed: every run takes that many: the file says so, or it runs on a GPU, where each new shape is slow
            to begin with and a few more inputs cost next to nothing.
    """

    session: Session
    weights: Weights
    image: str
    batch: int
    fixed: bool

    @property
    def variant(self) -> tuple[str, str] | None:
        return None if self.weights.variant is None else (self.weights.variant, self.weights.sha256)

    @property
    def provider(self) -> str:
        return self.session.provider

    @property
    def fallback(self) -> str | None:
        return "; ".join(filter(None, (self.session.fallback, self.weights.why))) or None

    @property
    def draws(self) -> int:
        return 1

    def run(self, inputs: FloatArray, ticket: Ticket, draw: int = 0) -> list[Array]:
        missing = self.batch - len(inputs) if self.fixed else 0
        if missing == 0:
            return ticket.run(self.session, {self.image: inputs})
        full = np.pad(inputs, ((0, missing), (0, 0), (0, 0), (0, 0)))
        return [output[: len(inputs)] for output in ticket.run(self.session, {self.image: full})]

    def warm_up(self, shape: tuple[int, ...]) -> None:
        """Run once on nothing: a GPU chooses its algorithms then, not while somebody waits for an image."""
        self.session.run({self.image: np.zeros((self.batch, *shape), np.float32)})


def _load(card: SpecialistCard, device: Device, precision: Precision, threads: int) -> _OnnxNetwork:
    weights = chosen_weights(card, device, precision)
    path = verified(weights.path, weights.sha256)
    session = open_session(path, device=device, threads=threads, steady=True)
    if weights.variant is None and session.provider == CPU and chosen_weights(card, "cpu", precision).variant:
        # a GPU was there and did not start
        weights = chosen_weights(card, "cpu", precision)
        path = verified(weights.path, weights.sha256)
        session = replace(open_session(path, device="cpu", threads=threads), fallback=session.fallback)
    outputs = 1 if card.novelty is None else 2
    if len(session.inputs) != 1 or len(session.outputs) != outputs:
        raise WeightsError(
            f"{path.name} has {len(session.inputs)} inputs and {len(session.outputs)} outputs.",
            "A specialist needs an image in and maps out, and novelty beside them only if its card has that.",
        )
    (name, shape), *_ = session.inputs.items()
    fixed = isinstance(shape[0], int)
    batch = batch_on_cpu(card.input.size) if session.provider == CPU else BATCH
    batch = shape[0] if isinstance(shape[0], int) else batch
    network = _OnnxNetwork(session, weights, name, batch, fixed or session.provider != CPU)
    if session.provider != CPU:
        network.warm_up((card.input.channels, *card.input.size))
    return network
