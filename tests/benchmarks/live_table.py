"""The longest time for which the window did not answer while very many cases were scored, and shown.

A 5 ms timer on the UI thread notes the gaps between its ticks, as in `heartbeat`. The rows are made up and
have real thumbnails; the run is of a tiny network, so that cases come far faster than they ever would. Run it
with nothing else going on:

    python -m tests.benchmarks.live_table [--rows 100000] [--cases 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.benchmarks.heartbeat import (  # first: ONNX Runtime is imported before Qt
    Heartbeat,
    picture,
    say,
    window_loop,
)

# isort: split
import cv2
import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QPushButton

from omniview.backing.scorer import FolderScorer
from omniview.batch.rows import Record, Row
from omniview.io.pair_types import Pair
from omniview.settings import Settings
from omniview.ui.batch_cases import Cases, Line
from omniview.ui.batch_dialog import BatchBox
from omniview.ui.batch_form import BatchForm
from omniview.ui.batch_table import THUMBNAILS, CaseTable
from omniview.ui.batch_view import CaseView
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.batch.otsu import write_set
from tests.networks import write_specialist
from tests.ui.parts import OtsuModels

_STEPS = 300
_MODELS = ("specialist", "omnimodel", "fused")


def _lines(count: int) -> list[Line]:
    """One a case, of random scores; the first of them with a thumbnail."""
    random = np.random.default_rng(5)
    jpeg = cv2.imencode(".jpg", picture(256)[:240, :240])[1].tobytes()
    lines = []
    for n in range(count):
        dice = random.random(len(_MODELS))
        rows = (
            Row("", model, "ok", values={"dice": float(value), "quality": float(value)})
            for model, value in zip(_MODELS, dice, strict=True)
        )
        name = f"case{n:06d}"
        lines.append(Line.of(Record(name, name, {}, tuple(rows), thumbnail=jpeg if n < THUMBNAILS else None)))
    return lines


async def measure_table(rows: int) -> None:
    """Print the gaps for what a person does to a full table."""
    beat, table = Heartbeat(), CaseTable()
    view = CaseView(table)
    view.resize(940, 520)
    view.show()
    cases = Cases([Pair(Path(f"case{n:06d}.png"), None, f"case{n:06d}") for n in range(rows)])
    lines = _lines(rows)
    bar = view.verticalScrollBar()
    assert bar is not None

    async def scroll() -> None:
        for step in range(_STEPS):
            bar.setValue(step * 2 if step % 2 else step * (bar.maximum() // _STEPS))
            await asyncio.sleep(0.005)

    async def finish() -> None:
        for begin in range(0, rows, 500):
            table.put(lines[begin : begin + 500])
            await asyncio.sleep(0)

    def at_once(deed: Callable[[], object]) -> Callable[[], Awaitable[None]]:
        async def done() -> None:
            deed()
            await asyncio.sleep(0.2)

        return done

    down, up = Qt.SortOrder.DescendingOrder, Qt.SortOrder.AscendingOrder
    deeds: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("shown", at_once(lambda: table.show_cases(cases))),
        ("filled, 500 cases at a time", finish),
        ("scrolled", scroll),
        ("sorted by Dice", at_once(lambda: view.sortByColumn(4, up))),
        ("and the other way", at_once(lambda: view.sortByColumn(4, down))),
        ("sorted by state", at_once(lambda: view.sortByColumn(6, up))),
        ("filtered by name", at_once(lambda: table.filter("99"))),
    )
    for name, deed in deeds:
        gaps = await beat.during(deed)
        say(f"{rows} rows, {name}: longest gaps {', '.join(f'{gap:.0f}' for gap in gaps[:3])} ms")
    view.close()
    view.deleteLater()


async def measure_run(home: Path, cases: int) -> None:
    """Print the gaps while a folder is looked at, and while it is scored from the dialog."""
    write_specialist(home / "models")
    folder = write_set(home / "set", cases)
    settings = Settings(omnimodel="none", offline=True, views=1)
    start = Snapshot(task="polyp", omnimodel="none", offline=True)
    window = Window(Session(start), OtsuModels(), scorer=FolderScorer(lambda: settings))
    window.show()
    window.batches.open()
    box = window.batches.box
    assert isinstance(box, BatchBox)
    form = box.findChild(BatchForm)
    assert form is not None
    button = next(one for one in box.findChildren(QPushButton) if one.text() == "Start")
    beat = Heartbeat()

    async def look() -> None:
        form.choose(folder, home / "out")
        await box.settle()

    async def score() -> None:
        button.click()
        await box.settle()

    for name, deed in (("looked at", look), ("scored and published", score)):
        gaps = await beat.during(deed)
        say(f"{cases} cases, {name}: longest gaps {', '.join(f'{gap:.0f}' for gap in gaps[:5])} ms")
    await window.rest()
    window.close()
    window.deleteLater()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--cases", type=int, default=2000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, window_loop() as loop:
        os.environ["OMNIVIEW_HOME"] = home
        loop.run_until_complete(measure_table(chosen.rows))
        loop.run_until_complete(measure_run(Path(home), chosen.cases))


if __name__ == "__main__":
    main()
