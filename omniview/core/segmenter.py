"""What the engine expects of a model, wherever it runs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from omniview.core.guidance import Guidance
from omniview.core.image import Image
from omniview.core.prediction import Prediction, Role
from omniview.core.task import Task

__all__ = ["Prompted", "Segmenter", "asks_outside", "needs_evidence"]


@runtime_checkable
class Segmenter(Protocol):
    """A model that turns an image into probability maps."""

    @property
    def name(self) -> str:
        """The model's name, shown to a person."""
        ...

    @property
    def role(self) -> Role:
        """Which side of the fusion it takes."""
        ...

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """K probability maps at the image's own size.

        Cancelling the awaiting task stops the work itself, not only the waiting.

        Args:
            image: the image.
            task: what is looked for.
            evidence: another model's opinion, for a model that is asked informed instead of blind.

        Raises:
            OmniViewError: no usable mask; message and next step say why.
        """
        ...

    async def close(self) -> None:
        """Release what the model holds. Calling twice does no harm."""
        ...


@runtime_checkable
class Prompted(Segmenter, Protocol):
    """A model that also listens to clicks and boxes, quickly enough to be asked at each of them."""

    async def segment_prompted(self, image: Image, task: Task, guidance: Guidance) -> Prediction:
        """K probability maps at the image's own size, as `guidance` shows.

        Cancelling the awaiting task stops the work itself, not only the waiting.

        Raises:
            OmniViewError: no usable mask; message and next step say why.
        """
        ...


def needs_evidence(segmenter: Segmenter) -> bool:
    """Whether `segmenter` has nothing to go by without another model's opinion, and so is asked after it.

    A segmenter says so by an attribute of this name; most have none, and are asked blind and at once.
    """
    return bool(getattr(segmenter, "needs_evidence", False))


def asks_outside(segmenter: Segmenter) -> bool:
    """Whether asking `segmenter` may cost money and let pixels leave, so that the person's rule applies.

    A segmenter says so by an attribute of this name; whoever has none runs here and is free.
    """
    return bool(getattr(segmenter, "asks_outside", False))
