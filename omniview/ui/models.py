"""What the window needs of whoever brings the models.

The window never learns how a model is loaded or where it runs: the composition root hands it an object of
this shape, and a test hands it another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from omniview.batch.one import Models as BatchModels
from omniview.core.asking import AskPolicy
from omniview.core.image import Image
from omniview.core.segmenter import Prompted
from omniview.core.task import Task

__all__ = ["Models", "Permission", "Preview", "Spent", "Wanted"]


class Spent(Protocol):
    """What omnimodels have cost, in US dollars, with what is laid aside for calls under way."""

    @property
    def session(self) -> float:
        """Since the program was started."""
        ...

    @property
    def today(self) -> float:
        """On this day (UTC), over all runs."""
        ...


class Models(BatchModels, Protocol):
    """Tasks and the models for them.

    `recognise`, `segmenters`, `prompted` and `spent` block: call them in a thread.
    """

    def policy(self) -> AskPolicy:
        """When an omnimodel outside of this machine is asked at all."""
        ...

    def spent(self) -> Spent:
        """What was spent so far.

        Raises:
            OmniViewError: the record of it cannot be read.
        """
        ...

    def omnimodels(self) -> tuple[str, ...]:
        """Names of the omnimodels that can be chosen: `none`, `builtin`, ..."""
        ...

    def listening(self) -> tuple[str, ...]:
        """Names of the omnimodels that can be shown clicks and boxes."""
        ...

    def prompted(self, task: Task, omnimodel: str) -> Prompted | None:
        """The omnimodel of that name, if it listens to clicks and boxes; else None.

        Raises:
            OmniViewError: it would listen, but cannot run; why.
        """
        ...

    async def close(self) -> None:
        """Release the models."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is missing before a cloud omnimodel may be asked.

    Attributes:
        key: there is no API key yet.
        consent: what a person would agree to, in words; empty where no consent is missing.
        own: the address is the person's own institution's, so that burned-in text may be kept.
    """

    key: bool
    consent: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be sent.

    Attributes:
        data: the picture, encoded as it would leave.
        boxes: x0, y0, x1, y1 of what was blacked out, in the picture's pixels.
        text: what was done about burned-in text, in words.
        endpoint: scheme, host and port of where it would go.
    """

    data: bytes
    boxes: tuple[tuple[float, float, float, float], ...]
    text: str
    endpoint: str


class Permission(Protocol):
    """Keys and consents for cloud omnimodels. All of it blocks: call it in a thread."""

    def wanted(self, omnimodel: str) -> Wanted | None:
        """What is missing for `omnimodel`, or None if it may be asked."""
        ...

    def give(self, omnimodel: str, key: str, *, keep_text: bool = False) -> None:
        """Remember the consent, whether burned-in text may go there, and the key unless it is empty.

        Raises:
            OmniViewError: it could not be remembered.
        """
        ...

    def withdraw(self, omnimodel: str) -> bool:
        """Forget the consent; whether there was one."""
        ...

    def preview(self, omnimodel: str, image: Image) -> Preview | None:
        """What would be sent of `image`, or None for an omnimodel of this machine; nothing is sent.

        Raises:
            OmniViewError: it may not leave at all; why.
        """
        ...
