"""The one place whose content changes: a frozen snapshot, replaced as a whole, announced by one signal.

Panels compare the old with the new snapshot and redraw what differs; none of them keeps a truth of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from omniview.batch.one import AUTO
from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.core.task import Task
from omniview.io.pair_types import TruthFiles
from omniview.ui.doubts import Tour
from omniview.ui.frame import Frame
from omniview.ui.messages import Notice
from omniview.ui.prompts import Prompts
from omniview.ui.view import View

__all__ = ["Entry", "Question", "Session", "Snapshot", "Stage"]


_RECENT, _RECENT_PIXELS = 12, 24_000_000  # a case takes some 30 bytes a pixel


class Stage(StrEnum):
    """How far the work on a case has come."""

    WAITING = "waiting"
    OPENING = "opening"
    RECOGNISING = "recognising"
    LOADING = "loading models"
    ANALYSING = "analysing"
    ASKING = "choose a task"
    DONE = "done"
    FAILED = "failed"

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self in (Stage.OPENING, Stage.RECOGNISING, Stage.LOADING, Stage.ANALYSING)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the case list.

    Attributes:
        name: shown name.
        path: file, or None for a built-in sample.
        sample: key of a built-in sample, or None.
        frame: which image of the file, from 0.
        truths: the references that belong to it, one a reader, each of one file or of several.
        reader: index of the one in `truths` that is shown.
        truth: file of a reference that the person chose, in place of `truths`, or None.
        stage: how far it has come.
        dice: Dice of the fused mask, or None.
        note: why it failed.
    """

    name: str
    path: Path | None = None
    sample: str | None = None
    frame: int = 0
    truths: tuple[TruthFiles, ...] = ()
    reader: int = 0
    truth: Path | None = None
    stage: Stage = Stage.WAITING
    dice: float | None = None
    note: str = ""

    @property
    def key(self) -> tuple[Path | None, str | None, int]:
        """What no two rows of the list share."""
        return self.path, self.sample, self.frame

    @property
    def reference(self) -> TruthFiles | None:
        """The reference that is shown, or None where none is known yet."""
        if self.truth is not None:
            return TruthFiles("", (self.truth,))
        return self.truths[self.reader] if self.truths else None


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked of which image: enough to know that an answer would be the same again."""

    path: Path | None
    sample: str | None
    position: int
    reference: TruthFiles | None
    task: str
    omnimodel: str
    offline: bool


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that the window shows.

    Attributes:
        entries: the case list.
        current: index of the entry on screen, or None.
        opening: index of the entry that is being opened, or None.
        series: the frames of the current entry.
        image: the image on screen, or None.
        frame: what to draw of it.
        case: what is known about it.
        truth: its reference, also while the analysis starts anew.
        view: how it is looked at.
        task: the chosen task's name, or `auto`.
        recognised: what `auto` made of the image, or None.
        omnimodel: the chosen omnimodel's name.
        offline: nothing may leave this machine.
        stage: how far the work on the image has come.
        began: `time.monotonic()` when the analysis began.
        notice: what a person should know now, or None.
        prompting: whether clicks on the image are shown to the omnimodel.
        prompts: what it was shown of this image.
        asking: whether it is working on an answer to them.
        tour: where the person is among the doubtful regions, or None; it may be of an older result.
        spent: what omnimodels have cost in this session, in US dollars.
        recent: complete cases of late, newest last, so that going back to one does not ask again.
    """

    entries: tuple[Entry, ...] = ()
    current: int | None = None
    opening: int | None = None
    series: Sequence[Image] = ()
    image: Image | None = None
    frame: Frame | None = None
    case: Case | None = None
    truth: Truth | None = None
    view: View = field(default_factory=View)
    task: str = AUTO
    recognised: Task | None = None
    omnimodel: str = "builtin"
    offline: bool = False
    stage: Stage = Stage.WAITING
    began: float = 0.0
    notice: Notice | None = None
    prompting: bool = False
    prompts: Prompts = field(default_factory=Prompts)
    asking: bool = False
    tour: Tour | None = None
    spent: float = 0.0
    recent: tuple[tuple[Question, Case], ...] = ()

    def question(self, entry: Entry, position: int) -> Question:
        """What is asked of an image of `entry` under the present choices."""
        return Question(
            entry.path, entry.sample, position, entry.reference, self.task, self.omnimodel, self.offline
        )

    def recall(self, question: Question) -> Case | None:
        """The complete case that answered `question` before, or None."""
        return next((case for asked, case in self.recent if asked == question), None)

    @property
    def shown_entry(self) -> Entry | None:
        """The row of the case list that is on screen."""
        return self.entries[self.current] if self.current is not None else None

    @property
    def position(self) -> int:
        """Index of the image on screen within its series."""
        return (self.image.frame or 0) if self.image is not None else 0


class Session(QObject):
    """Holds the newest snapshot."""

    changed = pyqtSignal(object, object)
    """(old, new) snapshot."""

    def __init__(self, start: Snapshot | None = None) -> None:
        super().__init__()
        self._now = start or Snapshot()

    @property
    def now(self) -> Snapshot:
        """The newest snapshot."""
        return self._now

    def update(self, **changes: Any) -> None:
        """Replace some fields and announce it."""
        old, self._now = self._now, replace(self._now, **changes)
        self.changed.emit(old, self._now)

    def remember(self, question: Question, case: Case) -> None:
        """Keep a complete case, and forget the oldest ones beyond a few or beyond the room for them."""
        kept = [(question, case), *(pair for pair in reversed(self._now.recent) if pair[0] != question)]
        room = _RECENT_PIXELS
        recent: list[tuple[Question, Case]] = []
        for pair in kept[:_RECENT]:
            room -= math.prod(pair[1].image.shape)
            if room >= 0:
                recent.insert(0, pair)
        self.update(recent=tuple(recent))

    def update_entry(self, index: int, **changes: Any) -> None:
        """Replace some fields of one row of the case list, if it is still there."""
        entries = self._now.entries
        if index < len(entries):
            row = replace(entries[index], **changes)
            self.update(entries=(*entries[:index], row, *entries[index + 1 :]))
