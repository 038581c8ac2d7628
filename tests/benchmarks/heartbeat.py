"""The longest time for which the window did not answer while a 4096x4096 image was opened and analysed.

A 5 ms timer on the UI thread notes the gaps between its ticks. The raw alternative, handing the whole array
to pyqtgraph's image item, is measured in the same run on the same image. Run it with nothing else going on:

    python -m tests.benchmarks.heartbeat [--side 4096] [--task polyp] [--repeat 3] [--threshold]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as the package does, but before the import below

import onnxruntime  # noqa: F401 - before Qt, as the app does
import pyqtgraph as pg
import qasync
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QApplication

from omniview.app import SWITCH_S
from omniview.ui.models import Models
from omniview.ui.session import Session, Snapshot
from omniview.ui.theme import dress
from omniview.ui.window import Window
from tests.ui.parts import OtsuModels, ThreadedOtsu, pixels_of

_TICK_MS = 5


class Heartbeat:
    """Notes the longest gap between two ticks of a timer on the UI thread."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._last, self.gaps_ms = 0.0, [0.0]

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps_ms.append((now - self._last) * 1000)
        self._last = now

    async def during(self, work: Callable[[], Awaitable[Any]]) -> list[float]:
        """The gaps in milliseconds, longest first, while `work` runs, its first call included."""
        self._last, self.gaps_ms = time.perf_counter(), [0.0]
        self._timer.start()
        await work()
        await asyncio.sleep(0.1)  # what the last change leaves to paint
        self._timer.stop()
        return sorted(self.gaps_ms, reverse=True)


def picture(side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(side,side,3) uint8: a bright blob on coloured noise."""
    random = np.random.default_rng(7)
    coarse = random.integers(40, 120, (side // 32, side // 32, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    cv2.ellipse(pixels, (side // 2, side // 3), (side // 4, side // 6), 20, 0, 360, (220, 190, 180), -1)
    return np.asarray(pixels, np.uint8)


def models(threshold: bool) -> tuple[str, Models]:
    """The real models if there are any, else two thresholds."""
    from omniview import resources

    if not threshold and list(resources.path("models").glob("*.toml")):
        from omniview.compose import Composer
        from omniview.settings import Settings

        return "the installed models", Composer(Settings(offline=True))
    special, general = ThreadedOtsu("special"), ThreadedOtsu("general", "omnimodel", invert=True)
    return "two thresholds", OtsuModels((special, general))


async def measure(path: Path, brought: Models, task: str, repeat: int) -> None:
    """Print the gaps of both ways."""
    beat = Heartbeat()
    for turn in range(repeat):
        session = Session(Snapshot(task=task, omnimodel="builtin", offline=True))
        window = Window(session, brought)
        window.show()
        await asyncio.sleep(0.3)

        async def work(window: Window = window) -> None:
            window.open([path])
            await window.settle()

        begin = time.perf_counter()
        gaps = await beat.during(work)
        took = time.perf_counter() - begin
        assert session.now.case is not None
        assert session.now.case.predictions, session.now.case.failures
        top = ", ".join(f"{gap:.0f}" for gap in gaps[:5])
        say(f"OmniView, run {turn + 1}: longest gaps {top} ms; opened and analysed in {took:.1f} s")
        # the models are shared by all turns: only the window's own work is ended here
        await window.rest()
        window.close()
        window.deleteLater()
    await brought.close()
    pixels = np.ascontiguousarray(pixels_of(path)[..., ::-1])
    for turn in range(repeat):
        view = pg.GraphicsView()
        box = pg.ViewBox(lockAspect=True, invertY=True)
        view.setCentralItem(box)
        view.resize(1000, 800)
        view.show()
        await asyncio.sleep(0.3)

        async def raw(box: Any = box, view: Any = view) -> None:
            item = pg.ImageItem(axisOrder="row-major")
            box.addItem(item)
            item.setImage(pixels)
            view.grab()

        gaps = await beat.during(raw)
        say(f"pyqtgraph ImageItem.setImage, run {turn + 1}: longest gap {gaps[0]:.0f} ms")
        view.close()
        view.deleteLater()


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def window_loop() -> Iterator[qasync.QEventLoop]:
    """An event loop for windows, with the threads and turns that the app gives it."""
    app = QApplication([])
    app.setQuitOnLastWindowClosed(False)
    dress(app)
    sys.setswitchinterval(SWITCH_S)
    loop = qasync.QEventLoop(app)
    with ThreadPoolExecutor(6) as threads:
        loop.set_default_executor(threads)
        yield loop
    loop.close()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--task", default="polyp")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threshold", action="store_true", help="two thresholds instead of the models")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, window_loop() as loop:
        name, brought = models(chosen.threshold)
        path = Path(folder) / "large.png"
        cv2.imwrite(str(path), picture(chosen.side))
        say(f"{chosen.side} x {chosen.side} px, {os.cpu_count()} cores, {chosen.task}, {name}")
        loop.run_until_complete(measure(path, brought, chosen.task, chosen.repeat))


if __name__ == "__main__":
    main()
