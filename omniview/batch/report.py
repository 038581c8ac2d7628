"""report.html: one file that opens offline, prints on A4, and says with every number how it came about.

Nothing in it is loaded from elsewhere, and its own policy (Content-Security-Policy) forbids it to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omniview import resources
from omniview.batch.figures import Figure, area_agreement, boxes, cohort_gains, pairs
from omniview.batch.figures_trust import predicted_dice, reliability_diagram, risk_curves
from omniview.batch.findings import ALL, Findings
from omniview.batch.html import Html, element, join
from omniview.batch.report_cases import case_table, galleries, unscored
from omniview.batch.report_facts import banners, facts, methods
from omniview.batch.report_results import comparisons, counts, harm, results, signed_between
from omniview.batch.report_trust import cohort_section, margin_note, reader_section, trust_table
from omniview.batch.rows import OBSERVER
from omniview.batch.summary import DISCLAIMER
from omniview.batch.wording import between, number_of, p_value, signed, value_of
from omniview.core.prediction import ROLES

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
    what = ", ".join(tasks) or about.get("task") or "none"  # where nothing could be read, what was asked for
    counted = f"{number_of(len(gathered.names), 'case')}; task: {what}"
    head = join(
        [
            element("h1", "Segmentation scores"),
            element("p", join([counted, *_who(about)]), class_="lead"),
            element("p", DISCLAIMER, class_="device", role="note"),
            banners(about),
        ]
    )
    return page(
        "Segmentation scores", head, [*_sections(findings, about)], str(about.get("provided_by", "OmniView"))
    )


def _who(about: Mapping[str, Any]) -> Iterator[object]:
    """Which model played which part: a stand-in must not pass for what it stands in for."""
    models = about.get("models")
    for role, ran in models.items() if isinstance(models, Mapping) else ():
        names = dict.fromkeys(str(one.get("model", "")) for one in ran if isinstance(one, Mapping))
        if any(names):
            yield join([Html("<br>"), f"{role}: {', '.join(filter(None, names))}"])


def page(title: str, head: Html, sections: list[Section], made_by: str) -> str:
    """A page out of sections, with all it needs inside."""
    style = resources.path("report/report.css").read_text("utf-8")
    script = resources.path("report/report.js").read_text("utf-8")
    links = join(element("li", element("a", heading, href=f"#{anchor}")) for anchor, heading, _ in sections)
    body = join(
        element("section", element("h2", heading, id=anchor), content)
        for anchor, heading, content in sections
    )
    footer = f"{made_by}. {DISCLAIMER} Names and pictures in this file may be those of patients."
    meta = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{meta}{element("title", title)}'
        f"<style>\n{style}</style></head>"
        f"<body>{element('header', head)}{element('nav', element('ol', links), aria_label='Contents')}"
        f"<main>{body}</main>{element('footer', footer)}<script>\n{script}</script></body></html>\n"
    )


def _sections(findings: Findings, about: Mapping[str, Any]) -> Iterator[Section]:
    gathered = findings.gathered
    if "dice" in gathered.metrics:
        yield "glance", "At a glance", join([_cards(findings), _figure(boxes(findings), "beside")])
    if gathered.metrics:
        yield "results", "Results", join(results(findings, group) for group in findings.groups)
    if findings.comparisons:
        parts = [_figure(pairs(findings)), comparisons(findings)]
        yield "models", "Models against each other", join(parts)
    if findings.cohorts:
        parts = [_figure(cohort_gains(findings)), cohort_section(findings)]
        yield "cohorts", "Easiest and hardest cases", join(parts)
    if findings.risk or findings.reliability:
        parts = [_figure(predicted_dice(findings)), trust_table(findings), margin_note(findings)]
        curves = (_figure(make(findings)) for make in (risk_curves, reliability_diagram))
        parts.append(element("div", *curves, class_="two"))
        yield "trust", "Can the models' own word be trusted?", join(parts)
    if findings.areas:
        yield "areas", "Size of masks", _figure(area_agreement(findings))
    if any(model.startswith(OBSERVER) for model, _ in findings.readers):
        yield "readers", "People against each other", reader_section(findings)
    if gathered.worst:
        yield "worst", "Cases to look at", galleries(findings)
    yield "counts", "What was counted", join([counts(findings), unscored(findings)])
    yield "cases", "All cases", case_table(findings)
    yield "ran", "What ran", facts(about)
    yield "methods", "How numbers were made", methods()


def _figure(figure: Figure | None, kind: str = "") -> Html:
    if figure is None:
        return Html("")
    named = {"class_": kind} if kind else {}
    return element("figure", Html(figure.svg), element("figcaption", figure.caption), **named)


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
        difference, compared = one.difference, (one.group, one.metric, one.a, one.b)
        if compared == (ALL, "dice", ROLES[0], headline) and difference.n:
            interval = signed_between(one)
            cards.append(
                element(
                    "div",
                    element("span", f"{headline} \N{MINUS SIGN} specialist", class_="name"),
                    element("b", signed(difference.mean)),
                    element("span", f"95 % interval {interval}" if interval else "no interval"),
                    element("span", f"p (Holm) {p_value(one.holm)}"),
                    element("span", f"n {difference.n}; {harm(one)}"),
                    class_="card",
                )
            )
    return element("div", *cards, class_="cards")
