"""What a person may wish at an awkward moment, and with the keyboard alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QComboBox, QFileDialog, QLineEdit

from omniview.ui.messages import Level
from omniview.ui.session import Stage
from omniview.ui.view import Layer, Style
from tests.ui.conftest import Run
from tests.ui.parts import Desk, press

_dialogs = pytest.mark.qt_log_ignore("propagateSizeHints")  # the offscreen platform says so of every dialog


def _three(blob: Path) -> list[Path]:
    pixels = blob.read_bytes()
    paths = [blob.parent / f"{name}.png" for name in ("one", "two", "three")]
    for path in paths:
        path.write_bytes(pixels)
    return paths


def test_cases_can_be_walked_by_keyboard(run: Run, desk: Desk, blob: Path) -> None:
    """Next and previous follow the visible rows, and stop at the ends."""
    paths = _three(blob)

    async def work() -> None:
        await desk.open(*paths)
        for name, expected in (("previous", 0), ("next", 1), ("next", 2), ("next", 2), ("previous", 1)):
            desk.window.actions_.trigger(name)
            await desk.window.settle()
            assert desk.now.current == expected
        desk.window.actions_.trigger("filter")
        field = desk.window.cases.findChild(QLineEdit)
        assert field is not None
        field.setText("TH")
        assert desk.window.cases.neighbour(1, 1) == 2
        assert desk.window.cases.neighbour(2, 1) is None

    run(work())


def test_opening_the_same_file_twice_lists_it_once(run: Run, desk: Desk, blob: Path) -> None:
    """The list holds cases, not wishes."""

    async def work() -> None:
        await desk.open(blob)
        await desk.open(blob)

    run(work())
    assert len(desk.now.entries) == 1


def test_stopping_while_a_file_is_opened(run: Run, desk: Desk, blob: Path) -> None:
    """Nothing hangs, and the row waits to be chosen again."""

    async def work() -> None:
        desk.window.open([blob])
        await desk.until(lambda now: now.opening is not None)
        desk.window.actions_.trigger("stop")
        await desk.window.settle()

    run(work())
    assert desk.now.opening is None
    assert not desk.now.stage.busy
    assert desk.now.entries[0].stage is Stage.WAITING


def test_wishes_on_an_empty_window_do_nothing(run: Run, desk: Desk, blob: Path) -> None:
    """Saving, scoring, turning and stretching need an image."""

    async def work() -> None:
        desk.window.use_truth(blob)
        desk.window.workflow.windowing.stretch()
        desk.window.workflow.show_frame(1)
        desk.window.workflow.windowing.change((10.0, 5.0))
        desk.window.workflow.analyse_again()
        await desk.window.settle()
        assert desk.now.case is None
        desk.window.workflow.save(blob.parent)
        await desk.window.settle()

    run(work())
    assert desk.now.notice is not None
    assert "no masks" in desk.now.notice.text


def test_masks_that_cannot_be_saved_are_told(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A folder that is a file is named; the case stays."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")

    async def work() -> None:
        await desk.open(blob)
        desk.window.workflow.save(blocked)
        await desk.window.settle()

    run(work())
    assert desk.now.notice is not None
    assert desk.now.notice.level is Level.ERROR
    assert desk.now.case is not None


def test_odd_truth_is_used_and_told(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A reference with more than two grey values is cut, and the person is told where."""
    grey = np.zeros((70, 90), np.uint8)
    grey[10:40, 20:60], grey[20:30, 30:50] = 90, 200
    cv2.imwrite(str(tmp_path / "odd.png"), grey)
    run(desk.open(blob, truth=tmp_path / "odd.png"))
    assert desk.now.truth is not None
    assert desk.now.notice is not None
    assert desk.now.notice.text == " ".join(desk.now.truth.notes)


