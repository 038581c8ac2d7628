"""Looks at a torch network as the viewer would: through the card's geometry, views, temperature, threshold.

Whatever is said of a network that is not exported yet, in the midst of training or between two folds, has to
be true of the file that will ship.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from omniview.core.prediction import Quality
from omniview.core.uncertainty import temper
from omniview.inference.card import SpecialistCard
from omniview.inference.tensors import prepare, to_nchw
from omniview.specialists.views import pooled
from omniview.training.calibrate import COVERAGE, Floats, see
from omniview.training.dataset import Example
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.novelty import WithNovelty, limit

_SMALLEST_WIDTH = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a network did with one example: its Dice, what the card foretold of it, how strange it was.

    ``predicted`` and ``novelty`` are None where the card says nothing of them; ``novelty`` is as the network
    gives it, not yet measured against the card's limit.
    """

    dice: float
    predicted: Quality | None
    novelty: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Examiner:
    """Judges networks in the place of ``card``'s own.

    ``usual``: what the card's training looked like (:class:`omniview.training.from_onnx.Restored`).
    """

    card: SpecialistCard
    usual: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def dice(self, network: nn.Module, examples: Sequence[Example]) -> float:
        """Mean Dice over ``examples`` without views: quick, for a look in the midst of training."""
        card, fundus = self.card, self.card.task == "vessel"
        scores = []
        for example in examples:
            seen = see(example, card.input, ("identity",), _running(network), fundus=fundus)
            scores.append(seen.dice(seen.probability(card.output.temperature, card.output.threshold)))
        return float(np.mean(scores))

    def verdict(self, network: LiteUnet | VesselUnet, example: Example) -> Verdict:
        """All there is to say of ``example``, through the card's views."""
        card = self.card
        fundus = card.task == "vessel"
        seen = see(example, card.input, card.views.names, _running(network), fundus=fundus)
        output = card.output
        maps = (temper(v.astype(np.float32), output.temperature, output.threshold) for v in seen.logits)
        shown = pooled(maps).restored(seen.prepared)
        strange = self._novelty(network, example)
        relative = None if strange is None or card.novelty is None else strange / card.novelty.limit
        predicted = None if card.quality is None else card.quality.judge(shown.mean, shown.spread, relative)
        return Verdict(seen.dice(shown.mean[0]), predicted, strange)

    @torch.no_grad()
    def _novelty(self, network: LiteUnet | VesselUnet, example: Example) -> float | None:
        if not self.usual:
            return None
        whole = WithNovelty.holding(network, self.usual).eval()
        prepared = prepare(example.image, self.card.input)
        inputs = torch.from_numpy(to_nchw(prepared.inputs, prepared.spec))
        values = [whole.novelty(network.described(part)[1]) for part in torch.split(inputs, 4)]
        return float(torch.cat(values).mean())


def quality_after(card: SpecialistCard, verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    """The card's ``[quality]`` for a network that was trained on: the same curve, intervals never narrower.

    They are widened until they hold the Dice of 90 % of the cases in ``verdicts``, which the networks that
    were judged had not seen (split conformal, Vovk 2005); of fewer than nine cases no such promise can be
    made, and the interval is everything.
    """
    if card.quality is None:
        return None
    fields = card.quality.model_dump(mode="json")
    misses = sorted(_miss(v.dice, v.predicted) for v in verdicts if v.predicted is not None)
    rank = math.ceil((len(misses) + 1) * COVERAGE)
    if rank > len(misses):
        fields["half_width"] = 1.0
        return fields
    widths = np.minimum(1.0, np.asarray(card.quality.half_width) * max(1.0, misses[rank - 1]))
    fields["half_width"] = np.round(widths, 4).tolist()
    return fields


def novelty_after(card: SpecialistCard, verdicts: Sequence[Verdict]) -> dict[str, float] | None:
    """The card's ``[novelty]``: its own limit, or higher if the new images lie beyond it."""
    strange = [v.novelty for v in verdicts if v.novelty is not None]
    if card.novelty is None or not strange:
        return None
    return {"limit": max(card.novelty.limit, limit(strange))}


def _miss(dice: float, predicted: Quality) -> float:
    """How far Dice lies from what was predicted, in half widths of the interval."""
    width = max(predicted.high - predicted.value, predicted.value - predicted.low, _SMALLEST_WIDTH)
    return abs(dice - predicted.value) / width


def _running(network: nn.Module) -> Any:
    network.eval()

    @torch.no_grad()
    def run(inputs: Floats) -> Floats:
        logits: Floats = network(torch.from_numpy(inputs)).numpy()
        return logits

    return run
