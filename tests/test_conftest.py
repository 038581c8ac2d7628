"""The rules of conftest.py are themselves kept: each is broken once, in a test run of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CLEAN = """
import asyncio, logging, threading, time

def test_log_of_a_test_that_looks(caplog):
    logging.getLogger("omniview.x").warning("expected")

def test_thread_that_ends():
    threading.Thread(target=time.sleep, args=(0.05,)).start()

async def test_task_that_ends():
    asyncio.create_task(asyncio.sleep(0.01))

async def test_thread_of_a_loop():
    await asyncio.to_thread(time.sleep, 0)

def test_widget_that_is_closed(qtbot):
    from PyQt6.QtWidgets import QWidget
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.show()
"""

BROKEN = """
import asyncio, logging, threading, time, warnings

kept = []

def test_warning():
    warnings.warn("hm")

def test_log():
    logging.getLogger("omniview.x").warning("stray")

def test_thread():
    threading.Thread(target=time.sleep, args=(4,), name="sleeper", daemon=True).start()

async def test_task():
    kept.append(asyncio.create_task(asyncio.sleep(60)))

def test_widget(qtbot):
    from PyQt6.QtWidgets import QWidget
    kept.append(QWidget())

def test_qt_warning(qtbot):
    from PyQt6.QtCore import qWarning
    qWarning("boo")
"""


def run(folder: Path, tests: str) -> str:
    """What pytest says of these tests under this project's rules."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"), "utf-8")
    (folder / "test_it.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, f"--rootdir={folder}", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_what_is_tidy_passes(tmp_path: Path) -> None:
    """Expected logs, threads and tasks that end, and closed widgets are nobody's fault."""
    assert "5 passed" in run(tmp_path, CLEAN)


def test_each_rule_fails_its_test(tmp_path: Path) -> None:
    """A warning, a stray log line, and a leaked thread, task or widget each fail the test that did it."""
    said = run(tmp_path, BROKEN)
    for line in (
        "FAILED test_it.py::test_warning - UserWarning: hm",
        "ERROR test_it.py::test_log - Failed: logged without being expected",
        "ERROR test_it.py::test_thread - Failed: threads left running: sleeper",
        "FAILED test_it.py::test_task - Failed: tasks left running",
        "ERROR test_it.py::test_widget - Failed: top-level widgets left over",
        "FAILED test_it.py::test_qt_warning",
    ):
        assert line[:60] in said, said
