"""The settings dialog over real files: what is entered is saved and used, and nothing entered is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from PyQt6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from omniview.backing.preferences import StoredPreferences
from omniview.settings import GeminiSettings, Settings, api_key
from omniview.ui.settings_dialog import SettingsBox
from omniview.ui.settings_fields import PAGES
from tests.keyrings import MemoryKeyring
from tests.ui.conftest import Run

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the offscreen platform says so of every dialog


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    """A keyring that ends with the test."""
    before = keyring.get_keyring()
    own = MemoryKeyring()
    keyring.set_keyring(own)
    yield own
    keyring.set_keyring(before)


class Desk:
    """A dialog and what came of it."""

    def __init__(self, *, offline: bool = False, **chosen: object) -> None:
        self.now = Settings.load().changed(**chosen)  # as the command line may have it
        self.used: list[bool] = []
        self.preferences = StoredPreferences(lambda: self.now, self.follow)
        self.parent = QWidget()
        self.box = SettingsBox(
            self.parent, self.preferences, self.preferences.stored(), self.used.append, lambda: offline
        )
        self.box.show()

    def follow(self, settings: Settings) -> None:
        """As the composer does."""
        self.now = settings

    def editor(self, name: str) -> QWidget:
        """The editor of this setting."""
        found = self.box.findChild(QWidget, name)
        assert found is not None, name
        return found

    def press(self, text: str) -> None:
        """Press the button that says so."""
        next(b for b in self.box.findChildren(QPushButton) if b.text().replace("&", "") == text).click()

    def says(self) -> str:
        """Every text in the dialog."""
        return "\n".join(label.text() for label in self.box.findChildren(QLabel))

    async def close(self) -> None:
        """Put it away."""
        await self.box.close_down()
        self.parent.deleteLater()


def test_every_setting_that_a_row_names_exists(run: Run, own_home: Path, ring: MemoryKeyring) -> None:
    """All rows show their stored values, and saving without a change changes nothing."""
    chosen = Settings(answers=5, gemini=GeminiSettings(thinking_level="low"), cache_mb=64)
    chosen.save()

    async def work() -> None:
        desk = Desk()
        assert sum(len(page.rows) for page in PAGES) > 25
        desk.press("Save")
        await desk.box.settle()
        assert desk.used == [False]
        assert desk.now == chosen
        desk.parent.deleteLater()

    run(work())
    assert Settings.load() == chosen


def test_what_is_entered_is_saved_and_used(run: Run, own_home: Path, ring: MemoryKeyring) -> None:
    """Text, number, choice and key end up in the file and in the keyring; the key in no file."""

    async def work() -> None:
        desk = Desk()
        model, cap, ask = desk.editor("gemini.model"), desk.editor("budget.session"), desk.editor("ask.when")
        assert isinstance(model, QLineEdit)
        assert isinstance(cap, QDoubleSpinBox)
        assert isinstance(ask, QComboBox)
        model.setText("gemini-next")
        cap.setValue(0.5)
        ask.setCurrentIndex(1)
        key = desk.editor("gemini.key")
        assert isinstance(key, QLineEdit)
        key.setText(" canary-key ")
        desk.press("Save")
        await desk.box.settle()
        assert desk.now.gemini.model == "gemini-next"
        desk.parent.deleteLater()

    run(work())
    saved = Settings.load()
    assert (saved.gemini.model, saved.budget.session, saved.ask.when) == ("gemini-next", 0.5, "doubtful")
    assert api_key("gemini") == "canary-key"
    assert not any(
        "canary-key" in p.read_text("utf-8", "replace") for p in own_home.rglob("*") if p.is_file()
    )


def test_a_value_that_breaks_a_rule_keeps_the_dialog(run: Run, own_home: Path, ring: MemoryKeyring) -> None:
    """Two ways of thinking at once are refused in words; the dialog stays, with what was entered."""

    async def work() -> None:
        desk = Desk()
        level, budget = desk.editor("gemini.thinking_level"), desk.editor("gemini.thinking_budget")
        assert isinstance(level, QComboBox)
        level.setCurrentIndex(2)
        budget.setProperty("value", 128)
        desk.press("Save")
        await desk.box.settle()
        assert "thinking_budget" in desk.says()
        assert desk.box.isVisible()
        assert level.currentIndex() == 2
        assert not desk.used
        await desk.close()

    run(work())
    assert not (own_home / "settings.toml").exists()


def test_what_the_environment_decides_cannot_be_entered(
    run: Run, own_home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is off and names the variable; the variable's value is not written into the file."""
    monkeypatch.setenv("OMNIVIEW_OFFLINE", "1")
    monkeypatch.setenv("GEMINI_API_KEY", "from-outside")

    async def work() -> None:
        desk = Desk()
        assert not desk.editor("offline").isEnabled()
        assert not desk.editor("gemini.key").isEnabled()
        assert "OMNIVIEW_OFFLINE" in desk.says()
        desk.press("Save")
        await desk.box.settle()
        assert desk.now.offline
        desk.parent.deleteLater()

    run(work())
    assert not Settings.load(environment=False).offline


