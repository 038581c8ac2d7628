"""The reference of the case on screen: found beside its image, or chosen by the person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from omniview.analyse import FUSED, with_truth
from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.core.task import Task
from omniview.errors import OmniViewError, SizeMismatch
from omniview.io.pair import find_truths
from omniview.io.pair_read import read_truth_files
from omniview.io.pair_types import TruthFiles
from omniview.io.remote import is_remote, offline
from omniview.ui.messages import Action, Level, Notice, notice_of
from omniview.ui.session import Entry, Session

__all__ = ["Truths"]


class Truths:
    """Reads references.

    Args:
        session: what the window shows.
        show: puts a case, scored anew, on the screen.
        again: analyses the image on screen anew, for results that are still to come.
    """

    def __init__(
        self, session: Session, show: Callable[[Case, Callable[[], bool]], None], again: Callable[[], None]
    ) -> None:
        self._session, self._show, self._again = session, show, again

    async def find(self, image: Image, task: Task, entry: Entry) -> None:
        """Read the reference that belongs to `entry`, if there is one; those of all readers are kept."""
        if entry.path is None:
            return
        if entry.reference is None:
            entry = replace(entry, truths=await asyncio.to_thread(_found, entry.path))
            now, current = self._session.now, self._session.now.current
            if current is not None and now.entries[current].key == entry.key:
                self._session.update_entry(current, truths=entry.truths)
        if entry.reference is None:
            return
        try:
            truth = await self._read(entry.reference, image, task.labels)
        except OmniViewError as error:
            self._session.update(notice=notice_of(error, Action.CHOOSE_TRUTH))
        else:
            self._session.update(truth=truth)
            if truth.notes:
                self._session.update(notice=Notice(" ".join(truth.notes), level=Level.INFO))

    async def use(self, newest: Callable[[], bool], **chosen: Any) -> None:
        """Score the case on screen against another reference.

        Args:
            newest: whether this is still what the person wants.
            chosen: what of the case's entry says which: `truth` (a mask's file) or `reader`.
        """
        now = self._session.now
        if now.image is None or now.current is None:
            return
        files = replace(now.entries[now.current], **chosen).reference
        if files is None:
            return
        try:
            truth = await self._read(
                files, now.image, now.case.task.labels if now.case is not None else ("",)
            )
            case = None if now.case is None else await asyncio.to_thread(with_truth, now.case, truth)
        except OmniViewError as error:
            action = Action.CHOOSE_TRUTH if isinstance(error, SizeMismatch) else Action.NONE
            self._session.update(notice=notice_of(error, action))
            return
        if self._session.now.image is not now.image or now.current is None:
            return
        notes = Notice(" ".join(truth.notes), level=Level.INFO) if truth.notes else None
        self._session.update(truth=truth, notice=notes)
        self._session.update_entry(now.current, **chosen)
        if self._session.now.case is not now.case:
            self._again()  # results came meanwhile: they want the new reference too
        elif case is not None:
            dice = case.scores.get(FUSED, {}).get("dice")
            self._session.update_entry(now.current, dice=dice)
            self._show(case, newest)
            if case.pending:
                self._again()

    async def _read(self, files: TruthFiles, image: Image, labels: tuple[str, ...]) -> Truth:
        with offline(self._session.now.offline):  # a thread of asyncio's takes it along
            return await asyncio.to_thread(read_truth_files, files, image, labels)


def _found(image: Path) -> tuple[TruthFiles, ...]:
    # a list of a folder that lies elsewhere may take minutes
    return () if is_remote(image) else find_truths(image)
