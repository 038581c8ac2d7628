"""Before a picture leaves this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QCheckBox, QDialog, QLineEdit, QPushButton

from omniview.errors import OutputError
from omniview.ui.consent import ConsentBox
from omniview.ui.models import Wanted
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.ui.conftest import Run
from tests.ui.parts import Desk, OtsuModels

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the offscreen platform says so of every dialog


@dataclass
class Notebook:
    """Remembers keys and consents until the end of the test."""

    given: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    def wanted(self, omnimodel: str) -> Wanted | None:
        """A cloud wants both until it has both."""
        return (
            None if omnimodel != "gemini" or omnimodel in self.given else Wanted(True, "Pixels would leave.")
        )

    def give(self, omnimodel: str, key: str) -> None:
        """Write it down, unless that fails."""
        if self.broken:
            raise OutputError("The disk is full.", "Make room.")
        self.given[omnimodel] = key

    def withdraw(self, omnimodel: str) -> bool:
        """Forget it."""
        return self.given.pop(omnimodel, None) is not None


@pytest.fixture
def notebook() -> Notebook:
    """An empty one."""
    return Notebook()


@pytest.fixture
def cloudy(run: Run, notebook: Notebook) -> Iterator[Desk]:
    """A window with a cloud omnimodel that wants key and consent."""
    models = OtsuModels()

    async def build() -> Window:
        return Window(Session(Snapshot()), models, notebook)

    window = run(build())
    window.show()
    yield Desk(window, models)
    run(window.rest())
    window.close()
    window.deleteLater()


async def _box(desk: Desk) -> ConsentBox:
    desk.window.choosers.omnimodel_chosen.emit("gemini")
    for _ in range(1000):  # it opens when a thread has said that something is missing
        await asyncio.sleep(0.005)
        if isinstance(box := desk.window.findChild(QDialog), ConsentBox) and box.isVisible():
            return box
    pytest.fail("the dialog did not open")


def _go(box: ConsentBox) -> QPushButton:
    return next(button for button in box.findChildren(QPushButton) if button.text() == "Send pictures")


def test_nothing_is_agreed_to_by_accident(run: Run, cloudy: Desk, blob: Path, notebook: Notebook) -> None:
    """The button stays off until the box is ticked and there is a key; then the cloud is asked again."""

    async def work() -> None:
        await cloudy.open(blob)
        box = await _box(cloudy)
        tick, key = box.findChild(QCheckBox), box.findChild(QLineEdit)
        assert tick is not None
        assert key is not None
        assert not _go(box).isEnabled()
        tick.setChecked(True)
        assert not _go(box).isEnabled()
        key.setText(" secret ")
        _go(box).click()
        await cloudy.window.settle()

    run(work())
    assert notebook.given == {"gemini": "secret"}
    assert [asked[1] for asked in cloudy.models.asked] == ["builtin", "gemini", "gemini"]


def test_saying_no_keeps_everything_here(run: Run, cloudy: Desk, blob: Path, notebook: Notebook) -> None:
    """Cancelling the dialog remembers nothing; the window goes on."""

    async def work() -> None:
        await cloudy.open(blob)
        (await _box(cloudy)).reject()
        await cloudy.window.settle()

    run(work())
    assert notebook.given == {}


def test_consent_can_be_withdrawn(run: Run, cloudy: Desk, notebook: Notebook) -> None:
    """The menu forgets the consent and says so."""
    notebook.given["gemini"] = "secret"

    async def work() -> None:
        cloudy.window.choosers.omnimodel_chosen.emit("gemini")
        await cloudy.window.settle()
        cloudy.window.actions_.trigger("withdraw")
        await cloudy.window.settle()

    run(work())
    assert notebook.given == {}
    assert cloudy.now.notice is not None
    assert "withdrawn" in cloudy.now.notice.text


def test_consent_that_cannot_be_kept_is_told(run: Run, cloudy: Desk, notebook: Notebook) -> None:
    """If it cannot be written down, nothing is sent and the reason is shown."""
    notebook.broken = True

    async def work() -> None:
        box = await _box(cloudy)
        for tick in box.findChildren(QCheckBox):
            tick.setChecked(True)
        for key in box.findChildren(QLineEdit):
            key.setText("k")
        _go(box).click()
        await cloudy.window.settle()

    run(work())
    assert cloudy.now.notice is not None
    assert cloudy.now.notice.text == "The disk is full."


def test_closing_the_window_closes_the_question(run: Run, cloudy: Desk, notebook: Notebook) -> None:
    """A question that is still open when the work ends counts as no."""

    async def work() -> None:
        await _box(cloudy)
        await cloudy.window.rest()

    run(work())
    assert notebook.given == {}


def test_asking_where_nothing_is_missing_is_answered(run: Run, cloudy: Desk, notebook: Notebook) -> None:
    """A click on `no key` while there is one that is not accepted does not do nothing."""
    notebook.given["gemini"] = "refused"

    async def work() -> None:
        cloudy.window.choosers.omnimodel_chosen.emit("gemini")
        await cloudy.window.settle()
        assert cloudy.now.notice is None
        cloudy.window.actions_.trigger("permit")
        await cloudy.window.settle()

    run(work())
    assert cloudy.now.notice is not None
    assert "missing" in cloudy.now.notice.text