def test_a_connection_is_tried_with_what_is_entered(run: Run, own_home: Path, ring: MemoryKeyring) -> None:
    """A dead address is told step by step; nothing is saved by trying."""

    async def work() -> None:
        desk = Desk()
        desk.box.show_page("OpenAI-compatible")
        address, button = desk.editor("openai.base_url"), desk.editor("openai.test")
        assert isinstance(address, QLineEdit)
        assert isinstance(button, QPushButton)
        address.setText("http://127.0.0.1:9/v1")
        button.click()
        await desk.box.settle()
        assert "✗" in desk.says()
        await desk.close()

    run(work())
    assert not (own_home / "settings.toml").exists()
    assert "127.0.0.1" in (own_home / "audit.jsonl").read_text()


def test_saving_changes_what_was_changed_and_nothing_else(
    run: Run, own_home: Path, ring: MemoryKeyring
) -> None:
    """What the command line decided, offline, a cap and when to ask, holds on after views were saved."""

    async def work() -> None:
        desk = Desk(offline=True, budget={"session": 0.5}, ask={"when": "never"})
        views = desk.editor("views")
        views.setProperty("value", 4)
        desk.press("Save")
        await desk.box.settle()
        assert desk.used == [False]
        assert (desk.now.views, desk.now.budget.session, desk.now.ask.when) == (4, 0.5, "never")
        desk.parent.deleteLater()

    run(work())
    assert Settings.load() == Settings(views=4)


@pytest.mark.parametrize("by", ["window", "environment"])
def test_offline_no_connection_is_tried(
    run: Run, own_home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Neither the window's switch nor the environment's is forgotten by the button."""
    if by == "environment":
        monkeypatch.setenv("OMNIVIEW_OFFLINE", "1")

    async def work() -> None:
        desk = Desk(offline=by == "window")
        button = desk.editor("gemini.test")
        assert isinstance(button, QPushButton)
        button.click()
        await desk.box.settle()
        assert "offline" in desk.says().lower()
        await desk.close()

    run(work())
    assert not (own_home / "audit.jsonl").exists()


def test_the_key_goes_where_the_environment_says(
    run: Run, own_home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address in the environment goes before the file's, for the test as for questions."""
    Settings.model_validate({"openai": {"base_url": "http://127.0.0.1:8/v1"}}).save()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "inner-key")

    async def work() -> None:
        desk = Desk()
        button = desk.editor("openai.test")
        assert isinstance(button, QPushButton)
        button.click()
        await desk.box.settle()
        await desk.close()

    run(work())
    tried = (own_home / "audit.jsonl").read_text()
    assert "127.0.0.1:9" in tried
    assert "127.0.0.1:8" not in tried


def test_closing_the_dialog_stops_what_is_tried(run: Run, own_home: Path, ring: MemoryKeyring) -> None:
    """No task is left behind by a dialog that goes while it saves or tries."""

    async def work() -> None:
        desk = Desk()
        desk.press("Save")
        await asyncio.sleep(0)
        await desk.close()

    run(work())
