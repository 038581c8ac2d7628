"""What is tried on a task: the built-in stand-in, the null challenger, simulated and hostile omnimodels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from omniview.batch.series import Doubles
from omniview.core.fusion import Calibration
from omniview.core.prediction import Prediction
from omniview.core.quality import QualityTable, soft_dice_confidence
from omniview.inference.pair_card import calibration_for
from omniview.training.calibrate import dice, expected_when_empty, half_width, quality_curve
from omniview.training.fitting import FEWEST, fit
from omniview.training.observed import observe
from tests.benchmarks.evidence import simulate
from tests.benchmarks.evidence.hostile import HOSTILE, hostile
from tests.benchmarks.evidence.predictions import Answered, kept, restored
from tests.benchmarks.evidence.rivals import RIVALS, plain_average
from tests.benchmarks.evidence.scores import OMNIMODEL, SPECIALIST, Opponent, Scores, Trusted, judge
from tests.benchmarks.evidence.simulate import PUBLISHED, Simulated, simulated, targets

__all__ = ["CHALLENGER", "SECOND", "STAND_IN", "STRENGTHS", "Evidence", "Point", "gather"]

STAND_IN = "built-in generalist (stand-in)"
SECOND = "second seed"
CHALLENGER = "second seed (null challenger)"
STRENGTHS = (0.5, 0.6, 0.7, 0.77, 0.9)
UNKNOWN, FITTED, KNOWN = "never measured", "calibrated", "calibrated, quality predicted"
"""As it comes, by the safe default; fitted by what `omniview calibrate` runs, on simulated answers to the
calibrate split; and the same where each answer also brings a predicted Dice, which no cloud does today."""

_CODE = Path(simulate.__file__).read_bytes()
_FEW = {"average": plain_average}
_QUICK = {name: rule for name, rule in RIVALS.items() if name != "STAPLE"}
"""STAPLE takes longer than all the rest together, and looks at nothing but masks."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One strength of the simulated omnimodel.

    Attributes:
        mean: Dice that was asked for.
        linked: whether it finds the same images hard.
        quality: what fusion knows of it: `UNKNOWN`, `FITTED` or `KNOWN`.
        scores: of the test split.
    """

    mean: float
    linked: bool
    quality: str
    scores: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that was measured on a task.

    Attributes:
        task: its name.
        scores: omnimodel to scores under every rule.
        sweep: the simulated omnimodel by strength.
        hostile: kind to scores.
        turned: the same kinds, trusted as an omnimodel that was good when it was measured, if there is one.
        thirds: Dice of models that neither fuse nor are fused, by who they are.
    """

    task: str
    scores: Mapping[str, Scores]
    sweep: Sequence[Point]
    hostile: Mapping[str, Scores]
    turned: Mapping[str, Scores]
    thirds: Mapping[str, Doubles]


def gather(
    task: str,
    cases: Sequence[Answered],
    calibrate: Sequence[Answered],
    cache: Path,
    strengths: Sequence[float] = STRENGTHS,
) -> Evidence:
    """Try everything on a task.

    Args:
        task: its name.
        cases: of the test split, with answers by `SPECIALIST`, `OMNIMODEL` and, where there is one, `SECOND`.
        calibrate: of the calibrate split, with those of `SPECIALIST`.
        cache: folder that simulated answers are kept in.
        strengths: of the sweep.
    """

    def shipped(given: Sequence[Prediction]) -> Calibration:
        return calibration_for(task, given)[0]

    found = {STAND_IN: judge(cases, lambda case: case.by[OMNIMODEL], shipped)}
    thirds: dict[str, Doubles] = {}
    if all(SECOND in case.by for case in cases):
        found[CHALLENGER] = judge(cases, _second, shipped, _QUICK)
        thirds[f"{SECOND}, under-trained"] = found[CHALLENGER].dice[OMNIMODEL]
    sweep = []
    for linked in (False, True):
        for mean in strengths if not linked else (PUBLISHED.mean,):
            for point in _points(
                replace(PUBLISHED, mean=mean, linked=linked), cases, calibrate, shipped, cache
            ):
                sweep.append(point)
                if mean == PUBLISHED.mean:
                    title = f"simulated{', linked' if linked else ''}, {point.quality}"
                    found[title] = point.scores
    good = _fitted(calibrate, _labelled(PUBLISHED, calibrate, cache), None)
    turned = {} if good is None else _enemies(cases, lambda _: good)
    return Evidence(task, found, sweep, _enemies(cases, shipped), turned, thirds)


def _second(case: Answered) -> Prediction | None:
    prediction = case.by[SECOND]
    return None if prediction is None else replace(prediction, role="omnimodel")


