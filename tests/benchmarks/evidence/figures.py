"""Figures of the evidence, drawn as the reports of batches are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from omniview.batch.plots import MUTED, Axes, Canvas, mark_of
from omniview.batch.trust import risk_coverage
from tests.benchmarks.evidence.experiments import STAND_IN, Evidence
from tests.benchmarks.evidence.measures import gains
from tests.benchmarks.evidence.report import thirds_of
from tests.benchmarks.evidence.scores import FUSED, OMNIMODEL, ORACLE, SPECIALIST
from tests.benchmarks.evidence.subsets import subsets

__all__ = ["write_figures"]

SIDE, GAP = 210.0, 66.0
_SHARE = (0.0, 1.0)


def write_figures(found: Sequence[Evidence], out: Path) -> None:
    """One SVG a question, one panel a task."""
    titles = {
        "risk": (_risk, "Error of the rest, if the least trusted cases go to a person"),
        "asking": (_asking, "Mean Dice by the share of images that the stand-in is asked about"),
        "sweep": (_sweep, "Gain of fusion by the strength of a simulated omnimodel"),
        "hard": (_hard, "Gain of fusion on the hardest tenth, by who chose it"),
        "quality": (_quality, "Predicted and true Dice of the fused mask"),
    }
    for name, (draw, title) in titles.items():
        (out / f"{name}.svg").write_text(_panels(name, title, found, draw), encoding="utf-8")


def _panels(
    name: str, title: str, found: Sequence[Evidence], draw: Callable[[Canvas, float, Evidence], None]
) -> str:
    canvas = Canvas(name, 20 + len(found) * (SIDE + GAP), SIDE + 126)
    for place, evidence in enumerate(found):
        draw(canvas, 56 + place * (SIDE + GAP), evidence)
    ns = ", ".join(f"{e.task} n {len(e.scores[STAND_IN].names)}" for e in found)
    return canvas.svg(title, f"{title}; test splits: {ns}.")


def _risk(canvas: Canvas, left: float, evidence: Evidence) -> None:
    scores = evidence.scores[STAND_IN]
    curves = {m: risk_coverage(scores.series(m)) for m in (SPECIALIST, OMNIMODEL, FUSED)}
    highest = max((float(c.risk.max()) for c in curves.values() if c is not None), default=1.0)
    axes = Axes(canvas, left, 40, SIDE, SIDE, _SHARE, (0.0, max(highest * 1.08, 0.01)))
    axes.frame("share of cases kept", "mean of 1 − Dice", evidence.task)
    for model, curve in curves.items():
        if curve is not None:
            canvas.path(axes.places(curve.coverage, curve.risk), mark_of(model))
    canvas.legend(left, SIDE + 92, [SPECIALIST, OMNIMODEL, FUSED], lines=True)


def _asking(canvas: Canvas, left: float, evidence: Evidence) -> None:
    scores = evidence.scores[STAND_IN]
    quality = scores.quality[SPECIALIST][:, 0]
    order = np.argsort(np.where(np.isnan(quality), -1.0, quality), kind="stable")
    n, start = len(order), float(scores.dice[SPECIALIST].mean())
    asked = np.arange(n + 1) / n
    curves = {
        model: start
        + np.concatenate([[0.0], np.cumsum((scores.dice[model] - scores.dice[SPECIALIST])[order])]) / n
        for model in (OMNIMODEL, FUSED, ORACLE)
    }
    low, high = (float(f([f(c) for c in curves.values()])) for f in (np.min, np.max))
    room = max(high - low, 0.004) * 0.06
    axes = Axes(canvas, left, 40, SIDE, SIDE, _SHARE, (low - room, high + room))
    axes.frame("share of images asked about", "mean Dice", evidence.task)
    for model, curve in curves.items():
        canvas.path(axes.places(asked, curve), mark_of(model))
    canvas.legend(left, SIDE + 92, list(curves), lines=True)


def _sweep(canvas: Canvas, left: float, evidence: Evidence) -> None:
    points = [p for p in evidence.sweep if not p.linked]
    found = [(p, gains(p.scores, [SPECIALIST])[0].difference) for p in points]
    ends = [v for _, d in found for v in (d.low, d.high) if v is not None] or [0.0]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = max(high - low, 0.01) * 0.06
    axes = Axes(canvas, left, 40, SIDE, SIDE, (0.45, 0.95), (low - room, high + room))
    axes.frame("mean Dice of the simulated omnimodel", "fused less specialist", evidence.task)
    canvas.line(left, axes.at_y(0.0), left + SIDE, axes.at_y(0.0), MUTED, stroke_dasharray="3 3")
    for place, quality in enumerate(dict.fromkeys(p.quality for p in points)):
        mark = mark_of((SPECIALIST, OMNIMODEL, FUSED)[place])
        chosen = [(p.mean, d) for p, d in found if p.quality == quality and d.mean is not None]
        x = np.array([mean for mean, _ in chosen])
        places = axes.places(x, np.array([d.mean for _, d in chosen], np.float64))
        canvas.path(places, mark)
        canvas.points(places, mark)
        for (px, _), (_, d) in zip(places, chosen, strict=True):
            if d.low is not None and d.high is not None:
                canvas.line(px, axes.at_y(d.low), px, axes.at_y(d.high), mark.colour)
        canvas.text(left, SIDE + 92 + 13 * place, quality, colour=mark.colour)


def _hard(canvas: Canvas, left: float, evidence: Evidence) -> None:
    scores = evidence.scores[STAND_IN]
    hard = [s for s in subsets(scores, thirds_of(evidence, STAND_IN)) if s.end == "hardest"]
    found = [(s.chooser, gains(scores.of(s.rows), [SPECIALIST])[0].difference) for s in hard]
    ends = [v for _, d in found for v in (d.low, d.high) if v is not None] or [0.0]
    low, high = min(-0.01, *ends), max(0.01, *ends)
    axes = Axes(canvas, left, 40, SIDE, SIDE, (low, high), (0.0, float(len(found))))
    axes.frame("fused less specialist", "", evidence.task, y_ticks=[])
    canvas.line(axes.at_x(0.0), 40, axes.at_x(0.0), 40 + SIDE, MUTED, stroke_dasharray="3 3")
    for place, (who, d) in enumerate(found):
        y = axes.at_y(len(found) - place - 0.6)
        canvas.text(left + 4, y - 9, f"by {who}, n {d.n}", colour=MUTED)
        if d.mean is not None:
            canvas.points([(axes.at_x(d.mean), y)], mark_of(FUSED))
        if d.low is not None and d.high is not None:
            canvas.line(axes.at_x(d.low), y, axes.at_x(d.high), y, mark_of(FUSED).colour)


def _quality(canvas: Canvas, left: float, evidence: Evidence) -> None:
    scores = evidence.scores[STAND_IN]
    value, low, high = scores.quality[FUSED].T
    dice = scores.dice[FUSED]
    axes = Axes(canvas, left, 40, SIDE, SIDE, _SHARE, _SHARE)
    axes.frame("predicted Dice", "Dice", evidence.task)
    canvas.line(axes.at_x(0), axes.at_y(0), axes.at_x(1), axes.at_y(1), MUTED, stroke_dasharray="3 3")
    held = (dice >= low - 1e-9) & (dice <= high + 1e-9)
    for rows, hollow in ((held, False), (~held, True)):
        canvas.points(axes.places(value[rows], dice[rows]), mark_of(FUSED), opacity=0.5, hollow=hollow)
