"""How far an omnimodel is to be trusted beside a specialist, fitted on cases whose truth is known.

Per case only a joint histogram of both models' log-odds is kept, apart for lesion and background. The fused
mask at any weight, its Dice, and what a contour at any probability misses all follow from it, so that a fit
takes seconds whatever the images' size. Two numbers are fitted, steepness and bias of the trust, on a coarse
grid: with some hundred cases more would be noise. Losses count twice, and of settings that are as good the
one that listens most where the specialist expects to fail is taken. Margins: conformal risk control
(Angelopoulos et al. 2022). Intervals: split conformal prediction, as for the models' own predicted Dice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from omniview.core.fusion import trust_of
from omniview.core.image import BoolArray, FloatArray
from omniview.core.prediction import Prediction
from omniview.core.quality import QualityTable
from omniview.core.trust import SAFE_DEFAULT, Calibration, Margin
from omniview.inference.pair_card import PairCard
from omniview.training.calibrate import conformal_curve

__all__ = ["ALPHA", "FEWEST", "Fit", "Gain", "Observed", "card_of", "fit", "observe"]

ALPHA = 0.1
FEWEST = 10
FOLDS = 5
RESAMPLES = 2000
SIDE = 48
"""Bins of log-odds along each axis; even, so that the mask's edge falls between two bins."""
KAPPAS = (4.0, 8.0, 16.0, 32.0)
CAUTIOUS = (16.0, -6.0)
"""Steepness and bias of a measured pair where fitting gains nothing: it leads where the specialist expects at
least 0.4 less of its own mask."""
BIASES = (-8.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0)
AS_GOOD = 5e-4
"""Differences of mean Dice that are no difference."""
ROUNDING = 1e-9
POOR = 0.3
"""Predicted Dice of a specialist that expects to fail: there, listening most is best if all else is equal."""

Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_LIMIT = SAFE_DEFAULT.limit
_CENTRES: Doubles = (np.arange(SIDE, dtype=np.float64) + 0.5) * (2 * _LIMIT / SIDE) - _LIMIT


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One labelled case as both models saw it.

    Attributes:
        name: of the case.
        specialist: predicted Dice, or None.
        omnimodel: likewise.
        counts: (K,2,SIDE,SIDE) pixels by label, truth (0 background), log-odds of specialist and omnimodel.
    """

    name: str
    specialist: float | None
    omnimodel: float | None
    counts: Counts

    def dice(self, weight: float) -> float:
        """Mean over labels of the Dice of the mask at the omnimodel's weight, in [0,1]."""
        inside = self.counts[:, :, _pooled(weight) > 0.0].sum(axis=2)
        truth = self.counts[:, 1].sum(axis=(1, 2))
        total = inside.sum(axis=1) + truth
        return float(np.where(total > 0, 2 * inside[:, 1] / np.maximum(total, 1), 1.0).mean())

    def trust(self, calibration: Calibration) -> float:
        """The omnimodel's weight."""
        own, other = self.qualities(calibration)
        return trust_of(own, other, calibration)

    def qualities(self, calibration: Calibration) -> tuple[float, float]:
        """Predicted Dice of both, as far as they are believed."""
        own = calibration.assumed_specialist if self.specialist is None else self.specialist
        if self.omnimodel is None:
            return own, calibration.assumed_omnimodel
        return own, min(self.omnimodel, calibration.ceiling)

    def fused(self, calibration: Calibration) -> float:
        """Dice of the fused mask."""
        return self.dice(self.trust(calibration))


def observe(name: str, specialist: Prediction, omnimodel: Prediction, truth: BoolArray) -> Observed:
    """What is kept of a case.

    Args:
        name: of the case.
        specialist: its prediction.
        omnimodel: likewise, of the same shape.
        truth: (K,Y,X) bool.
    """
    if not specialist.probability.shape == omnimodel.probability.shape == truth.shape:
        raise ValueError(f"truth must be {specialist.probability.shape} like both maps, got {truth.shape}")
    rows = zip(specialist.probability, omnimodel.probability, truth, strict=True)
    counts = np.stack([_histogram(*row) for row in rows])
    own, other = (None if p.quality is None else p.quality.value for p in (specialist, omnimodel))
    return Observed(name, own, other, counts)


