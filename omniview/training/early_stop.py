"""Ends training that no longer helps, by a tenth of the train groups that it does not learn from.

They come out of the train split, never out of calibrate or test: what chooses the moment to stop can measure
nothing afterwards.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from omniview.errors import InputError
from omniview.inference.card import InputSpec
from omniview.training.calibrate import Floats, counted, see
from omniview.training.dataset import Example
from omniview.training.fit import Settings, Watch
from omniview.training.recipes import Recipe

SHARE = 0.1
LOOKS = 20
EVERY = 100
"""Steps between two looks where a schedule is one of minutes."""


def held_back(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """What is learnt from, and the tenth of all groups, the same every time, that is only watched.

    Raises :class:`InputError` if there are fewer than two groups.
    """
    ranked = sorted({_group(e) for e in examples}, key=lambda g: hashlib.sha256(g.encode()).digest())
    if len(ranked) < 2:
        raise InputError("Early stopping needs two train groups or more.", "Leave --patience out.")
    watched = set(ranked[: math.ceil(SHARE * len(ranked))])
    kept = [[e for e in examples if (_group(e) in watched) is side] for side in (False, True)]
    return kept[0], kept[1]


def watch_of(recipe: Recipe, watched: Sequence[Example], settings: Settings) -> Watch:
    """Looks at the mean Dice over ``watched``, through one view, as the card's geometry has it."""
    spec = InputSpec.model_validate(recipe.input_fields())

    def score(network: nn.Module) -> float:
        def run(inputs: Floats) -> Floats:
            with torch.no_grad():
                logits: Floats = network(torch.from_numpy(inputs)).float().numpy()
            return logits

        seen = (see(e, spec, ("identity",), run, counted(e, recipe.task)) for e in watched)
        return float(np.mean([one.dice(one.probability(1.0, 0.5)) for one in seen]))

    every = EVERY if settings.steps is None else max(1, settings.steps // LOOKS)
    return Watch(score, every, settings.patience)


def _group(example: Example) -> str:
    return f"{example.folder}/{example.group or example.name}"
