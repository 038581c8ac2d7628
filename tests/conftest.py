"""Rules that hold for every test: it has a home of its own, and leaves nothing running, open or unsaid.

Warnings and Qt's messages are turned into failures by pyproject.toml; what is left to look for here are stray
log lines, threads, asyncio tasks and top-level widgets. A test that fails for one of them names it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# how long an example takes says something of the machine, not of the code
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import ONNX Runtime before OmniView

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real cases beside the checkout; tests that need it skip where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the folder of real cases (../shared/data) is not here")
    return SHARED


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has settings, models and logs of its own, and no keys of the person who runs it."""
    home = tmp_path_factory.mktemp("omniview-home")
    monkeypatch.setenv("OMNIVIEW_HOME", str(home))
    for name in (
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_GEMINI_BASE_URL",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OMNIVIEW_OFFLINE", raising=False)
    return home


_GRACE_S = 2.0  # what a test has told to end may still be on its way out
_POLL_S = 0.01


@pytest.fixture(autouse=True)
def no_leaked_threads(own_home: Path) -> Iterator[None]:
    """A test fails if a thread that it started is still alive when everything else is torn down."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _GRACE_S
    while leaked := [thread for thread in threading.enumerate() if thread not in before]:
        if time.monotonic() > deadline:
            pytest.fail("threads left running: " + ", ".join(thread.name for thread in leaked))
        time.sleep(_POLL_S)


class _Overheard(logging.Handler):
    """Collects warnings and worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def no_stray_logs(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test fails if a warning or worse was logged, unless it asks for `caplog` and so judges for itself."""
    if "caplog" in request.fixturenames:
        yield
        return
    overheard = _Overheard()
    logging.getLogger().addHandler(overheard)
    yield
    logging.getLogger().removeHandler(overheard)
    if overheard.lines:
        pytest.fail("logged without being expected:\n" + "\n".join(overheard.lines))


@pytest.fixture(autouse=True)
def no_leaked_widgets(no_leaked_threads: None) -> Iterator[None]:
    """A test fails if a top-level widget outlives it; without an application there is nothing to look for."""
    before = _top_level_widgets()
    yield
    if _top_level_widgets() - before:
        gc.collect()  # a cycle of Python objects around a widget is no leak
    if leaked := _top_level_widgets() - before:
        pytest.fail(f"top-level widgets left over: {sorted(str(widget) for widget in leaked)}")


def _top_level_widgets() -> set[object]:
    """The living ones, after those whose end was asked for have got it; never loads Qt itself."""
    widgets = sys.modules.get("PyQt6.QtWidgets")
    if widgets is None or widgets.QApplication.instance() is None:
        return set()
    from PyQt6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    return set(widgets.QApplication.topLevelWidgets())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every asynchronous test look for the tasks it leaves, before its loop is closed over them."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _leaving_no_tasks(item.obj)


def _leaving_no_tasks(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def checked(*arguments: object, **fixtures: object) -> None:
        before = asyncio.all_tasks()
        await test(*arguments, **fixtures)
        if leaked := asyncio.all_tasks() - before:
            _, leaked = await asyncio.wait(leaked, timeout=_GRACE_S)
        if leaked:
            pytest.fail("tasks left running: " + ", ".join(str(task.get_coro()) for task in leaked))

    return checked
