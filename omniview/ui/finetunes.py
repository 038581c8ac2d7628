"""Fine-tuning beside the window: one dialog that stays, whether it is seen or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from PyQt6.QtWidgets import QWidget

from omniview.ui.finetune_dialog import FineTuneBox
from omniview.ui.finetune_plan import Tuner
from omniview.ui.latest import Latest
from omniview.ui.session import Session

__all__ = ["FineTunes"]


class FineTunes:
    """Opens the dialog.

    Args:
        parent: the window.
        session: its task chooses the specialist at first.
        tuner: knows the specialists; None where nothing can be fine-tuned.
        used: called when another model is in use.
        failed: told of a defect.
    """

    def __init__(
        self,
        parent: QWidget,
        session: Session,
        tuner: Tuner | None,
        used: Callable[[], Any],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._parent, self._session, self._tuner, self._used = parent, session, tuner, used
        self._opening = Latest(failed)
        self._box: FineTuneBox | None = None

    @property
    def box(self) -> FineTuneBox | None:
        """The dialog, if it was opened."""
        return self._box

    def open(self) -> None:
        """Open the dialog, or bring it back with what it is at."""
        if self._tuner is not None:
            tuner = self._tuner
            self._opening.start(lambda _newest: self._show(tuner))

    async def settle(self) -> None:
        """Wait until nothing is opened or running."""
        await self._opening.settle()
        if self._box is not None:
            await self._box.settle()

    async def close(self) -> None:
        """Stop what runs; what is finished is kept."""
        await self._opening.close()
        box, self._box = self._box, None
        if box is not None:
            await box.close_down()
            box.deleteLater()

    async def _show(self, tuner: Tuner) -> None:
        if self._box is None:
            cards = await asyncio.to_thread(tuner.cards)
            now = self._session.now
            task = now.recognised.name if now.recognised is not None else now.task
            self._box = FineTuneBox(self._parent, tuner, cards, task)
            self._box.used.connect(lambda: self._used())
        self._box.show()
        self._box.raise_()
        self._box.activateWindow()
