"""Which file of a specialist's card is to run: its own weights, or the same network in eight bits.

Eight bits are for CPUs that are made for them (:mod:`omniview.inference.cpu`): about twice as fast, and
admitted into a card only where Dice falls by less than 0.005. What was wished for and cannot be had is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omniview.inference.card import SpecialistCard
from omniview.inference.cpu import dot_products
from omniview.inference.session import gpu_may_run
from omniview.settings import Device, Precision

__all__ = ["Weights", "chosen_weights", "precision_here"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A file to run.

    Attributes:
        path: of the ONNX file.
        sha256: that it must have.
        variant: "int8", or None for the card's own weights.
        why: why it is not the precision that was asked for, or None.
    """

    path: Path
    sha256: str
    variant: str | None = None
    why: str | None = None


def _own(card: SpecialistCard, why: str | None = None) -> Weights:
    """The card's own, in 32 bits."""
    return Weights(card.folder / card.weights, card.sha256, None, why)


def chosen_weights(card: SpecialistCard, device: Device, precision: Precision) -> Weights:
    """What is to run on `device`, as far as can be told before a session is built."""
    variant, why = _here(device, precision)
    if card.int8 is None:
        return _own(card, "this model has no int8 variant" if precision == "int8" else None)
    if variant == "fp32":
        return _own(card, why)
    return Weights(card.folder / card.int8.weights, card.int8.sha256, "int8")


def precision_here(device: Device, precision: Precision) -> Literal["fp32", "int8"]:
    """What a wish for `precision` comes to on this machine, for cards that have a variant."""
    return _here(device, precision)[0]


def _here(device: Device, precision: Precision) -> tuple[Literal["fp32", "int8"], str | None]:
    """What runs on this machine, and why it is not what was asked for."""
    asked = precision == "int8"
    if precision == "fp32":
        return "fp32", None
    if gpu_may_run(device):
        return "fp32", "int8 is for CPUs" if asked else None
    if not dot_products():
        return "fp32", "this CPU computes int8 inexactly" if asked else None
    return "int8", None
