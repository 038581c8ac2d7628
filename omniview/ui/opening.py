"""What is opened, dropped or chosen in a file dialog, sorted out in a thread: images to open, or a truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PyQt6.QtWidgets import QFileDialog, QWidget

from omniview.errors import OmniViewError
from omniview.ui.drop import Dropped, entries_of, sort_out
from omniview.ui.file_dialog import ask_paths
from omniview.ui.latest import Latest
from omniview.ui.messages import Action, Level, Notice, notice_of
from omniview.ui.session import Session
from omniview.ui.workflow import Workflow

__all__ = ["Opening"]


class Opening:
    """Finds out what files and folders are, and hands them to the workflow.

    Args:
        parent: the window, for dialogs.
        session: takes the messages.
        workflow: opens images, uses truths, saves.
        failed: told of a defect.
    """

    def __init__(
        self, parent: QWidget, session: Session, workflow: Workflow, failed: Callable[[BaseException], None]
    ) -> None:
        self._parent, self._session, self._workflow = parent, session, workflow
        self._sorting = Latest(failed)

    def open(self, paths: Sequence[Path], truth: Path | None = None) -> None:
        """Open files and folders; `truth` belongs to the first."""
        if paths:
            self._sort(lambda: _with_truth(entries_of(paths), truth))

    def drop(self, paths: Sequence[Path]) -> None:
        """Open what was dropped, or use it as ground truth."""
        if paths:
            image = self._session.now.image
            self._sort(lambda: sort_out(paths, image))

    def ask_images(self) -> None:
        """Let the person choose images."""
        ask_paths(self._parent, "Open images", QFileDialog.FileMode.ExistingFiles, self.open)

    def ask_folder(self) -> None:
        """Let the person choose a folder of images."""
        ask_paths(self._parent, "Open a folder of images", QFileDialog.FileMode.Directory, self.open)

    def ask_truth(self) -> None:
        """Let the person choose a reference."""
        ask_paths(
            self._parent,
            "Use a mask as ground truth",
            QFileDialog.FileMode.ExistingFile,
            lambda paths: self._workflow.use_truth(paths[0]),
        )

    def ask_save(self) -> None:
        """Let the person choose where the masks go."""
        ask_paths(
            self._parent,
            "Save the masks into",
            QFileDialog.FileMode.Directory,
            lambda paths: self._workflow.save(paths[0]),
        )

    async def settle(self) -> None:
        """Wait until all is sorted out."""
        await self._sorting.settle()

    async def close(self) -> None:
        """Stop sorting."""
        await self._sorting.close()

    def _sort(self, find: Callable[[], Dropped]) -> None:
        self._sorting.start(lambda newest: self._take(find, newest))

    def _take(self, find: Callable[[], Dropped], newest: Callable[[], bool]) -> Coroutine[Any, Any, None]:
        async def work() -> None:
            try:
                found = await asyncio.to_thread(find)
            except OmniViewError as error:
                self._session.update(notice=notice_of(error, Action.OPEN))
                return
            if not newest():
                return
            if found.truth is not None:
                self._workflow.use_truth(found.truth)
            else:
                self._workflow.open(found.entries)
                if found.unpaired:
                    text = f"{len(found.unpaired)} file(s) could not be paired: {found.unpaired[0]}"
                    self._session.update(notice=Notice(text, level=Level.INFO))

        return work()


def _with_truth(found: Dropped, truth: Path | None) -> Dropped:
    if truth is None:
        return found
    return replace(found, entries=(replace(found.entries[0], truth=truth), *found.entries[1:]))
