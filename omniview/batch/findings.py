"""Everything that is computed of a run, once, for files, tables and report alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from omniview.batch.areas import Agreement, agreement
from omniview.batch.cohorts import Cohort, cohorts
from omniview.batch.rows import FAILED, NO_TRUTH, NOT_ASKED, OBSERVER, OK, UNREADABLE
from omniview.batch.series import ABSENT, HARM, Bools, Doubles, Gathered, Series
from omniview.batch.statistics import Difference, Spread, compare_all, holm, spreads
from omniview.batch.trust import Coverage, Reliability, RiskCoverage, coverage, reliability, risk_coverage
from omniview.core.metrics import METRICS

__all__ = ["ALL", "HARM", "TESTED", "Comparison", "Findings", "Group", "ModelSummary", "find"]

ALL = "all"
"""Name of the group that holds every case."""
TESTED = ("dice", "nsd", "hd95")
"""Metrics that models are compared on: an overlap, an outline, and the worst of the outline."""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model on one group of cases.

    Attributes:
        cases: rows of any kind.
        scored: with a score.
        failed: no usable mask; counted as the worst value.
        not_asked: by rule or budget, or without consent, key or network; not counted.
        without_truth: nothing to compare with; not counted.
        unreadable: image or truth cannot be used; not counted.
        true_negatives: both masks empty.
        nothing_to_find: scored cases whose truth is empty.
        false_finds: of those, how many have a mask all the same.
        missed: scored cases with something to find whose mask is empty.
        metrics: metric to its spread, failures counted as the worst value.
        positives: the same without true negatives.
        defined: the same over scored cases alone in which the metric is defined.
    """

    cases: int
    scored: int
    failed: int
    not_asked: int
    without_truth: int
    unreadable: int
    true_negatives: int
    nothing_to_find: int
    false_finds: int
    missed: int
    metrics: Mapping[str, Spread]
    positives: Mapping[str, Spread]
    defined: Mapping[str, Spread]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Cases of one task, or all of them.

    Attributes:
        name: the task's, or "all".
        chosen: (n) bool: which cases.
        unit: of distances: "px" or "mm"; None where there are both, which no mean can hold.
        models: model to its summary.
    """

    name: str
    chosen: Bools
    unit: str | None
    models: Mapping[str, ModelSummary]

    @property
    def cases(self) -> int:
        """How many."""
        return int(np.count_nonzero(self.chosen))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Model b against model a on one metric in one group.

    Attributes:
        group: name of the group.
        metric: which.
        a: the model it is measured by.
        b: the model that is measured.
        difference: b less a.
        harmed: share of pairs in which b has a Dice lower by more than `HARM`; None for other metrics.
        helped: share of pairs in which it is higher by more than that.
        holm: p value adjusted over all comparisons of the run; None without pairs.
    """

    group: str
    metric: str
    a: str
    b: str
    difference: Difference
    harmed: float | None = None
    helped: float | None = None
    holm: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All of it.

    Attributes:
        gathered: what it was computed from.
        groups: all cases first, then each task where there are several.
        comparisons: every pair of models in every group.
        cohorts: easiest and hardest tenths.
        areas: model to the agreement of areas.
        reliability: model to the reliability of its probabilities.
        risk: model to its risk-coverage curve.
        coverage: model to how often its interval held.
        readers: (model or "observer NAME", reader) to metric to spread.
        margin: spreads of the inner mask's share inside the truth, and of the truth's inside the outer mask.
    """

    gathered: Gathered
    groups: tuple[Group, ...]
    comparisons: tuple[Comparison, ...]
    cohorts: tuple[Cohort, ...]
    areas: Mapping[str, Agreement]
    reliability: Mapping[str, Reliability]
    risk: Mapping[str, RiskCoverage]
    coverage: Mapping[str, Coverage]
    readers: Mapping[tuple[str, str], Mapping[str, Spread]]
    margin: tuple[Spread, Spread]

    @property
    def everything(self) -> Group:
        """The group of all cases."""
        return self.groups[0]


def find(gathered: Gathered) -> Findings:
    """Compute everything."""
    chosen = dict(_groups(gathered))
    models = gathered.models
    inner, outer = spreads(gathered.margins)
    return Findings(
        gathered,
        tuple(_group(gathered, name, cases) for name, cases in chosen.items()),
        _comparisons(gathered, chosen),
        cohorts(gathered),
        {name: one for name, series in models.items() if (one := agreement(series)) is not None},
        {name: reliability(bins) for name, bins in gathered.bins.items()},
        {name: curve for name, series in models.items() if (curve := risk_coverage(series)) is not None},
        {name: held for name, series in models.items() if (held := coverage(series)) is not None},
        {key: _metrics(series, _known(gathered, series)) for key, series in gathered.readers.items()},
        (inner, outer),
    )


def _groups(gathered: Gathered) -> Iterator[tuple[str, Bools]]:
    yield ALL, np.ones(len(gathered.names), bool)
    tasks = sorted({str(task) for task in gathered.tasks} - {""})
    if len(tasks) > 1:
        for task in tasks:
            yield task, gathered.tasks == task


def _unit(gathered: Gathered, cases: Bools) -> str | None:
    """Unit of distances of those cases."""
    for series in gathered.models.values():
        scored = cases & (series.is_status(OK) | series.is_status(FAILED))
        # of a case whose work died not even the image's size is known
        scored = series.in_mm[scored & ~np.isnan(series.columns["diagonal"])]
        if len(scored):
            return None if scored.any() != scored.all() else "mm" if scored[0] else "px"
    return "px"


def _group(gathered: Gathered, name: str, cases: Bools) -> Group:
    unit = _unit(gathered, cases)
    metrics = [m for m in gathered.metrics if unit is not None or METRICS[m].unit == "1"]
    models = {model: _summary(series, cases, metrics) for model, series in gathered.models.items()}
    return Group(name, cases, unit, models)


def _summary(series: Series, cases: Bools, metrics: list[str]) -> ModelSummary:
    def count(found: Bools) -> int:
        return int(np.count_nonzero(found & cases))

    columns, scored = series.columns, series.is_status(OK)
    nothing, empty = columns["truth_area_px"] == 0, columns["area_px"] == 0
    metrics_of, positives, defined = _three_ways(series, cases, metrics)
    return ModelSummary(
        count(series.status != ABSENT),
        count(scored),
        count(series.is_status(FAILED)),
        count(series.is_status(NOT_ASKED)),
        count(series.is_status(NO_TRUTH)),
        count(series.is_status(UNREADABLE)),
        count(series.true_negative()),
        count(scored & nothing),
        count(scored & nothing & ~empty),
        count(scored & empty & ~nothing),
        metrics_of,
        positives,
        defined,
    )


def _three_ways(series: Series, cases: Bools, metrics: list[str]) -> Iterator[dict[str, Spread]]:
    """Spreads of all that counts, of that without true negatives, and of what is defined.

    Where these are the same numbers they are not resampled again.
    """
    values = _stacked({metric: series.counted(metric)[cases] for metric in metrics})
    everything = dict(zip(metrics, spreads(values), strict=True))
    yield everything
    positive = ~series.true_negative()[cases]
    yield everything if positive.all() else dict(zip(metrics, spreads(values[positive]), strict=True))
    scored = series.is_status(OK)[cases]
    own = _stacked({metric: np.where(scored, series.columns[metric][cases], np.nan) for metric in metrics})
    same = np.array_equal(own, values, equal_nan=True)
    yield everything if same else dict(zip(metrics, spreads(own), strict=True))


def _stacked(columns: Mapping[str, Doubles]) -> Doubles:
    """(n,m) float64, a column each."""
    return np.stack([*columns.values()], axis=1) if columns else np.zeros((0, 0))


def _known(gathered: Gathered, series: Series) -> list[str]:
    """Metrics that a reader's series has: a person gives no probabilities."""
    person = series.model.startswith(OBSERVER)
    return [m for m in gathered.metrics if not (person and METRICS[m].needs_probability)]


