"""Two runs over the same cases: which cases moved, how far, and what had changed between the runs.

Only what both folders hold is read (cases.csv and summary.json), so that any two runs can be compared, also
those of other machines and other versions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omniview.batch.findings import TESTED
from omniview.batch.finished import Finished, Key, Line, counted, read_finished, value_in
from omniview.batch.series import Doubles
from omniview.batch.statistics import Difference, compare_all, holm, tidy
from omniview.batch.wording import number_of, p_value
from omniview.core.metrics import METRICS
from omniview.errors import InputError
from omniview.io.write import write_bytes, write_json

__all__ = ["Against", "Move", "Test", "compare_runs", "in_words", "other_run"]

MOVED = 1e-6
"""A change of Dice that counts as one; what is less is the last digit of a file."""
TOLD = 10
"""Rows that moved furthest, which a terminal shows."""
_NO_CAUSE = frozenset(("cases", "finished", "failed", "cost", "currency", "incomplete", "thumbnails"))


@dataclass(frozen=True, slots=True)
class Move:
    """A case that one run scored otherwise than the other.

    Attributes:
        image: name of the case.
        model: whose mask.
        truth: the reader, or empty.
        before: Dice in the other run, None without one.
        after: Dice in this run.
        why: what else is different about the row, in words.
    """

    image: str
    model: str
    truth: str
    before: float | None
    after: float | None
    why: str

    @property
    def size(self) -> float:
        """How far it moved; a case with a score in one run alone moved by all of it."""
        return abs((self.after or 0.0) - (self.before or 0.0))


@dataclass(frozen=True, slots=True)
class Test:
    """One metric of one model, this run less the other."""

    model: str
    metric: str
    difference: Difference
    holm: float | None


@dataclass(frozen=True, slots=True)
class Against:
    """What two runs have in common and what not.

    Attributes:
        out: name of this run's folder.
        other: name of the other run's; where both have one name, it is told which is which.
        same: rows that both have and that did not move.
        moves: the others, the furthest first.
        only_here: cases that only this run has.
        only_there: cases that only the other has.
        changed: fact about the run to its value (there, here), where they differ.
        tests: every metric that is tested, for each model that both have.
        left_out: metrics that both have and that are not tested: their distances are in different units.
        unit: of distances; None where there are both.
        ran: what ran here, and in the other run.
    """

    out: str
    other: str
    same: int
    moves: tuple[Move, ...]
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    changed: Mapping[str, tuple[Any, Any]]
    tests: tuple[Test, ...]
    left_out: tuple[str, ...]
    unit: str | None
    ran: tuple[Mapping[str, Any], Mapping[str, Any]]

    @property
    def note(self) -> str:
        """What is not tested and why, in words; empty where nothing is left out."""
        if not self.left_out:
            return ""
        return f"Not compared, because some distances are in px and some in mm: {', '.join(self.left_out)}."

    def lines(self) -> Iterator[str]:
        """What to tell a person at a terminal."""
        yield f"{number_of(len(self.moves), 'row')} moved, {self.same} did not."
        for name, (there, here) in self.changed.items():
            yield f"changed: {name}: {_short(there)} -> {_short(here)}"
        for names, where in ((self.only_here, "this run"), (self.only_there, "the other run")):
            if names:
                yield f"{number_of(len(names), 'case')} only in {where}."
        if self.note:
            yield self.note
        for test in self.tests:
            if test.metric == "dice" and test.difference.mean is not None:
                p = "" if test.holm is None else f", p (Holm) {p_value(test.holm)}"
                yield f"{test.model}: mean Dice {test.difference.mean:+.4f} (n {test.difference.n}{p})"
        for move in self.moves[:TOLD]:
            whose = move.model + (f" (reader {move.truth})" if move.truth else "")
            yield f"{move.image}: {whose}: Dice {_short(move.before)} -> {_short(move.after)}: {move.why}"
        if len(self.moves) > TOLD:
            yield f"{number_of(len(self.moves) - TOLD, 'row')} moved less than these: see against.html."

    def to_json(self) -> dict[str, Any]:
        """As against.json has it."""
        return {
            "this": self.out,
            "other": self.other,
            "definition": "differences are this run less the other; failures count as the worst value",
            "changed": {name: {"other": there, "this": here} for name, (there, here) in self.changed.items()},
            "rows_unmoved": self.same,
            "only_in_this": list(self.only_here),
            "only_in_other": list(self.only_there),
            "tests": [
                {"model": t.model, "metric": t.metric, **t.difference.to_json(), "p_holm": tidy(t.holm)}
                for t in self.tests
            ],
            "not_compared": list(self.left_out),
            "distance_unit": self.unit,
            "moves": [
                {
                    "image": m.image,
                    "model": m.model,
                    "truth": m.truth,
                    "dice_other": m.before,
                    "dice_this": m.after,
                    "why": m.why,
                }
                for m in self.moves
            ],
            "about": {"this": dict(self.ran[0]), "other": dict(self.ran[1])},
        }


def other_run(out: Path, other: Path) -> Finished:
    """The run that `out` is to be compared with; also asked before `out` is scored, which may take hours.

    Raises:
        InputError: both are one folder.
        UnreadableFile: `other` is no folder of results.
    """
    if out.resolve() == other.resolve():
        raise InputError(
            f"{out.resolve().name} cannot be compared with itself.", "Name the folder of another run."
        )
    return read_finished(other)


def compare_runs(out: Path, other: Path, *, write: bool = True) -> Against:
    """Compare the run in `out` with an earlier or different one in `other`.

    Args:
        out: folder of a run's results.
        other: folder of the results to compare with.
        write: also write against.json and against.html into `out`.

    Raises:
        InputError: both are one folder, or the runs share no case.
        UnreadableFile: one of them is no folder of results.
        OutputError: the comparison cannot be written.
    """
    that, this = other_run(out, other), read_finished(out)
    here, there = this.rows, that.rows
    common = [key for key in here if key in there]
    if not common:
        raise InputError(
            f"The runs in {this.name} and {that.name} share no case.",
            "Compare runs over the same images; cases are matched by their names.",
        )
    moves = [move for key in common if (move := _move(key, there[key], here[key])) is not None]
    moves.sort(key=lambda m: -m.size)
    images_here, images_there = dict.fromkeys(k[0] for k in here), dict.fromkeys(k[0] for k in there)
    alike = this.name == that.name
    found = Against(
        this.name + " (this)" * alike,
        that.name + " (other)" * alike,
        len(common) - len(moves),
        tuple(moves),
        tuple(image for image in images_here if image not in images_there),
        tuple(image for image in images_there if image not in images_here),
        dict(_changes(that.about, this.about)),
        *_tests(common, there, here),
        (this.about, that.about),
    )
    if write:
        from omniview.batch.report_against import against_html

        write_json(out / "against.json", found.to_json())
        write_bytes(out / "against.html", against_html(found).encode())
    return found


def _move(key: Key, before: Line, after: Line) -> Move | None:
    old, new = value_in(before, "dice"), value_in(after, "dice")
    same = old == new or (old is not None and new is not None and abs(old - new) <= MOVED)
    if same and before["status"] == after["status"]:
        return None
    why = []
    if before["status"] != after["status"]:
        why.append(f"{before['status']} became {after['status']}")
    if value_in(before, "truth_area_px") not in (None, value_in(after, "truth_area_px")):
        why.append("the truth changed")
    quality = value_in(before, "quality"), value_in(after, "quality")
    if quality[0] != quality[1]:
        why.append(f"predicted Dice {_short(quality[0])} became {_short(quality[1])}")
    if after.get("reason") and after["reason"] != before.get("reason"):
        why.append(after["reason"])
    return Move(*key, old, new, "; ".join(why) or "the mask alone changed")


def _changes(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Facts that differ, nested ones by their path; counts are no cause, and left out."""
    for name in sorted({*there, *here}):
        if name in _NO_CAUSE:
            continue
        a, b = (_by_fact(run.get(name)) for run in (there, here))
        if isinstance(a, dict) and isinstance(b, dict):
            for inner, pair in _changes(a, b):
                yield f"{name}.{inner}", pair
        elif a != b:
            yield name, (a, b)


