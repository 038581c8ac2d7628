"""What a fine-tuning leaves: a card with its weights if it is better, and in any case why it is or is not."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from omniview.errors import OutputError
from omniview.inference.card import SpecialistCard
from omniview.training.examine import Verdict, novelty_after, quality_after
from omniview.training.export import sha256, to_onnx, write_card
from omniview.training.held_out import WORTH, Gain
from omniview.training.network import LiteUnet, VesselUnet, parameter_count
from omniview.training.novelty import WithNovelty
from omniview.training.recipes import Recipe
from omniview.training.ship import curve_fields
from omniview.training.terms import data_fields

_WIDE, _HIGH, _MARGIN = 640, 260, 44
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
_HOW = (
    "Each mask was judged by a model that never saw it: the masks were dealt into {folds} folds, each judged "
    "by a model trained on the others, of which a quarter only said when to stop. The kept model is trained "
    "on all masks; as it learns from more of them than the models of the folds did, the gain is rather told "
    "too low than too high. The interval comes from so few masks that it is somewhat too narrow. A new model "
    "is kept only if mean Dice rises by more than {worth} and no more masks become worse than better."
)


@dataclass(frozen=True, slots=True)
class Curve:
    """How one training went: (step, loss), (step, Dice of watched masks), where it was best."""

    title: str
    losses: tuple[tuple[int, float], ...]
    looks: tuple[tuple[int, float], ...]
    best_step: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """``card``: the new one, or None if the old model is kept, for a ``reason``; ``report``: a text file."""

    card: Path | None
    report: Path
    gain: Gain
    reason: str


def write_card_of(
    parent: SpecialistCard,
    recipe: Recipe,
    network: LiteUnet | VesselUnet,
    out: Path,
    *,
    usual: Mapping[str, NDArray[np.float32]],
    verdicts: Sequence[Verdict],
    gain: Gain,
    folders: Sequence[Path],
    facts: Mapping[str, Any],
    curves: Sequence[Curve],
) -> Path:
    """Export ``network``, a fine-tuned ``parent``, with a card in ``out``; its path.

    Temperature, threshold and views are the parent's, with which the gain was measured; the predicted Dice
    keeps the parent's curve with intervals as wide as ``verdicts`` call for.
    """
    weights = out / f"{recipe.name}.onnx"
    example = {"image": torch.rand(2, 3, *parent.input.size)}
    if usual:
        to_onnx(WithNovelty.holding(network, usual).eval(), example, ["logits", "novelty"], weights)
    else:
        to_onnx(network, example, ["logits"], weights)
    fields = parent.model_dump(mode="json", by_alias=True, exclude={"int8", "figures"})
    path = out / f"{recipe.name}.toml"
    write_card(
        path,
        {
            **fields,
            "name": recipe.name,
            "version": "1",
            "weights": weights.name,
            "sha256": sha256(weights),
            "parameters": parameter_count(network),
            "quality": quality_after(parent, verdicts),
            "novelty": novelty_after(parent, verdicts) if usual else None,
            "training": {
                **facts,
                "from": {"name": parent.name, "version": parent.version, "sha256": parent.sha256},
                "recipe": {"network": recipe.network},
                **curve_fields(curves[-1].losses),
                "command": "omniview train --from CARD --data FOLDER... --out DIR",
            },
            "data": [*parent.data, *data_fields(folders)],
            "figures": _figures(gain, folders, len(parent.views.names)),
            "limits": {"known": [*parent.limits.get("known", ()), *_limits(parent, gain)]},
        },
    )
    return path


def write_report(
    out: Path, name: str, parent: SpecialistCard, gain: Gain, reason: str, curves: Sequence[Curve]
) -> Path:
    """NAME.report.md, NAME.curve.csv and NAME.curve.svg in ``out``; the path of the first.

    Raises :class:`OutputError` if they cannot be written.
    """
    report = out / f"{name}.report.md"
    folds = sum(bool(curve.looks) for curve in curves)
    lines = [
        f"# {parent.name} (version {parent.version}), fine-tuned as {name}",
        "",
        reason or _praise(name, gain),
        gain.words(),
        "",
        _HOW.format(folds=folds, worth=WORTH),
        "",
        "| held-out mask | folder | group | Dice before | Dice after | change |",
        "|---|---|---|---|---|---|",
        *(
            f"| {p.name} | {p.folder} | {p.group} "
            f"| {p.before:.3f} | {p.after:.3f} | {p.after - p.before:+.3f} |"
            for p in gain.pairs
        ),
        "",
    ]
    try:
        report.write_text("\n".join(lines), "utf-8")
        with (out / f"{name}.curve.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("training", "step", "loss", "watched_dice"))
            table.writerows(row for curve in curves for row in _rows(curve))
        (out / f"{name}.curve.svg").write_text(_drawn(curves), "utf-8")
    except OSError as error:
        raise OutputError(
            f"The report cannot be written ({error.strerror}).", "Choose another folder."
        ) from error
    return report


def _praise(name: str, gain: Gain) -> str:
    words = f"The new model {name} is better on average, and was written."
    if gain.low > 0:
        return words
    return f"{words} The interval of the gain reaches zero: it may still be chance."


def _rows(curve: Curve) -> list[tuple[str, int, str, str]]:
    losses, looks = dict(curve.losses), dict(curve.looks)
    return [
        (curve.title, step, _number(losses.get(step)), _number(looks.get(step)))
        for step in sorted({*losses, *looks})
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"


def _figures(gain: Gain, folders: Sequence[Path], views: int) -> list[dict[str, Any]]:
    about = {
        "set": ", ".join(folder.name for folder in folders),
        "split": "held out by cross-fitting",
        "n": len(gain.pairs),
        "views": views,
    }
    note = f"{gain.groups} groups; {gain.helped} better, {gain.harmed} worse"
    return [
        {**about, "metric": "dice of the model before", "mean": round(gain.before, 4)},
        {**about, "metric": "dice", "mean": round(gain.after, 4)},
        {
            **about,
            "metric": "gain of dice by fine-tuning",
            "mean": round(gain.mean, 4),
            "low": round(gain.low, 4),
            "high": round(gain.high, 4),
            "note": note,
        },
    ]


def _limits(parent: SpecialistCard, gain: Gain) -> list[str]:
    return [
        f"Fine-tuned on {len(gain.pairs)} masks of one person's own: what it does elsewhere was not "
        f"measured, and the figures of {parent.name} do not hold for it.",
        "The predicted Dice keeps the curve of that model; its interval was widened to fit the held-out "
        "masks, or says nothing where they were fewer than nine.",
    ]


def _drawn(curves: Sequence[Curve]) -> str:
    """Dice of the watched masks by step, a line for each fold, a dot at its best."""
    shown = [curve for curve in curves if curve.looks]
    values = [value for curve in shown for _, value in curve.looks]
    steps = max((step for curve in shown for step, _ in curve.looks), default=1) or 1
    low, high = min(values, default=0.0), max(values, default=1.0)
    low, high = max(0.0, low - 0.02), min(1.0, high + 0.02)

    def at(step: int, value: float) -> str:
        x = _MARGIN + (_WIDE - 2 * _MARGIN) * step / steps
        y = _HIGH - _MARGIN - (_HIGH - 2 * _MARGIN) * (value - low) / max(high - low, 1e-6)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="20">Dice of the watched masks by training step, a line for each fold</text>',
    ]
    for value in (low, high):
        left, right = at(0, value), at(steps, value)
        y = float(left.split(",")[1])
        parts.append(f'<polyline points="{left} {right}" fill="none" stroke="#cccccc"/>')
        parts.append(f'<text x="6" y="{y + 4:.1f}">{value:.2f}</text>')
    for step in (0, steps):
        x = float(at(step, low).split(",")[0])
        parts.append(f'<text x="{x:.1f}" y="{_HIGH - _MARGIN + 18}" text-anchor="middle">{step}</text>')
    for place, curve in enumerate(shown):
        colour = _COLOURS[place % len(_COLOURS)]
        points = " ".join(at(step, value) for step, value in curve.looks)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        across, down = at(curve.best_step, dict(curve.looks)[curve.best_step]).split(",")
        parts.append(f'<circle cx="{across}" cy="{down}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{_MARGIN + 90 * place}" y="{_HIGH - 8}" fill="{colour}">{curve.title}</text>')
    return "\n".join([*parts, "</svg>", ""])