def _metrics(series: Series, metrics: list[str]) -> dict[str, Spread]:
    scored = series.in_mm[series.is_status(OK)]
    mixed = len(scored) > 0 and scored.any() != scored.all()
    kept = [m for m in metrics if not mixed or METRICS[m].unit == "1"]
    return dict(zip(kept, spreads(_stacked({m: series.counted(m) for m in kept})), strict=True))


def _comparisons(gathered: Gathered, groups: Mapping[str, Bools]) -> tuple[Comparison, ...]:
    found: list[Comparison] = []
    for group, cases in groups.items():
        unit = _unit(gathered, cases)
        tested = [m for m in TESTED if m in gathered.metrics and (unit or METRICS[m].unit == "1")]
        named = [(m, a, b) for m in tested for a, b in combinations(gathered.models.values(), 2)]
        values = [
            (a.counted(m)[cases], b.counted(m)[cases], METRICS[m].higher_is_better) for m, a, b in named
        ]
        for (metric, a, b), (of_a, of_b, _), one in zip(named, values, compare_all(values), strict=True):
            harmed = helped = None
            if metric == "dice" and one.n:
                harmed = int(np.count_nonzero(of_b - of_a < -HARM)) / one.n
                helped = int(np.count_nonzero(of_b - of_a > HARM)) / one.n
            found.append(Comparison(group, metric, a.model, b.model, one, harmed, helped))
    adjusted = iter(holm([one.difference.p for one in found if one.difference.p is not None]))
    return tuple(replace(one, holm=next(adjusted)) if one.difference.p is not None else one for one in found)