def test_truth_while_a_model_is_at_work(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A reference chosen in the middle of an analysis scores every result, also those still to come."""
    alone = tmp_path / "alone.png"
    alone.write_bytes(blob.read_bytes())
    desk.models.parts[1].delay_s = 0.3

    async def work() -> None:
        desk.window.open([alone])
        await desk.until(lambda now: now.case is not None and len(now.case.predictions) == 1)
        desk.window.use_truth(blob.parent.parent / "masks" / "blob.png")
        await desk.window.settle()

    run(work())
    assert desk.now.case is not None
    assert set(desk.now.case.scores) == {"specialist", "omnimodel", "fused"}


def test_layer_panel_changes_the_view(run: Run, desk: Desk, blob: Path) -> None:
    """Switch, style and opacity reach the view, and the panel shows what the view says."""

    async def work() -> None:
        await desk.open(blob)
        panel = desk.window.layers
        panel.toggled.emit(Layer.TRUTH, False)
        panel.styled.emit(Layer.FUSED, Style.FILL)
        panel.faded.emit(Layer.SPECIALIST, 0.3)
        await desk.window.settle()

    run(work())
    view = desk.now.view
    assert not view.visible(Layer.TRUTH)
    assert view.layers[Layer.FUSED].style is Style.FILL
    assert view.layers[Layer.SPECIALIST].opacity == 0.3


def test_panels_fold_away(run: Run, desk: Desk) -> None:
    """Case list and results disappear and come back; the legend too."""

    async def work() -> None:
        for name, part in (("cases", desk.window.cases), ("results", desk.window.results)):
            desk.window.actions_.trigger(name)
            assert not part.isVisible()
            desk.window.actions_.trigger(name)
            assert part.isVisible()
        desk.window.actions_.trigger("legend")
        assert not desk.now.view.legend

    run(work())


def test_frames_can_be_stepped(run: Run, desk: Desk, tmp_path: Path) -> None:
    """Full stop and comma step through a clip and stop at its ends; a frame of late is not asked again."""
    import tifffile

    frames = np.random.default_rng(1).integers(0, 255, (2, 40, 50), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "clip.tif", frames, photometric="minisblack")

    async def work() -> None:
        await desk.open(tmp_path / "clip.tif")
        for name, expected in (("next_frame", 1), ("next_frame", 1), ("previous_frame", 0)):
            desk.window.actions_.trigger(name)
            await desk.window.settle()
            assert desk.now.position == expected

    run(work())
    assert len(desk.models.parts[0].asked) == 2


@_dialogs
def test_dialogs_pass_on_what_was_chosen(run: Run, desk: Desk, blob: Path) -> None:
    """Open asks without blocking, and opens what was picked."""

    async def work() -> None:
        desk.window.actions_.trigger("open")
        await asyncio.sleep(0)
        dialog = desk.window.findChild(QFileDialog)
        assert dialog is not None
        dialog.filesSelected.emit([str(blob)])
        dialog.close()
        await desk.window.settle()

    run(work())
    assert desk.now.case is not None


@_dialogs
@pytest.mark.parametrize("name", ["folder", "truth", "save", "keys"])
def test_every_dialog_opens_and_closes(run: Run, desk: Desk, blob: Path, name: str) -> None:
    """None of them blocks the loop."""
    from PyQt6.QtWidgets import QDialog

    async def work() -> None:
        await desk.open(blob)
        desk.window.actions_.trigger(name)
        await asyncio.sleep(0)
        dialog = desk.window.findChild(QDialog)
        assert dialog is not None
        dialog.close()
        await asyncio.sleep(0)

    run(work())


@pytest.mark.qt_log_ignore("raise|grabbing the keyboard")  # the offscreen platform says so of every popup
def test_message_offers_its_next_step(run: Run, desk: Desk, blob: Path) -> None:
    """The button of a message does what it says, and the message goes."""
    desk.models.task = None

    async def work() -> None:
        await desk.open(blob)
        assert "Choose the task" in desk.window.notice.text()
        desk.window.notice.click()
        boxes = desk.window.choosers.findChildren(QComboBox)
        assert [(view := box.view()) is not None and view.isVisible() for box in boxes] == [True, False]
        for box in boxes:
            box.hidePopup()

    run(work())
    assert desk.now.notice is None


def test_arrows_pan(run: Run, desk: Desk, blob: Path) -> None:
    """The image moves by a tenth of the view and keeps its size."""

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        before, left = canvas.scale_now, canvas.visible_rect().left()
        press(canvas, Qt.Key.Key_Right)
        assert canvas.visible_rect().left() > left
        assert canvas.scale_now == pytest.approx(before)
        await desk.window.settle()

    run(work())


def test_reading_follows_the_results_under_a_resting_cursor(run: Run, desk: Desk, blob: Path) -> None:
    """Values appear as soon as there are some, without moving the mouse; another image clears them."""
    desk.models.parts[0].delay_s = 0.1

    async def work() -> None:
        desk.window.open([blob])
        await desk.until(lambda now: now.image is not None)
        desk.window.canvas.hovered.emit((40, 30))
        assert "→" not in desk.window.readout.text()
        await desk.window.settle()
        assert "→" in desk.window.readout.text()
        desk.window.actions_.sample_chosen.emit("nuclei-phantom")
        await desk.window.settle()
        assert desk.window.readout.text() == ""

    run(work())


def test_badge_without_a_next_step_explains_itself(run: Run, desk: Desk, blob: Path) -> None:
    """A click on `done` says what ran."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.models.click("specialist")

    run(work())
    assert "otsu-special" in desk.window.notice.text()
