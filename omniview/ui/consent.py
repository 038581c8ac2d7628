"""Asks, before the first picture leaves this machine, whether it may, and for the key where there is none.

The very picture is shown while it is asked: what cannot be seen cannot be agreed to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from omniview.core.image import Image
from omniview.errors import OmniViewError
from omniview.ui.latest import Latest
from omniview.ui.messages import Level, Notice, notice_of
from omniview.ui.models import Permission, Preview, Wanted
from omniview.ui.preview import Leaving, PreviewBox
from omniview.ui.session import Session

_log = logging.getLogger(__name__)

__all__ = ["Agreed", "ConsentBox", "Consents"]

_NOTHING_MISSING = Notice(
    "No key and no consent is missing for the chosen omnimodel.",
    "A key that is not accepted is replaced in the environment or the keyring, before the next start.",
    Level.INFO,
)


_NOTHING_LEAVES = Notice(
    "Nothing would be sent: this omnimodel runs on this machine.",
    "Choose a cloud omnimodel to see what it would get.",
    Level.INFO,
)
_NO_IMAGE = Notice("There is no image to show.", "Open one first.", Level.INFO)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a person gave: the key, empty if none was asked for, and whether burned-in text may be kept."""

    key: str
    keep_text: bool


class ConsentBox(QDialog):
    """States and shows what would leave; nothing is agreed to unless the box is ticked.

    Args:
        parent: the window.
        wanted: what is missing.
        awaited: a picture will be shown (`show_preview`, `show_reason`); until then nothing can be agreed to.
    """

    def __init__(self, parent: QWidget, wanted: Wanted, *, awaited: bool = False) -> None:
        super().__init__(parent)
        self.setWindowTitle("Before a picture leaves this machine")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._wanted = wanted
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        self._agree = QCheckBox("I have read this, and these pixels may be sent", self)
        self._key = QLineEdit(self)
        self._key.setEchoMode(QLineEdit.EchoMode.Password)
        self._key.setAccessibleName("API key")
        self._key.setPlaceholderText("API key; kept in this system's keyring, never in a file")
        self._awaited = awaited and bool(wanted.consent)
        self._leaving = Leaving(self)
        self._leaving.setVisible(self._awaited)
        self._keep = QCheckBox("Burned-in text may be kept: this is my own institution's address", self)
        self._keep.setVisible(wanted.own and bool(wanted.consent))
        if self._awaited:
            column.addWidget(self._leaving)
        if wanted.consent:
            words = QLabel(wanted.consent.replace("\n", "\n\n"))
            words.setWordWrap(True)
            words.setFixedWidth(520)
            column.addWidget(words)
            column.addWidget(self._agree)
            column.addWidget(self._keep)
        if wanted.key:
            column.addWidget(self._key)
        self._agree.setVisible(bool(wanted.consent))
        self._key.setVisible(wanted.key)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        go = buttons.addButton("Send pictures", QDialogButtonBox.ButtonRole.AcceptRole)
        assert go is not None
        self._go = go
        no = buttons.button(QDialogButtonBox.StandardButton.Cancel)
        assert no is not None
        no.setDefault(True)  # Enter alone agrees to nothing
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
        self._agree.toggled.connect(self._check)
        self._key.textChanged.connect(self._check)
        self._check()

    def show_preview(self, preview: Preview) -> None:
        """Show what would be sent; from now on it can be agreed to."""
        self._leaving.show_preview(preview)
        self._awaited = False
        self._check()

    def show_reason(self, reason: str) -> None:
        """Say why no picture can be shown; without one nothing is agreed to."""
        self._leaving.show_reason(reason)

    async def answer(self) -> Agreed | None:
        """Open the dialog and wait for the person; None for no."""
        done: asyncio.Future[Agreed | None] = asyncio.get_running_loop().create_future()

        def finish(result: int) -> None:
            # read now: the dialog is gone before the coroutine goes on
            given = Agreed(self._key.text().strip(), self._keep.isChecked())
            if not done.done():
                done.set_result(given if result == QDialog.DialogCode.Accepted else None)

        self.finished.connect(finish)
        self.open()
        try:
            return await done
        except asyncio.CancelledError:
            self.reject()
            raise

    def _check(self) -> None:
        agreed = self._agree.isChecked() or not self._wanted.consent
        keyed = bool(self._key.text().strip()) or not self._wanted.key
        self._agree.setEnabled(not self._awaited)
        self._go.setEnabled(agreed and keyed and not self._awaited)


