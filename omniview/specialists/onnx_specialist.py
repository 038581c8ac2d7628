"""A specialist that ONNX Runtime runs: its card says how, the inference thread says when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from omniview.core.image import Array, FloatArray
from omniview.errors import WeightsError
from omniview.inference.card import SpecialistCard
from omniview.inference.session import Session, open_session
from omniview.inference.weights import verified
from omniview.inference.worker import InferenceThread, Ticket
from omniview.specialists.carded import BATCH, CardedSpecialist

__all__ = ["OnnxSpecialist"]


class OnnxSpecialist(CardedSpecialist):
    """Segments with one card's ONNX network.

    Args:
        card: the model card.
        thread: the inference thread, shared by all local models.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads of one run; 0 leaves one core free.
        views: how many of the card's test-time augmentations to average, from the first.
    """

    def __init__(
        self,
        card: SpecialistCard,
        thread: InferenceThread,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int = 0,
        views: int = 8,
    ) -> None:
        super().__init__(card, thread, partial(_load, card, device, threads), views=views)


@dataclass(frozen=True, slots=True)
class _OnnxNetwork:
    """A session, as a specialist's network."""

    session: Session
    image: str
    batch: int

    @property
    def provider(self) -> str:
        return self.session.provider

    @property
    def fallback(self) -> str | None:
        return self.session.fallback

    def run(self, inputs: FloatArray, ticket: Ticket) -> list[Array]:
        return ticket.run(self.session, {self.image: inputs})


def _load(card: SpecialistCard, device: Literal["auto", "cpu", "cuda"], threads: int) -> _OnnxNetwork:
    path = verified(card.folder / card.weights, card.sha256)
    session = open_session(path, device=device, threads=threads)
    outputs = 1 if card.novelty is None else 2
    if len(session.inputs) != 1 or len(session.outputs) != outputs:
        raise WeightsError(
            f"{path.name} has {len(session.inputs)} inputs and {len(session.outputs)} outputs.",
            "A specialist needs an image in and maps out, and novelty beside them only if its card has that.",
        )
    (name, shape), *_ = session.inputs.items()
    return _OnnxNetwork(session, name, shape[0] if isinstance(shape[0], int) else BATCH)
