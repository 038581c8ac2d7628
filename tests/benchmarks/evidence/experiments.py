"""What is tried on a task: the built-in stand-in, the null challenger, simulated and hostile omnimodels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from omniview.batch.series import Doubles
from omniview.core.fusion import SAFE_DEFAULT, Calibration
from omniview.core.prediction import Prediction
from omniview.core.quality import QualityTable, soft_dice_confidence
from omniview.training.calibrate import dice, expected_when_empty, half_width, quality_curve
from tests.benchmarks.evidence.hostile import HOSTILE, hostile
from tests.benchmarks.evidence.predictions import Answered
from tests.benchmarks.evidence.rivals import RIVALS, plain_average
from tests.benchmarks.evidence.scores import OMNIMODEL, SPECIALIST, Opponent, Scores, judge
from tests.benchmarks.evidence.simulate import PUBLISHED, Simulated, simulated, targets

__all__ = ["CHALLENGER", "SECOND", "STAND_IN", "STRENGTHS", "Evidence", "Point", "gather"]

STAND_IN = "built-in generalist (stand-in)"
SECOND = "second seed"
CHALLENGER = "second seed (null challenger)"
STRENGTHS = (0.5, 0.6, 0.7, 0.77, 0.9)
UNKNOWN, KNOWN = "quality unknown", "calibrated"

_FEW = {"average": plain_average}
_QUICK = {name: rule for name, rule in RIVALS.items() if name != "STAPLE"}
"""STAPLE takes longer than all the rest together, and looks at nothing but masks."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One strength of the simulated omnimodel.

    Attributes:
        mean: Dice that was asked for.
        linked: whether it finds the same images hard.
        quality: whether its predicted quality was unknown or calibrated.
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
        thirds: Dice of models that neither fuse nor are fused, by who they are.
    """

    task: str
    scores: Mapping[str, Scores]
    sweep: Sequence[Point]
    hostile: Mapping[str, Scores]
    thirds: Mapping[str, Doubles]


def gather(
    task: str,
    cases: Sequence[Answered],
    calibrate: Sequence[Answered],
    calibration: Calibration,
    strengths: Sequence[float] = STRENGTHS,
) -> Evidence:
    """Try everything on a task.

    Args:
        task: its name.
        cases: of the test split, with answers by `SPECIALIST`, `OMNIMODEL` and, where there is one, `SECOND`.
        calibrate: of the calibrate split, with those of `SPECIALIST`.
        calibration: what ships for specialist and built-in generalist.
        strengths: of the sweep.
    """
    found = {STAND_IN: judge(cases, lambda case: case.by[OMNIMODEL], calibration)}
    thirds: dict[str, Doubles] = {}
    if all(SECOND in case.by for case in cases):
        found[CHALLENGER] = judge(cases, _second, SAFE_DEFAULT, _QUICK)
        thirds[f"{SECOND}, under-trained"] = found[CHALLENGER].dice[OMNIMODEL]
    sweep = []
    for linked in (False, True):
        for mean in strengths if not linked else (PUBLISHED.mean,):
            for point in _points(replace(PUBLISHED, mean=mean, linked=linked), cases, calibrate):
                sweep.append(point)
                if mean == PUBLISHED.mean:
                    title = f"simulated{', linked' if linked else ''}, {point.quality}"
                    found[title] = point.scores
    others = [case.truth[0] for case in cases]
    enemies = {kind: judge(cases, _enemy(kind, cases, others), SAFE_DEFAULT, rivals=_FEW) for kind in HOSTILE}
    return Evidence(task, found, sweep, enemies, thirds)


def _second(case: Answered) -> Prediction | None:
    prediction = case.by[SECOND]
    return None if prediction is None else replace(prediction, role="omnimodel")


def _enemy(kind: str, cases: Sequence[Answered], masks: Sequence[np.ndarray]) -> Opponent:
    places = {case.name: place for place, case in enumerate(cases)}
    shift = max(1, len(cases) // 2)  # neighbours may be frames of one video

    def answer(case: Answered) -> Prediction:
        other = masks[(places[case.name] + shift) % len(masks)]
        return hostile(kind, case.name, case.truth, other)

    return answer


def _points(model: Simulated, cases: Sequence[Answered], calibrate: Sequence[Answered]) -> list[Point]:
    answers = _answers(model, cases)
    rivals = _QUICK if model.mean == PUBLISHED.mean else _FEW
    every = RIVALS if model == PUBLISHED else rivals
    unknown = judge(cases, lambda case: answers[case.name], SAFE_DEFAULT, every)
    points = [Point(model.mean, model.linked, UNKNOWN, unknown)]
    learnt = learn(calibrate, _answers(replace(model, seed=model.seed + 1), calibrate))
    if learnt is not None:
        table, calibration = learnt

        def known(case: Answered) -> Prediction | None:
            said = answers[case.name]
            return None if said is None else replace(said, quality=table.judge(said.probability))

        points.append(Point(model.mean, model.linked, KNOWN, judge(cases, known, calibration, rivals)))
    return points


def _answers(model: Simulated, cases: Sequence[Answered]) -> dict[str, Prediction | None]:
    names = [case.name for case in cases]
    own = {case.name: _own_dice(case) for case in cases}
    wanted = targets(names, model, own)
    return {
        case.name: None if dice_ is None else simulated(case.name, case.truth, dice_, model)
        for case, dice_ in zip(cases, wanted, strict=True)
    }


def _own_dice(case: Answered) -> float:
    prediction = case.by[SPECIALIST]
    return 0.0 if prediction is None else dice(prediction.mask, case.truth)


def learn(
    cases: Sequence[Answered], answers: Mapping[str, Prediction | None]
) -> tuple[QualityTable, Calibration] | None:
    """Predicted quality and fusion out of an omnimodel's answers to labelled cases; None of too few."""
    pairs = [(case, said) for case in cases if (said := answers[case.name]) is not None]
    if len(pairs) < 10:
        return None
    scores = np.array([dice(said.mask, case.truth) for case, said in pairs])
    confidence = np.array([soft_dice_confidence(said.probability) for _, said in pairs])
    blank = np.array([not said.mask.any() for _, said in pairs])
    normal = np.array([not case.truth.any() for case, _ in pairs])
    knots, values = quality_curve(confidence[~blank], scores[~blank])
    width = half_width(confidence[~blank], scores[~blank])
    table = QualityTable(knots, values, width, expected_when_empty(scores, blank, normal))
    return table, SAFE_DEFAULT
