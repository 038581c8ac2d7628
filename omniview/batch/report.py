"""report.html: one file that opens offline, prints on A4, and says with every number how it came about.

Nothing in it is loaded from elsewhere, and its own policy (Content-Security-Policy) forbids it to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omniview import resources
from omniview.batch.figures import Figure, area_agreement, boxes, cohort_gains, pairs
from omniview.batch.figures_trust import predicted_dice, reliability_diagram, risk_curves
from omniview.batch.findings import HARM, Comparison, Findings, Group
from omniview.batch.html import Html, element, join, table
from omniview.batch.report_cases import case_table, galleries, unscored
from omniview.batch.report_facts import banners, facts, methods
from omniview.batch.report_trust import cohort_section, margin_note, reader_section, trust_table
from omniview.batch.rows import OBSERVER
from omniview.batch.summary import DISCLAIMER
from omniview.batch.wording import MAIN, between, p_value, plain, share, signed, title_of, value_of
from omniview.core.metrics import METRICS

__all__ = ["Section", "page", "report_html"]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

Section = tuple[str, str, Html]
"""Anchor, heading, content."""


def report_html(findings: Findings, about: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        findings: of the run.
        about: what ran, as summary.json has it.
    """
    gathered = findings.gathered
    tasks = sorted({str(task) for task in gathered.tasks} - {""})
    n = len(gathered.names)
    head = join(
        [
            element("h1", "Segmentation scores"),
            element(
                "p",
                f"{n:,} {'case' if n == 1 else 'cases'}; task: {', '.join(tasks) or 'none'}",
                class_="lead",
            ),
            element("p", DISCLAIMER, class_="device", role="note"),
            banners(about),
        ]
    )
    return page(
        "Segmentation scores", head, [*_sections(findings, about)], str(about.get("provided_by", "OmniView"))
    )


def page(title: str, head: Html, sections: list[Section], made_by: str) -> str:
    """A page out of sections, with all it needs inside."""
    style = resources.path("report/report.css").read_text("utf-8")
    script = resources.path("report/report.js").read_text("utf-8")
    links = join(element("li", element("a", heading, href=f"#{anchor}")) for anchor, heading, _ in sections)
    body = join(
        element("section", element("h2", heading, id=anchor), content)
        for anchor, heading, content in sections
    )
    meta = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    )
    foot = element(
        "footer", f"{made_by}. {DISCLAIMER} Names and pictures in this file may be those of patients."
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{meta}{element("title", title)}<style>\n{style}</style></head>'
        f"<body>{element('header', head)}{element('nav', element('ol', links), aria_label='Contents')}"
        f"<main>{body}</main>{foot}<script>\n{script}</script></body></html>\n"
    )


def _sections(findings: Findings, about: Mapping[str, Any]) -> Iterator[Section]:
    if any(model.metrics["dice"].n for model in findings.everything.models.values() if model.metrics):
        yield "glance", "At a glance", join([_cards(findings), _figure(boxes(findings))])
        yield "results", "Results", join(_results(findings, group) for group in findings.groups)
        if findings.comparisons:
            yield (
                "models",
                "Models against each other",
                join([_figure(pairs(findings)), _comparisons(findings)]),
            )
        if findings.cohorts:
            yield (
                "cohorts",
                "Easiest and hardest cases",
                join([_figure(cohort_gains(findings)), cohort_section(findings)]),
            )
        if findings.risk or findings.reliability:
            figures = (predicted_dice, risk_curves, reliability_diagram)
            shown = [_figure(make(findings)) for make in figures]
            yield (
                "trust",
                "Can the models' own word be trusted?",
                join([shown[0], trust_table(findings), margin_note(findings), *shown[1:]]),
            )
        if findings.areas:
            yield "areas", "Size of masks", _figure(area_agreement(findings))
    if any(model.startswith(OBSERVER) for model, _ in findings.readers):
        yield "readers", "People against each other", reader_section(findings)
    if findings.gathered.worst:
        yield "worst", "Cases to look at", galleries(findings)
    yield "counts", "What was counted", join([_counts(findings), unscored(findings)])
    yield "cases", "All cases", case_table(findings)
    yield "ran", "What ran", facts(about)
    yield "methods", "How numbers were made", methods()