def _by_fact(value: Any) -> Any:
    """Of the models that played one part: each fact, and what it is of each of them."""
    if not (isinstance(value, list) and value and all(isinstance(one, dict) for one in value)):
        return value
    facts: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in value for name in one):
        each = [one.get(name) for one in value]
        facts[name] = each[0] if all(one == each[0] for one in each) else each
    return facts


def _tests(
    common: list[Key], there: Mapping[Key, Line], here: Mapping[Key, Line]
) -> tuple[tuple[Test, ...], tuple[str, ...], str | None]:
    """The tests, the metrics that both runs have and that cannot be tested, and the unit of distances."""
    first: dict[tuple[str, str], Key] = {}  # of several readers the first one counts, as in the summary
    for image, model, truth in common:
        first.setdefault((image, model), (image, model, truth))
    found: list[tuple[str, str, Difference]] = []
    both = (there, here)
    tested = [m for m in TESTED if all(any(value_in(run[k], m) is not None for k in common) for run in both)]
    # the means of both would be of px here and of mm there, also where each pair for itself agrees
    units = {run[k].get("distance_unit") for run in both for k in common} - {None, ""}
    mixed = len(units) > 1
    left_out = tuple(m for m in tested if mixed and METRICS[m].unit != "1")
    tested = [m for m in tested if m not in left_out]
    for model in dict.fromkeys(key[1] for key in common):
        keys = [key for (_, name), key in first.items() if name == model]
        pairs = [
            (_column(there, keys, m), _column(here, keys, m), METRICS[m].higher_is_better) for m in tested
        ]
        differences = compare_all(pairs)
        found += [(model, m, one) for m, one in zip(tested, differences, strict=True) if one.n]
    unit = None if mixed else next(iter(units), None)
    adjusted = holm([one.p or 0.0 for _, _, one in found])
    return tuple(Test(*one, p) for one, p in zip(found, adjusted, strict=True)), left_out, unit


def _column(run: Mapping[Key, Line], keys: list[Key], metric: str) -> Doubles:
    return np.array([counted(run[key], metric) for key in keys])


def in_words(value: Any) -> str:
    """A fact as a person reads it."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else in_words(value)
    return text if len(text) <= 60 else text[:57] + "..."
