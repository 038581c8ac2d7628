"""Which masks are held out when there are few, and what they say of a fine-tuned model.

Cross-fitting: the masks are dealt into folds, and each fold is judged by a model that was trained on the
others. Of those others some more are watched, to know when to stop. So every mask counts once, and the model
that it judges never saw it, neither to learn from nor to stop by. All masks of a group (a patient, a video)
go together.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omniview.core.image import Doubles
from omniview.errors import InputError
from omniview.training.dataset import Example

FEWEST = 5
FOLDS = 4
WATCHED = 0.25
"""Share of a fold's training masks that only say when to stop."""
LITTLE = 0.01
"""A change of Dice that counts as none."""
WORTH = 0.005
"""The mean gain of Dice that has to be exceeded: less is no reason to leave a model that was measured."""
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Fold:
    """Indices of examples: to learn from, to stop by, and to judge with."""

    train: tuple[int, ...]
    watched: tuple[int, ...]
    held_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One held-out mask: its Dice in [0,1] by the old model, and by one that was fine-tuned without it."""

    name: str
    folder: str
    group: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Gain:
    """What fine-tuning is worth on masks that were used for nothing else.

    ``low`` and ``high``: bootstrap 95 % interval of the mean gain, whole groups resampled (Efron 1979;
    percentiles, which are somewhat too narrow for so few).
    """

    pairs: tuple[Pair, ...]
    groups: int
    before: float
    after: float
    low: float
    high: float

    @property
    def mean(self) -> float:
        """Mean change of Dice."""
        return self.after - self.before

    @property
    def helped(self) -> int:
        """Masks that became better by more than :data:`LITTLE`."""
        return sum(pair.after - pair.before > LITTLE for pair in self.pairs)

    @property
    def harmed(self) -> int:
        """Masks that became worse by more than :data:`LITTLE`."""
        return sum(pair.before - pair.after > LITTLE for pair in self.pairs)

    @property
    def better(self) -> bool:
        """Whether the new model may take the old one's place: it gains enough, and harm is not commoner."""
        return self.mean > WORTH and self.harmed <= self.helped

    def words(self) -> str:
        """The gain in a sentence."""
        return (
            f"Mean Dice on {len(self.pairs)} held-out masks: {self.before:.3f} before, "
            f"{self.after:.3f} after, gain {self.mean:+.3f} "
            f"(95 % interval {self.low:+.3f} to {self.high:+.3f}); "
            f"{self.helped} better, {self.harmed} worse."
        )


def key_of(example: Example) -> str:
    """The group of an example, apart from those of other folders."""
    return f"{example.folder}/{example.group or example.name}"


def folds_of(examples: Sequence[Example], seed: int) -> tuple[Fold, ...]:
    """Deal ``examples`` into folds, the same for the same seed.

    Raises :class:`InputError` for fewer than five masks, or if all belong to one group.
    """
    if len(examples) < FEWEST:
        raise InputError(
            f"There are {len(examples)} masks, too few to learn from and to measure a gain.",
            f"Give at least {FEWEST}, better 10 to 20.",
        )
    members: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        members[key_of(example)].append(index)
    if len(members) < 2:
        raise InputError(
            "All masks belong to one group (patient, video), so that no gain could be measured on another.",
            "Add masks of other groups; or, to learn this group alone, leave split.csv out.",
        )
    # by a hash, so that the order of the files means nothing; large groups first, each to the smallest fold
    order = sorted(members, key=lambda key: (-len(members[key]), _hash(seed, key)))
    dealt: list[list[str]] = [[] for _ in range(min(FOLDS, len(members)))]
    for key in order:
        min(dealt, key=lambda keys: sum(len(members[k]) for k in keys)).append(key)
    return tuple(_fold(members, keys, seed, place) for place, keys in enumerate(dealt))


def measure_gain(examples: Sequence[Example], before: Sequence[float], after: Sequence[float]) -> Gain:
    """Compare the Dice of each example before and after."""
    keys = [key_of(example) for example in examples]
    change = np.asarray(after, float) - np.asarray(before, float)
    low, high = _interval(change, keys)
    pairs = tuple(
        Pair(example.name, example.folder, example.group, float(b), float(a))
        for example, b, a in zip(examples, before, after, strict=True)
    )
    return Gain(pairs, len(set(keys)), float(np.mean(before)), float(np.mean(after)), low, high)


def _fold(members: dict[str, list[int]], keys: Sequence[str], seed: int, place: int) -> Fold:
    others = sorted(
        set(members) - set(keys), key=lambda key: (len(members[key]), _hash(seed, f"watch {place} {key}"))
    )
    total = sum(len(members[key]) for key in others)
    watched: list[int] = []
    learnt: list[int] = []
    for key in others:
        enough = len(watched) >= max(1, round(WATCHED * total)) or key == others[-1]
        (learnt if enough else watched).extend(members[key])
    held_out = [index for key in keys for index in members[key]]
    return Fold(tuple(sorted(learnt)), tuple(sorted(watched)), tuple(sorted(held_out)))


def _interval(change: Doubles, keys: Sequence[str]) -> tuple[float, float]:
    names, place = np.unique(keys, return_inverse=True)
    sums = np.bincount(place, change, len(names))
    counts = np.bincount(place, minlength=len(names))
    drawn = np.random.default_rng(0).integers(0, len(names), (_RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _hash(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed} {key}".encode()).hexdigest()