def _histogram(own: FloatArray, other: FloatArray, truth: BoolArray) -> Counts:
    place = (truth.astype(np.intp) * SIDE + _bin(own)) * SIDE + _bin(other)
    return np.bincount(place.ravel(), minlength=2 * SIDE * SIDE).reshape(2, SIDE, SIDE).astype(np.int64)


def _bin(probability: FloatArray) -> npt.NDArray[np.intp]:
    end = 1.0 / (1.0 + math.exp(_LIMIT))
    p = np.clip(probability.astype(np.float64), end, 1.0 - end)
    # from above, so that a probability of exactly 0.5, which is outside of a mask, falls below the edge
    place = np.ceil((np.log(p / (1.0 - p)) + _LIMIT) * (SIDE / (2 * _LIMIT))) - 1
    inside: npt.NDArray[np.intp] = np.clip(place, 0, SIDE - 1).astype(np.intp)
    return inside


def _pooled(weight: float) -> Doubles:
    """(SIDE,SIDE) log-odds of the fused probability in each bin."""
    pooled: Doubles = (1.0 - weight) * _CENTRES[:, None] + weight * _CENTRES[None, :]
    return pooled


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean difference of Dice over cases with its bootstrap 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fit:
    """What came of it.

    Attributes:
        calibration: to fuse with; reluctant, or the safe default, where nothing better was found.
        better: whether something better was found.
        n: number of cases.
        dice: mean Dice of "specialist", "omnimodel", "safe default", "fused" (cross-validated).
        gain: of the fitted fusion over the specialist, cross-validated, whether it is used or not.
        harmed: share of the cases that it cost more than 0.02 of Dice, cross-validated.
    """

    calibration: Calibration
    better: bool
    n: int
    dice: dict[str, float]
    gain: Gain
    harmed: float


def fit(cases: Sequence[Observed], *, alpha: float = ALPHA, groups: Sequence[str] | None = None) -> Fit:
    """Fit trust, predicted quality and margins of a pair.

    Args:
        cases: labelled cases that neither model was trained on.
        alpha: what the margins may miss on average, in (0,1).
        groups: one a case: cases of one group (a patient, a video) are never on both sides of the cross
            validation; None: each case is one of its own.

    Raises:
        ValueError: fewer than `FEWEST` cases, or fewer groups than there are folds.
    """
    names = list(groups) if groups is not None else [str(i) for i in range(len(cases))]
    if len(cases) < FEWEST or len(names) != len(cases) or len(set(names)) < FOLDS:
        raise ValueError(f"cases must be {FEWEST} or more, in {FOLDS} groups or more, got {len(cases)}")
    table = _Curves(cases)
    fold = _folds(names)
    safe, alone = table.fused(SAFE_DEFAULT), table.dice(np.zeros(len(cases)))
    held = np.empty(len(cases))
    for k in range(FOLDS):
        rows = fold == k
        held[rows] = table.fused(_trust(table, ~rows))[rows]
    # cross-validated and beyond chance: a handful of cases must not loosen what is known to be safe
    better = _gain(held - safe).low > ROUNDING
    every = np.ones(len(cases), np.bool_)
    chosen = _trust(table, every) if better else _cautious(table, every)
    mixed, final = table.mixed(chosen), table.fused(chosen)
    curve = conformal_curve(mixed, final, fold)
    weights = table.trust(chosen)
    fitted = replace(
        chosen,
        quality=QualityTable(curve.knots, curve.dice, curve.half_widths),
        margin=_margin(cases, weights, alpha),
        margin_specialist=_margin(cases, np.zeros(len(cases)), alpha),
        margin_omnimodel=_margin(cases, np.ones(len(cases)), alpha),
    )
    means = {
        "specialist": float(alone.mean()),
        "omnimodel": float(table.dice(np.ones(len(cases))).mean()),
        "safe default": float(safe.mean()),
        "fused": float(held.mean()),
    }
    harmed = float((held < alone - 0.02).mean())
    return Fit(fitted, better, len(cases), means, _gain(held - alone), harmed)


