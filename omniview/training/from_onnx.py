"""A specialist that ships as ONNX becomes a torch network again, so that a person can go on training it.

The exporter keeps the names of the weights and folds each BatchNorm into the convolution before it. What was
folded stays folded here: the norm becomes a mere shift whose statistics no training changes, which is also
what few masks call for. That the network computes what the file computes is checked, never assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from omniview.errors import CardError, WeightsError
from omniview.inference.card import SpecialistCard
from omniview.inference.session import open_session
from omniview.inference.weights import verified
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.novelty import GAUSSIAN
from omniview.training.recipes import RECIPES
from omniview.training.specialist import build

TOLERANCE = 1e-3
"""Of logits, as when the file was written (:mod:`omniview.training.export`)."""

KINDS = tuple(sorted({recipe.network for recipe in RECIPES.values()}))
_HEAD = "head.weight"


class FixedNorm(nn.BatchNorm2d):
    """A BatchNorm whose mean is 0 and deviation 1 for ever: a scale and a shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        assert self.running_var is not None
        self.running_var.fill_(1.0 - self.eps)
        self.train(False)

    def train(self, mode: bool = True) -> FixedNorm:
        """Stay as it is: statistics of a few images would be worse than those of the whole training."""
        return super().train(False)


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """A specialist as torch has it.

    ``kind`` as :func:`omniview.training.specialist.build` names it; ``network`` with :class:`FixedNorm` for
    norms, all of it trainable; ``usual``: what its training images looked like to it, by the names of
    :data:`omniview.training.novelty.GAUSSIAN`, empty where the file does not say.
    """

    kind: str
    network: LiteUnet | VesselUnet
    usual: Mapping[str, NDArray[np.float32]]


def restore(card: SpecialistCard) -> Restored:
    """The network behind ``card`` with its weights.

    Raises:
        WeightsError: the weights are missing, or not those that the card names.
        CardError: the network is none of those that are built here, so that it cannot be trained on.
    """
    import onnx

    path = verified(card.folder / card.weights, card.sha256)
    held = {
        one.name: np.array(onnx.numpy_helper.to_array(one)) for one in onnx.load(str(path)).graph.initializer
    }
    recorded = card.training.get("recipe", {}).get("network")
    for kind in sorted(KINDS, key=lambda kind: kind != recorded):
        network = build(kind, pretrained=False)
        assert isinstance(network, LiteUnet | VesselUnet)
        if _fill(network, held):
            if _same(network, card, path):
                known = {name: held[name] for name in GAUSSIAN if name in held}
                return Restored(kind, network, known if len(known) == len(GAUSSIAN) else {})
            if kind == recorded:
                raise WeightsError(
                    f"{card.weights} does not compute what its own weights say.", "Restore the original file."
                )
    raise CardError(
        f"The network of {card.name} was not made by `omniview train`, so it cannot be fine-tuned here.",
        "Choose one of the specialists that ship with OmniView, or one that was trained from them.",
    )


def _fill(network: nn.Module, held: Mapping[str, NDArray[np.float32]]) -> bool:
    """Put the file's values into ``network``; whether all were there, in the right shapes."""
    prefix = next((name.removesuffix(_HEAD) for name in held if name.endswith(_HEAD)), "")
    values = {}
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            before, _, place = name.rpartition(".")
            # the exporter names the folded norm's shift after the convolution that took it in
            values[f"{name}.bias"] = f"{prefix}{before}.{int(place) - 1}.weight_bias"
            network.get_submodule(before).add_module(place, FixedNorm(module.num_features))
    for name, _ in network.named_parameters():
        if not _is_scale(network, name):
            values.setdefault(name, prefix + name)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    if any(held[theirs].shape != shapes[ours] if theirs in held else True for ours, theirs in values.items()):
        return False
    with torch.no_grad():
        for ours, theirs in values.items():
            network.get_parameter(ours).copy_(torch.from_numpy(held[theirs]))
    return True


def _is_scale(network: nn.Module, name: str) -> bool:
    """Whether a parameter is a norm's scale, which the folded file does not have: it is 1."""
    owner, _, kind = name.rpartition(".")
    return kind == "weight" and isinstance(network.get_submodule(owner), FixedNorm)


def _same(network: nn.Module, card: SpecialistCard, path: Path) -> bool:
    """Whether ``network`` gives the logits that ONNX Runtime gives for the card's weights in ``path``."""
    session = open_session(path, device="cpu", threads=1)
    (name,) = session.inputs
    pixels = torch.rand(2, card.input.channels, *card.input.size, generator=torch.Generator().manual_seed(5))
    outputs = dict(zip(session.outputs, session.run({name: pixels.numpy()}), strict=True))
    network.eval()
    with torch.no_grad():
        ours = network(pixels).numpy()
    theirs = outputs.get("logits", next(iter(outputs.values())))
    return ours.shape == theirs.shape and float(np.abs(ours - theirs).max()) <= TOLERANCE
