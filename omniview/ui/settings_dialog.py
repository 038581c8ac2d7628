"""The settings, a tab for each subject: what is chosen here is saved, and holds at once.

Nothing is read, saved or tried on the window's thread; what cannot be saved is said in the dialog, which
stays open, so that nothing entered is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from omniview.core.check import Check, Verdict
from omniview.errors import OmniViewError
from omniview.settings import Settings
from omniview.ui.latest import Latest
from omniview.ui.messages import Level, Notice, notice_of
from omniview.ui.preferences import Preferences, Stored
from omniview.ui.session import Session
from omniview.ui.settings_fields import PAGES, Editor, Page
from omniview.ui.theme import LEVELS

__all__ = ["SettingsBox", "SettingsDesk"]

_log = logging.getLogger(__name__)
_SIZE = (640, 600)
_MARKS: Mapping[Verdict, str] = {"works": "✓", "fails": "✗", "unknown": "?"}
_LINE = 64  # characters that fit beside the labels
_KEYS = {
    "environment": "A key is set in the environment, and wins over one entered here",
    "keyring": "A key is in the keyring; enter another to replace it",
    "": "No key yet",
}


class SettingsBox(QDialog):
    """The dialog.

    Args:
        parent: the window.
        preferences: keeps settings and keys.
        stored: what is in force.
        used: called once something was saved, with whether the network was switched off by that.
        offline: whether the window is offline now; then no connection is tried.
    """

    def __init__(
        self,
        parent: QWidget,
        preferences: Preferences,
        stored: Stored,
        used: Callable[[bool], None],
        offline: Callable[[], bool],
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*_SIZE)
        self._preferences, self._stored = preferences, stored
        self._used, self._offline = used, offline
        self._latest = Latest(lambda error: _log.error("defect", exc_info=error))
        self._editors: dict[str, Editor] = {}
        self._keys: dict[str, QLineEdit] = {}
        self._tests: dict[str, tuple[QPushButton, QLabel]] = {}
        self._tabs = QTabWidget()
        extras = {"Privacy": self._consents, "Cost": self._cache}
        for page in PAGES:
            self._tabs.addTab(self._page(page, extras.get(page.title)), page.title)
        self._problem = QLabel()
        self._problem.setWordWrap(True)
        self._problem.setStyleSheet(f"color: {LEVELS[Level.ERROR]}")
        self._problem.hide()
        self._buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
        )
        self._buttons.accepted.connect(lambda: self._start(self._save))
        self._buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        column.addWidget(self._tabs, 1)
        column.addWidget(self._problem)
        column.addWidget(self._buttons)

    def show_page(self, title: str) -> None:
        """Bring the tab `title` to the front."""
        titles = [page.title for page in PAGES]
        self._tabs.setCurrentIndex(titles.index(title))

    async def settle(self) -> None:
        """Wait until nothing is being saved or tried."""
        await self._latest.settle()

    async def close_down(self) -> None:
        """Stop what is being tried and close."""
        await self._latest.close()
        self.reject()

    def _page(self, page: Page, extra: Callable[[QFormLayout], None] | None) -> QWidget:
        inner = QWidget()
        form = QFormLayout(inner)
        form.setContentsMargins(14, 14, 14, 14)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        if page.provider:
            self._key_row(form, page)
            self._test_row(form, page.provider)
        values = self._stored.settings.model_dump()
        for row in page.rows:
            editor = self._editors[row.name] = row.editor()
            editor.show_value(_value_at(values, row.name))
            variable = self._stored.overridden.get(row.name)
            editor.widget().setEnabled(variable is None)
            editor.widget().setAccessibleName(row.title)
            editor.widget().setObjectName(row.name)
            hint = row.hint if variable is None else f"{variable} in the environment decides."
            form.addRow(row.title, _with_hint(editor.widget(), _muted(hint)))
        if extra is not None:
            extra(form)
        scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        return scroll

    def _key_row(self, form: QFormLayout, page: Page) -> None:
        source = self._stored.keys.get(page.provider, "")
        key = self._keys[page.provider] = QLineEdit()
        key.setEchoMode(QLineEdit.EchoMode.Password)
        key.setPlaceholderText(_KEYS[source])
        key.setEnabled(source != "environment")
        key.setAccessibleName("API key")
        key.setObjectName(f"{page.provider}.key")
        form.addRow("API key", _with_hint(key, _muted(page.key_hint)))

    def _test_row(self, form: QFormLayout, provider: str) -> None:
        button = QPushButton("Test connection")
        button.setObjectName(f"{provider}.test")
        found = _muted("Tries address, key and model with what is entered here. No picture is sent.")
        button.clicked.connect(lambda: self._start(lambda: self._test(provider)))
        form.addRow("", _with_hint(_short(button), found))
        self._tests[provider] = button, found

    def _consents(self, form: QFormLayout) -> None:
        form.addRow(
            "Consents", _muted("Pixels may go to these addresses." if self._stored.consents else "None.")
        )
        for endpoint in self._stored.consents:
            label, button = QLabel(endpoint), QPushButton("Withdraw")
            line = QHBoxLayout()
            line.addWidget(label, 1)
            line.addWidget(button)
            form.addRow("", line)

            def withdraw(_checked: bool, place: str = endpoint, own: QPushButton = button) -> None:
                forget = partial(self._preferences.withdraw_consent, place)
                self._start(lambda: self._once(own, forget, "Withdrawn"))

            button.clicked.connect(withdraw)

    def _cache(self, form: QFormLayout) -> None:
        button = QPushButton(f"Forget {self._stored.cache_bytes / 1e6:.1f} MB of answers")
        button.setEnabled(self._stored.cache_bytes > 0)
        button.clicked.connect(
            lambda: self._start(lambda: self._once(button, self._preferences.clear_cache, "Forgotten"))
        )
        prices = _muted(f"Prices: your own table is {self._stored.prices}")
        prices.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        form.addRow("", _with_hint(_short(button), prices))

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._problem.hide()
        self._latest.start(lambda _newest: self._watched(work))

    async def _watched(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except OmniViewError as error:
            self._problem.setText(str(error))
            self._problem.show()

    async def _once(self, button: QPushButton, deed: Callable[[], None], done: str) -> None:
        """Do something that cannot be done twice, and say so on its button."""
        button.setEnabled(False)
        try:
            await asyncio.to_thread(deed)
        except OmniViewError:
            button.setEnabled(True)
            raise
        button.setText(done)

    async def _save(self) -> None:
        entered = self._entered()
        keys = {name: box.text().strip() for name, box in self._keys.items() if box.text().strip()}
        await asyncio.to_thread(self._preferences.use, entered, keys)
        self._used(entered.offline and not self._stored.settings.offline)
        self.accept()

    async def _test(self, provider: str) -> None:
        button, label = self._tests[provider]
        entered = self._entered()
        button.setEnabled(False)
        label.setText("Trying…")
        try:
            key = self._keys[provider].text().strip()
            found = await self._preferences.test(provider, entered, key, offline=self._offline())
            label.setText(_as_lines(found))
        except OmniViewError as error:
            label.setText(str(error))
        finally:
            button.setEnabled(True)

    def _entered(self) -> Settings:
        """The settings as they stand in the dialog.

        Raises:
            SettingsError: a value breaks a rule.
        """
        values = self._stored.settings.model_dump()
        for name, editor in self._editors.items():
            *groups, last = name.split(".")
            table = values
            for group in groups:
                table = table[group]
            table[last] = editor.value()
        return self._stored.settings.changed(**values)


class SettingsDesk:
    """Opens the dialog, one at a time, and lets the window follow what was saved.

    Args:
        parent: the window.
        session: tells whether the window is offline; takes messages.
        preferences: keeps settings and keys, or None where there are none.
        again: analyses anew with what was saved.
    """

    def __init__(
        self,
        parent: QWidget,
        session: Session,
        preferences: Preferences | None,
        again: Callable[..., None],
    ) -> None:
        self._parent, self._session, self._preferences, self._again = parent, session, preferences, again
        self._latest = Latest(lambda error: _log.error("defect", exc_info=error))
        self._box: SettingsBox | None = None

    def open(self, page: str = "") -> None:
        """Open the dialog, at the tab `page` if one is named."""
        if (preferences := self._preferences) is not None and self._box is None:
            self._latest.start(lambda _newest: self._open(preferences, page))

    async def settle(self) -> None:
        """Wait until nothing is being opened, saved or tried; an open dialog is not waited for."""
        await self._latest.settle()
        if self._box is not None:
            await self._box.settle()

    async def close(self) -> None:
        """Close what is open, without saving."""
        await self._latest.close()
        if self._box is not None:
            await self._box.close_down()

    async def _open(self, preferences: Preferences, page: str) -> None:
        try:
            stored = await asyncio.to_thread(preferences.stored)
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))
            return
        self._box = SettingsBox(
            self._parent, preferences, stored, self._use, lambda: self._session.now.offline
        )
        self._box.finished.connect(self._closed)
        if page:
            self._box.show_page(page)
        self._box.open()

    def _closed(self, _result: int) -> None:
        self._box = None

    def _use(self, went_offline: bool) -> None:
        # what is chosen in the window stays: a saved setting never goes online by itself
        self._again(**({"offline": True} if went_offline else {}))
        self._session.update(notice=Notice("The settings are saved.", level=Level.GOOD))


def _value_at(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found[part]
    return found


def _with_hint(editor: QWidget, hint: QLabel) -> QWidget:
    both = QWidget()
    column = QVBoxLayout(both)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(3)
    column.addWidget(editor)
    column.addWidget(hint)
    return both


def _short(button: QPushButton) -> QWidget:
    """The button as wide as its text."""
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(button)
    row.addStretch(1)
    return line


def _muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("muted")
    label.setWordWrap(len(text) > _LINE)  # a label that wraps asks for the height of a narrow one
    return label


def _as_lines(found: Sequence[Check]) -> str:
    lines = (f"{_MARKS[one.verdict]} {one.what}: {one.detail} {one.next_step}" for one in found)
    return "\n".join(line.rstrip() for line in lines)
