"""The report's tables of results: what each model reached, how they compare, and what was counted."""

from __future__ import annotations

from omniview.batch.findings import HARM, Comparison, Findings, Group
from omniview.batch.html import Html, element, join, table
from omniview.batch.statistics import Spread
from omniview.batch.wording import (
    DASH,
    MAIN,
    between,
    number_of,
    p_value,
    plain,
    share,
    signed,
    title_of,
    value_of,
)
from omniview.core.metrics import METRICS

__all__ = ["comparisons", "counts", "harm", "results", "signed_between"]


def signed_between(one: Comparison) -> str:
    """A difference's interval in brackets."""
    low, high = one.difference.low, one.difference.high
    return "" if low is None or high is None else f"[{signed(low, one.metric)}, {signed(high, one.metric)}]"


def harm(one: Comparison) -> str:
    """Shares of cases that a model harmed and helped."""
    if one.harmed is None or one.helped is None:
        return ""
    return f"harmed {one.harmed:.1%}, helped {one.helped:.1%} by more than {HARM:g}"


def results(findings: Findings, group: Group) -> Html:
    """Main metrics as a table, all of them folded away."""
    metrics = [m for m in MAIN if any(m in model.metrics for model in group.models.values())]
    others = [m for m in METRICS if any(m in model.metrics for model in group.models.values())]
    head = ["", "n", *(title_of(m, group.unit) for m in metrics)]
    rows: list[list[object]] = []
    for name, model in group.models.items():
        n = model.scored + model.failed
        rows.append([name, n, *(_cell(model.metrics.get(m), m) for m in metrics)])
        if model.true_negatives:
            cells = (_cell(model.positives.get(m), m) for m in metrics)
            rows.append([f"{name}, without true negatives", n - model.true_negatives, *cells])
    caption = (
        f"Mean and 95 % interval, {number_of(group.cases, 'case')}. "
        "A case without a mask counts as the worst value."
        + ("" if group.unit else " Distances are left out: some are in px, some in mm.")
    )
    everything = table(
        [
            "Metric",
            *(f"{name}: mean" for name in group.models),
            *(f"{name}: median (quartiles), n" for name in group.models),
        ],
        [
            [
                title_of(m, group.unit),
                *(_cell(model.metrics.get(m), m) for model in group.models.values()),
                *(_median(model.metrics.get(m), m) for model in group.models.values()),
            ]
            for m in others
        ],
        kind="all",
    )
    folded = element(
        "details", element("summary", "Every metric, with median and quartiles"), everything, class_="screen"
    )
    title = element("h3", group.name) if len(findings.groups) > 1 else Html("")
    return join([title, table(head, rows, caption=caption), folded])


def _cell(spread: Spread | None, metric: str) -> Html:
    return join([value_of(spread, metric), element("small", between(spread, metric))])


def _median(spread: Spread | None, metric: str) -> str:
    if spread is None or not spread.n:
        return DASH
    quartiles = f"({plain(spread.q1, metric)}, {plain(spread.q3, metric)})"
    return f"{plain(spread.median, metric)} {quartiles}, n {spread.n}"


def comparisons(findings: Findings) -> Html:
    """Every pair of models, with its tests."""
    unit = {group.name: group.unit for group in findings.groups}
    several = len(findings.groups) > 1
    rows = [
        [
            f"{one.b} \N{MINUS SIGN} {one.a}" + (f" ({one.group})" if several else ""),
            title_of(one.metric, unit[one.group]),
            one.difference.n,
            join([signed(one.difference.mean, one.metric), element("small", signed_between(one))]),
            f"{one.difference.better} / {one.difference.worse}",
            DASH if one.difference.effect is None else signed(one.difference.effect),
            p_value(one.difference.p),
            p_value(one.holm),
            "" if one.harmed is None or one.helped is None else f"{one.harmed:.1%} / {one.helped:.1%}",
        ]
        for one in findings.comparisons
    ]
    head = [
        "",
        "Metric",
        "n",
        "Mean difference",
        "Better / worse",
        "Effect",
        "p",
        "p (Holm)",
        "Harmed / helped",
    ]
    caption = (
        "Paired comparisons. Interval: BCa bootstrap over pairs. p: two-sided Wilcoxon signed-rank test; "
        f"Holm: adjusted for all {len(rows)} comparisons. Effect: rank-biserial correlation, positive where "
        f"the first is better. Harmed / helped: pairs whose Dice is lower / higher by more than {HARM:g}."
        " The interval is about the mean, the test about ranks: a few large changes move one without the "
        "other."
    )
    return table(head, rows, caption=caption, words=2)


def counts(findings: Findings) -> Html:
    """How many cases of each kind, and how many finds and misses."""
    rows = [
        [
            f"{name}" + (f" ({group.name})" if len(findings.groups) > 1 else ""),
            model.cases,
            model.scored,
            model.failed,
            model.not_asked,
            model.unreadable,
            model.without_truth,
            share(model.false_finds, model.nothing_to_find),
            share(model.missed, model.scored - model.nothing_to_find),
        ]
        for group in findings.groups
        for name, model in group.models.items()
    ]
    head = [
        "",
        "Cases",
        "Scored",
        "Without a mask",
        "Not asked",
        "Unreadable",
        "Without truth",
        "False finds, of cases with nothing to find",
        "Empty masks, of cases with something",
    ]
    caption = "Every case is in one of the five columns after the first. Those without a mask count as worst."
    return table(head, rows, caption=caption)