class _Curves:
    """Dice of every case at any weight, and its predicted qualities."""

    STEPS = 40

    def __init__(self, cases: Sequence[Observed]) -> None:
        self._cases = cases
        grid = np.linspace(0.0, 1.0, self.STEPS + 1)
        self._dice = np.array([[case.dice(w) for w in grid] for case in cases])

    def dice(self, weights: Doubles) -> Doubles:
        """(N,) Dice, interpolated between weights."""
        at = weights * self.STEPS
        low = np.minimum(at.astype(np.intp), self.STEPS - 1)
        rows = np.arange(len(at))
        part = at - low
        found: Doubles = (1.0 - part) * self._dice[rows, low] + part * self._dice[rows, low + 1]
        return found

    def trust(self, calibration: Calibration) -> Doubles:
        return np.array([case.trust(calibration) for case in self._cases])

    def fused(self, calibration: Calibration) -> Doubles:
        return self.dice(self.trust(calibration))

    def mixed(self, calibration: Calibration) -> Doubles:
        """(N,) mean of both predicted Dice, weighted by their shares."""
        pairs = np.array([case.qualities(calibration) for case in self._cases])
        weights = self.trust(calibration)
        mean: Doubles = (1.0 - weights) * pairs[:, 0] + weights * pairs[:, 1]
        return mean


def _trust(table: _Curves, rows: BoolArray) -> Calibration:
    """The best setting on some of the cases."""
    n = len(rows)
    alone, other = table.dice(np.zeros(n))[rows], table.dice(np.ones(n))[rows]
    start = _known(alone, other)
    tried: list[tuple[float, float, Calibration]] = []
    for kappa, bias in product(KAPPAS, BIASES):
        one = replace(start, kappa=kappa, bias=bias)
        change = table.fused(one)[rows] - alone
        listens = trust_of(POOR, start.assumed_omnimodel, one)
        tried.append((float(change.mean() + np.minimum(change, 0.0).mean()), listens, one))
    best = max(score for score, _, _ in tried)
    return max((t for t in tried if t[0] >= best - AS_GOOD), key=lambda t: (t[1], t[0]))[2]


def _cautious(table: _Curves, rows: BoolArray) -> Calibration:
    """A steep and reluctant trust that believes the omnimodel's predicted Dice, which was measured now.

    Where that would cost something on these cases, the safe default itself.
    """
    n = len(rows)
    alone, other = table.dice(np.zeros(n))[rows], table.dice(np.ones(n))[rows]
    believing = _known(alone, other)
    change = table.fused(believing)[rows] - np.maximum(alone.mean(), table.fused(SAFE_DEFAULT)[rows].mean())
    return believing if float(change.mean()) >= -AS_GOOD else replace(SAFE_DEFAULT, gamma=0.0)


def _known(alone: Doubles, other: Doubles) -> Calibration:
    """What is tried of a pair that has been measured: its Dice are known, its claims believed."""
    return replace(
        SAFE_DEFAULT,
        kappa=CAUTIOUS[0],
        bias=CAUTIOUS[1],
        gamma=0.0,
        ceiling=1.0,
        assumed_specialist=round(float(alone.mean()), 4),
        assumed_omnimodel=round(float(other.mean()), 4),
    )


def _folds(groups: Sequence[str]) -> npt.NDArray[np.intp]:
    """A fold for each case, the same in every run, groups kept together."""
    each, place = np.unique(np.array(groups), return_inverse=True)
    order = np.random.default_rng(0).permutation(len(each))
    fold: npt.NDArray[np.intp] = (order % FOLDS)[place]
    return fold


