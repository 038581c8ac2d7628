"""Trains one specialist: examples of a task in, averaged network out. The recipe says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omniview.training.augment import random_view
from omniview.training.dataset import Example
from omniview.training.fit import Fitted, Report, Settings, Watch, fit
from omniview.training.losses import centreline_loss, mask_loss
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.recipes import Recipe

# The presence head is judged beside the mask; the smooth AND already carries most of its gradient.
PRESENCE_WEIGHT = 0.3


def build(kind: str, *, pretrained: bool = True) -> nn.Module:
    """The network of a recipe, with ImageNet weights where it takes any.

    ``kind`` is ``lite``, ``lite-presence``, ``lite-fluorescence`` or ``vessel``.
    """
    network: VesselUnet | LiteUnet
    if kind == "vessel":
        network = VesselUnet()
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    network = LiteUnet(presence=kind == "lite-presence", fluorescence=kind == "lite-fluorescence")
    if pretrained:
        network.encoder.load_imagenet()
        network.encoder.freeze_early()
    # Depthwise convolutions run a third faster with the channels innermost.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fit_specialist(
    recipe: Recipe,
    examples: Sequence[Example],
    settings: Settings,
    checkpoint: Path,
    report: Report,
    *,
    watch: Watch | None = None,
) -> Fitted:
    """Train ``recipe``'s network on ``examples``, which the caller has taken from the train split."""
    torch.manual_seed(settings.seed)
    network = build(recipe.network)
    loss = loss_on(recipe, examples, settings)
    return fit(network, loss, settings, checkpoint, report, watch=watch, place=settings.place())


def loss_on(
    recipe: Recipe, examples: Sequence[Example], settings: Settings
) -> Callable[[nn.Module, int], Tensor]:
    """What :func:`fit` asks for: makes a step's batch of ``examples`` and gives the network's loss on it."""
    order = drawing_order(examples, recipe.empty_repeat)

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        place = next(network.parameters()).device
        made = batch(recipe, examples, order, settings, step)
        image, target, border = (part.to(place) for part in made)
        weight = 1.0 + recipe.border_weight * border if recipe.border_weight else None
        there = None
        if isinstance(network, VesselUnet):
            contrast, inside = network.contrast(image)
            with settings.precision(place):
                logits = network.from_contrast(contrast, inside)
        else:
            assert isinstance(network, LiteUnet)
            with settings.precision(place):
                logits, there = network.with_presence(image)
        loss = mask_loss(logits.float(), target, weight)
        if recipe.centreline_weight:
            loss = loss + recipe.centreline_weight * centreline_loss(logits.float(), target)
        if there is not None:
            present = target.amax((1, 2, 3))[:, None]
            loss = loss + PRESENCE_WEIGHT * nn.functional.binary_cross_entropy_with_logits(
                there.float(), present
            )
        return loss

    return loss_of_step


def drawing_order(examples: Sequence[Example], empty_repeat: int) -> list[int]:
    """Indices of one epoch before shuffling: every example once, empty ones ``empty_repeat`` times."""
    return [i for i, example in enumerate(examples) for _ in range(empty_repeat if example.empty else 1)]


def drawn(order: Sequence[int], seed: int, batch: int, step: int) -> list[int]:
    """The examples of ``step``: the next stretch of endless shuffled epochs, the same for the same seed."""
    first = step * batch
    chosen = []
    for position in range(first, first + batch):
        epoch, place = divmod(position, len(order))
        chosen.append(order[np.random.default_rng([seed, 7, epoch]).permutation(len(order))[place]])
    return chosen


def batch(
    recipe: Recipe, examples: Sequence[Example], order: Sequence[int], settings: Settings, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised images ``(N,3,S,S)``, targets in {0,1} and border maps in [0,1], both ``(N,1,S,S)``."""
    rng = np.random.default_rng([settings.seed, 11, step])
    size = recipe.crop
    images = np.empty((settings.batch, size, size, 3), np.uint8)
    targets = np.empty((settings.batch, 1, size, size), np.float32)
    borders = np.zeros((settings.batch, 1, size, size), np.float32)
    for row, index in enumerate(drawn(order, settings.seed, settings.batch, step)):
        image, mask, border = random_view(rng, examples[index], size, recipe.geometry, recipe.augmentation)
        images[row] = image
        targets[row, 0] = mask > 0
        if border is not None:
            borders[row, 0] = border / np.float32(255)
    return normalised(images, recipe.mean, recipe.std), torch.from_numpy(targets), torch.from_numpy(borders)


def normalised(images: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """``(N,Y,X,3) uint8`` to ``(N,3,Y,X) float32`` ``(x / 255 - mean) / std``, channels innermost."""
    scale = (1 / (255 * np.asarray(std))).astype(np.float32)
    shift = (-np.asarray(mean) / np.asarray(std)).astype(np.float32)
    return torch.from_numpy(images * scale + shift).permute(0, 3, 1, 2)
