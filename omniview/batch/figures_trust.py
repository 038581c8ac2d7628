"""Figures of whether a model's own word can be trusted: its probabilities, and the Dice it predicts."""

from __future__ import annotations

import math

import numpy as np

from omniview.batch.figures import Figure, thinned
from omniview.batch.findings import Findings
from omniview.batch.plots import MUTED, Axes, Canvas, mark_of, ticks
from omniview.batch.wording import correlation

__all__ = ["predicted_dice", "reliability_diagram", "risk_curves"]

_SHARE = (0.0, 1.0)
_SIDE = 250.0


def reliability_diagram(findings: Findings) -> Figure | None:
    """Share of the truth over probability, and how many pixels stand behind each point."""
    found = findings.reliability
    if not found:
        return None
    canvas = Canvas("reliability", _SIDE + 90, _SIDE + 158)
    axes = Axes(canvas, 52, 30, _SIDE + 20, _SIDE, _SHARE, _SHARE)
    axes.frame("", "share of pixels inside the truth", x_ticks=[])
    canvas.line(axes.at_x(0), axes.at_y(0), axes.at_x(1), axes.at_y(1), MUTED, stroke_dasharray="3 3")
    canvas.legend(axes.left, 16, list(found), lines=True)
    most = max(float(one.pixels.max()) for one in found.values())
    top = math.ceil(math.log10(max(most, 10.0)))
    below = Axes(canvas, 52, _SIDE + 52, _SIDE + 20, 60, _SHARE, (0.0, float(top)))
    names = {float(k): f"10{_raised(k)}" for k in range(0, top + 1, max(1, top // 3))}
    below.frame("probability", "pixels", y_ticks=list(names), y_names=names)
    for model, one in found.items():
        mark = mark_of(model)
        points = axes.places(one.predicted, one.observed)
        canvas.path(points, mark)
        canvas.points(points, mark)
        counts = np.log10(np.maximum(one.pixels, 1.0))
        centres = (np.arange(len(counts)) + 0.5) / len(counts)
        canvas.path(below.places(centres, counts), mark)
    errors = "; ".join(
        f"{model} {one.error:.4f}"
        + ("" if one.inner_error is None else f" ({one.inner_error:.3f} without the outer bins)")
        for model, one in found.items()
    )
    pixels = max(int(one.pixels.sum()) for one in found.values())
    caption = (
        f"Reliability over {pixels:,} pixels in {len(next(iter(found.values())).pixels)} bins. On the "
        "diagonal, probabilities mean what they say; below it they are too high. Expected calibration "
        f"error: {errors}. Most pixels are certain background, which makes the plain error small."
    )
    return Figure(canvas.svg("Reliability of probabilities", caption), caption)


def risk_curves(findings: Findings) -> Figure | None:
    """Mean error of the cases that are kept, over the share that is kept."""
    found = findings.risk
    if not found:
        return None
    canvas = Canvas("risk", _SIDE + 130, _SIDE + 80)
    highest = max(float(one.risk.max()) for one in found.values())
    axes = Axes(canvas, 52, 30, _SIDE + 50, _SIDE, _SHARE, (0.0, min(1.0, highest * 1.08) or 1.0))
    axes.frame("share of cases kept, most trusted first", "mean of 1 \N{MINUS SIGN} Dice")
    canvas.legend(axes.left, 16, list(found), lines=True)
    for model, one in found.items():
        (x, y), _ = thinned(one.coverage, one.risk)
        canvas.path(axes.places(x, y), mark_of(model))
    model = findings.gathered.headline
    if model in found:
        at = axes.at_y(found[model].chance)
        canvas.line(axes.left, at, axes.left + axes.width, at, MUTED, stroke_dasharray="2 3")
    areas = "; ".join(
        f"{name} {one.area:.3f} (n {len(one.risk)}; chance {one.chance:.3f}, best possible {one.best:.3f})"
        for name, one in found.items()
    )
    caption = (
        "Risk and coverage: the error of the rest, if cases with the lowest predicted Dice go to a person "
        f"(Geifman and El-Yaniv 2017). Dotted: {model}, left out at random. Area under the curve, less is "
        f"better: {areas}."
    )
    return Figure(canvas.svg("Risk and coverage", caption), caption)


def predicted_dice(findings: Findings) -> Figure | None:
    """Every case's true Dice over the predicted one."""
    shown = {name: findings.gathered.models[name] for name in findings.risk}
    if not shown:
        return None
    side = 200.0
    canvas = Canvas("predicted", 10 + len(shown) * (side + 64), side + 74)
    note, parts = "", []
    for place, (model, series) in enumerate(shown.items()):
        axes = Axes(canvas, 48 + place * (side + 64), 26, side, side, _SHARE, _SHARE)
        steps = ticks(0.0, 1.0, 5)
        axes.frame("predicted Dice", "Dice", model, x_ticks=steps, y_ticks=steps)
        canvas.line(axes.at_x(0), axes.at_y(0), axes.at_x(1), axes.at_y(1), MUTED, stroke_dasharray="3 3")
        columns = series.columns
        dice = series.counted("dice")
        wanted = (columns["quality"], dice, columns["quality_low"], columns["quality_high"])
        (x, y, low, high), thin = thinned(*wanted)
        within = (y >= low - 1e-9) & (y <= high + 1e-9)
        canvas.points(axes.places(x[within], y[within]), mark_of(model), opacity=0.5)
        canvas.points(axes.places(x[~within], y[~within]), mark_of(model), hollow=True)
        held, curve = findings.coverage.get(model), findings.risk[model]
        inside = "" if held is None else f", {held.inside.value:.0%} within the interval (n {held.n})"
        parts.append(f"{model}: Spearman {correlation(curve.correlation)}{inside}")
        note = note or thin
    caption = (
        "Predicted and true Dice, one point a case; filled: the case's own 90 % interval held, hollow: it "
        f"did not. {'; '.join(parts)}.{note}"
    )
    return Figure(canvas.svg("Predicted and true Dice", caption), caption)


def _raised(power: int) -> str:
    return "".join(
        "\N{SUPERSCRIPT ZERO}\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
        "\N{SUPERSCRIPT FOUR}\N{SUPERSCRIPT FIVE}\N{SUPERSCRIPT SIX}\N{SUPERSCRIPT SEVEN}"
        "\N{SUPERSCRIPT EIGHT}\N{SUPERSCRIPT NINE}"[int(digit)]
        for digit in str(power)
    )
