"""Whom to ask, and whether what the models say about themselves holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omniview.batch.statistics import spreads
from omniview.batch.trust import coverage, risk_coverage
from omniview.core.quality import threshold_for_share
from tests.benchmarks.evidence.experiments import Evidence
from tests.benchmarks.evidence.scores import FUSED, OMNIMODEL, SPECIALIST, Scores
from tests.benchmarks.evidence.subsets import tenth
from tests.benchmarks.evidence.tables import Table, interval, mean, plain

__all__ = ["asking", "trust"]

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def asking(found: Sequence[Evidence], answers: int, price: float | None, model: str) -> Table:
    """What it brings to ask only about images that the specialist doubts: share asked, calls, cost, Dice."""
    rows = []
    for evidence in found:
        for title, scores in evidence.scores.items():
            if title.startswith("second seed"):
                continue
            quality = scores.quality[SPECIALIST][:, 0]
            known = [None if np.isnan(q) else float(q) for q in quality]
            for share in SHARES:
                threshold = threshold_for_share(known, share)
                asked = np.isnan(quality) | (quality < threshold) | (share == 1.0)
                dice = np.where(asked, scores.dice[FUSED], scores.dice[SPECIALIST])
                calls = 100 * answers * float(asked.mean())
                cost = "-" if price is None or not title.startswith("simulated") else f"{calls * price:.2f}"
                below = "all" if share == 1.0 else plain(threshold, ".3f")
                numbers = f"{asked.mean():.0%}", plain(float(dice.mean()), ".4f"), f"{calls:.0f}", cost
                rows.append((title, evidence.task, f"{share:.0%}", below, *numbers))
    return Table(
        "asking",
        "Asking only about doubtful images",
        (
            "experiment",
            "task",
            "at most asked",
            "below a predicted Dice of",
            "asked",
            "mean Dice",
            "calls per 100 images",
            "USD per 100 images, at most",
        ),
        tuple(rows),
        f"{answers} answers an image. The cost is an upper bound from the price table for {model}, every "
        "answer as long as it may be; the built-in generalist costs nothing. No call was made.",
    )


def trust(found: Sequence[Evidence]) -> Table:
    """Whether predicted Dice ranks cases, its interval holds and the margin holds, also where it is hard."""
    rows = []
    for evidence in found:
        for title, scores in evidence.scores.items():
            worst = tenth(scores.dice[SPECIALIST], "hardest")
            for subset, part in (("all", scores), ("hardest by specialist", scores.of(worst))):
                for model in (SPECIALIST, OMNIMODEL, FUSED):
                    series = part.series(model)
                    risk, held = risk_coverage(series), coverage(series)
                    area = "-" if risk is None else f"{risk.area:.3f} ({risk.best:.3f}, {risk.chance:.3f})"
                    rank = plain(None if risk is None else risk.correlation, ".2f")
                    inside = interval(None if held is None else held.inside)
                    missed = "-" if held is None else f"{held.too_hopeful} / {held.too_careful}"
                    margin = ("", "") if model != FUSED else _margin(part)
                    head = title, evidence.task, subset, model, str(len(part.names))
                    rows.append((*head, area, rank, inside, missed, *margin))
    return Table(
        "trust",
        "Predicted Dice, its 90 % interval, and the margin",
        (
            "experiment",
            "task",
            "subset",
            "model",
            "n",
            "AURC (best order, chance)",
            "Spearman",
            "interval held",
            "too hopeful / too careful",
            "truth inside the outer contour",
            "inner contour inside the truth",
        ),
        tuple(rows),
        "The hardest tenth is chosen by the specialist's Dice, which no interval can promise to hold for: "
        "it is shown because a sceptic asks.",
    )


def _margin(scores: Scores) -> tuple[str, str]:
    inner, outer = spreads(scores.margins)
    return mean(outer), mean(inner)
