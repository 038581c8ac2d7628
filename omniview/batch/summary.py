"""Findings as summary.json has them: n beside every number, failures counted as the worst and apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from omniview.batch.cohorts import FAIRNESS
from omniview.batch.findings import HARM, Comparison, Findings, Group, ModelSummary
from omniview.batch.rows import OBSERVER
from omniview.batch.statistics import LEVEL, REPLICATES, Spread, tidy

__all__ = ["DEFINITIONS", "DISCLAIMER", "SCHEMA", "summary_json"]

SCHEMA = 1

DISCLAIMER = (
    "OmniView is a research tool and not a medical device; nothing in these results may decide about a "
    "patient."
)

DEFINITIONS: Mapping[str, str] = {
    "metrics": "As columns.json defines them, one value a case; of several truths the first one counts.",
    "failures": (
        "A case without a usable mask counts as the worst value: an overlap 0, an error 1, a distance the "
        "image's diagonal. They are counted apart too. Cases that are unreadable, have no truth, or whose "
        "omnimodel was never asked do not count."
    ),
    "undefined": (
        "A distance that is undefined because one mask is empty counts as the diagonal. Any other metric "
        "that is undefined because the mask is empty, though there was something to find, counts as its "
        "worst value; one that is undefined because there was nothing to find does not count. `defined` "
        "has the values of scored cases alone in which the metric is defined."
    ),
    "true_negatives": (
        "Cases in which both masks are empty: overlaps 1, distances 0. `metrics_without_true_negatives` "
        "leaves them out."
    ),
    "interval": (
        f"{LEVEL:.0%} interval of the mean: bootstrap over cases, {REPLICATES} samples, fixed seed, "
        "bias-corrected and accelerated (BCa; Efron 1987; Efron and Tibshirani 1993). Cases are taken as "
        "independent: where several are of one patient or one video, the interval is too narrow."
    ),
    "comparisons": (
        "b less a, failures counted as the worst, on the cases that both have. p: two-sided Wilcoxon "
        "signed-rank test (1945); p_holm: adjusted for all comparisons in this file (Holm 1979). effect: "
        "matched-pairs rank-biserial correlation (Kerby 2014). harmed, helped: Dice differs by more than "
        f"{HARM:g}."
    ),
    "areas": (
        "Limits of agreement: bias -+ 1.96 standard deviations of the differences (Bland and Altman 1986). "
        "Of the n cases with a mask and a truth alone: failures have no area and are left out."
    ),
    "reliability": "Pixels of all cases, by bins of their probability (Naeini et al. 2015).",
    "risk_coverage": (
        "Mean of 1 - Dice over the cases that are kept when those with the lowest predicted Dice are left "
        "out (Geifman and El-Yaniv 2017); aurc is its mean over all coverages. Failures "
        "count with a risk of 1 and are left out first; spearman is of the cases with a mask."
    ),
    "cohorts": FAIRNESS,
}
"""What stands behind the numbers, for files and report."""


def summary_json(findings: Findings, about: Mapping[str, Any]) -> dict[str, Any]:
    """What summary.json holds.

    Args:
        findings: of the run.
        about: what ran, as the engine tells it; passed on as it is.
    """
    gathered = findings.gathered
    several = len(findings.groups) > 1
    return {
        "schema": SCHEMA,
        "disclaimer": DISCLAIMER,
        "about": dict(about),
        "definitions": dict(DEFINITIONS),
        "cases": len(gathered.names),
        "distance_unit": findings.everything.unit,
        "models": _group(findings.everything),
        "tasks": {
            group.name: {
                "cases": group.cases,
                "distance_unit": group.unit,
                "models": _group(group),
            }
            for group in findings.groups[1:]
        }
        if several
        else {},
        "comparisons": [_comparison(one) for one in findings.comparisons],
        "cohorts": [cohort.to_json() for cohort in findings.cohorts],
        "areas": {model: one.to_json() for model, one in findings.areas.items()},
        "reliability": {model: one.to_json() for model, one in findings.reliability.items()},
        "risk_coverage": {model: one.to_json() for model, one in findings.risk.items()},
        "interval_coverage": {model: one.to_json() for model, one in findings.coverage.items()},
        "margin": {
            "share_of_the_inner_mask_inside_the_truth": findings.margin[0].to_json(),
            "share_of_the_truth_inside_the_outer_mask": findings.margin[1].to_json(),
        },
        "readers": [
            {
                "model": model.removeprefix(OBSERVER),
                "is_person": model.startswith(OBSERVER),
                "against": reader,
                "metrics": _spreads(metrics),
            }
            for (model, reader), metrics in findings.readers.items()
        ],
        "spent": {currency: tidy(float(cost)) for currency, cost in gathered.spent.items()},
    }


def _group(group: Group) -> dict[str, Any]:
    return {model: _model(one) for model, one in group.models.items()}


def _model(one: ModelSummary) -> dict[str, Any]:
    spread_fields = ("metrics", "positives", "defined")
    counts = {f.name: getattr(one, f.name) for f in fields(one) if f.name not in spread_fields}
    return {
        **counts,
        "metrics": _spreads(one.metrics),
        "metrics_without_true_negatives": _spreads(one.positives),
        "defined": _spreads(one.defined),
    }


def _spreads(metrics: Mapping[str, Spread]) -> dict[str, Any]:
    return {name: spread.to_json() for name, spread in metrics.items()}


def _comparison(one: Comparison) -> dict[str, Any]:
    values = asdict(one)
    difference = one.difference.to_json()
    own = {name: tidy(values[name]) for name in ("harmed", "helped")}
    named = {name: values[name] for name in ("group", "metric", "a", "b")}
    return {**named, **difference, "p_holm": tidy(one.holm), **own}