def _figure(figure: Figure | None) -> Html:
    if figure is None:
        return Html("")
    return element("figure", Html(figure.svg), element("figcaption", figure.caption))


def _cards(findings: Findings) -> Html:
    """The few numbers that a reader looks for first."""
    cards = []
    for name, model in findings.everything.models.items():
        dice = model.metrics["dice"]
        cards.append(
            element(
                "div",
                element("span", f"{name}: mean Dice", class_="name"),
                element("b", value_of(dice, "dice")),
                element("span", f"95 % interval {between(dice)}" if between(dice) else "no interval"),
                element("span", f"n {dice.n}, of which {model.failed} without a mask"),
                class_=f"card {name}",
            )
        )
    headline = findings.gathered.headline
    for one in findings.comparisons:
        difference = one.difference
        if one.group == "all" and one.metric == "dice" and one.b == headline and one.a == "specialist":
            cards.append(
                element(
                    "div",
                    element("span", f"{headline} \N{MINUS SIGN} specialist", class_="name"),
                    element("b", signed(difference.mean)),
                    element("span", f"95 % interval {_signed_between(one)}, p (Holm) {p_value(one.holm)}"),
                    element("span", f"n {difference.n}; {_harm(one)}"),
                    class_="card",
                )
            )
    return element("div", *cards, class_="cards")


def _signed_between(one: Comparison) -> str:
    low, high = one.difference.low, one.difference.high
    return "" if low is None or high is None else f"[{signed(low, one.metric)}, {signed(high, one.metric)}]"


def _harm(one: Comparison) -> str:
    if one.harmed is None or one.helped is None:
        return ""
    return f"harmed {one.harmed:.1%}, helped {one.helped:.1%} by more than {HARM:g}"


def _results(findings: Findings, group: Group) -> Html:
    """Main metrics as a table, all of them folded away."""
    metrics = [m for m in MAIN if any(m in model.metrics for model in group.models.values())]
    others = [m for m in METRICS if any(m in model.metrics for model in group.models.values())]
    head = ["", *(title_of(m, group.unit) for m in metrics)]
    rows: list[list[object]] = []
    for name, model in group.models.items():
        rows.append(
            [f"{name} (n {model.scored + model.failed})", *(_cell(model.metrics.get(m), m) for m in metrics)]
        )
        if model.true_negatives:
            left = model.scored + model.failed - model.true_negatives
            cells = (_cell(model.positives.get(m), m) for m in metrics)
            rows.append([f"{name}, without true negatives (n {left})", *cells])
    caption = (
        f"Mean and 95 % interval, {group.cases:,} cases. A case without a mask counts as the worst value."
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
    folded = element("details", element("summary", f"All {len(others)} metrics"), everything, class_="screen")
    title = element("h3", group.name) if len(findings.groups) > 1 else Html("")
    return join([title, table(head, rows, caption=caption), folded])


def _cell(spread: Any, metric: str) -> Html:
    return join([value_of(spread, metric), element("small", between(spread, metric))])


def _median(spread: Any, metric: str) -> str:
    if spread is None or not spread.n:
        return "\N{EN DASH}"
    quartiles = f"({plain(spread.q1, metric)}, {plain(spread.q3, metric)})"
    return f"{plain(spread.median, metric)} {quartiles}, n {spread.n}"


def _comparisons(findings: Findings) -> Html:
    unit = {group.name: group.unit for group in findings.groups}
    several = len(findings.groups) > 1
    rows = [
        [
            f"{one.b} \N{MINUS SIGN} {one.a}" + (f" ({one.group})" if several else ""),
            title_of(one.metric, unit[one.group]),
            one.difference.n,
            join([signed(one.difference.mean, one.metric), element("small", _signed_between(one))]),
            f"{one.difference.better} / {one.difference.worse}",
            "\N{EN DASH}" if one.difference.effect is None else signed(one.difference.effect),
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
    )
    return table(head, rows, caption=caption, words=2)


def _counts(findings: Findings) -> Html:
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