def _margin(cases: Sequence[Observed], weights: Doubles, alpha: float) -> Margin | None:
    """Contours that keep the mean of what they miss, and of what they hold in vain, at `alpha`.

    Both losses are made monotone from the mask outwards (inwards), as the bound needs. None where too few
    cases have a lesion for any contour to keep the promise.
    """
    missed, vain = [], []
    edges = np.arange(SIDE // 2) * (_LIMIT * 2 / SIDE)  # distance of the contour from the edge, in log-odds
    for case, weight in zip(cases, weights, strict=True):
        pooled = _pooled(float(weight))
        inside, outside = case.counts[:, 1].sum(axis=0), case.counts[:, 0].sum(axis=0)
        if inside.any():
            missed.append([inside[pooled <= -far].sum() / inside.sum() for far in edges])
        held = np.array([inside[pooled > far].sum() + outside[pooled > far].sum() for far in edges])
        wrong = np.array([outside[pooled > far].sum() for far in edges])
        share = np.where(held > 0, wrong / np.maximum(held, 1), 0.0)
        vain.append(np.maximum.accumulate(share[::-1])[::-1])
    outer, inner = (_controlled(np.array(losses), alpha) for losses in (missed, vain))
    if outer is None or inner is None:
        return None
    wide, narrow = 1.0 / (1.0 + math.exp(edges[outer])), 1.0 / (1.0 + math.exp(-edges[inner]))
    return Margin(round(wide, 6), round(narrow, 6), alpha)


def _controlled(losses: Doubles, alpha: float) -> int | None:
    """The first setting whose bound n/(n+1) mean + 1/(n+1) is at most `alpha`; None if there is none."""
    n = len(losses)
    if n == 0:
        return None
    bound = (losses.sum(axis=0) + 1.0) / (n + 1.0)
    good = np.flatnonzero(bound <= alpha)
    return int(good[0]) if good.size else None


def _gain(differences: Doubles) -> Gain:
    rng = np.random.default_rng(0)
    n = len(differences)
    means = [float(differences[rng.integers(0, n, n)].mean()) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Gain(float(differences.mean()), float(low), float(high))


def card_of(
    found: Fit,
    *,
    task: str,
    omnimodel: str,
    specialist: tuple[str, tuple[str, ...]],
    other: tuple[str, tuple[str, ...]],
    data: Mapping[str, Any],
) -> PairCard:
    """The file that says what came of it.

    Args:
        found: the fit.
        task: the task's name.
        omnimodel: what the omnimodel is called in the settings.
        specialist: name and identity (`omniview.inference.pair_card.identity`) of the specialist.
        other: likewise of the omnimodel.
        data: on what it was fitted; `n` is added.
    """
    told, c, gain = found.calibration, found.calibration.quality, found.gain
    margins = {
        "fused": told.margin,
        "specialist": told.margin_specialist,
        "omnimodel": told.margin_omnimodel,
    }
    rows = [{"metric": f"mean dice, {name}", "mean": round(mean, 4)} for name, mean in found.dice.items()]
    interval = {"mean": round(gain.mean, 4), "low": round(gain.low, 4), "high": round(gain.high, 4)}
    note = "cross-validated; used" if found.better else "cross-validated; no better than the safe default"
    rows.append({"metric": "gain of the fitted fusion over the specialist", **interval, "note": note})
    rows.append({"metric": "share of cases harmed by more than 0.02", "mean": round(found.harmed, 4)})
    assert c is not None  # every fit has one
    return PairCard.model_validate(
        {
            "schema": 1,
            "task": task,
            "omnimodel": omnimodel,
            "specialist_model": {"name": specialist[0], "identity": specialist[1]},
            "omnimodel_model": {"name": other[0], "identity": other[1]},
            "fusion": {
                "kappa": told.kappa,
                "bias": told.bias,
                "ceiling": told.ceiling,
                "assumed_specialist": told.assumed_specialist,
                "assumed_omnimodel": told.assumed_omnimodel,
                "gamma": told.gamma,
            },
            "quality": {"mean": c.confidence, "dice": c.dice, "half_width": c.half_width},
            "margin": {
                name: {"outer": m.outer, "inner": m.inner, "alpha": m.alpha}
                for name, m in margins.items()
                if m is not None
            },
            "data": {"n": found.n, **data},
            "figures": tuple(rows),
        }
    )
