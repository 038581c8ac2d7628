"""Whether what a model says about itself holds: its probabilities, its predicted Dice, its intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from omniview.batch.rows import FAILED
from omniview.batch.series import Doubles, Series
from omniview.batch.statistics import Interval, proportion, rank_correlation, tidy

__all__ = ["Coverage", "Reliability", "RiskCoverage", "coverage", "reliability", "risk_coverage"]

NOMINAL = 0.9
"""Share of cases that the interval of a predicted Dice promises to hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How often a pixel of probability p belongs to the truth.

    Attributes:
        pixels: (bins) number of pixels.
        predicted: (bins) mean probability, nan where a bin is empty.
        observed: (bins) share of the truth, nan where a bin is empty.
        error: expected calibration error (Naeini et al. 2015): mean |predicted - observed| over pixels.
        inner_error: the same without the first and last bin, where nearly all pixels are; None if there is
            nothing else.
    """

    pixels: Doubles
    predicted: Doubles
    observed: Doubles
    error: float
    inner_error: float | None

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {
            "pixels": [int(n) for n in self.pixels],
            "mean_probability": [tidy(float(p)) for p in self.predicted],
            "share_of_truth": [tidy(float(p)) for p in self.observed],
            "ece": tidy(self.error),
            "ece_without_first_and_last_bin": tidy(self.inner_error),
        }


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Mean error of those cases that are kept, when the least trusted are left to a person.

    Attributes:
        coverage: (n) share of cases that are kept, rising to 1; failures are left out first.
        risk: (n) their mean of 1 - Dice.
        area: under that curve (Geifman and El-Yaniv 2017; El-Yaniv and Wiener 2010), the mean risk over all
            coverages.
        best: the same area if cases were left out in the order of their true Dice.
        chance: the same area if they were left out at random: the mean risk.
        correlation: Spearman's, of predicted and true Dice; None where one is constant.
        failed: how many of the n have no mask, and so a risk of 1 and no predicted Dice.
    """

    coverage: Doubles
    risk: Doubles
    area: float
    best: float
    chance: float
    correlation: float | None
    failed: int

    @property
    def gained(self) -> float | None:
        """Share of the way from chance to the best possible order; None where there is no way to go."""
        way = self.chance - self.best
        return (self.chance - self.area) / way if way > 1e-12 else None

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {
            "n": len(self.risk),
            "failed": self.failed,
            "aurc": tidy(self.area),
            "aurc_of_the_best_order": tidy(self.best),
            "aurc_of_chance": tidy(self.chance),
            "share_of_what_can_be_gained": tidy(self.gained),
            "spearman": tidy(self.correlation),
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the interval of a predicted Dice held the true one.

    Attributes:
        n: cases with both.
        inside: share of them, with its 95 % interval (Wilson 1927).
        too_hopeful: cases whose Dice lay below the interval.
        too_careful: cases whose Dice lay above it.
        width: mean width of the interval.
        error: mean absolute difference of predicted and true Dice.
    """

    n: int
    inside: Interval
    too_hopeful: int
    too_careful: int
    width: float
    error: float

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {
            "n": self.n,
            "nominal": NOMINAL,
            "inside": tidy(self.inside.value),
            "low": tidy(self.inside.low),
            "high": tidy(self.inside.high),
            "too_hopeful": self.too_hopeful,
            "too_careful": self.too_careful,
            "mean_width": tidy(self.width),
            "mean_absolute_error": tidy(self.error),
        }


def reliability(bins: Doubles) -> Reliability:
    """Reliability out of (bins,3) sums: pixels, probabilities, pixels of the truth."""
    pixels, sums, truths = bins.T
    empty = np.full(len(pixels), np.nan)
    predicted = np.divide(sums, pixels, out=empty.copy(), where=pixels > 0)
    observed = np.divide(truths, pixels, out=empty, where=pixels > 0)
    gaps = np.abs(sums - truths)
    inner = float(pixels[1:-1].sum())
    return Reliability(
        pixels,
        predicted,
        observed,
        float(gaps.sum() / max(pixels.sum(), 1.0)),
        float(gaps[1:-1].sum()) / inner if inner else None,
    )


def risk_coverage(series: Series) -> RiskCoverage | None:
    """The curve of a model's predicted Dice; None where fewer than two cases have one and a truth.

    A failed case has the risk 1 and is trusted least, so that to fail where it is hard is no gain.
    """
    dice, quality = series.counted("dice"), series.columns["quality"]
    known = ~np.isnan(dice) & ~np.isnan(quality)
    if np.count_nonzero(known) < 2:
        return None
    failed = series.is_status(FAILED) & ~np.isnan(dice)
    counted = known | failed
    loss, trust = 1.0 - dice[counted], np.where(failed, -np.inf, quality)[counted]
    risk = _kept(loss, trust)
    coverages = np.arange(1, len(loss) + 1) / len(loss)
    return RiskCoverage(
        coverages,
        risk,
        float(risk.mean()),
        float(_kept(loss, -loss).mean()),
        float(loss.mean()),
        rank_correlation(quality[known & ~failed], dice[known & ~failed]),
        int(np.count_nonzero(failed)),
    )


def _kept(loss: Doubles, trust: Doubles) -> Doubles:
    """(n) mean loss of the most trusted 1, 2, ... n cases; equally trusted ones in the mean of any order."""
    order = np.argsort(-trust, kind="stable")
    _, first, counts = np.unique(-trust[order], return_index=True, return_counts=True)
    even: Doubles = np.repeat(np.add.reduceat(loss[order], first) / counts, counts)
    return np.cumsum(even) / np.arange(1, len(loss) + 1)


def coverage(series: Series) -> Coverage | None:
    """How often a model's interval held; None where no case has one and a truth."""
    columns = series.columns
    dice, low, high = series.counted("dice"), columns["quality_low"], columns["quality_high"]
    known = ~np.isnan(dice) & ~np.isnan(low) & ~np.isnan(high)
    n = int(np.count_nonzero(known))
    below, above = dice[known] < low[known] - 1e-9, dice[known] > high[known] + 1e-9
    outside = int(np.count_nonzero(below)), int(np.count_nonzero(above))
    inside = proportion(n - sum(outside), n)
    if inside is None:
        return None
    width = float((high[known] - low[known]).mean())
    return Coverage(n, inside, *outside, width, float(np.abs(columns["quality"] - dice)[known].mean()))
