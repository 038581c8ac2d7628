"""Is the fused mask better, than whom, by how much, and also where it is hard whoever chose that?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.benchmarks.evidence.experiments import Evidence
from tests.benchmarks.evidence.measures import Gain, adjusted, better_single, gains, gap_closed, groups, means
from tests.benchmarks.evidence.rivals import RIVALS
from tests.benchmarks.evidence.scores import FUSED, OMNIMODEL, ORACLE, SPECIALIST
from tests.benchmarks.evidence.subsets import subsets
from tests.benchmarks.evidence.tables import Table, interval, mean, p_value, plain, signed

__all__ = ["cases_tables", "overall", "rules", "subset_table", "thirds_of"]


def overall(found: Sequence[Evidence]) -> Table:
    """Every test set: both models, fused, every rule and the oracle."""
    models = (SPECIALIST, OMNIMODEL, FUSED, *RIVALS, ORACLE)
    rows = []
    for evidence in found:
        for title, scores in evidence.scores.items():
            for group, chosen in groups(evidence.task, scores).items():
                part = scores.of(chosen)
                silent, failed = int(part.silent.sum()), int(part.failed.sum())
                answered = part.dice[OMNIMODEL][~part.silent]
                alone = plain(float(answered.mean()) if len(answered) else None)
                found_means = means(part, [model for model in models if model in part.dice])
                numbers = [mean(found_means[m]) if m in found_means else "-" for m in models]
                rows.append((title, group, str(len(part.names)), f"{failed} / {silent}", alone, *numbers))
    return Table(
        "overall",
        "Mean Dice on every test set",
        ("experiment", "set", "n", "no mask: specialist / omnimodel", "omnimodel where it answered", *models),
        tuple(rows),
        "A case without a mask counts as 0 for that model; every rule then takes the other's mask.",
    )


def rules(found: Sequence[Evidence]) -> Table:
    """Fused less each model and rule, with tests, harm and what of the oracle's gap was closed."""
    rows: list[tuple[tuple[str, str, str], Gain, str, str]] = []
    for evidence in found:
        for title, scores in evidence.scores.items():
            for group, chosen in groups(evidence.task, scores).items():
                part = scores.of(chosen)
                best = better_single(part)
                closed = interval(gap_closed(part)), interval(gap_closed(part, best))
                rivals = [name for name in RIVALS if name in part.dice]
                for gain in gains(part, (SPECIALIST, OMNIMODEL, *rivals)):
                    named = f"{gain.against}{' (better single)' if gain.against == best else ''}"
                    first = gain.against == SPECIALIST
                    shown = closed if first else ("", "")
                    rows.append(((title, group, named), gain, *shown))
    values = adjusted([gain for _, gain, _, _ in rows])
    return Table(
        "rules",
        "Fused against each model and each rival rule",
        (
            "experiment",
            "set",
            "against",
            "n",
            "fused less theirs [95 %]",
            "better / worse",
            "p (Holm)",
            "harmed by > 0.02",
            "oracle's gap closed",
            "of the gap to the better single",
        ),
        tuple(
            (
                *head,
                str(gain.difference.n),
                signed(gain.difference),
                f"{gain.difference.better} / {gain.difference.worse}",
                p_value(p),
                interval(gain.harmed),
                *closed,
            )
            for (head, gain, *closed), p in zip(rows, values, strict=True)
        ),
        "BCa bootstrap over cases, paired; Wilcoxon signed-rank, adjusted over the whole table. Frames of "
        "one video are counted as if independent, which makes the intervals of ClinicDB too narrow.",
    )


def subset_table(found: Sequence[Evidence]) -> Table:
    """All, easiest and hardest tenth, however chosen."""
    heads, tested = [], []
    for evidence in found:
        for title, scores in evidence.scores.items():
            thirds = thirds_of(evidence, title)
            lesions = ~scores.empty
            kinds = [("", np.ones_like(lesions))]
            if scores.empty.any():
                kinds.append((", lesion images", lesions))
            for kind, kept in kinds:
                part = scores.of(kept)
                chosen_by = {who: values[kept] for who, values in thirds.items()}
                for subset in subsets(part, chosen_by):
                    few = part.of(subset.rows)
                    best = better_single(few)
                    numbers = [mean(s) for s in means(few, (SPECIALIST, OMNIMODEL, FUSED, ORACLE)).values()]
                    own, other = gains(few, (SPECIALIST, best))
                    head = (title, f"{evidence.task}{kind}", subset.end, subset.chooser, str(len(few.names)))
                    heads.append((*head, *numbers, signed(own.difference), signed(other.difference)))
                    tested.append((own, interval(gap_closed(few))))
    values = adjusted([gain for gain, _ in tested])
    return Table(
        "subsets",
        "Easiest and hardest tenth, by who chose them",
        (
            "experiment",
            "task",
            "subset",
            "chosen by",
            "n",
            SPECIALIST,
            OMNIMODEL,
            FUSED,
            ORACLE,
            "fused less specialist",
            "fused less better single",
            "p (Holm) against specialist",
            "harmed by > 0.02",
            "oracle's gap closed",
        ),
        tuple(
            (*head, p_value(p), interval(gain.harmed), closed)
            for head, (gain, closed), p in zip(heads, tested, values, strict=True)
        ),
        "A subset that a model's own Dice chose holds that model's bad luck: compare with the second seed, "
        "which is no better than the specialist and gains there all the same, and with choices by others.",
    )


def thirds_of(evidence: Evidence, title: str) -> dict[str, np.ndarray]:
    """Models that take no part in an experiment and so can choose its subsets."""
    thirds = {} if title.startswith("second seed") else dict(evidence.thirds)
    if title.startswith(("simulated", "second seed")):
        stand_in = next(iter(evidence.scores.values()))
        thirds["built-in generalist"] = stand_in.dice[OMNIMODEL]
    return thirds


def cases_tables(found: Sequence[Evidence]) -> list[Table]:
    """Every case's Dice, so that anybody can count again."""
    tables = []
    for evidence in found:
        for title, scores in evidence.scores.items():
            models = tuple(scores.dice)
            rows = [
                (name, "yes" if mute else "no", *(f"{scores.dice[m][place]:.6f}" for m in models))
                for place, (name, mute) in enumerate(zip(scores.names, scores.silent, strict=True))
            ]
            plain_name = "".join(c if c.isalnum() else "-" for c in title).replace("--", "-").strip("-")
            heads = ("case", "omnimodel silent", *models)
            tables.append(Table(f"cases-{evidence.task}-{plain_name}", title, heads, tuple(rows)))
    return tables
