"""Figures of how good the masks are: each shows single cases or intervals, never a bare mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniview.batch.cohorts import Cohort
from omniview.batch.findings import HARM, Findings, Group
from omniview.batch.plots import INK, MUTED, Axes, Canvas, mark_of, ticks
from omniview.batch.series import Doubles
from omniview.batch.statistics import Spread
from omniview.batch.wording import signed
from omniview.core.prediction import ROLES

__all__ = ["Figure", "area_agreement", "boxes", "cohort_gains", "pairs", "thinned"]

MOST = 1500  # points in one panel: more would be a blot, and a large file
_SHARE = (0.0, 1.0)
_SLOT, _GAP, _HIGH = 78.0, 34.0, 300.0  # px: a box with its points, between groups, a line of groups
_A_LINE = 3  # groups: more would be shrunk until nobody can read them


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what is to be said under it.

    Attributes:
        svg: the picture.
        caption: what is seen, with n.
    """

    svg: str
    caption: str


def thinned(*columns: Doubles) -> tuple[tuple[Doubles, ...], str]:
    """Columns without cases that lack a value, thinned evenly to what a panel holds; and words about it."""
    places = np.flatnonzero(~np.isnan(np.stack(columns)).any(axis=0))
    words = ""
    if len(places) > MOST:
        words = f" Not every case is drawn: {MOST:,} a panel, evenly taken."
        places = places[np.linspace(0, len(places) - 1, MOST).round().astype(np.int64)]
    return tuple(column[places] for column in columns), words


def boxes(findings: Findings) -> Figure | None:
    """Dice of every model in each group, as boxes with the cases themselves."""
    gathered = findings.gathered
    groups = [g for g in findings.groups if _dice(g)]
    if not groups:
        return None
    lines = [groups[k : k + _A_LINE] for k in range(0, len(groups), _A_LINE)]
    widths = [sum(_room(group) for group in line) for line in lines]
    canvas = Canvas("boxes", 56 + max(widths) + 8, _HIGH * len(lines))
    note = ""
    for place, (line, wide) in enumerate(zip(lines, widths, strict=True)):
        axes = Axes(canvas, 52, 12 + place * _HIGH, wide, 240, (0.0, wide), _SHARE)
        axes.frame(y_label="Dice", x_ticks=[])
        left = _GAP / 2
        for group in line:
            for slot, (model, spread) in enumerate(_dice(group).items()):
                values = gathered.models[model].counted("dice")[group.chosen]
                thin = _box(axes, left + (slot + 0.5) * _SLOT, values[~np.isnan(values)], model, spread)
                note = note or thin
            if len(groups) > 1:
                middle = axes.at_x(left + (_room(group) - _GAP) / 2)
                canvas.text(middle, axes.top + 284, group.name, anchor="middle", bold=True)
            left += _room(group)
    caption = (
        "Dice of each model. Box: quartiles and median; whiskers: furthest case within 1.5 box heights "
        "(Tukey 1977); each point is a case; diamond with bar: mean with its 95 % interval. A case without a "
        f"mask counts as 0.{note}"
    )
    return Figure(canvas.svg("Dice of each model", caption), caption)


def _room(group: Group) -> float:
    """Px that a group's boxes take, and the gap to the next."""
    return len(_dice(group)) * _SLOT + _GAP


def _dice(group: Group) -> dict[str, Spread]:
    """Model to its spread of Dice, where it has any."""
    found = {name: model.metrics.get("dice") for name, model in group.models.items()}
    return {name: spread for name, spread in found.items() if spread is not None and spread.n}


