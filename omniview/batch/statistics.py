"""Means with intervals, and tests between models: what has to stand beside every number that is printed.

Cases are resampled as whole cases, with one draw for all metrics and models, so that differences stay paired.
All randomness comes from a fixed seed: the same rows give the same intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "LEVEL",
    "REPLICATES",
    "Difference",
    "Interval",
    "Spread",
    "compare",
    "compare_all",
    "holm",
    "proportion",
    "rank_correlation",
    "spreads",
    "tidy",
]

Doubles: TypeAlias = npt.NDArray[np.float64]

LEVEL = 0.95
"""Of every confidence interval."""
REPLICATES = 2000
"""Bootstrap samples behind each interval."""
SEED = 20261122
_CELLS = 2**18  # draws at a time: bounds the memory of a large folder


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % interval; None where too few cases give none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are spread. All but n are None where there are none; sd and interval need two.

    Attributes:
        n: number of values.
        mean: their mean.
        sd: sample standard deviation (n - 1).
        median: middle value.
        q1: first quartile, interpolated.
        q3: third quartile.
        low: lower end of the mean's 95 % interval, BCa bootstrap over cases.
        high: upper end.
    """

    n: int
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    q1: float | None = None
    q3: float | None = None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Field name to value."""
        return {name: tidy(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """Model b less model a on the cases that both have.

    Attributes:
        n: pairs.
        mean: mean difference.
        low: lower end of its 95 % interval, BCa bootstrap over pairs.
        high: upper end.
        median: median difference.
        better: pairs in which b is better; which way that is, is told to `compare`.
        worse: pairs in which it is worse; the others are equal.
        effect: matched-pairs rank-biserial correlation (Kerby 2014), positive where b is better; None where
            nothing differs.
        p: two-sided p value of the signed-rank test (Wilcoxon 1945; pairs without a difference are left out);
            1 where nothing differs, None without pairs.
    """

    n: int
    mean: float | None
    low: float | None
    high: float | None
    median: float | None
    better: int
    worse: int
    effect: float | None
    p: float | None

    def to_json(self) -> dict[str, Any]:
        """Field name to value."""
        return {name: tidy(value) for name, value in asdict(self).items()}


def tidy(value: Any) -> Any:
    """Fractions to seven digits, so that the order of a sum is not seen in a file; anything else as it is."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def spreads(values: Doubles) -> list[Spread]:
    """The spread of each column of values.

    Args:
        values: (n,m) float64, one row a case; nan where a case has no value.
    """
    n, m = values.shape
    defined = ~np.isnan(values)
    found: list[Spread] = []
    means = _replicates(values) if n > 1 else None
    for column in range(m):
        known = values[defined[:, column], column]
        if not len(known):
            found.append(Spread(0))
            continue
        q1, median, q3 = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
        mean = math.fsum(known) / len(known)
        if means is None or len(known) < 2:
            found.append(Spread(len(known), mean, None, median, q1, q3))
            continue
        low, high = _bca(means[:, column], known, mean)
        found.append(Spread(len(known), mean, float(known.std(ddof=1)), median, q1, q3, low, high))
    return found


def compare(a: Doubles, b: Doubles, higher_is_better: bool = True) -> Difference:
    """Model b against model a, case by case.

    Args:
        a: (n) float64, nan where a case has no value.
        b: the same cases.
        higher_is_better: what `better` means.
    """
    return compare_all([(a, b, higher_is_better)])[0]


