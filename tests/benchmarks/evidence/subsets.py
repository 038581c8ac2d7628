"""The easiest and hardest tenth, chosen by somebody: who chooses decides what is seen.

Cases on which a model did badly hold its bad luck too, and any other model looks better there (regression to
the mean). So the study's protocol, the specialist's own Dice, stands beside choices by the omnimodel, by a
third model that is neither, and by the size of what is to be found, which is no model at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from omniview.batch.cohorts import SHARE
from omniview.batch.series import Bools, Doubles
from tests.benchmarks.evidence.scores import OMNIMODEL, SPECIALIST, Scores

__all__ = ["Subset", "choosers", "subsets", "tenth"]


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Some of the cases.

    Attributes:
        end: all, hardest or easiest.
        chooser: who chose; empty for all.
        rows: (n) bool.
    """

    end: str
    chooser: str
    rows: Bools


def tenth(hardness: Doubles, end: str, share: float = SHARE) -> Bools:
    """(n) bool: the lowest or highest tenth, rounded up; the earlier of equal ones is the harder.

    Args:
        hardness: (n), low is hard; nan is not ranked.
        end: hardest or easiest.
        share: of the ranked cases.
    """
    ranked = np.flatnonzero(~np.isnan(hardness))
    order = ranked[np.argsort(hardness[ranked], kind="stable")]
    size = math.ceil(share * len(ranked))
    rows = np.zeros(len(hardness), np.bool_)
    rows[order[:size] if end == "hardest" else order[len(order) - size :]] = True
    return rows


def choosers(scores: Scores, thirds: Mapping[str, Doubles]) -> dict[str, Doubles]:
    """Who can choose: name to (n) scores, low is hard.

    Args:
        scores: of the experiment.
        thirds: Dice of models that take no part in it.
    """
    size = np.where(scores.area > 0, scores.area, np.nan)
    # its silent images are no choice of its own, and would fill the tenth
    answered = np.where(scores.silent, np.nan, scores.dice[OMNIMODEL])
    own = {SPECIALIST: scores.dice[SPECIALIST], OMNIMODEL: answered}
    return {**own, **thirds, "size (smallest hardest)": size}


def subsets(scores: Scores, thirds: Mapping[str, Doubles]) -> list[Subset]:
    """All cases, then the hardest and easiest tenth by every chooser."""
    found = [Subset("all", "", np.ones(len(scores.names), np.bool_))]
    for end in ("hardest", "easiest"):
        found += [Subset(end, who, tenth(by, end)) for who, by in choosers(scores, thirds).items()]
    return found
