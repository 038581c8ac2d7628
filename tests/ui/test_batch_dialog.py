"""Scoring a folder from the window: planned, run in a process of its own, paused, stopped, gone on with."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QPushButton, QTableView

from omniview.backing.scorer import FolderScorer
from omniview.batch.rows import Record, Row
from omniview.io.pair_types import Pair
from omniview.settings import Settings
from omniview.ui.batch_dialog import BatchBox
from omniview.ui.batch_form import BatchForm
from omniview.ui.batch_table import CaseTable
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.batch.otsu import write_set
from tests.networks import write_specialist
from tests.ui.conftest import Run
from tests.ui.parts import Desk, OtsuModels

# the offscreen platform says so of every dialog
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")

CASES = 10


@pytest.fixture
def folder(tmp_path: Path, own_home: Path) -> Path:
    """A set whose fourth image is broken; a tiny network of the user's own."""
    write_specialist(own_home / "models")
    written = write_set(tmp_path / "set", CASES)
    (written / "images" / "case03.png").write_bytes(b"\x89PNG broken")
    return written


@pytest.fixture
def desk(run: Run) -> Iterator[Desk]:
    """A window that scores folders with real models."""
    models = OtsuModels()
    settings = Settings(omnimodel="none", offline=True, views=1)
    scorer = FolderScorer(lambda: settings)

    async def build() -> Window:
        start = Snapshot(task="polyp", omnimodel="none", offline=True)
        return Window(Session(start), models, scorer=scorer)

    window = run(build())
    window.show()
    yield Desk(window, models)
    run(window.rest())
    window.close()
    window.deleteLater()


async def _planned(desk: Desk, folder: Path, out: Path) -> BatchBox:
    desk.window.actions_.trigger("score")
    box = desk.window.batches.box
    assert box is not None
    form = box.findChild(BatchForm)
    assert form is not None
    form.choose(folder, out)
    await _until(lambda: _button(box, "Start").isEnabled() or "cannot" in _says(box))
    return box


async def _until(reached: object) -> None:
    assert callable(reached)
    for _ in range(6000):
        if reached():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


def _button(box: BatchBox, text: str) -> QPushButton:
    return next(b for b in box.findChildren(QPushButton) if b.text().replace("&", "") == text)


def _says(box: BatchBox) -> str:
    return "\n".join(label.text() for label in box.findChildren(QLabel))


def _column(box: BatchBox, column: int) -> list[str]:
    view = box.findChild(QTableView)
    assert view is not None
    model = view.model()
    assert model is not None
    return [str(model.index(row, column).data() or "") for row in range(model.rowCount())]


def test_a_folder_is_scored_beside_the_window(run: Run, desk: Desk, folder: Path, tmp_path: Path) -> None:
    """The table fills, the broken case has its reason, the files are those of the command line's engine."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await _planned(desk, folder, out)
        assert f"{CASES} images, {CASES} with ground truth" in _says(box)
        assert _column(box, 6) == ["waiting"] * CASES
        _button(box, "Start").click()
        await box.settle()
        states = _column(box, 6)
        assert states.count("done") == CASES - 1
        assert states[3] == "unreadable"
        assert "1 of them failed" in _says(box)
        assert _button(box, "Open report").isEnabled()
        with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["model"] == "fused"]
        shown = [text for text in _column(box, 4) if text]
        assert shown == [f"{float(row['dice']):.3f}" for row in rows if row["dice"]]

    run(work())


def test_stopped_and_gone_on_with(run: Run, desk: Desk, folder: Path, tmp_path: Path) -> None:
    """Pause and stop keep what is finished; Start goes on with the rest, and what was there is shown."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await _planned(desk, folder, out)
        _button(box, "Start").click()
        await _until(lambda: any(state == "done" for state in _column(box, 6)))
        _button(box, "Pause").click()
        assert "paused" in _says(box)
        _button(box, "Stop").click()
        await box.settle()
        first = json.loads((out / "summary.json").read_text("utf-8"))
        assert first["about"]["incomplete"] is ("waiting" in _column(box, 6))
        _button(box, "Start").click()
        await box.settle()
        assert "waiting" not in _column(box, 6)
        assert not json.loads((out / "summary.json").read_text("utf-8"))["about"]["incomplete"]

    run(work())


def test_the_dialog_follows_the_windows_offline(run: Run, desk: Desk, folder: Path, tmp_path: Path) -> None:
    """What was planned before the switch is planned anew, as the window says now."""

    async def work() -> None:
        box = await _planned(desk, folder, tmp_path / "out")
        form = box.findChild(BatchForm)
        assert form is not None
        for offline in (False, True):
            desk.window.session.update(offline=offline)
            assert not _button(box, "Start").isEnabled()  # until it is planned anew
            wish = form.wish()
            assert wish is not None
            assert wish.offline is offline
            await box.settle()
            assert _button(box, "Start").isEnabled()

    run(work())


def test_double_click_opens_the_case(run: Run, desk: Desk, folder: Path, tmp_path: Path) -> None:
    """Image and truth are opened in the window, while the dialog stays."""

    async def work() -> None:
        box = await _planned(desk, folder, tmp_path / "out")
        view = box.findChild(QTableView)
        assert view is not None
        model = view.model()
        assert model is not None
        view.doubleClicked.emit(model.index(1, 1))
        await desk.window.settle()
        assert desk.case.image.name == "case01.png"
        assert desk.case.truth is not None
        assert box.isVisible()

    run(work())


def test_a_wrong_folder_is_said(run: Run, desk: Desk, tmp_path: Path) -> None:
    """Nothing to score: the reason is in the dialog, and nothing can be started."""
    (tmp_path / "empty").mkdir()

    async def work() -> None:
        desk.window.actions_.trigger("score")
        box = desk.window.batches.box
        assert box is not None
        form = box.findChild(BatchForm)
        assert form is not None
        form.choose(tmp_path / "empty", tmp_path / "out")
        await _until(lambda: "no image" in _says(box))
        assert not _button(box, "Start").isEnabled()

    run(work())


def test_a_hundred_thousand_rows_are_not_looked_at_before_they_are_seen(qapp: object) -> None:
    """The table answers for any row at once, sorts by score, and puts what has none last."""
    table = CaseTable()
    table.show_pairs([Pair(Path(f"{n}.png"), None, f"{n}") for n in range(100_000)])

    def record(name: str, dice: float) -> Record:
        row = Row(name, "fused", "ok", values={"dice": dice, "quality": 0.5})
        return Record(name, f"{name}.png", {}, (row,))

    table.put([record("99999", 0.25), record("5", 0.5), record("elsewhere", 1.0)])
    table.sort(4, Qt.SortOrder.AscendingOrder)
    assert [table.index(row, 1).data() for row in range(3)] == ["99999", "5", "0"]
    table.sort(4, Qt.SortOrder.DescendingOrder)
    assert [table.index(row, 1).data() for row in range(3)] == ["5", "99999", "0"]
    table.put([record("0", 0.75)])  # comes while a person reads: it does not move
    assert table.index(2, 4).data() == "0.750"
    table.filter("9999")
    assert table.rowCount() == 19  # 9999, 19999 ... 99999, 99990 ... 99998
    assert table.files_at(0) == (Path("99999.png"), None)
    table.sort(-1)
    table.filter("")
    assert table.index(99_999, 6).data() == "done"
    assert table.index(7, 6).data() == "waiting"
