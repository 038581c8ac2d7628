"""Asks, before the first picture leaves this machine, whether it may, and for the key where there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from omniview.errors import OmniViewError
from omniview.ui.latest import Latest
from omniview.ui.messages import Level, Notice, notice_of
from omniview.ui.models import Permission, Wanted
from omniview.ui.session import Session

_log = logging.getLogger(__name__)

__all__ = ["ConsentBox", "Consents"]

_NOTHING_MISSING = Notice(
    "No key and no consent is missing for the chosen omnimodel.",
    "A key that is not accepted is replaced in the environment or the keyring, before the next start.",
    Level.INFO,
)


class ConsentBox(QDialog):
    """States what would leave; nothing is agreed to unless the box is ticked."""

    def __init__(self, parent: QWidget, wanted: Wanted) -> None:
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
        if wanted.consent:
            words = QLabel(wanted.consent.replace("\n", "\n\n"))
            words.setWordWrap(True)
            words.setFixedWidth(520)
            column.addWidget(words)
            column.addWidget(self._agree)
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

    async def answer(self) -> str | None:
        """Open the dialog and wait for the person: the key (empty if none was asked for), or None for no."""
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def finish(result: int) -> None:
            # read now: the dialog is gone before the coroutine goes on
            key = self._key.text().strip() if result == QDialog.DialogCode.Accepted else None
            if not done.done():
                done.set_result(key)

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
        self._go.setEnabled(agreed and keyed)


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
            key = await ConsentBox(self._parent, wanted).answer()
            if key is not None:
                await asyncio.to_thread(permission.give, name, key)
                self._again()
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))

    async def _withdraw(self, permission: Permission, name: str) -> None:
        try:
            was = await asyncio.to_thread(permission.withdraw, name)
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))
        else:
            text = "The consent is withdrawn." if was else "There was no consent to withdraw."
            self._session.update(notice=Notice(text, level=Level.GOOD))
