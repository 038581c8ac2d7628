"""What is chosen in the dialog for folders is what is scored, and what is opened is what was scored."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QLabel, QLineEdit, QListView, QPushButton

from omniview.ui.batch_dialog import BatchBox
from omniview.ui.unpaired_box import UnpairedBox
from tests.batch.otsu import write_set
from tests.ui.batch_parts import (
    button,
    column,
    double_click,
    form_of,
    opened,
    planned,
    says,
    type_in,
    until,
    view_of,
)
from tests.ui.conftest import Run
from tests.ui.parts import Desk, press

# the offscreen platform says so of every dialog
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def _line(box: BatchBox, place: int) -> QLineEdit:
    """Of images, truth, results, the one at `place`."""
    return form_of(box).findChildren(QLineEdit)[place]


def _write_mask(path: Path, size: int, rows: slice) -> None:
    mask = np.zeros((size, size), np.uint8)
    mask[rows] = 255
    cv2.imwrite(str(path), mask)


def test_another_folder_is_never_scored_into_the_results_of_this_one(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """As soon as a folder is being typed, what was planned for the last one cannot be started."""
    other = write_set(tmp_path / "other", 3)

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        type_in(_line(box, 0), "x")
        assert not button(box, "Start").isEnabled()
        _line(box, 0).setText(str(other))
        press(_line(box, 0), Qt.Key.Key_Return, QEvent.Type.KeyPress)  # looks, and starts nothing
        await until(lambda: button(box, "Start").isEnabled())
        assert "3 images" in says(box)
        assert not (tmp_path / "out").exists()

    run(work())


@pytest.mark.parametrize("text", ["/", ".", "..", "~", "~nobody-of-that-name/x"])
def test_any_text_may_stand_on_the_way_to_a_folder(run: Run, scorer_desk: Desk, text: str) -> None:
    """What is half typed is neither listed nor a defect."""

    async def work() -> None:
        box = opened(scorer_desk)
        type_in(_line(box, 0), text)
        box.hide()  # as Esc does
        await box.settle()
        assert "Press Enter to look." in says(box)

    run(work())


def test_results_go_beside_the_folder(run: Run, scorer_desk: Desk, tmp_path: Path) -> None:
    """Unless a person chose another place; nothing lies beside a whole disk, or beside a remote folder."""

    async def work() -> None:
        box = opened(scorer_desk)
        for folder, out in (
            (f"{tmp_path}/set", f"{tmp_path}/set-scores"),
            (f"{tmp_path}/set/sub/..", f"{tmp_path}/set-scores"),
            ("/", ""),
            ("s3://bucket/set", ""),
        ):
            _line(box, 0).setText(folder)
            assert _line(box, 2).text() == out
        type_in(_line(box, 2), "mine")
        _line(box, 0).setText(str(tmp_path))
        assert _line(box, 2).text() == "mine"

    run(work())


def test_enter_opens_a_case_and_starts_nothing(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """In the filter it leads to the table, in the table to the viewer, and only on Start does it start."""

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        search = next(e for e in box.findChildren(QLineEdit) if "Filter" in e.accessibleName())
        search.setText("case01")
        press(search, Qt.Key.Key_Return, QEvent.Type.KeyPress)
        view = view_of(box)
        view.selectRow(0)
        press(view, Qt.Key.Key_Return, QEvent.Type.KeyPress)
        await scorer_desk.window.settle()
        assert scorer_desk.case.image.name == "case01.png"
        assert not (tmp_path / "out").exists()
        button(box, "Start").setFocus()
        press(box, Qt.Key.Key_Return, QEvent.Type.KeyPress)
        await box.settle()
        assert (tmp_path / "out" / "report.html").exists()

    run(work())


def test_folders_that_cannot_be_are_said(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """A name too long for any disk is no defect: neither as images nor as results."""
    long = Path("/" + 300 * "x")

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, long)
        button(box, "Start").click()
        await box.settle()
        assert "Results cannot be written" in says(box)
        form_of(box).choose(long, tmp_path / "out")
        await box.settle()
        assert "cannot be listed" in says(box)

    run(work())


def test_every_file_that_could_not_be_paired_is_listed(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """All of them with their reasons, before anything starts, also where they are many."""
    for n in range(40):
        _write_mask(scored_set / "masks" / f"odd{n:02d}.png", 40, slice(0, 5))

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        assert "40 files could not be paired" in says(box)
        button(box, "Which, and why…").click()
        listed = box.findChild(UnpairedBox)
        assert listed is not None
        model = listed.findChildren(QListView)[0].model()
        assert model is not None
        rows = [model.index(row, 0).data() for row in range(model.rowCount())]
        assert rows == [f"odd{n:02d}.png: no image has this mask's name" for n in range(40)]
        next(b for b in listed.findChildren(QPushButton) if b.text() == "Close").click()
        form_of(box).choose(write_set(tmp_path / "whole", 2), tmp_path / "out")
        await until(lambda: "2 images" in says(box))
        assert not button(box, "Which, and why…").isVisible()

    run(work())


def test_a_case_is_opened_with_all_of_its_masks(
    run: Run, scorer_desk: Desk, tmp_path: Path, own_home: Path
) -> None:
    """Several masks of an image are one truth in the viewer too, and the task is the scored one."""
    folder = tmp_path / "busi"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((40, 40, 3), 90, np.uint8))
    _write_mask(folder / "a_mask.png", 40, slice(0, 5))
    _write_mask(folder / "a_mask_1.png", 40, slice(20, 30))

    async def work() -> None:
        scorer_desk.window.session.update(task="vessel")
        box = await planned(scorer_desk, folder, tmp_path / "out")
        scorer_desk.window.session.update(task="breast")
        double_click(box, 0)
        await scorer_desk.window.settle()
        assert scorer_desk.case.truth is not None
        assert scorer_desk.case.truth.mask.sum() == 15 * 40
        assert scorer_desk.case.task.name == "vessel"

    run(work())


def test_each_readers_mask_can_be_shown(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """The scores are against the first reader's mask, until another one is chosen; Use ground truth… wins."""
    second = scored_set / "second_observer"
    second.mkdir()
    for mask in (scored_set / "masks").iterdir():
        _write_mask(second / mask.name, 40, slice(0, 7))

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        assert "by several readers" in says(box)
        double_click(box, 1)
        window = scorer_desk.window
        await window.settle()
        assert scorer_desk.case.truth is not None
        assert scorer_desk.case.truth.mask.sum() == 100
        window.scores.reader_chosen.emit(1)
        await window.settle()
        assert scorer_desk.case.truth.mask.sum() == 7 * 40
        assert Path(scorer_desk.case.truth.source).parent.name == "second_observer"
        window.use_truth(scored_set / "masks" / "case02.png")
        await window.settle()
        assert Path(scorer_desk.case.truth.source).name == "case02.png"
        double_click(box, 1)  # as it was scored
        await window.settle()
        assert Path(scorer_desk.case.truth.source) == scored_set / "masks" / "case01.png"

    run(work())


