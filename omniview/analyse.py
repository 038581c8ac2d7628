"""THE engine: image + task + segmenters -> Case. The viewer, the command line, batches and embedders call it.

All segmenters start at once, but for one that works from the specialist's mask, or that is asked only where
the specialist is doubtful. Each result or failure yields a new Case with fusion and scores recomputed in a
thread, so that the specialist's mask is on screen long before a cloud answers, and a dead cloud changes
nothing but a badge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from omniview.core.aside import aside
from omniview.core.asking import ALWAYS, BECAUSE, AskPolicy
from omniview.core.case import Case, Failure, Scores, ScoreTable, Truth
from omniview.core.fusion import Calibration, fuse
from omniview.core.image import BoolArray, Image
from omniview.core.metrics import score
from omniview.core.prediction import Prediction, Role
from omniview.core.segmenter import Segmenter, asks_outside, needs_evidence
from omniview.core.task import Task
from omniview.errors import NotAsked, OmnimodelError, OmniViewError, SizeMismatch
from omniview.inference.pair_card import calibration_for

__all__ = ["FUSED", "analyse", "with_prediction", "with_truth"]

FUSED = "fused"
"""Name of the fused mask's row beside the roles in a Case's scores."""

_log = logging.getLogger(__name__)


async def analyse(
    image: Image,
    task: Task,
    segmenters: Sequence[Segmenter],
    *,
    truth: Truth | None = None,
    calibration: Calibration | None = None,
    ask: AskPolicy = ALWAYS,
    on_update: Callable[[Case], None] | None = None,
) -> Case:
    """Run all segmenters at once and put their answers together as they come.

    A segmenter that needs evidence is asked as soon as the specialist's mask is there, with it; where there
    will be none, it is asked without and says itself what it lacks. One that asks outside of this machine is
    asked as `ask` says; if it is not, that is a failure of the kind "NotAsked", which is none.

    Cancelling the task that awaits this cancels every segmenter and waits until each has let go.

    Args:
        image: the image.
        task: what is looked for.
        segmenters: at most one for each role.
        truth: the reference segmentation, at the image's own size.
        calibration: the fusion's parameters; None: those that were measured of these very models, if any.
        ask: when a segmenter outside of this machine is asked at all.
        on_update: called on the event loop's thread with each new Case: first the empty one, then after each
            result or failure.

    Returns:
        The Case after the last result; failures are in it, they are not raised.

    Raises:
        SizeMismatch: the truth is of another size than the image.
        ValueError: two segmenters of one role.
    """
    roles = tuple(s.role for s in segmenters)
    if len(set(roles)) != len(roles):
        raise ValueError(f"analyse: segmenters must be at most one a role, got {roles}")
    _check_size(image, task, truth)
    case = Case(image, task, truth=truth, pending=roles)
    notify = on_update or (lambda _: None)
    notify(case)
    running: dict[asyncio.Task[Prediction], Segmenter] = {}
    waiting = list(segmenters)

    def admit(case: Case) -> Case:
        """Ask whoever need not wait any longer; the case says whom nobody wants to ask."""
        for segmenter in tuple(waiting):
            first = segmenter.role != "specialist" and "specialist" in case.pending
            evidence, outside = needs_evidence(segmenter), asks_outside(segmenter)
            if first and (evidence or (outside and ask.waits)):
                continue
            waiting.remove(segmenter)
            specialist, context = case.prediction("specialist"), copy_context()
            if outside:
                verdict = ask.decide(specialist)
                if not verdict.asked:
                    case = _without(case, segmenter, NotAsked(verdict.because, "Change when to ask."))
                    continue
                context.run(BECAUSE.set, verdict.because)
            work = segmenter.segment(image, task, specialist if evidence else None)
            name = f"segment {segmenter.name}"
            running[asyncio.create_task(work, name=name, context=context)] = segmenter
        return case

    try:
        if (admitted := admit(case)) is not case:
            notify(case := admitted)
        while running:
            finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in finished:
                case = _add(case, running.pop(one), one)
            case = await aside(partial(_complete, admit(case), calibration))
            notify(case)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return case


def with_truth(case: Case, truth: Truth | None) -> Case:
    """The same case against another reference, scored anew. Blocks: call it in a thread.

    Raises:
        SizeMismatch: the truth is of another size than the image.
    """
    _check_size(case.image, case.task, truth)
    case = replace(case, truth=truth)
    return replace(case, scores=_scores(case))


def with_prediction(case: Case, prediction: Prediction, calibration: Calibration | None = None) -> Case:
    """The same case with another opinion in its role, fused and scored anew. Blocks: call it in a thread.

    Args:
        case: the case; what it knew of that role (prediction, failure, pending) is replaced.
        prediction: of the case's own image and task.
        calibration: the fusion's parameters; None: those that were measured of these very models, if any.
    """
    others = tuple(p for p in case.predictions if p.role != prediction.role)
    return _complete(
        replace(
            case,
            predictions=(*others, prediction),
            failures=tuple(f for f in case.failures if f.role != prediction.role),
            pending=_others(case.pending, prediction.role),
        ),
        calibration,
    )


def _check_size(image: Image, task: Task, truth: Truth | None) -> None:
    expected = (len(task.labels), *image.shape)
    if truth is not None and truth.mask.shape != expected:
        (k, y, x), (height, width) = truth.mask.shape, image.shape
        raise SizeMismatch(
            f"The ground truth is {x}x{y} with {k} label(s), the image {width}x{height} with {expected[0]}.",
            "Choose the mask that belongs to this image.",
        )


def _add(case: Case, segmenter: Segmenter, finished: asyncio.Task[Prediction]) -> Case:
    """The case with what `segmenter` gave: a prediction, or the reason why there is none."""
    try:
        prediction = finished.result()
    except OmniViewError as error:
        return _without(case, segmenter, error)
    except asyncio.CancelledError:
        cause = OmniViewError("It was cancelled.", "Analyse again.")
    except Exception as error:  # noqa: BLE001 - a defect in one model must not take the other's mask away
        _log.error("defect in %s", segmenter.name, exc_info=error)
        words = f"A defect in OmniView or the model ({type(error).__name__})."
        cause = OmniViewError(words, "See the log, and report it.")
    else:
        return replace(
            case,
            predictions=(*case.predictions, prediction),
            pending=_others(case.pending, segmenter.role),
        )
    return _without(case, segmenter, cause, kind="")


def _without(case: Case, segmenter: Segmenter, error: OmniViewError, kind: str | None = None) -> Case:
    """The case with the reason why `segmenter` gives no mask."""
    kind = type(error).__name__ if kind is None else kind
    failure = Failure(segmenter.name, segmenter.role, error.message, error.next_step, kind)
    if isinstance(error, OmnimodelError):
        failure = replace(failure, cost=error.cost, currency=error.currency)
    return replace(case, failures=(*case.failures, failure), pending=_others(case.pending, segmenter.role))


def _others(roles: tuple[Role, ...], role: Role) -> tuple[Role, ...]:
    return tuple(other for other in roles if other != role)


def _complete(case: Case, calibration: Calibration | None) -> Case:
    if not case.predictions:
        return case
    notes: tuple[str, ...] = ()
    if calibration is None:
        calibration, notes = calibration_for(case.task.name, case.predictions)
    fusion = fuse(case.predictions, calibration)
    case = replace(case, fusion=replace(fusion, notes=(*notes, *fusion.notes)))
    return replace(case, scores=_scores(case))


def _scores(case: Case) -> ScoreTable:
    if case.truth is None:
        return {}
    masks: dict[str, BoolArray] = {p.role: p.mask for p in case.predictions}
    if case.fusion is not None:
        masks[FUSED] = case.fusion.mask
    return {name: _score(mask, case) for name, mask in masks.items()}


def _score(mask: BoolArray, case: Case) -> Scores:
    assert case.truth is not None
    return score(mask, case.truth.mask, spacing_mm=case.image.spacing_mm)
