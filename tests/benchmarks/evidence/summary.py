"""The page that goes into the README: every bar, reached or not, and the few tables that carry it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.evidence.bars import bars
from tests.benchmarks.evidence.experiments import CHALLENGER, STAND_IN, Evidence
from tests.benchmarks.evidence.measures import better_single, gains, gap_closed, groups, means
from tests.benchmarks.evidence.report import thirds_of
from tests.benchmarks.evidence.report_simulated import TURNED, UNMEASURED
from tests.benchmarks.evidence.scores import FUSED, OMNIMODEL, ORACLE, SPECIALIST
from tests.benchmarks.evidence.subsets import subsets
from tests.benchmarks.evidence.tables import Table, interval, mean, plain, signed

__all__ = ["summary"]

MODELS = (SPECIALIST, OMNIMODEL, FUSED)


def summary(found: Sequence[Evidence]) -> str:
    """Markdown."""
    tables = (_sets(found), _hard(found), _simulated(found), _hostile(found), _bars(found))
    return "\n".join(table.markdown() for table in tables)


def _sets(found: Sequence[Evidence]) -> Table:
    rows = []
    for evidence in found:
        scores = evidence.scores[STAND_IN]
        for group, chosen in groups(evidence.task, scores).items():
            part = scores.of(chosen)
            (own, other) = gains(part, (SPECIALIST, better_single(part)))
            shown = [mean(spread) for spread in means(part, MODELS).values()]
            higher, average, oracle = (
                plain(float(part.dice[name].mean())) for name in ("pick higher quality", "average", ORACLE)
            )
            rows.append(
                (
                    group,
                    str(len(part.names)),
                    *shown,
                    higher,
                    average,
                    oracle,
                    signed(own.difference),
                    signed(other.difference),
                    interval(own.harmed),
                )
            )
    return Table(
        "sets",
        "Fusion with the built-in generalist, a stand-in for a cloud omnimodel",
        (
            "test set",
            "n",
            SPECIALIST,
            "stand-in",
            FUSED,
            "pick higher quality",
            "average",
            ORACLE,
            "fused less specialist",
            "fused less better single",
            "harmed by > 0.02",
        ),
        tuple(rows),
    )


def _hard(found: Sequence[Evidence]) -> Table:
    rows = []
    for evidence in found:
        for title in (STAND_IN, CHALLENGER):
            if title not in evidence.scores:
                continue
            scores = evidence.scores[title]
            for subset in subsets(scores, thirds_of(evidence, title)):
                if subset.end == "all":
                    continue
                part = scores.of(subset.rows)
                own, other = gains(part, (SPECIALIST, better_single(part)))
                shown = [mean(spread) for spread in means(part, MODELS).values()]
                head = evidence.task, title, f"{subset.end} by {subset.chooser}", str(len(part.names))
                rows.append((*head, *shown, signed(own.difference), signed(other.difference)))
    return Table(
        "hard",
        "Easiest and hardest tenth, by who chose them",
        (
            "task",
            "experiment",
            "subset",
            "n",
            *MODELS,
            "fused less specialist",
            "fused less better single",
        ),
        tuple(rows),
    )


def _simulated(found: Sequence[Evidence]) -> Table:
    rows = []
    for evidence in found:
        for title, scores in evidence.scores.items():
            if not title.startswith("simulated"):
                continue
            for subset in subsets(scores, thirds_of(evidence, title)):
                if subset.end == "easiest":
                    continue
                part = scores.of(subset.rows)
                (own,) = gains(part, [SPECIALIST])
                shown = [mean(spread) for spread in means(part, MODELS).values()]
                who = f"{subset.end}{' by ' if subset.chooser else ''}{subset.chooser}"
                head = evidence.task, title, who, str(len(part.names))
                rows.append((*head, *shown, signed(own.difference), interval(gap_closed(part))))
    return Table(
        "simulated",
        "A simulated omnimodel of published strength (not measured)",
        ("task", "experiment", "subset", "n", *MODELS, "fused less specialist", "oracle's gap closed"),
        tuple(rows),
        "Mean Dice 0.77 where it answers, no answer to a quarter of the images; a silent image counts as 0 "
        "for the omnimodel.",
    )


def _hostile(found: Sequence[Evidence]) -> Table:
    kinds = list(found[0].hostile) if found else []
    rows = [
        (
            one.task,
            trusted,
            *(plain(gains(enemies[k], [SPECIALIST])[0].difference.mean, "+.4f") for k in kinds),
        )
        for one in found
        for trusted, enemies in ((UNMEASURED, one.hostile), (TURNED, one.turned))
        if enemies
    ]
    title = "Useless omnimodels: fused less specialist, mean Dice"
    return Table("useless", title, ("task", "trusted as", *kinds), tuple(rows))


def _bars(found: Sequence[Evidence]) -> Table:
    rows = [(bar.task, bar.asked, bar.found, "yes" if bar.reached else "**no**") for bar in bars(found)]
    return Table("bars", "The bars", ("task", "bar", "found", "reached"), tuple(rows))
