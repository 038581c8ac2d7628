"""Folders to be scored, beside the window: one dialog that stays, whether it is seen or not."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtWidgets import QWidget

from omniview.io.pair_types import Pair
from omniview.ui.batch_dialog import BatchBox
from omniview.ui.batch_form import BatchForm
from omniview.ui.batch_plan import Scorer, Wish
from omniview.ui.messages import Level, Notice
from omniview.ui.models import Models
from omniview.ui.session import Entry, Session, Snapshot

__all__ = ["Batches"]


class Batches:
    """Opens the dialog, and opens in the window what a person picks out of it.

    Args:
        parent: the window.
        session: task and omnimodel are what the dialog begins with; its offline always holds.
        models: the tasks and omnimodels that can be chosen.
        scorer: plans and runs; None where folders cannot be scored.
        show: opens entries in the window.
    """

    def __init__(
        self,
        parent: QWidget,
        session: Session,
        models: Models,
        scorer: Scorer | None,
        show: Callable[[list[Entry]], None],
    ) -> None:
        self._parent, self._session, self._models = parent, session, models
        self._scorer, self._show = scorer, show
        self._box: BatchBox | None = None
        session.changed.connect(self._follow)

    @property
    def box(self) -> BatchBox | None:
        """The dialog, if it was opened."""
        return self._box

    def open(self) -> None:
        """Open the dialog, or bring it back with what it is at."""
        if self._scorer is None:
            return
        if self._box is None:
            now = self._session.now
            form = BatchForm(
                self._models.tasks(),
                self._models.omnimodels(),
                task=now.task,
                omnimodel=now.omnimodel,
                offline=lambda: self._session.now.offline,
            )
            self._box = BatchBox(self._parent, self._scorer, form)
            self._box.opened.connect(self._open_case)
            self._box.ended.connect(self._tell)
        self._box.show()
        self._box.raise_()
        self._box.activateWindow()

    def look_again(self) -> None:
        """Plan anew: settings, models or consents have changed."""
        if self._box is not None:
            self._box.plan()

    async def settle(self) -> None:
        """Wait until nothing is planned or running."""
        if self._box is not None:
            await self._box.settle()

    async def close(self) -> None:
        """Stop what runs; what is finished is kept."""
        box, self._box = self._box, None
        if box is not None:
            await box.close_down()
            box.deleteLater()

    def _follow(self, old: Snapshot, new: Snapshot) -> None:
        """What was planned online is not what would be done offline, and the other way round."""
        if old.offline is not new.offline:
            self.look_again()

    def _open_case(self, pair: Pair, wish: Wish) -> None:
        """Show a case as it was scored: the same frame, task and omnimodel, and each reader's mask."""
        self._session.update(task=wish.task, omnimodel=wish.omnimodel)
        self._show([Entry(pair.name, pair.image, frame=pair.frame, truths=pair.truths)])

    def _tell(self, text: str, level: Level) -> None:
        """Say in the window how a run ended that nobody looks at."""
        if self._box is not None and not self._box.isVisible():
            keys = "The menu's Score folder… shows it."
            self._session.update(notice=Notice(f"The folder's run has ended: {text}", keys, level))
