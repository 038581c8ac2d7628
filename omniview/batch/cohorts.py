"""The easiest and the hardest tenth of the cases, chosen in several ways, because the way decides the answer.

Cases that are chosen because a model did badly on them hold that model's bad luck as well as hard images, and
any other model, even one that is no better, does less badly there (regression to the mean, Galton 1886). So
besides the study's protocol, the specialist's own Dice, there are ways in which neither model chooses, and
beside each choice by a model stands what a merely equal one would be expected to reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniview.batch.rows import OBSERVER
from omniview.batch.series import Doubles, Gathered
from omniview.batch.statistics import Difference, Spread, compare, spreads, tidy
from omniview.core.prediction import ROLES

__all__ = ["FAIRNESS", "SHARE", "Cohort", "Way", "cohorts"]

SHARE = 0.1
"""Of the cases in each cohort."""
FEWEST = 10  # a tenth of fewer cases is nobody

FAIRNESS = (
    "Regression to the mean: cases that were chosen because one model did badly on them are partly that "
    "model's bad luck. Any other model, even one that is no better, looks better on those hardest cases, "
    "and worse on the easiest. So a gain in a cohort that a model's own Dice chose is no evidence by "
    "itself: compare it with what an equally good model would be expected to reach there, and with the "
    "cohorts that neither model chose."
)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way to rank cases from hard to easy.

    Attributes:
        name: key in files.
        title: by what, in words.
        chooser: the model whose Dice chooses, or empty where neither model does.
        scores: (n) float64, low is hard; nan where a case cannot be ranked.
    """

    name: str
    title: str
    chooser: str
    scores: Doubles

    @property
    def short(self) -> str:
        """The title where there is little room: without what explains it."""
        return self.title.split(",")[0].split(" (")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """One end of one ranking.

    Attributes:
        way: how it was chosen.
        end: hardest or easiest.
        ranked: how many cases were ranked.
        dice: model to its spread of Dice in the cohort.
        gains: model to its difference from the specialist.
        equal: Dice that a model as good as the chooser would be expected to reach: mean + r (chooser's mean
            in the cohort - mean), r the correlation of both models' Dice (linear regression); None where
            neither chose, or r is not defined.
    """

    way: Way
    end: str
    ranked: int
    dice: dict[str, Spread]
    gains: dict[str, Difference]
    equal: float | None

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {
            "chosen_by": self.way.name,
            "title": self.way.title,
            "biased_against": (self.way.chooser if self.end == "hardest" else "") or None,
            "biased_for": (self.way.chooser if self.end == "easiest" else "") or None,
            "end": self.end,
            "ranked": self.ranked,
            "dice": {model: spread.to_json() for model, spread in self.dice.items()},
            "difference_from_specialist": {model: gain.to_json() for model, gain in self.gains.items()},
            "expected_of_an_equal_model": tidy(self.equal),
        }


def cohorts(gathered: Gathered) -> tuple[Cohort, ...]:
    """Hardest and easiest tenth for each way to choose; none where fewer than ten cases can be ranked.

    Only cases count that every model has a Dice for, failures being 0, so that all means are over the same.
    """
    if "dice" not in gathered.metrics:
        return ()
    dice = {model: series.counted("dice") for model, series in gathered.models.items()}
    dice = {model: values for model, values in dice.items() if not np.isnan(values).all()}
    if len(dice) < 2:
        return ()
    complete = ~np.isnan(np.stack([*dice.values()])).any(axis=0)
    found: list[Cohort] = []
    for way in _ways(gathered, dice):
        ranked = np.flatnonzero(complete & ~np.isnan(way.scores))
        if len(ranked) < FEWEST or np.ptp(way.scores[ranked]) == 0:  # all alike: there is no tenth
            continue
        order = ranked[np.argsort(way.scores[ranked], kind="stable")]  # of equal cases the earlier is harder
        size = math.ceil(SHARE * len(ranked))
        for end, chosen in (("hardest", order[:size]), ("easiest", order[-size:])):
            means = spreads(np.stack([values[chosen] for values in dice.values()], axis=1))
            gains = {
                model: compare(dice[ROLES[0]][chosen], values[chosen])
                for model, values in dice.items()
                if model != ROLES[0] and ROLES[0] in dice
            }
            equal = _equal(way, dice, ranked, chosen)
            found.append(Cohort(way, end, len(ranked), dict(zip(dice, means, strict=True)), gains, equal))
    return tuple(found)


def _ways(gathered: Gathered, dice: dict[str, Doubles]) -> Iterator[Way]:
    roles = [role for role in ROLES if role in dice]
    for role in roles:
        yield Way(role, f"by the {role}'s own Dice", role, dice[role])
    if len(roles) == 2:
        yield Way("both", "by the mean Dice of both models", "", (dice[roles[0]] + dice[roles[1]]) / 2)
    judged = [gathered.models[role].columns["quality"] for role in roles]
    qualities = [values for values in judged if not np.isnan(values).all()]  # not every model predicts one
    if qualities:
        title = "by predicted quality, without the truth" + (" (mean of both)" if len(qualities) == 2 else "")
        yield Way("quality", title, "", np.mean(qualities, axis=0))
    for (model, reader), series in gathered.readers.items():
        if model.startswith(OBSERVER):
            title = f"by how far two people agree ({model.removeprefix(OBSERVER)} and {reader})"
            yield Way("observers", title, "", series.counted("dice"))
            break
    if gathered.headline in gathered.models:
        columns = gathered.models[gathered.headline].columns
        truth = columns["truth_area_px"]
        share = np.where(truth > 0, truth, np.nan) / (columns["width"] * columns["height"])
        yield Way("size", "by the size of what is to be found, smallest hardest", "", share)


def _equal(
    way: Way, dice: dict[str, Doubles], ranked: np.ndarray[Any, Any], chosen: np.ndarray[Any, Any]
) -> float | None:
    other = next((role for role in ROLES if role in dice and role != way.chooser), None)
    if not way.chooser or other is None:
        return None
    own = dice[way.chooser][ranked]
    if np.ptp(own) == 0 or np.ptp(dice[other][ranked]) == 0:
        return None
    r = float(np.corrcoef(own, dice[other][ranked])[0, 1])
    mean = float(own.mean())
    return mean + r * (float(dice[way.chooser][chosen].mean()) - mean)
