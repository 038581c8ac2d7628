"""How far an omnimodel is to be trusted beside a specialist, fitted on cases whose truth is known.

Two numbers are fitted, steepness and bias of the trust, on a coarse grid: with some hundred cases more would
be noise. A specialist fails on few of them, so that a gain rests on a handful of images: a setting is worth
its mean change of Dice less one and a half standard errors of that mean (a lower confidence bound, as in
bandits: Auer 2002; a patient or a video counts once), and nothing is chosen that is worth less than listening
to the specialist alone, or gains nothing on folds that it was not chosen on. Of settings that are as good the
gentlest is taken, which follows predicted Dice, that err too, least steeply, and of those the most reluctant.
Intervals: normalised conformal prediction, as for the models' own predicted Dice. Margins:
:mod:`omniview.training.margins`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from omniview.core.image import BoolArray, Doubles
from omniview.core.quality import QualityTable
from omniview.core.trust import SAFE_DEFAULT, Calibration, Margin
from omniview.inference.pair_card import PairCard
from omniview.training.calibrate import conformal_curve
from omniview.training.margins import fit_margin
from omniview.training.observed import Observed

__all__ = ["ALPHA", "FEWEST", "Fit", "Gain", "card_of", "fit"]

Groups = npt.NDArray[np.intp]

ALPHA = 0.1
FEWEST = 10
FOLDS = 5
RESAMPLES = 2000
KAPPAS = (4.0, 8.0, 16.0, 32.0)
CAUTIOUS = (16.0, (-6.0, -7.0, -8.0))
"""Steepness and biases, the boldest first, of a measured pair where fitting gains nothing: the omnimodel
leads where the specialist expects some 0.4 less of its own mask, or, where that costs something, 0.5 less."""
BIASES = (-8.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0)
AS_GOOD = 5e-4
"""Differences of mean Dice that are no difference."""
ERRORS = 1.5
"""Standard errors that a gain must exceed."""


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
        calibration: to fuse with; reluctant, or the safe default, where no setting gains beyond chance.
        better: whether one does.
        n: number of cases.
        dice: mean Dice of "specialist", "omnimodel", "safe default", "fused" (cross-validated).
        gain: over the specialist, cross-validated: of what the other folds would choose, caution included.
        harmed: share of the cases that it cost more than 0.02 of Dice, cross-validated.
    """

    calibration: Calibration
    better: bool
    n: int
    dice: dict[str, float]
    gain: Gain
    harmed: float


def fit(
    cases: Sequence[Observed],
    *,
    alpha: float = ALPHA,
    groups: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
) -> Fit:
    """Fit trust, predicted quality and margins of a pair.

    Args:
        cases: labelled cases that neither model was trained on.
        alpha: what the margins may miss on average, in (0,1).
        groups: one a case: cases of one group (a patient, a video) are never on both sides of the cross
            validation; None: each case is one of its own.
        sets: the data set of each case, see :func:`omniview.training.calibrate.conformal_curve`.

    Raises:
        ValueError: fewer than `FEWEST` cases, or fewer groups than there are folds.
    """
    names = list(groups) if groups is not None else [str(i) for i in range(len(cases))]
    if len(cases) < FEWEST or len(names) != len(cases) or len(set(names)) < FOLDS:
        raise ValueError(f"cases must be {FEWEST} or more, in {FOLDS} groups or more, got {len(cases)}")
    table, of_group = _Curves(cases), np.unique(np.array(names), return_inverse=True)[1]
    fold = _folds(names)
    safe, alone = table.fused(SAFE_DEFAULT), table.dice(np.zeros(len(cases)))
    held = np.empty(len(cases))
    for k in range(FOLDS):
        rows = fold == k
        held[rows] = table.fused(_trust(table, of_group, ~rows)[0])[rows]
    chosen, better = _trust(table, of_group, np.ones(len(cases), np.bool_))
    if better and held.mean() <= alone.mean():
        chosen, better = _cautious(table, np.ones(len(cases), np.bool_)), False
    mixed, final = table.mixed(chosen), table.fused(chosen)
    curve = conformal_curve(mixed, final, fold, sets=None if sets is None else np.array(sets))
    weights = table.trust(chosen)
    fitted = replace(
        chosen,
        area=_room(cases),
        quality=QualityTable(curve.knots, curve.dice, curve.half_widths),
        margin=fit_margin(cases, weights, np.interp(mixed, curve.knots, curve.dice), alpha),
        margin_specialist=fit_margin(cases, np.zeros(len(cases)), _said(c.specialist for c in cases), alpha),
        margin_omnimodel=fit_margin(cases, np.ones(len(cases)), _said(c.omnimodel for c in cases), alpha),
    )
    means = {
        "specialist": float(alone.mean()),
        "omnimodel": float(table.dice(np.ones(len(cases))).mean()),
        "safe default": float(safe.mean()),
        "fused": float(held.mean()),
    }
    harmed = float((held < alone - 0.02).mean())
    return Fit(fitted, better, len(cases), means, _gain(held - alone, of_group), harmed)