def compare_all(pairs: Sequence[tuple[Doubles, Doubles, bool]]) -> list[Difference]:
    """The same for several pairs over the same cases, resampled together, which takes no longer than one."""
    if not pairs:
        return []
    differences = np.stack([b - a for a, b, _ in pairs], axis=1)
    # what the sum of two numbers leaves over is no difference
    differences[np.abs(differences) < 1e-9] = 0.0
    found: list[Difference] = []
    for column, (spread, pair) in enumerate(zip(spreads(differences), pairs, strict=True)):
        known = differences[~np.isnan(differences[:, column]), column]
        if not len(known):
            found.append(Difference(0, None, None, None, None, 0, 0, None, None))
            continue
        gain = known if pair[2] else -known
        better, worse = int(np.count_nonzero(gain > 0)), int(np.count_nonzero(gain < 0))
        effect, p = _signed_rank(gain[gain != 0])
        ends = (spread.low, spread.high, spread.median)
        found.append(Difference(spread.n, spread.mean, *ends, better, worse, effect, p))
    return found


def _signed_rank(gain: Doubles) -> tuple[float | None, float]:
    if not len(gain):
        return None, 1.0
    from scipy.stats import rankdata, wilcoxon

    ranks = rankdata(np.abs(gain))
    effect = float((ranks * np.sign(gain)).sum() / ranks.sum())
    return effect, float(wilcoxon(gain).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """P values adjusted for having looked several times (Holm 1979): step-down, never falling, at most 1."""
    order = sorted(range(len(p)), key=lambda k: p[k])
    adjusted = [0.0] * len(p)
    largest = 0.0
    for place, k in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[k]))
        adjusted[k] = largest
    return adjusted


def proportion(hits: int, n: int) -> Interval | None:
    """A share with its 95 % interval after Wilson 1927; None without cases."""
    if not n:
        return None
    z, share = 1.959963984540054, hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def rank_correlation(x: Doubles, y: Doubles) -> float | None:
    """Spearman's rank correlation (1904), ties at their mean rank; None where one side is constant."""
    from scipy.stats import rankdata

    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _replicates(values: Doubles) -> Doubles:
    """(REPLICATES,m) means of resampled cases; nan where no case of a sample has a value."""
    undefined = np.isnan(values)
    gappy = undefined.any(axis=0)
    filled = np.where(undefined, 0.0, values) if gappy.any() else values
    weight = (~undefined[:, gappy]).astype(np.float64)
    parts: list[Doubles] = []
    for times in _resampled(len(values)):
        sums = times @ filled
        counts = np.full_like(sums, len(values))
        counts[:, gappy] = times @ weight
        parts.append(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))
    return np.concatenate(parts)


def _resampled(n: int) -> Iterator[Doubles]:
    """How often each of n cases was drawn: (k,n) float64, in all `REPLICATES` rows."""
    random = np.random.default_rng((SEED, n))
    at_once = max(1, _CELLS // n)
    for start in range(0, REPLICATES, at_once):
        rows = min(at_once, REPLICATES - start)
        drawn = random.integers(0, n, (rows, n), dtype=np.int32).astype(np.int64)
        drawn += (np.arange(rows, dtype=np.int64) * n)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _bca(means: Doubles, values: Doubles, mean: float) -> tuple[float, float]:
    """Bias-corrected and accelerated interval of a mean (Efron 1987; Efron and Tibshirani 1993, ch. 14).

    The jackknife behind the acceleration has a closed form for a mean: sum d^3 / (6 (sum d^2)^1.5), with d
    the deviations from it.
    """
    from scipy.special import ndtr, ndtri

    means = means[~np.isnan(means)]
    deviation = values - mean
    squares = float(np.square(deviation).sum())
    if squares <= 1e-18 * max(1.0, mean * mean) * len(values):
        return mean, mean
    slack = 1e-12 * max(1.0, abs(mean))
    below = np.count_nonzero(means < mean - slack)
    equal = np.count_nonzero(np.abs(means - mean) <= slack)
    share = min(max((below + equal / 2) / len(means), 0.5 / len(means)), 1 - 0.5 / len(means))
    bias = float(ndtri(share))
    acceleration = float(np.power(deviation, 3).sum()) / (6 * squares**1.5)
    ends = []
    for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        z = bias + float(ndtri(tail))
        ends.append(float(ndtr(bias + z / (1 - acceleration * z))))
    low, high = np.quantile(means, ends)
    return float(low), float(high)