def _box(axes: Axes, x: float, values: Doubles, model: str, spread: Spread) -> str:
    """Draw one model's box; words about points that are left out."""
    canvas, mark, middle, half = axes.canvas, mark_of(model), axes.at_x(x), 15.0
    q1, median, q3 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    reach = 1.5 * (q3 - q1)
    low, high = float(values[values >= q1 - reach].min()), float(values[values <= q3 + reach].max())
    (shown,), thin = thinned(np.sort(values))
    # places beside the box by a rule, not by chance: neighbours in value lie apart
    side = ((np.arange(len(shown)) * 0.618034) % 1.0 - 0.5) * 22.0
    dots = zip(middle + 29 + side * 0.45, (axes.at_y(float(v)) for v in shown), strict=True)
    canvas.points(dots, mark, opacity=0.35 if len(shown) > 60 else 0.6, small=True)
    for whisker, end in ((low, q1), (high, q3)):
        canvas.line(middle, axes.at_y(whisker), middle, axes.at_y(end), mark.colour)
        canvas.line(middle - 7, axes.at_y(whisker), middle + 7, axes.at_y(whisker), mark.colour)
    top, bottom = axes.at_y(q3), axes.at_y(q1)
    style: dict[str, str | float] = {"fill": "#ffffff", "stroke": mark.colour, "stroke_width": 1.6}
    canvas.rect(middle - half, top, 2 * half, max(bottom - top, 0.5), **style)
    canvas.line(
        middle - half, axes.at_y(median), middle + half, axes.at_y(median), mark.colour, stroke_width=2.4
    )
    if spread.mean is not None:
        if spread.low is not None and spread.high is not None:
            canvas.line(middle - 23, axes.at_y(spread.low), middle - 23, axes.at_y(spread.high), INK)
        canvas.points([(middle - 23, axes.at_y(spread.mean))], mark_of("fused"))
    canvas.text(middle, axes.top + axes.height + 17, model, anchor="middle")
    canvas.text(middle, axes.top + axes.height + 31, f"n {spread.n}", anchor="middle", colour=MUTED)
    return thin


def pairs(findings: Findings) -> Figure | None:
    """Every case's Dice of the other models over the specialist's."""
    models = findings.gathered.models
    others = [name for name in models if name != ROLES[0]]
    if ROLES[0] not in models or not others or "dice" not in findings.gathered.metrics:
        return None
    own, side = models[ROLES[0]].counted("dice"), 250.0
    canvas = Canvas("pairs", 20 + len(others) * (side + 66), side + 74)
    note, parts = "", []
    for place, other in enumerate(others):
        (x, y), thin = thinned(own, models[other].counted("dice"))
        axes = Axes(canvas, 52 + place * (side + 66), 26, side, side, _SHARE, _SHARE)
        axes.frame("Dice of the specialist", f"Dice: {other}", f"{other} against specialist")
        canvas.line(axes.at_x(0), axes.at_y(0), axes.at_x(1), axes.at_y(1), MUTED, stroke_dasharray="3 3")
        canvas.points(axes.places(x, y), mark_of(other), opacity=0.45)
        difference = models[other].counted("dice") - own
        known = difference[~np.isnan(difference)]
        gained, lost = np.count_nonzero(known > HARM), np.count_nonzero(known < -HARM)
        parts.append(f"{other}: n {len(known)}, {gained} better and {lost} worse by more than {HARM:g}")
        note = note or thin
    caption = f"Each point is a case; above the diagonal the other mask is better. {'; '.join(parts)}.{note}"
    return Figure(canvas.svg("Dice of the other models over the specialist's", caption), caption)


