"""The click tool with everything that ships, and with a SAM pair of one's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from omniview.compose import Composer
from omniview.settings import Settings
from omniview.ui.prompts import Kind, Mark
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.networks import write_specialist
from tests.omnimodel.sam_pairs import write_pair
from tests.ui.click_tool import NOWHERE, Tool
from tests.ui.conftest import Run
from tests.ui.parts import Desk, OtsuModels


def test_a_sam_pair_outlines_the_specialists_find_and_listens(
    run: Run, own_home: Path, blob: Path, tmp_path: Path
) -> None:
    """In the window as on its own: first informed by the specialist, then shown more by a click."""
    write_specialist(own_home / "models", "own")
    write_pair(own_home / "models", "sam2")
    models = Composer(Settings(device="cpu", threads=1))

    async def build() -> Window:
        return Window(Session(Snapshot(task="polyp", omnimodel="sam")), models)

    window = run(build())
    window.resize(1280, 800)
    window.show()
    desk = Desk(window, OtsuModels())

    async def work() -> None:
        await desk.open(blob)
        informed = desk.case.prediction("omnimodel")
        assert informed is not None
        assert informed.mask[0, 30, 40]
        assert "proves nothing" in window.status.text()
        window.actions_.trigger("prompt")
        window.canvas.marked.emit(Mark(Kind.POSITIVE, NOWHERE))
        await window.settle()
        answer = desk.case.prediction("omnimodel")
        assert answer is not None
        assert answer.mask[0][NOWHERE]
        assert answer.mask[0, 30, 40]
        assert "tiny-sam2, 1 click" in window.status.text()
        await window.rest()
        await models.close()

    run(work())
    window.close()
    window.deleteLater()


_CHILD = """
import asyncio, sys
import qasync
from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication
from omniview.compose import Composer
from omniview.settings import Settings
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.ui.parts import mouse
app = QApplication([])
loop = qasync.QEventLoop(app)
async def work():
    models = Composer(Settings(device="cpu", threads=1, views=1))
    window = Window(Session(Snapshot()), models)
    window.resize(1280, 800)
    window.show()
    window.open_sample("polyp-phantom")
    await window.settle()
    window.actions_.trigger("prompt")
    left = Qt.MouseButton.LeftButton
    for kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease):
        mouse(window.canvas, kind, QPointF(300, 300), left, left)
    await window.settle()
    print(window.status.text())
    print(QGuiApplication.platformName())
    await window.rest()
    await models.close()
    window.close()
    window.deleteLater()
loop.run_until_complete(work())
"""


def test_a_click_under_an_x_server(tmp_path: Path) -> None:
    """A real window on the platform `xcb`, the shipped models, a click: its answer in the status line."""
    server = shutil.which("xvfb-run")
    if server is None:
        pytest.skip("xvfb-run is not installed (Debian: apt-get install xvfb)")
    environment = {k: v for k, v in os.environ.items() if k not in ("QT_QPA_PLATFORM", "DISPLAY")}
    done = subprocess.run(
        [server, "-a", "-s", "-screen 0 1920x1200x24", sys.executable, "-c", _CHILD],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, platform = done.stdout.strip().splitlines()[-2:]
    assert platform == "xcb"
    assert "omnimodel: built-in generalist, 1 click, " in status


def test_keys_reach_the_tool(run: Run, qtbot: QtBot, tool: Tool, blob: Path) -> None:
    """C takes it up, Backspace takes the last mark back, Ctrl+Y brings it again, Esc puts the tool down."""
    window = tool.desk.window
    strike: Callable[..., None] = qtbot.keyClick
    run(tool.desk.open(blob))
    window.activateWindow()
    strike(window.canvas, Qt.Key.Key_C)
    assert tool.desk.now.prompting
    run(tool.click(*NOWHERE))
    marks = [len(tool.marks)]
    for key, modifier in (
        (Qt.Key.Key_Backspace, Qt.KeyboardModifier.NoModifier),
        (Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier),
        (Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier),
    ):

        async def press(key: Qt.Key = key, modifier: Qt.KeyboardModifier = modifier) -> None:
            asyncio.get_running_loop().call_soon(strike, window.canvas, key, modifier)
            await asyncio.sleep(0.05)
            await window.settle()

        run(press())
        marks.append(len(tool.marks))
    assert marks == [1, 0, 1, 0]
    strike(window.canvas, Qt.Key.Key_Escape)
    assert not tool.desk.now.prompting
