"""What the engine expects of a model that can be asked in words, and what it answers.

An answer is sentences, and a finding is a sentence that points at something: grounded in a mask or at least a
box, as in UniBiomed (one answer interleaves text and masks), or said to be not grounded. A sentence without
a place can be right, but nobody can check it by looking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from omniview.core.image import BoolArray, Image, read_only
from omniview.core.prediction import Provenance

__all__ = ["Answer", "Box", "Finding", "Interpreter"]

Box: TypeAlias = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels of the image; the last row and column are not part of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One statement about one thing in the image.

    Attributes:
        text: the statement.
        label: what it is about, one or two words; may be empty.
        mask: (Y,X) bool at the image's own size, read-only, or None.
        box: around it, or None; where there is a mask, the mask's own bounding box.
        note: what had to be mended, or why the statement is not grounded; empty if nothing.
    """

    text: str
    label: str = ""
    mask: BoolArray | None = None
    box: Box | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("Finding.text must not be empty")
        if self.mask is not None:
            if self.mask.ndim != 2 or self.mask.dtype.kind != "b" or not self.mask.any():
                raise ValueError(
                    f"Finding.mask must be (Y,X) bool and not empty, got {self.mask.shape} {self.mask.dtype}"
                )
            object.__setattr__(self, "mask", read_only(self.mask))
        if self.box is not None and not (0 <= self.box[0] < self.box[2] and 0 <= self.box[1] < self.box[3]):
            raise ValueError(f"Finding.box must be (top, left, bottom, right) with an area, got {self.box}")

    @property
    def grounded(self) -> bool:
        """Whether it says where."""
        return self.place != "not grounded"

    @property
    def place(self) -> Literal["mask", "box", "not grounded"]:
        """How it says where."""
        if self.mask is not None:
            return "mask"
        return "not grounded" if self.box is None else "box"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What an interpreter says to one question.

    Attributes:
        text: the answer as a person reads it.
        findings: its statements that point at something, or should; may be empty.
        model: name of the model.
        seconds: wall-clock time from asking to answer.
        provenance: what really ran, and what it cost.
    """

    text: str
    findings: tuple[Finding, ...] = ()
    model: str = ""
    seconds: float = 0.0
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("Answer.text must not be empty")


@runtime_checkable
class Interpreter(Protocol):
    """A model that answers questions about an image."""

    @property
    def name(self) -> str:
        """The model's name, shown to a person."""
        ...

    async def ask(self, image: Image, question: str, region: BoolArray | None = None) -> Answer:
        """The answer to one question. Cancelling the awaiting task stops the work itself.

        Args:
            image: the image.
            question: in a person's own words.
            region: (Y,X) bool, what the question is about; None: the whole image.

        Raises:
            OmniViewError: no answer; message and next step say why.
        """
        ...

    async def close(self) -> None:
        """Release what the model holds. Calling twice does no harm."""
        ...
