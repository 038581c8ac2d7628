"""What is told about a group of cases: means, gains over somebody, harm, how near the oracle, and how sure.

Intervals of means and differences, tests and their adjustment are those of batches
(`omniview.batch.statistics`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from omniview.batch.series import HARM, Bools
from omniview.batch.statistics import (
    REPLICATES,
    Difference,
    Interval,
    Spread,
    compare_all,
    holm,
    proportion,
    spreads,
)
from tests.benchmarks.evidence.scores import FUSED, OMNIMODEL, ORACLE, SPECIALIST, Scores

__all__ = ["Gain", "adjusted", "better_single", "gains", "gap_closed", "groups", "means"]

LEAST_GAP = 0.005
"""A mean gap to the oracle below this has no share worth telling: it would be noise over noise."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Fused mask against a model or rule.

    Attributes:
        against: whom.
        difference: fused less theirs.
        harmed: share of the cases that lost more than 0.02; None without cases.
    """

    against: str
    difference: Difference
    harmed: Interval | None


def groups(task: str, scores: Scores) -> dict[str, Bools]:
    """(n) bool by title: each data folder, then what they make together, and lesion images apart."""
    folders = np.array([name.split("/")[0] for name in scores.names])
    found = {str(folder): folders == folder for folder in dict.fromkeys(folders)}
    if len(found) > 1:
        found[f"{task}, all sets"] = np.ones(len(folders), np.bool_)
    if scores.empty.any():
        found = {f"{title}, normals included": rows for title, rows in found.items()}
        found |= {
            title.replace("normals included", "lesion images"): rows & ~scores.empty
            for title, rows in found.items()
        }
    return found


def means(scores: Scores, models: Sequence[str]) -> dict[str, Spread]:
    """Mean Dice of each model with its interval."""
    return dict(zip(models, spreads(np.stack([scores.dice[m] for m in models], axis=1)), strict=True))


def better_single(scores: Scores) -> str:
    """Whichever of both models has the higher mean on these very cases: chosen in hindsight, against us."""
    specialist, omnimodel = scores.dice[SPECIALIST].mean(), scores.dice[OMNIMODEL].mean()
    return OMNIMODEL if omnimodel > specialist else SPECIALIST


def gains(scores: Scores, against: Iterable[str], model: str = FUSED) -> list[Gain]:
    """`model` against each of them, resampled together."""
    names = list(against)
    differences = compare_all([(scores.dice[name], scores.dice[model], True) for name in names])
    n = len(scores.names)
    return [
        Gain(
            name,
            difference,
            proportion(int((scores.dice[model] - scores.dice[name] < -HARM).sum()), n),
        )
        for name, difference in zip(names, differences, strict=True)
    ]


def adjusted(found: Sequence[Gain]) -> list[float | None]:
    """P values of all these tests, adjusted together (Holm 1979); None where nothing was tested."""
    tested = [gain.difference.p for gain in found if gain.difference.p is not None]
    values = iter(holm(tested))
    return [None if gain.difference.p is None else next(values) for gain in found]


def gap_closed(scores: Scores, start: str = SPECIALIST) -> Interval | None:
    """How much of the way from `start` to the oracle's pick fusion goes, of the means, with its interval.

    Percentile bootstrap over cases of the ratio of means; None where there is hardly a way to go.
    """
    way = scores.dice[ORACLE] - scores.dice[start]
    gone = scores.dice[FUSED] - scores.dice[start]
    n = len(way)
    if n < 2 or way.mean() < LEAST_GAP:
        return None
    drawn = np.random.default_rng((0, n)).integers(0, n, (REPLICATES, n))
    ways, goes = way[drawn].mean(axis=1), gone[drawn].mean(axis=1)
    # a sample without a way to go tells nothing about a share of it
    shares = goes[ways > 0] / ways[ways > 0]
    low, high = (float(q) for q in np.quantile(shares, (0.025, 0.975)))
    return Interval(float(gone.mean() / way.mean()), low, high)