class Consents:
    """Asks for what is missing before the chosen omnimodel may be asked, and takes it back.

    Args:
        parent: the window.
        session: tells which omnimodel is chosen; takes the messages.
        permission: keys and consents, or None where there are none.
        again: analyses anew once something was agreed to.
    """

    def __init__(
        self, parent: QWidget, session: Session, permission: Permission | None, again: Callable[[], None]
    ) -> None:
        self._parent, self._session, self._permission, self._again = parent, session, permission, again
        self._latest = Latest(lambda error: _log.error("defect", exc_info=error))

    def ask(self, *, explain: bool = False) -> None:
        """Open the dialog if something is missing; else say so if `explain`, for a person who asked."""
        if (permission := self._permission) is not None:
            name = self._session.now.omnimodel
            self._latest.start(lambda _newest: self._ask(permission, name, explain))

    def preview(self) -> None:
        """Show what the chosen omnimodel would get of the image on screen."""
        if (permission := self._permission) is not None:
            now = self._session.now
            name, image = now.omnimodel, now.image
            self._latest.start(lambda _newest: self._preview(permission, name, image))

    def withdraw(self) -> None:
        """Forget the consent for the chosen omnimodel."""
        if (permission := self._permission) is not None:
            name = self._session.now.omnimodel
            self._latest.start(lambda _newest: self._withdraw(permission, name))

    async def settle(self) -> None:
        """Wait until nobody is asked any more."""
        await self._latest.settle()

    async def close(self) -> None:
        """Close what is open; it counts as no."""
        await self._latest.close()

    async def _ask(self, permission: Permission, name: str, explain: bool) -> None:
        try:
            wanted = await asyncio.to_thread(permission.wanted, name)
            if wanted is None:
                if explain:
                    self._session.update(notice=_NOTHING_MISSING)
                return
            agreed = await self._asked(permission, name, wanted)
            if agreed is not None:
                give = partial(permission.give, name, agreed.key, keep_text=agreed.keep_text)
                await asyncio.to_thread(give)
                self._again()
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))

    async def _asked(self, permission: Permission, name: str, wanted: Wanted) -> Agreed | None:
        """The person's answer; the picture is made ready while the dialog is open."""
        image = self._session.now.image
        box = ConsentBox(self._parent, wanted, awaited=image is not None)
        if image is None or not wanted.consent:
            return await box.answer()
        ready = asyncio.create_task(_show(box, permission, name, image))
        try:
            return await box.answer()
        finally:
            ready.cancel()
            await asyncio.gather(ready, return_exceptions=True)

    async def _preview(self, permission: Permission, name: str, image: Image | None) -> None:
        if image is None:
            self._session.update(notice=_NO_IMAGE)
            return
        try:
            preview = await asyncio.to_thread(permission.preview, name, image)
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))
            return
        if preview is None:
            self._session.update(notice=_NOTHING_LEAVES)
        else:
            PreviewBox(self._parent, preview).open()

    async def _withdraw(self, permission: Permission, name: str) -> None:
        try:
            was = await asyncio.to_thread(permission.withdraw, name)
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))
        else:
            text = "The consent is withdrawn." if was else "There was no consent to withdraw."
            self._session.update(notice=Notice(text, level=Level.GOOD))


async def _show(box: ConsentBox, permission: Permission, name: str, image: Image) -> None:
    """Make the picture ready in a thread and show it in the dialog."""
    try:
        preview = await asyncio.to_thread(permission.preview, name, image)
    except OmniViewError as error:
        box.show_reason(str(error))
    else:
        if preview is not None:
            box.show_preview(preview)
