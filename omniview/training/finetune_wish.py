"""What a person may choose about a fine-tuning, and what follows from it for network and recipe.

Parts that may change: the decoder alone; the "adapter", biases and norms (BitFit: Ben Zaken 2022); or all
that training trains.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from torch import nn

from omniview.errors import SettingsError
from omniview.inference.card import SpecialistCard
from omniview.training.from_onnx import FixedNorm, Restored
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.recipes import RECIPES, Recipe

Parts: TypeAlias = Literal["decoder", "adapter", "all"]
PARTS: tuple[Parts, ...] = get_args(Parts)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Wish:
    """How to fine-tune.

    ``parts``: what may change; ``steps`` of each training, None: as many as the number of masks calls for;
    ``minutes``: not longer than about that, all in all; ``name`` of the new model, empty: the old one's with
    the folder's.
    """

    parts: Parts = "decoder"
    steps: int | None = None
    minutes: float | None = None
    name: str = ""
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        if self.parts not in PARTS:
            raise SettingsError(
                f"There are no parts {self.parts!r} to fine-tune.", f"Use one of {', '.join(PARTS)}."
            )
        if self.name and not _NAME.fullmatch(self.name):
            raise SettingsError(
                f"{self.name!r} is no name for a model.", "Use small letters, digits, '-', '_' and '.'."
            )


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a fine-tuning stands: its stage in words, the ``fraction`` of all of it that is done.

    ``step``, ``loss``, ``dice`` (of the last look at watched masks) are those of the training at hand.
    """

    stage: str
    fraction: float
    seconds_left: float | None = None
    step: int = 0
    loss: float | None = None
    dice: float | None = None

    def __str__(self) -> str:
        parts = [f"{self.fraction:4.0%}  {self.stage}"]
        if self.loss is not None:
            parts.append(f"step {self.step}  loss {self.loss:.4f}")
        if self.dice is not None:
            parts.append(f"watched Dice {self.dice:.3f}")
        if self.seconds_left is not None:
            parts.append(f"{self.seconds_left / 60:.1f} min left")
        return "  ".join(parts)


def usual_steps(masks: int) -> int:
    """Steps of one training: more masks bear more, but not in proportion."""
    return int(np.clip(round(36 * masks**0.5), 80, 600))


def choose_parts(network: nn.Module, parts: Parts) -> None:
    """Leave only what ``parts`` names to be trained."""
    if isinstance(network, LiteUnet):
        network.encoder.freeze_early()
    frozen = "downs." if isinstance(network, VesselUnet) else "encoder."
    for name, value in network.named_parameters():
        owner = network.get_submodule(name.rpartition(".")[0])
        bends = name.endswith(".bias") or isinstance(owner, FixedNorm) or name.startswith("head.")
        if parts == "adapter":
            value.requires_grad_(bends)
        elif parts == "decoder" and name.startswith(frozen):
            value.requires_grad_(False)


def recipe_of(card: SpecialistCard, restored: Restored, name: str) -> Recipe:
    """The task's recipe, with the card's own geometry."""
    if card.task not in RECIPES:
        raise SettingsError(f"There is no training recipe for {card.task!r}.", "Choose another model.")
    recipe, spec = RECIPES[card.task], card.input
    return replace(
        recipe,
        name=name,
        network=restored.kind,
        geometry=spec.geometry,
        size=spec.size[0],
        crop=min(recipe.crop, spec.size[0]),
        longest_px=spec.long_side if spec.geometry == "tile" else recipe.longest_px,
        mean=_three(spec.mean),
        std=_three(spec.std),
        views=card.views.names,
        overlap_px=spec.overlap,
    )


def name_of(card: SpecialistCard, folders: Sequence[Path], wish: Wish) -> str:
    """The new model's name. Raises :class:`SettingsError` if it is the old one's."""
    own = re.sub(r"[^a-z0-9]+", "-", "-".join(folder.resolve().name for folder in folders).lower()).strip("-")
    name = wish.name or f"{card.name}-{own or 'own'}"[:80]
    if name == card.name:
        raise SettingsError(f"The new model cannot be named {name} like the old one.", "Give another name.")
    return name


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