def _room(cases: Sequence[Observed]) -> tuple[float, float]:
    """The areas of the omnimodel's masks, from half of the least to half more than the largest.

    Never up to the whole image, unless it marked all of one.
    """
    areas = [case.area for case in cases]
    return min(areas) / 2, min(1.5 * max(areas), (1.0 + max(areas)) / 2)


def _said(values: Iterable[float | None]) -> Doubles:
    return np.array([math.nan if value is None else value for value in values])


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


def _trust(table: _Curves, group: Groups, rows: BoolArray) -> tuple[Calibration, bool]:
    """The best setting on some of the cases, and whether it is worth more than caution."""
    n = len(rows)
    alone, other = table.dice(np.zeros(n))[rows], table.dice(np.ones(n))[rows]
    start = _known(alone, other)
    tried = [replace(start, kappa=kappa, bias=bias) for kappa, bias in product(KAPPAS, BIASES)]
    worth = [_worth(table.fused(one)[rows] - alone, group[rows]) for one in tried]
    best = max(worth)
    if best <= AS_GOOD:
        return _cautious(table, rows), False
    as_good = [one for one, value in zip(tried, worth, strict=True) if value >= best - AS_GOOD]
    return min(as_good, key=lambda one: (one.kappa, one.bias)), True


def _worth(change: Doubles, group: Groups) -> float:
    """Mean change less `ERRORS` times its standard error; cases of a group are no independent ones."""
    mean, each = float(change.mean()), np.unique(group, return_inverse=True)[1]
    together = np.bincount(each, weights=change - mean)
    if len(together) < 2:
        return -math.inf
    variance = float((together**2).sum()) * len(together) / (len(together) - 1)
    return mean - ERRORS * math.sqrt(variance) / len(change)


def _cautious(table: _Curves, rows: BoolArray) -> Calibration:
    """A steep and reluctant trust that believes the omnimodel's predicted Dice, which was measured now.

    The boldest of them that costs nothing on these cases; where each does, the safe default itself.
    """
    n = len(rows)
    alone, other = table.dice(np.zeros(n))[rows], table.dice(np.ones(n))[rows]
    bar = max(alone.mean(), table.fused(SAFE_DEFAULT)[rows].mean()) - AS_GOOD
    kappa, biases = CAUTIOUS
    for bias in biases:
        believing = replace(_known(alone, other), kappa=kappa, bias=bias)
        if float(table.fused(believing)[rows].mean()) >= bar:
            return believing
    return SAFE_DEFAULT


def _known(alone: Doubles, other: Doubles) -> Calibration:
    """What is tried of a pair that has been measured: its Dice are known, its claims believed."""
    return replace(
        SAFE_DEFAULT,
        ceiling=1.0,
        assumed_specialist=round(float(alone.mean()), 4),
        assumed_omnimodel=round(float(other.mean()), 4),
    )


def _folds(groups: Sequence[str]) -> Groups:
    """A fold for each case, the same in every run, groups kept together."""
    each, place = np.unique(np.array(groups), return_inverse=True)
    order = np.random.default_rng(0).permutation(len(each))
    fold: Groups = (order % FOLDS)[place]
    return fold


def _gain(differences: Doubles, group: Groups) -> Gain:
    """Mean with its bootstrap interval, whole groups drawn."""
    rng = np.random.default_rng(0)
    sums, sizes = np.bincount(group, weights=differences), np.bincount(group)
    drawn = rng.integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (2.5, 97.5))
    return Gain(float(differences.mean()), float(low), float(high))


def _margin_fields(margin: Margin) -> dict[str, Any]:
    fields: dict[str, Any] = {"outer": margin.outer, "inner": margin.inner, "alpha": margin.alpha}
    if margin.doubtful is not None:
        fields |= {"below": margin.below, "doubtful": _margin_fields(margin.doubtful)}
    return fields


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
    note = "cross-validated; " + ("used" if found.better else "no gain beyond chance: caution instead")
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
                "area": told.area,
            },
            "quality": {"mean": c.confidence, "dice": c.dice, "half_width": c.half_width},
            "margin": {name: _margin_fields(m) for name, m in margins.items() if m is not None},
            "data": {"n": found.n, **data},
            "figures": tuple(rows),
        }
    )