def area_agreement(findings: Findings) -> Figure | None:
    """Areas of masks against areas of truths, after Bland and Altman."""
    if not findings.areas:
        return None
    every = list(findings.areas.values())
    reach = max(float(np.abs(one.difference).max()) for one in every)
    reach = max(reach, *(max(abs(one.lower.value), abs(one.upper.value)) for one in every)) * 1.08 or 1.0
    widest = max(float(one.mean.max()) for one in every) * 1.04 or 1.0
    digits = 1 if reach >= 5 else 2 if reach >= 0.5 else 3
    wide, high = 208.0, 190.0
    canvas = Canvas("areas", 14 + len(every) * (wide + 94), high + 72)
    parts, note = [], ""
    for place, (model, one) in enumerate(findings.areas.items()):
        axes = Axes(canvas, 50 + place * (wide + 94), 26, wide, high, (0.0, widest), (-reach, reach))
        axes.frame("mean of both areas, % of image", "mask \N{MINUS SIGN} truth, % of image", model)
        canvas.line(axes.left, axes.at_y(0), axes.left + wide, axes.at_y(0), MUTED)
        (x, y), thin = thinned(one.mean, one.difference)
        canvas.points(axes.places(x, y), mark_of(model), opacity=0.5)
        middle = axes.at_y(one.bias.value)
        for end, dash, away in ((one.bias, "none", 0), (one.lower, "5 3", 1), (one.upper, "5 3", -1)):
            at = axes.at_y(end.value)
            canvas.line(axes.left, at, axes.left + wide, at, INK, stroke_width=1.3, stroke_dasharray=dash)
            label = f"{end.value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
            # limits that are close together have their labels further apart
            beside = middle + away * max(abs(at - middle), 12.0)
            canvas.text(axes.left + wide + 3, beside + 3.8, label)
        parts.append(f"{model} n {len(one.mean)}")
        note = note or thin
    caption = (
        f"Size of mask against size of truth ({', '.join(parts)}). Solid line: mean difference (bias); "
        f"broken: limits of agreement, bias \N{PLUS-MINUS SIGN} 1.96 standard deviations (Bland and Altman "
        f"1986). Failures have no area and are left out.{note}"
    )
    return Figure(canvas.svg("Agreement of areas", caption), caption)


def cohort_gains(findings: Findings) -> Figure | None:
    """What the headline model gains over the specialist in each cohort, with its interval."""
    model = findings.gathered.headline
    shown = [one for one in findings.cohorts if model in one.gains and one.gains[model].mean is not None]
    if not shown:
        return None
    ends = [end for one in shown for end in (one.gains[model].low, one.gains[model].high) if end is not None]
    gaps = [gap for one in shown if (gap := _gap(one)) is not None]
    reach = max((abs(end) for end in (*ends, *gaps)), default=0.1) * 1.1 or 0.1
    row, left, wide = 24.0, 330.0, 300.0
    canvas = Canvas("cohorts", left + wide + 112, 52 + row * len(shown))
    axes = Axes(canvas, left, 10, wide, row * len(shown), (-reach, reach), (0.0, 1.0))
    axes.frame(f"Dice: {model} \N{MINUS SIGN} specialist", y_ticks=[], x_ticks=ticks(-reach, reach, 6))
    canvas.line(axes.at_x(0), axes.top, axes.at_x(0), axes.top + axes.height, MUTED)
    for place, one in enumerate(shown):
        gain, y = one.gains[model], axes.top + (place + 0.5) * row
        canvas.text(left - 10, y + 4, f"{one.end}, {one.way.short}", anchor="end")
        if gain.low is not None and gain.high is not None:
            canvas.line(axes.at_x(gain.low), y, axes.at_x(gain.high), y, INK, stroke_width=1.6)
        biased = bool(one.way.chooser)
        canvas.points([(axes.at_x(gain.mean or 0.0), y)], mark_of("fused"), hollow=biased)
        if (gap := _gap(one)) is not None:
            at = axes.at_x(gap)
            canvas.line(at, y - 7, at, y + 7, mark_of("omnimodel").colour, stroke_width=2)
        canvas.text(left + wide + 12, y + 4, f"{signed(gain.mean)}  (n {gain.n})")
    caption = (
        f"Gain of {model} over the specialist in the hardest and easiest tenth, with 95 % intervals. Filled "
        "diamond: no one model chose the cases. Hollow: a model's own Dice chose them; the upright stroke "
        "is what a merely equal second model would seem to gain there (regression to the mean)."
    )
    return Figure(canvas.svg(f"Gain of {model} in the cohorts", caption), caption)


def _gap(one: Cohort) -> float | None:
    """What an equal model would seem to gain over the specialist, where the specialist chose."""
    specialist = one.dice.get(ROLES[0])
    if one.equal is None or one.way.chooser != ROLES[0] or specialist is None or specialist.mean is None:
        return None
    return one.equal - specialist.mean
