"""Rules for the tests of the window: one Qt event loop, no task left on it, the theme as in the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest
import qasync
from PyQt6.QtWidgets import QApplication

from omniview.backing.scorer import FolderScorer
from omniview.inference.card import GeneralistCard, read_card
from omniview.settings import Settings
from omniview.ui.session import Session, Snapshot
from omniview.ui.theme import dress
from omniview.ui.window import Window
from tests.batch.otsu import write_set
from tests.networks import write_specialist
from tests.omnimodel.generalist import write_generalist
from tests.ui.batch_parts import CASES
from tests.ui.click_tool import Listener, ListeningModels, Tool
from tests.ui.parts import Desk, OtsuModels

Run: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run(qapp: QApplication, no_leaked_widgets: None) -> Iterator[Run]:
    """Runs a coroutine on Qt's event loop; the test fails if a task is left on it."""
    qapp.setQuitOnLastWindowClosed(False)
    dress(qapp)
    loop = qasync.QEventLoop(qapp)
    with ThreadPoolExecutor(4, thread_name_prefix="test") as threads:
        loop.set_default_executor(threads)

        def complete(work: Coroutine[Any, Any, Any]) -> Any:
            return loop.run_until_complete(asyncio.wait_for(work, 120))

        yield complete
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
    asyncio.set_event_loop(None)
    assert not left, f"tasks left running: {[str(task.get_coro()) for task in left]}"


@contextmanager
def shown(run: Run, models: OtsuModels, make: Callable[[], Window]) -> Iterator[Desk]:
    """A window that is shown, made on the loop and put away at the end."""

    async def build() -> Window:
        return make()

    window = run(build())
    window.show()
    yield Desk(window, models)
    run(window.rest())
    window.close()
    window.deleteLater()


@pytest.fixture
def desk(run: Run) -> Iterator[Desk]:
    """A shown window with two thresholds for models, closed at the end."""
    models = OtsuModels()

    def make() -> Window:
        window = Window(Session(Snapshot()), models)
        window.resize(1280, 800)
        return window

    with shown(run, models, make) as desk:
        yield desk


@pytest.fixture
def scored_set(tmp_path: Path, own_home: Path) -> Path:
    """A set to be scored, whose fourth image is broken; a tiny network of the user's own."""
    write_specialist(own_home / "models")
    written = write_set(tmp_path / "set", CASES)
    (written / "images" / "case03.png").write_bytes(b"\x89PNG broken")
    return written


@pytest.fixture
def settings_in_force() -> list[Settings]:
    """Settings, the last of which folders are scored with."""
    return [Settings(omnimodel="none", offline=True, views=1)]


@pytest.fixture
def scorer_desk(run: Run, settings_in_force: list[Settings]) -> Iterator[Desk]:
    """A window that scores folders with real models."""
    models = OtsuModels()
    scorer = FolderScorer(lambda: settings_in_force[-1])

    start = Snapshot(task="polyp", omnimodel="none", offline=True)
    with shown(run, models, lambda: Window(Session(start), models, scorer=scorer)) as desk:
        yield desk


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    """A PNG of 90x70 pixels, a bright ellipse on dark ground, with its truth beside it in `masks/`."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    pixels = np.full((70, 90, 3), 40, np.uint8)
    mask = np.zeros((70, 90), np.uint8)
    cv2.ellipse(pixels, (40, 30), (22, 15), 0, 0, 360, (200, 170, 180), -1)
    cv2.ellipse(mask, (42, 31), (22, 15), 0, 0, 360, 255, -1)
    cv2.imwrite(str(tmp_path / "images" / "blob.png"), pixels)
    cv2.imwrite(str(tmp_path / "masks" / "blob.png"), mask)
    return tmp_path / "images" / "blob.png"


@pytest.fixture
def tool(run: Run, tmp_path: Path) -> Iterator[Tool]:
    """A shown window whose omnimodel listens."""
    card = read_card(write_generalist(tmp_path / "generalist"))
    assert isinstance(card, GeneralistCard)
    models = ListeningModels()
    models.listener = Listener(card, models.thread)

    async def build() -> Window:
        return Window(Session(Snapshot()), models)

    window = run(build())
    window.resize(1280, 800)
    window.show()
    yield Tool(Desk(window, models), models.listener)
    run(window.rest())
    window.close()
    window.deleteLater()
    models.thread.close()
