"""The bars that were set before measuring, each with what was reached: yes, no, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omniview.batch.statistics import spreads
from tests.benchmarks.evidence.experiments import STAND_IN, Evidence
from tests.benchmarks.evidence.measures import better_single, gains, gap_closed
from tests.benchmarks.evidence.report import thirds_of
from tests.benchmarks.evidence.report_simulated import BAR, TURNED, UNMEASURED
from tests.benchmarks.evidence.scores import SPECIALIST
from tests.benchmarks.evidence.subsets import subsets
from tests.benchmarks.evidence.tables import interval, mean, signed

__all__ = ["Bar", "bars"]

HARD_TASKS = ("polyp", "breast")
HALF = 0.5
VESSEL_BAND = 0.002
DIGIT = 5e-4
"""Less than half of the last digit that is printed is no difference."""
COVERED, SLACK = 0.9, 0.02
"""What the margin promises of the truth, on average, and how far it may be off."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar for one task: what was asked, what was found, whether that is enough."""

    asked: str
    task: str
    found: str
    reached: bool


def bars(evidence: Sequence[Evidence]) -> list[Bar]:
    """Every bar for every task it concerns."""
    return [bar for one in evidence for bar in _of(one)]


def _of(evidence: Evidence) -> Iterator[Bar]:
    task, scores = evidence.task, evidence.scores[STAND_IN]
    best = better_single(scores)
    own, other = gains(scores, (SPECIALIST, best))
    change = other.difference.mean or 0.0
    asked = "fused at least as good as the better single model, to three digits"
    yield Bar(asked, task, f"{signed(other.difference)} against the {best}", change > -DIGIT)
    if task == "vessel":
        change = own.difference.mean or 0.0
        asked = f"vessels within {VESSEL_BAND} of the specialist"
        yield Bar(asked, task, signed(own.difference), abs(change) <= VESSEL_BAND)
    if task in HARD_TASKS:
        yield from _hard(evidence)
        yield from _closed(evidence)
    for trusted, enemies in ((UNMEASURED, evidence.hostile), (TURNED, evidence.turned)):
        if not enemies:
            continue
        worst = min(
            ((gains(found, [SPECIALIST])[0].difference, kind) for kind, found in enemies.items()),
            key=lambda pair: pair[0].mean or 0.0,
        )
        asked = f"useless omnimodels, {trusted}, cost at most {BAR}"
        yield Bar(asked, task, f"{signed(worst[0])} ({worst[1]})", (worst[0].mean or 0.0) >= -BAR)
    for contour, held in zip(
        ("inner contour inside the truth", "truth inside the outer contour"),
        spreads(scores.margins),
        strict=True,
    ):
        reached = held.mean is not None and abs(held.mean - COVERED) <= SLACK
        shown = "no margin was calibrated" if held.mean is None else f"{mean(held)}, n {held.n}"
        if held.mean is not None and held.mean > COVERED + SLACK:
            shown += ", more than was promised"
        yield Bar(f"{contour}: within {SLACK} of {COVERED}", task, shown, reached)


def _hard(evidence: Evidence) -> Iterator[Bar]:
    scores = evidence.scores[STAND_IN]
    for subset in subsets(scores, thirds_of(evidence, STAND_IN)):
        if subset.end != "hardest":
            continue
        part = scores.of(subset.rows)
        best = better_single(part)
        (gain,) = gains(part, [best])
        asked = f"hardest tenth by {subset.chooser}: better than the better single, 0 outside the interval"
        low = gain.difference.low
        shown = f"{signed(gain.difference)} against the {best}, n {gain.difference.n}"
        yield Bar(asked, evidence.task, shown, low is not None and low > 0.0)


def _closed(evidence: Evidence) -> Iterator[Bar]:
    for title, scores in evidence.scores.items():
        if not title.startswith("simulated"):
            continue
        for subset in subsets(scores, thirds_of(evidence, title)):
            if subset.end != "hardest":
                continue
            part = scores.of(subset.rows)
            closed, (gain,) = gap_closed(part), gains(part, [SPECIALIST])
            asked = f"{title}; hardest tenth by {subset.chooser}: half of the oracle's gap closed"
            if (
                closed is None and len(part.names) > 1
            ):  # the oracle takes the specialist's mask: what counts is that it is kept
                kept = gain.difference.mean or 0.0
                shown = f"no gap to close: {signed(gain.difference)} against the specialist"
                yield Bar(asked, evidence.task, shown, kept > -DIGIT)
                continue
            yield Bar(asked, evidence.task, interval(closed), closed is not None and closed.value >= HALF)
