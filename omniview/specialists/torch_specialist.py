"""A specialist that PyTorch runs: for networks that ONNX cannot hold, and for dropout left on."""

from __future__ import annotations

from functools import partial

from omniview.inference.card import SpecialistCard
from omniview.inference.worker import InferenceThread
from omniview.settings import Device, Precision
from omniview.specialists.carded import CardedSpecialist
from omniview.specialists.torch_network import Build, open_torch

__all__ = ["TorchSpecialist"]


class TorchSpecialist(CardedSpecialist):
    """Segments with one card's PyTorch network, `.pt2` or `.safetensors`.

    Args:
        card: the model card.
        thread: the inference thread, shared by all local models.
        build: OmniView's own networks by their kind, still without weights; called in that thread.
        device: where to run it, as `open_torch` has it.
        precision: "fp32" overrules a card that allows fewer bits on CUDA.
        threads: CPU threads of one run; 0 leaves one core free.
        views: how many of the card's test-time augmentations to average, from the first.
        view_seconds: how long all views of an image together may take; the first is always looked through.
    """

    def __init__(
        self,
        card: SpecialistCard,
        thread: InferenceThread,
        *,
        build: Build,
        device: Device = "auto",
        precision: Precision = "auto",
        threads: int = 0,
        views: int = 8,
        view_seconds: float | None = None,
    ) -> None:
        load = partial(open_torch, card, build, device=device, precision=precision, threads=threads)
        super().__init__(card, thread, load, views=views, view_seconds=view_seconds)
