"""A run as columns of numbers, one value a case: what summaries, tests and plots are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from omniview.analyse import FUSED
from omniview.batch.rows import FAILED, NO_TRUTH, NOT_ASKED, OK, UNREADABLE
from omniview.core.metrics import METRICS, worst

__all__ = ["ABSENT", "HARM", "STATUSES", "Bools", "Doubles", "Gathered", "Picture", "Series"]

Doubles: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

STATUSES = (OK, FAILED, NOT_ASKED, NO_TRUTH, UNREADABLE)
ABSENT = len(STATUSES)
"""Code of a case that has no row in a series."""
HARM = 0.02
"""A loss of Dice that counts as harm."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """All rows of one model against one reader, one value a case.

    Attributes:
        model: whose masks.
        truth: the reader, or empty for the first truth of each case.
        status: (n) uint8, index into `STATUSES`, or `ABSENT`.
        columns: column of cases.csv to (n) float64, nan where blank.
        in_mm: (n) bool: distances of the case are millimetres.
    """

    model: str
    truth: str
    status: npt.NDArray[np.uint8]
    columns: Mapping[str, Doubles]
    in_mm: Bools

    def is_status(self, status: str) -> Bools:
        """(n) bool: cases of that status."""
        found: Bools = self.status == STATUSES.index(status)
        return found

    def counted(self, metric: str) -> Doubles:
        """(n) float64: the metric as summaries count it; nan where the case does not count.

        A failed case has the worst value (of a distance the image's diagonal). So has a case where the value
        is undefined because the mask is empty though there was something to find, and every undefined
        distance. What is undefined because the truth has nothing to ask for does not count.
        """
        values = self.columns[metric].copy()
        distance = METRICS[metric].unit != "1"
        lowest = self.columns["diagonal"] if distance else np.full(len(values), worst(metric, (0, 0)))
        undefined = self.is_status(OK) & np.isnan(values)
        missed = (self.columns["area_px"] == 0) & (self.columns["truth_area_px"] > 0)
        bad = self.is_status(FAILED) | (undefined & (missed | distance))
        values[bad] = lowest[bad]
        return values

    def true_negative(self) -> Bools:
        """(n) bool: both masks are empty."""
        found: Bools = self.columns["true_negative"] == 1
        return found


@dataclass(frozen=True, slots=True)
class Picture:
    """A case that the report shows.

    Attributes:
        name: of the case.
        jpeg: its thumbnail.
        dice: model to Dice, None where there is none.
    """

    name: str
    jpeg: bytes
    dice: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What is kept of a run.

    Attributes:
        names: of the cases, in order.
        tasks: (n) str: what was looked for; empty where no image could be read.
        models: model to its series against each case's first truth, in the order of the rows.
        readers: (model or "observer NAME", reader) to series; empty where no truth has a reader's name.
        metrics: those that were computed, in the table's order.
        bins: model to (bins,3) float64: pixels, sum of probabilities, pixels of the truth.
        margins: (n,2) float64: share of the inner mask inside the truth, share of the truth inside the outer.
        worst: cases with the lowest Dice, the lowest first.
        harmed: cases in which fusion lost most against the specialist, more than `HARM`.
        helped: cases in which it gained most, more than that.
        reasons: (case, model, status, reason) of rows that have no score, the first few hundred.
        spent: currency to sum.
    """

    names: tuple[str, ...]
    tasks: npt.NDArray[np.str_]
    models: Mapping[str, Series]
    readers: Mapping[tuple[str, str], Series]
    metrics: tuple[str, ...]
    bins: Mapping[str, Doubles]
    margins: Doubles
    worst: tuple[Picture, ...]
    harmed: tuple[Picture, ...]
    helped: tuple[Picture, ...]
    reasons: tuple[tuple[str, str, str, str], ...]
    spent: Mapping[str, float]

    @property
    def headline(self) -> str:
        """The model that the report is about: the fused mask where there is one."""
        return FUSED if FUSED in self.models else next(iter(self.models), FUSED)
