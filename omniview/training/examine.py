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

from omniview.core.image import Doubles
from omniview.core.prediction import Quality
from omniview.core.quality_head import SIGNS, signs
from omniview.core.uncertainty import temper
from omniview.inference.card import SpecialistCard
from omniview.inference.tensors import prepare, to_nchw
from omniview.specialists.views import pooled
from omniview.training.calibrate import COVERAGE, Floats, counted, see
from omniview.training.dataset import Example
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.novelty import WithNovelty, limit

_SMALLEST_WIDTH = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What a network did with one example: its Dice, and what its quality can be foretold from.

    How strange a picture is can only be said once the new card's limit is known, which follows from all
    verdicts; so what the limit decides about is kept here, not what would follow from the old one.

    Attributes:
        dice: of the mask, in [0,1].
        novelty: as the network gives it, not yet measured against a limit; None where it gives none.
        said: what a card without a head foretells, whatever the novelty; None where it has a head, or
            foretells nothing.
        looks: (len(SIGNS),) float64, :func:`omniview.core.quality_head.signs` without the novelty, where the
            card has a head.
    """

    dice: float
    novelty: float | None
    said: Quality | None = None
    looks: Doubles | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Examiner:
    """Judges networks in the place of ``card``'s own.

    ``usual``: what the card's training looked like (:class:`omniview.training.from_onnx.Restored`).
    """

    card: SpecialistCard
    usual: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def dice(self, network: nn.Module, examples: Sequence[Example]) -> float:
        """Mean Dice over ``examples`` without views: quick, for a look in the midst of training."""
        card, scores = self.card, []
        for example in examples:
            inside = counted(example, card.task)
            seen = see(example, card.input, ("identity",), _running(network), inside)
            scores.append(seen.dice(seen.probability(card.output.temperature, card.output.threshold)))
        return float(np.mean(scores))

    def verdict(self, network: LiteUnet | VesselUnet, example: Example) -> Verdict:
        """All there is to say of ``example``, through the card's views."""
        card = self.card
        inside = counted(example, card.task)
        seen = see(example, card.input, card.views.names, _running(network), inside)
        output = card.output
        maps = (temper(v.astype(np.float32), output.temperature, output.threshold) for v in seen.logits)
        shown = pooled(maps).restored(seen.prepared)
        dice, strange = seen.dice(shown.mean[0]), self._novelty(network, example)
        if card.quality is None:
            return Verdict(dice, strange)
        if card.quality.head is None:
            return Verdict(dice, strange, said=card.quality.judge(shown.mean))
        spread = shown.spread if shown.samples > 1 else None
        return Verdict(dice, strange, looks=signs(shown.mean, spread, None))

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
    made, and the interval is everything. The cases are judged as the new card will judge them, by the limit
    of :func:`novelty_after`. The few beyond even that count as if they were usual, so that a miss on the
    person's own masks is never excused by their being strange.
    """
    if card.quality is None:
        return None
    fields = card.quality.model_dump(mode="json")
    novelty = novelty_after(card, verdicts)
    said = ((v.dice, foretold(card, v, None if novelty is None else novelty["limit"])) for v in verdicts)
    misses = sorted(_miss(dice, quality) for dice, quality in said if quality is not None)
    rank = math.ceil((len(misses) + 1) * COVERAGE)
    if rank > len(misses):
        fields["half_width"] = 1.0
        return fields
    widths = np.minimum(1.0, np.asarray(card.quality.half_width) * max(1.0, misses[rank - 1]))
    fields["half_width"] = np.round(widths, 4).tolist()
    return fields


def foretold(card: SpecialistCard, verdict: Verdict, bound: float | None) -> Quality | None:
    """What ``card`` with the novelty limit ``bound`` says of a case that it takes for a usual one."""
    quality, looks = card.quality, verdict.looks
    if quality is None or quality.head is None or looks is None:
        return verdict.said
    if verdict.novelty is not None and bound is not None:
        looks = looks.copy()
        looks[SIGNS.index("novelty")] = math.log(max(verdict.novelty / bound, 1e-3))
    return quality.table().predict(quality.head.head().score(looks))


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
