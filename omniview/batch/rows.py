"""What is known of a scored case once its pixels are gone: the rows of cases.csv, and what the report draws.

Rows hold nothing that differs between two runs of the same input, no times above all, so that a resumed run
ends with the very bytes of an undisturbed one. Times are kept beside them (timings.csv).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from omniview.analyse import FUSED
from omniview.core.case import Case, Scores, Truth
from omniview.core.fusion import Fusion
from omniview.core.image import BoolArray
from omniview.core.metrics import METRICS, is_true_negative, score
from omniview.core.prediction import Prediction, Quality
from omniview.errors import OmniViewError

__all__ = [
    "COLUMNS",
    "FAILED",
    "NOT_ASKED",
    "NO_TRUTH",
    "OBSERVER",
    "OK",
    "UNREADABLE",
    "Bins",
    "Record",
    "Row",
    "nine_digits",
    "observer_rows",
    "rows_of",
    "rows_without_case",
    "text_of",
]

OK, FAILED, NOT_ASKED, NO_TRUTH, UNREADABLE = "ok", "failed", "not asked", "no truth", "unreadable"
"""A row's status: scored; no usable mask; an omnimodel left out on purpose (budget, rule); nothing to compare
with; image or truth cannot be used, or the case ended in a defect."""

OBSERVER = "observer "
"""Begins the model's name in a row that scores one reader's truth against another's."""

COLUMNS = (
    "image",
    "model",
    "truth",
    "status",
    "task",
    *METRICS,
    "distance_unit",
    "diagonal",
    "width",
    "height",
    "area_px",
    "truth_area_px",
    "true_negative",
    "quality",
    "quality_low",
    "quality_high",
    "omnimodel_share",
    "answers_used",
    "tokens_in",
    "tokens_out",
    "cost",
    "currency",
    "reason",
)
"""Columns of cases.csv, in order. `diagonal` is the largest possible distance, in `distance_unit`. Tokens and
cost are those of the question, and so the same in the rows of each truth: `Record.cost` counts them once."""

Bins: TypeAlias = tuple[tuple[int, float, float], ...]
"""Of each bin of a reliability diagram: pixels, sum of their probabilities, how many of them are true."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of cases.csv.

    Attributes:
        image: name of the pair, unique within a run.
        model: specialist, omnimodel, fused, or "observer NAME".
        status: one of the words above.
        truth: the reader whose truth it was compared with; empty where an image has but one truth.
        values: the other columns; those that are missing are blank. Fractions are kept to nine digits.
    """

    image: str
    model: str
    status: str
    truth: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        values = {k: nine_digits(v) if isinstance(v, float) else v for k, v in self.values.items()}
        object.__setattr__(self, "values", values)

    def as_dict(self) -> dict[str, Any]:
        """Column name to value; None or missing is blank."""
        own = {"image": self.image, "model": self.model, "truth": self.truth, "status": self.status}
        return {**own, **self.values}


@dataclass(frozen=True, slots=True)
class Record:
    """One finished case without its arrays.

    Attributes:
        name: of the pair, unique within a run; the rows' `image`.
        image: path or address of the image, to open it again.
        truths: reader to path of the mask; the reader is empty where there is but one.
        rows: one a model and truth, in the order of cases.csv.
        bins: model to its reliability bins, against the first truth.
        thumbnail: JPEG with outlines, or None.
        margins: how well the calibrated margin held ("inner_inside": share of the inner mask that is truth,
            "truth_inside": share of the truth that lies in the outer one), or None.
    """

    name: str
    image: str
    truths: Mapping[str, str]
    rows: tuple[Row, ...]
    bins: Mapping[str, Bins] = field(default_factory=dict)
    thumbnail: bytes | None = None
    margins: Mapping[str, float | None] | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no fused mask, or none that could be compared with any truth."""
        return not any(row.model == FUSED and row.status in (OK, NO_TRUTH) for row in self.rows)

    @property
    def cost(self) -> tuple[float | None, str | None]:
        """What the omnimodel was paid for this case, once whatever the number of truths, and the currency."""
        paid = (row.values for row in self.rows if row.values.get("cost") is not None)
        values = next(paid, {})
        return values.get("cost"), values.get("currency")

    def to_json(self) -> dict[str, Any]:
        """All but the thumbnail, as JSON can hold it."""
        return {
            "name": self.name,
            "image": self.image,
            "truths": dict(self.truths),
            "rows": [
                {
                    "image": r.image,
                    "model": r.model,
                    "status": r.status,
                    "truth": r.truth,
                    "values": dict(r.values),
                }
                for r in self.rows
            ],
            "bins": {model: [list(one) for one in bins] for model, bins in self.bins.items()},
            "margins": None if self.margins is None else dict(self.margins),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], thumbnail: bytes | None = None) -> Record:
        """The record that `to_json` was asked of."""
        return cls(
            values["name"],
            values["image"],
            values["truths"],
            tuple(Row(**row) for row in values["rows"]),
            {model: tuple((n, p, y) for n, p, y in bins) for model, bins in values["bins"].items()},
            thumbnail,
            values["margins"],
        )


def nine_digits(value: float) -> float:
    """The value to nine significant digits.

    The last bits of a sum depend on where its numbers lie in memory (vector units take what is aligned at
    once), so that the same case scored twice can differ in them.
    """
    return float(format(value, ".9g"))


def text_of(value: Any) -> str:
    """A value as cases.csv has it: blank for None, 1 and 0 for truth values, nine digits for fractions."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return format(value, ".9g") if isinstance(value, float) else str(value)


def rows_without_case(image: str, models: Sequence[str], error: OmniViewError) -> tuple[Row, ...]:
    """A row for each model that was to answer, with the reason why there is no case at all."""
    return tuple(Row(image, name, UNREADABLE, values={"reason": str(error)}) for name in models)


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
            rows += [
                Row(image, model, status, reader, {**about, "reason": reason}) for reader in truths or ("",)
            ]
        elif not truths:
            rows.append(Row(image, model, NO_TRUTH, values={**about, "reason": "No ground truth was found."}))
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
