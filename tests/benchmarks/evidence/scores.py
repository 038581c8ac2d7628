"""Every case's Dice under every rule, with one omnimodel: tables and figures are made of these columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from omniview.batch.rows import OK
from omniview.batch.series import STATUSES, Bools, Doubles, Series
from omniview.core.fusion import Calibration, fuse
from omniview.core.image import BoolArray
from omniview.core.prediction import Prediction, Quality
from omniview.training.calibrate import dice
from tests.benchmarks.evidence.predictions import Answered
from tests.benchmarks.evidence.rivals import RIVALS, Rule, oracle_dice

__all__ = ["FUSED", "OMNIMODEL", "ORACLE", "SPECIALIST", "Opponent", "Scores", "Trusted", "judge"]

SPECIALIST, OMNIMODEL, FUSED, ORACLE = "specialist", "omnimodel", "fused", "oracle pick"

Trusted: TypeAlias = Callable[[Sequence[Prediction]], Calibration]
Opponent: TypeAlias = Callable[[Answered], Prediction | None]
"""What the omnimodel says about a case; None: no usable mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One row a case.

    Attributes:
        names: of the cases, folder first.
        dice: model or rule to (n) Dice at full resolution; 0 where it gave no mask.
        quality: model to (n,3) predicted Dice with its interval; nan where there is none.
        margins: (n,2) share of the inner mask inside the truth, share of the truth inside the outer one.
        silent: (n) bool: the omnimodel gave no usable mask.
        failed: (n) bool: the specialist gave none.
        empty: (n) bool: there is nothing to find.
        area: (n) share of the image that is truth.
    """

    names: tuple[str, ...]
    dice: Mapping[str, Doubles]
    quality: Mapping[str, Doubles]
    margins: Doubles
    silent: Bools
    failed: Bools
    empty: Bools
    area: Doubles

    def of(self, rows: Bools) -> Scores:
        """Those cases alone."""
        return Scores(
            tuple(name for name, chosen in zip(self.names, rows, strict=True) if chosen),
            {model: values[rows] for model, values in self.dice.items()},
            {model: values[rows] for model, values in self.quality.items()},
            self.margins[rows],
            self.silent[rows],
            self.failed[rows],
            self.empty[rows],
            self.area[rows],
        )

    def series(self, model: str) -> Series:
        """As the statistics of batches read it."""
        n = len(self.names)
        value, low, high = self.quality[model].T
        columns = {"dice": self.dice[model], "quality": value, "quality_low": low, "quality_high": high}
        columns |= {"area_px": np.ones(n), "truth_area_px": np.ones(n)}
        return Series(model, "", np.full(n, STATUSES.index(OK), np.uint8), columns, np.zeros(n, np.bool_))


def judge(
    cases: Sequence[Answered],
    omnimodel: Opponent,
    calibration: Trusted,
    rivals: Mapping[str, Rule] = RIVALS,
) -> Scores:
    """Fuse and score every case; each rule falls back on the specialist where the omnimodel is silent.

    Args:
        cases: with the specialist's answers under `SPECIALIST`.
        omnimodel: the opponent.
        calibration: gives what the fusion goes by, of the predictions of a case, as the engine asks for it.
        rivals: the rules to compare with.
    """
    columns: dict[str, list[float]] = {m: [] for m in (SPECIALIST, OMNIMODEL, FUSED, *rivals, ORACLE)}
    quality: dict[str, list[tuple[float, float, float]]] = {m: [] for m in (SPECIALIST, OMNIMODEL, FUSED)}
    margins, silent, failed = [], [], []
    for case in cases:
        own, other = case.by[SPECIALIST], omnimodel(case)
        given = [p for p in (own, other) if p is not None]
        fusion = fuse(given, calibration(given)) if given else None
        row = {
            name: 0.0 if said is None else _dice(case, said.mask)
            for name, said in ((SPECIALIST, own), (OMNIMODEL, other), (FUSED, fusion))
        }
        for name, rule in rivals.items():
            row[name] = _dice(case, rule(own, other)) if own and other else row[FUSED]
        row[ORACLE] = oracle_dice(row[SPECIALIST], row[OMNIMODEL])
        for name, values in columns.items():
            values.append(row[name])
        for name, said in ((SPECIALIST, own), (OMNIMODEL, other), (FUSED, fusion)):
            quality[name].append(_three(None if said is None else said.quality))
        margins.append(_held(case, None if fusion is None else fusion.margin))
        silent.append(other is None)
        failed.append(own is None)
    return Scores(
        tuple(case.name for case in cases),
        {name: np.array(values) for name, values in columns.items()},
        {name: np.array(values).reshape(-1, 3) for name, values in quality.items()},
        np.array(margins).reshape(-1, 2),
        np.array(silent, np.bool_),
        np.array(failed, np.bool_),
        np.array([not case.truth.any() for case in cases], np.bool_),
        np.array([case.truth.mean() for case in cases]),
    )


def _dice(case: Answered, mask: BoolArray) -> float:
    """Where scores count."""
    truth = case.truth
    return dice(mask, truth) if case.inside is None else dice(mask & case.inside, truth & case.inside)


def _three(quality: Quality | None) -> tuple[float, float, float]:
    return (np.nan, np.nan, np.nan) if quality is None else (quality.value, quality.low, quality.high)


def _held(case: Answered, margin: tuple[BoolArray, BoolArray] | None) -> tuple[float, float]:
    if margin is None:
        return np.nan, np.nan
    truth = case.truth if case.inside is None else case.truth & case.inside
    inner, outer = (m if case.inside is None else m & case.inside for m in margin)
    return _share(inner, truth), _share(truth, outer)


def _share(part: BoolArray, whole: BoolArray) -> float:
    """Share of the pixels of `part` that lie in `whole`; nan without any."""
    size = np.count_nonzero(part)
    return np.count_nonzero(part & whole) / size if size else np.nan
