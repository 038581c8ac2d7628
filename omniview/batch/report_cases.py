"""Single cases in the report: pictures of those to look at, why some have no score, and the list of all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from omniview.batch.findings import Findings
from omniview.batch.html import Html, element, join, table
from omniview.batch.rows import FAILED, UNREADABLE
from omniview.batch.series import ABSENT, STATUSES, Bools, Doubles, Gathered, Picture, Series
from omniview.batch.wording import DASH, number_of, plain, title_of
from omniview.core.looks import LOOKS, Layer
from omniview.core.metrics import METRICS

__all__ = ["case_table", "galleries", "unscored"]

MOST = 2000
"""Cases in the list; of more, the worst and the best `ENDS` are shown."""
ENDS = 500
TOLD = 60  # rows without a score that are named with their reason


def galleries(findings: Findings) -> Html:
    """Thumbnails of the worst cases, and of those that fusion changed most."""
    gathered = findings.gathered
    parts: list[object] = [_key()]
    parts += [element("h3", f"Lowest Dice of {gathered.headline}"), _gallery(gathered.worst)]
    if gathered.harmed:
        parts += [element("h3", "Fusion lost most against the specialist"), _gallery(gathered.harmed)]
    if gathered.helped:
        parts += [element("h3", "Fusion gained most over the specialist"), _gallery(gathered.helped)]
    return join(parts)


def _key() -> Html:
    """What the outlines' colours mean."""
    items = []
    for layer in (Layer.TRUTH, Layer.SPECIALIST, Layer.OMNIMODEL, Layer.FUSED):
        look = LOOKS[layer]
        red, green, blue = look.colour
        style = (
            f"border-color: rgb({red},{green},{blue}); border-style: {'dashed' if look.dashed else 'solid'}"
        )
        items.append(element("li", element("i", style=style), look.title))
    return element("ul", *items, class_="key", aria_label="Outlines")


def _gallery(pictures: Sequence[Picture]) -> Html:
    return element("div", *(_picture(one) for one in pictures), class_="gallery")


def _picture(picture: Picture) -> Html:
    dice = [element("span", f"{model} {plain(value, 'dice')}") for model, value in picture.dice.items()]
    source = "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode("ascii")
    image = Html(f'<img src="{source}" alt="{escape(picture.name)} with outlines" loading="lazy">')
    return element("figure", image, element("figcaption", picture.name, *dice))


def unscored(findings: Findings) -> Html:
    """Cases without a score, with their reasons."""
    reasons = findings.gathered.reasons
    if not reasons:
        return Html("")
    total = _without_score(findings.gathered)
    shown = reasons[:TOLD]
    more = f"; {total - len(shown):,} more are in cases.csv" if total > len(shown) else ""
    caption = f"Why there is no score ({number_of(total, 'row')}{more})."
    return table(["Case", "Model", "Status", "Reason"], shown, caption=caption, words=4, kind="names")


def _without_score(gathered: Gathered) -> int:
    """How many rows have no score: of each reader where a truth has one's name, else of the model."""
    total = 0
    for name, series in gathered.models.items():
        readers = [one for (model, _), one in gathered.readers.items() if model == name]
        named = np.any([one.status != ABSENT for one in readers], axis=0) if readers else np.False_
        total += int(np.count_nonzero(_bad(series) & ~named))
    return total + sum(int(np.count_nonzero(_bad(one))) for one in gathered.readers.values())


def _bad(series: Series) -> Bools:
    return series.is_status(FAILED) | series.is_status(UNREADABLE)


def case_table(findings: Findings) -> Html:
    """The list of all cases, worst first; of very many its two ends."""
    gathered = findings.gathered
    if not gathered.names or "dice" not in gathered.metrics:
        return element("p", "No case has a score; see cases.csv.")
    headline = gathered.models[gathered.headline]
    dice = headline.counted("dice")
    order = np.argsort(np.where(np.isnan(dice), np.inf, dice), kind="stable")
    left_out = ""
    if len(order) > MOST:
        scored = order[: int(np.count_nonzero(~np.isnan(dice)))]
        shown = f"{len(scored):,} with a score"
        if len(scored) > 2 * ENDS:
            shown = f"{ENDS} worst and the {ENDS} best"
            scored = np.concatenate((scored[:ENDS], scored[-ENDS:]))
        left_out = f" Only the {shown} of {len(order):,} are listed; all are in cases.csv."
        order = scored
    columns: list[tuple[str, str, Doubles]] = [
        (f"Dice: {name}", "dice", series.columns["dice"]) for name, series in gathered.models.items()
    ]
    columns += [
        (
            f"{title_of(metric, findings.everything.unit)}: {gathered.headline}",
            metric,
            headline.columns[metric],
        )
        for metric in ("hd95", "nsd")
        if metric in gathered.metrics
    ]
    if not np.isnan(headline.columns["quality"]).all():
        columns.append((f"Predicted Dice: {gathered.headline}", "dice", headline.columns["quality"]))
    # where the heading cannot name the unit, each distance does
    mixed = findings.everything.unit is None
    units = np.where(headline.in_mm, " mm", " px") if mixed else np.full(len(gathered.names), "")
    several = len(findings.groups) > 1
    head = ["Case", *(["Task"] if several else []), "Status", *(title for title, _, _ in columns)]
    rows = (
        [
            gathered.names[case],
            *([gathered.tasks[case]] if several else []),
            _status(int(headline.status[case])),
            *(_number(float(values[case]), metric, units[case]) for _, metric, values in columns),
        ]
        for case in order
    )
    note = element("p", f"Press a heading to sort.{left_out}", class_="note screen")
    printed = element(
        "p", f"Printed are at most the 40 worst cases; all are in cases.csv.{left_out}", class_="note paper"
    )
    listed = table(head, rows, words=3 if several else 2, kind="sortable")
    return join(
        [
            note,
            printed,
            element("div", listed, class_="cases", tabindex="0", role="region", aria_label="All cases"),
        ]
    )


def _status(code: int) -> str:
    return DASH if code == ABSENT else STATUSES[code]


def _number(value: float, metric: str, unit: str) -> str:
    if np.isnan(value):
        return DASH
    return plain(value, metric) + (unit if METRICS[metric].unit != "1" else "")