def test_choosing_a_task_keeps_no_results_of_another(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """The table is about what would be done now."""

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        button(box, "Start").click()
        await box.settle()
        assert "done" in column(box, 6)
        form_of(box).choose(scored_set / "images", tmp_path / "out2")
        await until(lambda: button(box, "Start").isEnabled())
        assert set(column(box, 6)) == {"waiting"}

    run(work())


def test_a_broken_file_with_a_name_like_markup_is_named(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """What the window says of it is shown as it is written."""
    (scored_set / "images" / "<img src=x>.png").write_bytes(b"bad")

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        double_click(box, column(box, 1).index("<img src=x>"))
        await scorer_desk.window.settle()
        (text,) = scorer_desk.window.notice.findChildren(QLabel)
        assert text.text().startswith("<img src=x>.png is not an image")
        assert text.textFormat() is Qt.TextFormat.PlainText

    run(work())


def test_an_image_opened_by_itself_has_the_masks_of_all_readers(
    run: Run, scorer_desk: Desk, scored_set: Path
) -> None:
    """They can be chosen among as where a folder was scored."""
    second = scored_set / "second_observer"
    second.mkdir()
    _write_mask(second / "case01.png", 40, slice(0, 7))

    async def work() -> None:
        await scorer_desk.open(scored_set / "images" / "case01.png")
        entry = scorer_desk.now.shown_entry
        assert entry is not None
        assert [one.files[0].parent.name for one in entry.truths] == ["masks", "second_observer"]
        scorer_desk.window.scores.reader_chosen.emit(1)
        await scorer_desk.window.settle()
        assert scorer_desk.case.truth is not None
        assert scorer_desk.case.truth.mask.sum() == 7 * 40

    run(work())
