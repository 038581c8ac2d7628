"""What the dialog for folders needs of whoever scores them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omniview.batch.rows import Record
from omniview.batch.run import Progress, Resume, Run
from omniview.io.pair_types import Pairing

__all__ = ["Held", "Planned", "Scorer", "Wish"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants scored.

    Attributes:
        folder: images, with their masks among or beside them.
        truth: folder of the masks, if elsewhere.
        task: a task's name, or "auto".
        omnimodel: an omnimodel's name, or "none".
        offline: open no socket.
        masks: also write every mask.
    """

    folder: Path
    truth: Path | None
    task: str
    omnimodel: str
    offline: bool
    masks: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What a folder of results holds already.

    Attributes:
        run: whether there is a run, finished or not.
        report: its report, if there is one.
    """

    run: bool = False
    report: Path | None = None


class Planned(Protocol):
    """What will be done, before anything is."""

    @property
    def pairing(self) -> Pairing:
        """Images with their truths, and what could not be paired."""
        ...

    @property
    def obstacle(self) -> str:
        """Why the omnimodel would not answer, and what to do about it; empty if nothing is in its way."""
        ...

    def cost(self) -> str:
        """What an omnimodel will cost at most, in words; empty where it costs nothing. Blocks."""
        ...

    def run(
        self,
        out: Path,
        *,
        apart: bool,
        resume: Resume = "no",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Run:
        """The run, to be awaited with `go`; `apart`: in a process of its own, so that a window stays free."""
        ...


class Scorer(Protocol):
    """Plans batches. All of it blocks: call it in a thread."""

    def plan(self, wish: Wish) -> Planned:
        """Find what is to be scored.

        Raises:
            OmniViewError: there is nothing to score, or the wish names what does not exist.
        """
        ...

    def held(self, out: Path) -> Held:
        """What the results in `out` are; nothing where they cannot be looked at."""
        ...

    def finished(self, out: Path) -> Iterator[Record]:
        """The cases that the run in `out` holds already, read one by one.

        Raises:
            OmniViewError: another run is at them, or they cannot be read.
        """
        ...
