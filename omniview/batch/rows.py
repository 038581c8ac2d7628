"""What is known of a scored case once its pixels are gone: the rows of cases.csv, and what the report draws.

Rows hold nothing that differs between two runs of the same input, no times above all, so that a resumed run
ends with the very bytes of an undisturbed one. Times are kept beside them (timings.csv).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from omniview.analyse import FUSED
from omniview.core.metrics import METRICS

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
    "text_of",
]

OK, FAILED, NOT_ASKED, NO_TRUTH, UNREADABLE = "ok", "failed", "not asked", "no truth", "unreadable"
"""A row's status: scored; no usable mask; an omnimodel that was never asked (budget, rule, consent); nothing
to compare with, be there a mask or not; image or truth cannot be used. A case whose work died, by a defect or
with its process, has failed if there is a truth."""

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

    @property
    def has_mask(self) -> bool:
        """Whether there is a mask, and a truth that it could be compared with unless there is none at all."""
        return self.status == OK or (self.status == NO_TRUTH and self.values.get("area_px") is not None)

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
        return not any(row.model == FUSED and row.has_mask for row in self.rows)

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
