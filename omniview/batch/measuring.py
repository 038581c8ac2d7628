"""Cases into rows: every model against every truth, readers against each other, and why there is no mask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omniview.analyse import FUSED
from omniview.batch.rows import FAILED, NO_TRUTH, NOT_ASKED, OBSERVER, OK, UNREADABLE, Row
from omniview.core.case import Case, Scores, Truth
from omniview.core.fusion import Fusion
from omniview.core.image import BoolArray
from omniview.core.metrics import METRICS, is_true_negative, score
from omniview.core.prediction import Prediction, Quality
from omniview.errors import OmniViewError

__all__ = ["observer_rows", "rows_of", "rows_without_case"]

_NONE_FOUND = "No ground truth was found."


def rows_without_case(
    image: str,
    models: Sequence[str],
    error: OmniViewError,
    status: str = UNREADABLE,
    readers: Sequence[str] = ("",),
) -> tuple[Row, ...]:
    """A row for each model that was to answer and each reader, with the reason why there is no case at all.

    Args:
        image: name of the pair.
        models: which were to answer, in order.
        error: the reason.
        status: unreadable where image or truth cannot be used; failed where they can, and the work died.
        readers: whose truths there were.
    """
    return tuple(
        Row(image, name, status, reader, {"reason": str(error)}) for name in models for reader in readers
    )


def rows_of(
    image: str,
    case: Case,
    models: Sequence[str],
    truths: Mapping[str, Truth],
    names: Sequence[str] = tuple(METRICS),
) -> tuple[Row, ...]:
    """One row for each model and truth; a model without a mask has blank metrics and a reason.

    Args:
        image: name of the pair.
        case: what the models answered; its own truth and scores are not looked at.
        models: which are to have rows, in order.
        truths: reader to truth, at the image's size; empty where there is none.
        names: the metrics to compute.
    """
    # a fused mask out of one answer is that answer's own, and need not be measured again
    measured: dict[tuple[int, str], Scores] = {}  # by where the map lies in memory
    rows: list[Row] = []
    for model in models:
        answer, about = _answer(case, model)
        if answer is None:
            status, reason = _why_none(case, model)
            if status == FAILED and not truths:  # there is nothing that it could have missed
                status, reason = NO_TRUTH, f"{_NONE_FOUND} {reason}"
            rows += [
                Row(image, model, status, reader, {**about, "reason": reason}) for reader in truths or ("",)
            ]
        elif not truths:
            about |= {"area_px": int(np.count_nonzero(answer.mask)), "reason": _NONE_FOUND}
            rows.append(Row(image, model, NO_TRUTH, values=about))
        else:
            for reader, truth in truths.items():
                key = (answer.probability.ctypes.data, reader)
                if key not in measured:
                    measured[key] = score(
                        answer.mask,
                        truth.mask,
                        case.image.spacing_mm,
                        probability=answer.probability,
                        names=names,
                    )
                values = {**measured[key], **_areas(answer.mask, truth.mask), **about}
                rows.append(_scored(image, model, reader, values, _notes(case, truth)))
    return tuple(rows)


def observer_rows(
    image: str, case: Case, truths: Mapping[str, Truth], names: Sequence[str] = tuple(METRICS)
) -> tuple[Row, ...]:
    """Every later reader's mask scored against every earlier one's: what people agree on among themselves."""
    readers = list(truths)
    about, rows = _about(case), []
    for place, reference in enumerate(readers):
        for reader in readers[place + 1 :]:
            mask, truth = truths[reader].mask, truths[reference]
            scores = score(mask, truth.mask, case.image.spacing_mm, names=names)
            values = {**scores, **_areas(mask, truth.mask), **about}
            rows.append(_scored(image, OBSERVER + reader, reference, values, _notes(case, truth)))
    return tuple(rows)


def _scored(image: str, model: str, reader: str, values: Mapping[str, Any], notes: Sequence[str]) -> Row:
    return Row(image, model, OK, reader, {**values, "reason": " ".join(notes)})


def _areas(mask: BoolArray, truth: BoolArray) -> dict[str, Any]:
    """Pixels of (K,Y,X) masks over all labels, and whether both are empty in each."""
    return {
        "area_px": int(np.count_nonzero(mask)),
        "truth_area_px": int(np.count_nonzero(truth)),
        "true_negative": is_true_negative(mask, truth),
    }


def _notes(case: Case, truth: Truth) -> tuple[str, ...]:
    if case.image.frame is None:
        return truth.notes
    return (*truth.notes, f"Of several frames only frame {case.image.frame} was scored.")


def _answer(case: Case, model: str) -> tuple[Prediction | Fusion | None, dict[str, Any]]:
    """What `model` answered, and the columns that say so."""
    about = _about(case)
    if model != FUSED:
        prediction = next((p for p in case.predictions if p.role == model), None)
        if prediction is None:
            failure = next((f for f in case.failures if f.role == model), None)
            if failure is not None and failure.cost is not None:  # a useless answer is paid for too
                about |= {"cost": failure.cost, "currency": failure.currency}
            return None, about
        ran = prediction.provenance
        for name in ("answers_used", "tokens_in", "tokens_out", "cost", "currency"):
            about[name] = getattr(ran, name)
        return prediction, {**about, **_quality(prediction.quality)}
    fusion = case.fusion
    if fusion is None:
        return None, about
    return fusion, {**about, **_quality(fusion.quality), "omnimodel_share": float(fusion.weight.mean())}


def _about(case: Case) -> dict[str, Any]:
    (height, width), spacing = case.image.shape, case.image.spacing_mm
    return {
        "task": case.task.name,
        "distance_unit": "px" if spacing is None else "mm",
        "diagonal": math.hypot(*(n * s for n, s in zip((height, width), spacing or (1.0, 1.0), strict=True))),
        "width": width,
        "height": height,
    }


def _quality(quality: Quality | None) -> dict[str, float]:
    if quality is None:
        return {}
    return {"quality": quality.value, "quality_low": quality.low, "quality_high": quality.high}


def _why_none(case: Case, model: str) -> tuple[str, str]:
    """Status and reason of a model without a mask."""
    causes = [f for f in case.failures if model in (f.role, FUSED)]
    left_out = bool(causes) and all(f.left_out for f in causes)
    return NOT_ASKED if left_out else FAILED, " ".join(f"{f.model}: {f.reason}" for f in causes)
