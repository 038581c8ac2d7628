"""Before a picture leaves this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import pytest
from PyQt6.QtWidgets import QCheckBox, QDialog, QLineEdit, QPushButton

from omniview.core.image import Image
from omniview.errors import NotAllowed, OutputError
from omniview.ui.consent import ConsentBox
from omniview.ui.models import Preview, Wanted
from omniview.ui.preview import Leaving, PreviewBox
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.ui.conftest import Run, shown
from tests.ui.parts import Desk, OtsuModels

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the offscreen platform says so of every dialog


def _set() -> threading.Event:
    """An event that has happened."""
    event = threading.Event()
    event.set()
    return event


@dataclass
class Notebook:
    """Remembers keys and consents until the end of the test."""

    given: dict[str, str] = field(default_factory=dict)
    broken: bool = False
    refused: bool = False
    kept: list[str] = field(default_factory=list)
    shown: threading.Event = field(default_factory=_set)

    def wanted(self, omnimodel: str) -> Wanted | None:
        """A cloud wants both until it has both."""
        return (
            None if omnimodel != "gemini" or omnimodel in self.given else Wanted(True, "Pixels would leave.")
        )

    def give(self, omnimodel: str, key: str, *, keep_text: bool = False) -> None:
        """Write it down, unless that fails."""
        if self.broken:
            raise OutputError("The disk is full.", "Make room.")
        if keep_text:
            self.kept.append(omnimodel)
        self.given[omnimodel] = key

    def withdraw(self, omnimodel: str) -> bool:
        """Forget it."""
        return self.given.pop(omnimodel, None) is not None

    def preview(self, omnimodel: str, image: Image) -> Preview | None:
        """The image itself, with one box, when it is let through."""
        self.shown.wait(10)
        if self.refused:
            raise NotAllowed("Text is still found.", "Crop it away.")
        if omnimodel != "gemini":
            return None
        done, data = cv2.imencode(".png", image.rgb8())
        assert done
        return Preview(
            data.tobytes(), ((2.0, 3.0, 12.0, 9.0),), "1 burned-in text blacked out", "https://c:443"
        )


@pytest.fixture
def notebook() -> Notebook:
    """An empty one."""
    return Notebook()


@pytest.fixture
def cloudy(run: Run, notebook: Notebook) -> Iterator[Desk]:
    """A window with a cloud omnimodel that wants key and consent."""
    models = OtsuModels()

    with shown(run, models, lambda: Window(Session(Snapshot()), models, notebook)) as desk:
        yield desk


async def _box(desk: Desk) -> ConsentBox:
    desk.window.choosers.omnimodel_chosen.emit("gemini")
    for _ in range(1000):  # it opens when a thread has said that something is missing
        await asyncio.sleep(0.005)
        if isinstance(box := desk.window.findChild(QDialog), ConsentBox) and box.isVisible():
            return box
    pytest.fail("the dialog did not open")


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not come about")


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
        await _until(tick.isEnabled)
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


def test_nothing_is_agreed_to_before_the_picture_is_shown(
    run: Run, cloudy: Desk, blob: Path, notebook: Notebook
) -> None:
    """The box cannot be ticked while the picture is made ready; then it stands there with what was done."""
    notebook.shown.clear()

    async def work() -> None:
        await cloudy.open(blob)
        box = await _box(cloudy)
        agree = box.findChildren(QCheckBox)[0]
        assert not agree.isEnabled()
        notebook.shown.set()
        await _until(agree.isEnabled)
        leaving = box.findChild(Leaving)
        assert leaving is not None
        assert "1 burned-in text blacked out" in leaving.words
        assert "https://c:443" in leaving.words
        box.reject()
        await cloudy.window.settle()

    run(work())


def test_a_picture_that_may_not_leave_is_not_agreed_to(
    run: Run, cloudy: Desk, blob: Path, notebook: Notebook
) -> None:
    """The reason stands in place of the picture, and the box stays off."""
    notebook.refused = True

    async def work() -> None:
        await cloudy.open(blob)
        box = await _box(cloudy)
        leaving = box.findChild(Leaving)
        assert leaving is not None
        await _until(lambda: "still found" in leaving.words)
        assert not box.findChildren(QCheckBox)[0].isEnabled()
        box.reject()
        await cloudy.window.settle()

    run(work())


def test_the_menu_shows_what_would_be_sent(run: Run, cloudy: Desk, blob: Path, notebook: Notebook) -> None:
    """For a cloud its picture; for a model of this machine, that nothing would be sent."""
    notebook.given["gemini"] = "secret"

    async def work() -> None:
        await cloudy.open(blob)
        cloudy.window.actions_.trigger("preview")
        await cloudy.window.settle()
        assert cloudy.now.notice is not None
        assert "runs on this machine" in cloudy.now.notice.text
        cloudy.window.choosers.omnimodel_chosen.emit("gemini")
        await cloudy.window.settle()
        cloudy.window.actions_.trigger("preview")
        await cloudy.window.settle()
        box = cloudy.window.findChild(PreviewBox)
        assert box is not None
        assert box.isVisible()
        box.reject()

    run(work())
