"""What simulated and hostile omnimodels show: where fusion helps, where it stops, and whether it harms."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.evidence.experiments import Evidence
from tests.benchmarks.evidence.measures import gains, gap_closed
from tests.benchmarks.evidence.scores import OMNIMODEL, SPECIALIST
from tests.benchmarks.evidence.subsets import tenth
from tests.benchmarks.evidence.tables import Table, interval, plain, signed

__all__ = ["BAR", "TURNED", "UNMEASURED", "hostile_table", "sweep_table"]

BAR = 0.005
"""Mean Dice that a useless omnimodel may cost."""
UNMEASURED, TURNED = "never measured", "measured when it was a good (simulated) one"


def sweep_table(found: Sequence[Evidence]) -> Table:
    """How strong the simulated omnimodel must be to help, and whether it ever harms."""
    rows = []
    for evidence in found:
        for point in evidence.sweep:
            scores = point.scores
            hard = scores.of(tenth(scores.dice[SPECIALIST], "hardest"))
            (own,), (hard_own,) = gains(scores, [SPECIALIST]), gains(hard, [SPECIALIST])
            reached = plain(float(scores.dice[OMNIMODEL][~scores.silent].mean()))
            average = float((scores.dice["average"] - scores.dice[SPECIALIST]).mean())
            rows.append(
                (
                    evidence.task,
                    "linked" if point.linked else "independent",
                    point.quality,
                    f"{point.mean:.2f}",
                    reached,
                    f"{scores.silent.mean():.0%}",
                    signed(own.difference),
                    interval(own.harmed),
                    f"{average:+.3f}",
                    interval(gap_closed(scores)),
                    signed(hard_own.difference),
                    interval(gap_closed(hard)),
                )
            )
    return Table(
        "sweep",
        "The simulated omnimodel, from weak to strong",
        (
            "task",
            "errors",
            "its quality",
            "mean Dice asked for",
            "reached where it answers",
            "no answer",
            "fused less specialist",
            "harmed by > 0.02",
            "plain average less specialist",
            "oracle's gap closed",
            "hardest tenth (by specialist): fused less specialist",
            "its gap closed",
        ),
        tuple(rows),
        "Simulated, not measured: see `simulate.py` for what is assumed.",
    )


def hostile_table(found: Sequence[Evidence]) -> Table:
    """What useless omnimodels cost."""
    rows = []
    for evidence in found:
        for trusted, enemies in ((UNMEASURED, evidence.hostile), (TURNED, evidence.turned)):
            for kind, scores in enemies.items():
                (gain,) = gains(scores, [SPECIALIST])
                change = gain.difference.mean or 0.0
                average = float((scores.dice["average"] - scores.dice[SPECIALIST]).mean())
                rows.append(
                    (
                        evidence.task,
                        trusted,
                        kind,
                        str(gain.difference.n),
                        f"{scores.dice[OMNIMODEL].mean():.3f}",
                        signed(gain.difference),
                        interval(gain.harmed),
                        f"{average:+.3f}",
                        "yes" if change >= -BAR else "NO",
                    )
                )
    return Table(
        "hostile",
        "Do no harm: useless omnimodels through the real fusion",
        (
            "task",
            "trusted as",
            "omnimodel",
            "n",
            "its mean Dice",
            "fused less specialist",
            "harmed by > 0.02",
            "plain average less specialist",
            f"within {BAR}",
        ),
        tuple(rows),
        "Drawn answers, voted upon and fused as a cloud's are; their quality is not known. No trust "
        "withstands a model that was good when it was measured and is useless now: those rows say what it "
        "costs until somebody measures it again.",
    )
