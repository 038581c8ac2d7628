"""against.html: what changed between two runs, as a page of its own."""

from __future__ import annotations

from typing import Any

from omniview.batch.against import Against, in_words
from omniview.batch.html import Html, element, join, table
from omniview.batch.report import page
from omniview.batch.report_facts import facts
from omniview.batch.summary import DISCLAIMER
from omniview.batch.wording import DASH, p_value, plain, signed, title_of

__all__ = ["against_html"]

_MOST = 1000  # rows that are listed; all are in against.json
_TOLD = 40  # names of cases that only one run has


def against_html(found: Against) -> str:
    """The page, with all it needs inside."""
    head = join(
        [
            element("h1", "Two runs compared"),
            element("p", f"{found.out} against {found.other}", class_="lead"),
            element("p", DISCLAIMER, class_="device", role="note"),
        ]
    )
    sections = [
        ("changed", "What had changed", _changed(found)),
        ("tests", "Did scores move on the whole?", _tests(found)),
        ("moves", "Cases that moved", _moves(found)),
        ("here", f"What ran in {found.out}", facts(found.ran[0])),
        ("there", f"What ran in {found.other}", facts(found.ran[1])),
    ]
    made_by = str(found.ran[0].get("provided_by", "OmniView"))
    return page("Two runs compared", head, sections, made_by)


def _changed(found: Against) -> Html:
    parts: list[object] = []
    if found.changed:
        rows = [(name, in_words(there), in_words(here)) for name, (there, here) in found.changed.items()]
        parts.append(table(["Fact", found.other, found.out], rows, words=3, kind="changed"))
    else:
        parts.append(element("p", "Versions, settings, weights and providers are the same in both runs."))
    for names, where in ((found.only_here, found.out), (found.only_there, found.other)):
        if names:
            more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
            parts.append(element("p", f"Only in {where} ({len(names)}): {', '.join(names[:_TOLD])}{more}."))
    return join(parts)


def _tests(found: Against) -> Html:
    rows = [
        [
            test.model,
            title_of(test.metric, found.unit),
            test.difference.n,
            join([signed(test.difference.mean, test.metric), element("small", _ends(test))]),
            f"{test.difference.better} / {test.difference.worse}",
            p_value(test.difference.p),
            p_value(test.holm),
        ]
        for test in found.tests
    ]
    caption = (
        f"{found.out} less {found.other} on the cases of both, failures counted as the worst value. "
        f"Interval: BCa bootstrap; p: Wilcoxon signed-rank test, adjusted after Holm. {found.note}"
    )
    head = ["Model", "Metric", "n", "Mean difference", "Better / worse", "p", "p (Holm)"]
    return table(head, rows, caption=caption, words=2)


def _ends(test: Any) -> str:
    low, high = test.difference.low, test.difference.high
    return "" if low is None or high is None else f"[{signed(low, test.metric)}, {signed(high, test.metric)}]"


def _moves(found: Against) -> Html:
    rows = [
        [
            move.image,
            move.model + (f" (reader {move.truth})" if move.truth else ""),
            move.why,
            _dice(move.before),
            _dice(move.after),
            signed(None if move.before is None or move.after is None else move.after - move.before),
        ]
        for move in found.moves[:_MOST]
    ]
    note = f"{len(found.moves)} rows moved, {found.same} did not."
    if len(found.moves) > _MOST:
        note += f" The {_MOST} that moved furthest are listed; all are in against.json."
    head = ["Case", "Model", "What else is different", found.other, found.out, "Difference"]
    said = element("p", note, class_="note")
    return join([said, _sorted_table(head, rows)]) if rows else said


def _sorted_table(head: list[str], rows: list[list[Any]]) -> Html:
    return table(head, rows, caption="Dice; press a heading to sort.", words=3, kind="sortable")


def _dice(value: float | None) -> str:
    return DASH if value is None else plain(value, "dice")
