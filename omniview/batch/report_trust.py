"""What the report says about cohorts, about models' own word, and about people."""

from __future__ import annotations

from omniview.batch.cohorts import FAIRNESS
from omniview.batch.findings import Findings
from omniview.batch.html import Html, element, join, table
from omniview.batch.rows import OBSERVER
from omniview.batch.statistics import Difference
from omniview.batch.trust import NOMINAL
from omniview.batch.wording import DASH, MAIN, between, correlation, plain, signed, title_of, value_of

__all__ = ["cohort_section", "margin_note", "reader_section", "trust_table"]


def cohort_section(findings: Findings) -> Html:
    """Every cohort: Dice of all models, the headline's gain, and what an equal model would seem to reach."""
    cohorts, headline = findings.cohorts, findings.gathered.headline
    models = list(cohorts[0].dice)
    rows = [
        [
            f"{one.end.capitalize()}, {one.way.title}" + (" (biased)" if one.way.chooser else ""),
            next(iter(one.dice.values())).n,
            *(join([value_of(one.dice[m], "dice"), element("small", between(one.dice[m]))]) for m in models),
            DASH if one.equal is None else plain(one.equal, "dice"),
            _gain(one.gains.get(headline)),
        ]
        for one in cohorts
    ]
    head = [
        "Cohort",
        "n",
        *(f"Dice: {m}" for m in models),
        "Expected of an equally good model",
        f"Gain of {headline}",
    ]
    caption = (
        f"Mean Dice with 95 % interval in the easiest and hardest tenth (of {cohorts[0].ranked} cases that "
        "every model was asked about). Biased: a model's own Dice chose the cases."
    )
    return join([element("p", FAIRNESS), table(head, rows, caption=caption)])


def _gain(gain: Difference | None) -> Html:
    if gain is None:
        return Html(DASH)
    ends = "" if gain.low is None or gain.high is None else f"[{signed(gain.low)}, {signed(gain.high)}]"
    return join([signed(gain.mean), element("small", ends)])


def trust_table(findings: Findings) -> Html:
    """Predicted Dice, its interval, and calibration, a row a model."""
    rows = []
    for model in findings.gathered.models:
        curve, held, calibrated = (
            findings.risk.get(model),
            findings.coverage.get(model),
            findings.reliability.get(model),
        )
        if curve is None and calibrated is None:
            continue
        gained = None if curve is None else curve.gained
        rows.append(
            [
                model,
                DASH if held is None else held.n,
                DASH if curve is None else correlation(curve.correlation),
                DASH if held is None else plain(held.error, "dice"),
                DASH
                if held is None
                else join([f"{held.inside.value:.1%}", element("small", between(held.inside))]),
                DASH if held is None else f"{held.too_hopeful} / {held.too_careful}",
                DASH if curve is None else f"{curve.area:.3f}",
                DASH if gained is None else f"{gained:.0%}".replace("-", "\N{MINUS SIGN}"),
                DASH if calibrated is None else f"{calibrated.error:.4f}",
            ]
        )
    head = [
        "",
        "n",
        "Spearman, predicted and true Dice",
        "Mean error of predicted Dice",
        "Interval held",
        "Too hopeful / careful",
        "AURC",
        "Of what can be gained",
        "ECE, pixels",
    ]
    caption = (
        f"The interval of a predicted Dice should hold for {NOMINAL:.0%} of cases (below: its 95 % interval "
        "after Wilson). AURC: area under the risk-coverage curve; beside it, how much of the way from chance "
        "to the best possible order of cases was gained."
    )
    return table(head, rows, caption=caption)


def margin_note(findings: Findings) -> Html:
    """Whether the conformal margin held."""
    inner, outer = findings.margin
    if not inner.n and not outer.n:
        return Html("")
    said = (
        f"Margin of the fused mask: {plain(inner.mean, 'dice')} {between(inner)} of the inner mask lies "
        f"inside the truth (n {inner.n}), and {plain(outer.mean, 'dice')} {between(outer)} of the truth "
        f"inside the outer mask (n {outer.n}); mean over cases."
    )
    return element("p", said)


def reader_section(findings: Findings) -> Html:
    """People against each other, and models against each of them."""
    metrics = [m for m in MAIN if any(m in found for found in findings.readers.values())]
    rows = [
        [
            ("reader " if model.startswith(OBSERVER) else "") + model.removeprefix(OBSERVER),
            reader,
            next(iter(found.values())).n if found else 0,
            *(join([value_of(found.get(m), m), element("small", between(found.get(m), m))]) for m in metrics),
        ]
        for (model, reader), found in sorted(
            findings.readers.items(), key=lambda item: (not item[0][0].startswith(OBSERVER), item[0][1])
        )
    ]
    caption = (
        "Mean and 95 % interval against each reader's mask. What two people reach against each other is what "
        "can be asked of a model. All other numbers in this report are against the first reader."
    )
    head = ["Mask of", "against", "n", *(title_of(m, findings.everything.unit) for m in metrics)]
    return table(head, rows, caption=caption, words=2)