def _enemies(cases: Sequence[Answered], trusted: Trusted) -> dict[str, Scores]:
    others = [case.truth[0] for case in cases]
    return {kind: judge(cases, _enemy(kind, cases, others), trusted, rivals=_FEW) for kind in HOSTILE}


def _enemy(kind: str, cases: Sequence[Answered], masks: Sequence[np.ndarray]) -> Opponent:
    places = {case.name: place for place, case in enumerate(cases)}
    shift = max(1, len(cases) // 2)  # neighbours may be frames of one video

    def answer(case: Answered) -> Prediction:
        other = masks[(places[case.name] + shift) % len(masks)]
        return hostile(kind, case.name, case.truth, other)

    return answer


def _points(
    model: Simulated, cases: Sequence[Answered], calibrate: Sequence[Answered], shipped: Trusted, cache: Path
) -> list[Point]:
    answers = _answers(model, cases, cache)
    rivals = _QUICK if model.mean == PUBLISHED.mean else _FEW
    every = RIVALS if model == PUBLISHED else rivals
    unknown = judge(cases, lambda case: answers[case.name], shipped, every)
    points = [Point(model.mean, model.linked, UNKNOWN, unknown)]
    labelled = _labelled(model, calibrate, cache)
    table = _table(calibrate, labelled)
    for quality, judged in ((FITTED, None), (KNOWN, table)):
        calibration = _fitted(calibrate, labelled, judged)
        if calibration is None:
            continue

        def trusted(given: Sequence[Prediction], fitted: Calibration = calibration) -> Calibration:
            return fitted if len(given) == 2 else shipped(given)

        def answer(case: Answered, judged: QualityTable | None = judged) -> Prediction | None:
            return _with_quality(answers[case.name], judged)

        points.append(Point(model.mean, model.linked, quality, judge(cases, answer, trusted, rivals)))
    return points


def _answers(model: Simulated, cases: Sequence[Answered], cache: Path) -> dict[str, Prediction | None]:
    names = [case.name for case in cases]
    own = {case.name: _own_dice(case) for case in cases}
    found: dict[str, Prediction | None] = {}
    for case, wanted in zip(cases, targets(names, model, own), strict=True):
        found[case.name] = None if wanted is None else _kept(model, case, wanted, cache)
    return found


def _labelled(model: Simulated, cases: Sequence[Answered], cache: Path) -> dict[str, Prediction | None]:
    """What it is calibrated on: other chance than that of the test split."""
    return _answers(replace(model, seed=model.seed + 1), cases, cache)


def _kept(model: Simulated, case: Answered, wanted: float, cache: Path) -> Prediction:
    """A simulated answer, drawn once: whatever it is made of names its file."""
    made_of = hashlib.sha256(f"{model} {case.name} {wanted:.9f}".encode() + _CODE)
    made_of.update(case.truth.tobytes())
    path = cache / f"{made_of.hexdigest()[:24]}.npz"
    arrays = kept(path, lambda: simulated(case.name, case.truth, wanted, model))
    return restored(arrays, "simulated omnimodel", "omnimodel")


def _own_dice(case: Answered) -> float:
    prediction = case.by[SPECIALIST]
    return 0.0 if prediction is None else dice(prediction.mask, case.truth)


def _fitted(
    cases: Sequence[Answered], answers: Mapping[str, Prediction | None], table: QualityTable | None
) -> Calibration | None:
    """What `omniview calibrate` makes of these answers; None of too few."""
    seen, groups = [], []
    for case in cases:
        own, other = case.by[SPECIALIST], _with_quality(answers[case.name], table)
        if own is not None and other is not None:
            seen.append(observe(case.name, own, other, case.truth))
            groups.append(case.group)
    return fit(seen, groups=groups).calibration if len(seen) >= FEWEST else None


def _table(cases: Sequence[Answered], answers: Mapping[str, Prediction | None]) -> QualityTable | None:
    """Predicted Dice out of how sure and how steady the answers to labelled cases are; None of too few."""
    pairs = [(case, said) for case in cases if (said := answers[case.name]) is not None]
    if len(pairs) < FEWEST:
        return None
    scores = np.array([dice(said.mask, case.truth) for case, said in pairs])
    confidence = np.array([soft_dice_confidence(said.probability) for _, said in pairs])
    blank = np.array([not said.mask.any() for _, said in pairs])
    normal = np.array([not case.truth.any() for case, _ in pairs])
    knots, values = quality_curve(confidence[~blank], scores[~blank])
    width = half_width(confidence[~blank], scores[~blank])
    return QualityTable(knots, values, width, expected_when_empty(scores, blank, normal))


def _with_quality(said: Prediction | None, table: QualityTable | None) -> Prediction | None:
    return said if said is None or table is None else replace(said, quality=table.judge(said.probability))
