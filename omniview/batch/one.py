"""One file from disk through the engine: for each image on the command line, for each case of a batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omniview.analyse import analyse
from omniview.core.asking import ALWAYS, AskPolicy
from omniview.core.case import Case
from omniview.core.image import Image
from omniview.core.segmenter import Segmenter
from omniview.core.task import Task
from omniview.errors import InputError, OmniViewError, SettingsError

__all__ = ["AUTO", "Models", "Question", "Ready", "analyse_file", "prepare", "said_in_words"]

_log = logging.getLogger(__name__)

AUTO = "auto"
"""The task's name that means: find out from the image."""


class Models(Protocol):
    """What a batch needs of the composer that is handed to it."""

    def tasks(self) -> Mapping[str, Task]:
        """The tasks that can be chosen."""
        ...

    def recognise(self, image: Image) -> Task | None:
        """The task that an image belongs to, or None if that is not clear."""
        ...

    def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
        """The models for a task."""
        ...

    async def close(self) -> None:
        """Release what the models hold."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What every image is asked.

    Attributes:
        task: a task's name, or "auto".
        omnimodel: an omnimodel's name, or "none".
        offline: no socket is opened.
        ask: when an omnimodel outside of this machine is asked at all.
    """

    task: str = AUTO
    omnimodel: str = "none"
    offline: bool = False
    ask: AskPolicy = ALWAYS

    def chosen(self, models: Models) -> Task | None:
        """The task, or None for "auto".

        Raises:
            SettingsError: there is no task of that name.
        """
        if self.task == AUTO:
            return None
        if self.task not in models.tasks():
            names = ", ".join((AUTO, *models.tasks()))
            raise SettingsError(f"There is no task {self.task!r}.", f"Choose one of {names}.")
        return models.tasks()[self.task]


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An image that has been read, with the models that are to look at it."""

    image: Image
    task: Task
    segmenters: Sequence[Segmenter]


async def analyse_file(path: Path, models: Models, question: Question, *, frame: int = 0) -> Case:
    """Read an image, find its task if need be, and analyse it.

    Raises:
        InputError: the image cannot be used, or the task is not clear.
        SettingsError: the question names what does not exist.
        OmniViewError: a defect, or too little memory; it is in the log, and the next file can be tried.
    """
    with said_in_words():
        ready = await asyncio.to_thread(prepare, path, models, question, frame)
        return await analyse(ready.image, ready.task, ready.segmenters, ask=question.ask)


def prepare(path: Path, models: Models, question: Question, frame: int = 0) -> Ready:
    """Read an image, and find its task and models.

    Raises:
        InputError: the image cannot be used, or the task is not clear.
        SettingsError: the question names what does not exist.
        NotAllowed: offline, and the image lies elsewhere.
    """
    from omniview.io.read import read
    from omniview.io.remote import fetched, refuse_offline, shown_name

    task = question.chosen(models)
    if question.offline:
        refuse_offline(path)
    with fetched(path) as here:
        image = read(here, frame)
    if task is None:
        task = models.recognise(image)
    if task is None:
        raise InputError(
            f"What to look for in {shown_name(path)} is not clear from the image.",
            f"Name the task: {', '.join(models.tasks())}.",
        )
    return Ready(image, task, models.segmenters(task, question.omnimodel, question.offline))


@contextmanager
def said_in_words() -> Iterator[None]:
    """Whatever goes wrong inside becomes an OmniViewError, so that the next file can be tried.

    Raises:
        OmniViewError: as it was, or for a defect, which is in the log, or for want of memory.
    """
    try:
        yield
    except OmniViewError:
        raise
    except MemoryError as error:
        raise OmniViewError(
            "There was too little memory for this image.", "Close other programs, or use fewer jobs."
        ) from error
    except Exception as error:
        _log.exception("defect")
        raise OmniViewError(
            f"A defect in OmniView ({type(error).__name__}).", "See the log, and report it."
        ) from error
