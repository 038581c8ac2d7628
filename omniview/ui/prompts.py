"""What a person has shown on the image, in order, with undo and redo. Knows neither widgets nor models."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from omniview.core.guidance import Guidance
from omniview.core.image import FloatArray

__all__ = ["Kind", "Mark", "Marks", "Prompts"]


class Kind(StrEnum):
    """What a mark says."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    BOX = "box"


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing shown.

    Attributes:
        kind: what it says.
        place: (row, column) of the clicked pixel, or (top, left, bottom, right) of a box, edge to edge.
    """

    kind: Kind
    place: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.place) != (4 if self.kind is Kind.BOX else 2):
            raise ValueError(
                f"Mark.place must be two numbers for a click and four for a box, got {self.place}"
            )

    def to_json(self) -> dict[str, Any]:
        """Kind and numbers by name."""
        names = ("top", "left", "bottom", "right") if self.kind is Kind.BOX else ("row", "column")
        return {"kind": self.kind.value, **dict(zip(names, self.place, strict=True))}


Marks: TypeAlias = tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The marks that hold, and how to go back and forth between what held.

    Attributes:
        marks: what holds now, oldest first; at most one box.
        past: what held before, newest last.
        future: what undo took back, newest last.
    """

    marks: Marks = ()
    past: tuple[Marks, ...] = ()
    future: tuple[Marks, ...] = ()

    def added(self, mark: Mark) -> Prompts:
        """With one more mark; a new box takes an older one's place."""
        kept = (
            self.marks
            if mark.kind is not Kind.BOX
            else tuple(m for m in self.marks if m.kind is not Kind.BOX)
        )
        return self._changed((*kept, mark))

    def without(self, mark: Mark) -> Prompts:
        """With `mark` taken away."""
        return self._changed(tuple(m for m in self.marks if m is not mark))

    def cleared(self) -> Prompts:
        """With nothing shown; undo brings it back."""
        return self._changed(())

    def undone(self) -> Prompts:
        """As before the last change."""
        if not self.past:
            return self
        return Prompts(self.past[-1], self.past[:-1], (*self.future, self.marks))

    def redone(self) -> Prompts:
        """As before the last undo."""
        if not self.future:
            return self
        return Prompts(self.future[-1], (*self.past, self.marks), self.future[:-1])

    def guidance(self, prior: FloatArray | None) -> Guidance:
        """For a model, with `prior` (Y,X), the probability that the person saw when making the last mark."""
        clicks = {
            kind: tuple((float(m.place[0]), float(m.place[1])) for m in self.marks if m.kind is kind)
            for kind in (Kind.POSITIVE, Kind.NEGATIVE)
        }
        boxes = [m.place for m in self.marks if m.kind is Kind.BOX]
        box = (
            (float(boxes[0][0]), float(boxes[0][1]), float(boxes[0][2]), float(boxes[0][3]))
            if boxes
            else None
        )
        return Guidance(clicks[Kind.POSITIVE], clicks[Kind.NEGATIVE], box, prior)

    def _changed(self, marks: Marks) -> Prompts:
        return self if marks == self.marks else Prompts(marks, (*self.past, self.marks))
