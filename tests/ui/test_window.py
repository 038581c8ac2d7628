"""The window end to end, with real files and real small models."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent

from omniview.errors import Unreachable, UnusableAnswer
from omniview.io.read import read_truth
from omniview.ui.messages import Action, Level
from omniview.ui.session import Stage
from omniview.ui.view import Layer
from tests.ui.conftest import Run
from tests.ui.parts import Desk, pixels_of


def _copies(folder: Path, names: str, blob: Path) -> list[Path]:
    pixels = pixels_of(blob)
    paths = [folder / f"{name}.png" for name in names.split()]
    for path in paths:
        cv2.imwrite(str(path), pixels)
    return paths


def _drop(desk: Desk, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(400, 300),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    desk.window.dropEvent(event)


def test_opening_an_image_shows_masks_and_scores(run: Run, desk: Desk, blob: Path) -> None:
    """Task, both masks, fusion, the paired truth and the scores are on screen after opening a file."""
    run(desk.open(blob))
    case = desk.case
    assert desk.now.stage is Stage.DONE
    assert desk.window.choosers.task_text() == "Auto: polyp"
    assert {p.role for p in case.predictions} == {"specialist", "omnimodel"}
    assert desk.now.frame is not None
    assert [layer for layer in Layer if not desk.now.frame.has(layer)] == [Layer.MARGIN]
    table = desk.window.scores.texts()
    for column, name in enumerate(("specialist", "omnimodel", "fused")):
        dice = case.scores[name]["dice"]
        assert dice is not None
        assert table[0][column] == f"{dice:.3f}"
    assert desk.now.entries[0].dice == case.scores["fused"]["dice"]


def test_newest_file_wins(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """While one file is analysed another is opened: only the second is ever finished on screen."""
    first, second = _copies(tmp_path, "first second", blob)
    desk.models.parts[0].delay_s = 0.2

    async def work() -> None:
        desk.window.open([first])
        await desk.until(lambda now: now.stage is Stage.ANALYSING)
        await asyncio.sleep(0)  # the models are asked in the next turn of the loop
        await desk.open(second)

    run(work())
    assert desk.case.image.name == "second.png"
    assert desk.models.parts[0].cancelled == 1
    assert [row.stage for row in desk.now.entries] == [Stage.WAITING, Stage.DONE]


def test_specialist_is_on_screen_before_a_slow_omnimodel(run: Run, desk: Desk, blob: Path) -> None:
    """The first mask does not wait for the second, and its badge says that the other is at work."""
    desk.models.parts[1].delay_s = 20

    async def work() -> None:
        desk.window.open([blob])
        await desk.until(lambda now: now.case is not None and bool(now.case.predictions))
        badges = desk.window.models.badges()
        assert [b.level for b in badges.values() if b is not None] == [Level.GOOD, Level.BUSY]
        desk.window.actions_.trigger("stop")
        await desk.window.settle()

    run(work())
    assert [p.role for p in desk.case.predictions] == ["specialist"]
    assert desk.models.parts[1].cancelled == 1
    assert desk.now.stage is Stage.WAITING


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (Unreachable("The server did not answer.", "Try again."), "unreachable"),
        (UnusableAnswer("There was no mask in the answer.", "Ask again."), "unusable answer"),
    ],
)
def test_failed_omnimodel_changes_nothing_but_a_badge(
    run: Run, desk: Desk, blob: Path, error: Exception, word: str
) -> None:
    """The fused mask is the specialist's; the badge explains; a click asks again."""
    desk.models.parts[1].error = error
    run(desk.open(blob))
    case = desk.case
    assert case.fusion is not None
    np.testing.assert_array_equal(case.fusion.mask, case.predictions[0].mask)
    shown = desk.window.models.badges()["omnimodel"]
    assert shown is not None
    assert shown.word == word
    assert str(error.args[0]) in shown.explanation
    desk.models.parts[1].error = None

    async def again() -> None:
        desk.window.models.click("omnimodel")
        await desk.window.settle()

    run(again())
    assert len(desk.case.predictions) == 2


def test_unreadable_file_keeps_the_case(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A broken file is named in a message and in its row; image, masks and scores stay."""
    run(desk.open(blob))
    before = desk.now
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    run(desk.open(broken))
    assert desk.now.case is before.case
    assert desk.now.frame is before.frame
    assert desk.now.stage is Stage.DONE
    assert "broken.png" in desk.window.notice.text()
    assert desk.now.entries[1].stage is Stage.FAILED


def test_unreadable_file_lets_a_cut_analysis_go_on(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A broken file opened in the middle of an analysis does not leave the case half done."""
    desk.models.parts[1].delay_s = 0.2
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")

    async def work() -> None:
        desk.window.open([blob])
        await desk.until(lambda now: now.case is not None)
        await desk.open(broken)

    run(work())
    assert len(desk.case.predictions) == 2
    assert desk.now.notice is not None


def test_truth_of_the_wrong_size_is_refused(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """The message has both sizes; the case and its scores stay."""
    run(desk.open(blob))
    before = desk.now.case
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((20, 30), np.uint8))

    async def work() -> None:
        desk.window.use_truth(small)
        await desk.window.settle()

    run(work())
    text = desk.window.notice.text()
    assert "30" in text
    assert "20" in text
    assert "90" in text
    assert "70" in text
    assert desk.now.case is before
    assert desk.now.notice is not None
    assert desk.now.notice.action is Action.CHOOSE_TRUTH


def test_chosen_truth_scores_without_a_new_analysis(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """Another mask changes the scores at once; the models are not asked again."""
    alone = _copies(tmp_path, "alone", blob)[0]
    other = tmp_path / "drawn.png"
    cv2.imwrite(str(other), np.full((70, 90), 255, np.uint8))
    run(desk.open(alone))
    assert desk.case.scores == {}

    async def work() -> None:
        desk.window.use_truth(other)
        await desk.window.settle()

    run(work())
    expected = read_truth(other, desk.case.image, 1).mask
    truth = desk.case.truth
    assert truth is not None
    np.testing.assert_array_equal(truth.mask, expected)
    assert desk.window.scores.texts()[0][0] not in {"–", "n/a"}
    assert len(desk.models.parts[0].asked) == 1


def test_dropped_mask_becomes_the_truth(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A black-and-white picture of the image's size is used as its ground truth, not opened."""
    alone = _copies(tmp_path, "alone", blob)[0]
    drawn = tmp_path / "drawn.png"
    mask = np.zeros((70, 90), np.uint8)
    mask[10:40, 20:60] = 255
    cv2.imwrite(str(drawn), mask)
    run(desk.open(alone))

    async def work() -> None:
        _drop(desk, drawn)
        await desk.window.settle()

    run(work())
    assert len(desk.now.entries) == 1
    assert desk.case.truth is not None


def test_dropped_folder_lists_its_cases(run: Run, desk: Desk, blob: Path) -> None:
    """A folder fills the list with its images, each with its truth; only the first is analysed."""
    _copies(blob.parent, "a b c", blob)

    async def work() -> None:
        _drop(desk, blob.parent.parent)
        await desk.window.settle()

    run(work())
    assert [row.name for row in desk.now.entries] == ["a", "b", "blob", "c"]
    assert [row.reference is not None for row in desk.now.entries] == [False, False, True, False]
    assert [row.stage for row in desk.now.entries] == [Stage.DONE] + [Stage.WAITING] * 3

    async def further() -> None:
        desk.window.actions_.trigger("next")
        await desk.window.settle()

    run(further())
    assert desk.now.current == 1


def test_saved_masks_are_the_masks_on_screen(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """The written PNGs, read back, equal the case's masks pixel for pixel."""
    run(desk.open(blob))

    async def work() -> None:
        desk.window.workflow.save(tmp_path / "out")
        await desk.window.settle()

    run(work())
    case = desk.case
    assert case.fusion is not None
    masks = {p.role: p.mask for p in case.predictions} | {"fused": case.fusion.mask}
    for kind, mask in masks.items():
        written = pixels_of(tmp_path / "out" / f"blob.{kind}.png")
        np.testing.assert_array_equal(written > 127, mask[0])
    assert desk.now.notice is not None
    assert desk.now.notice.level is Level.GOOD


def test_abstaining_asks_for_the_task(run: Run, desk: Desk, blob: Path) -> None:
    """Where the image is not recognised nothing is analysed until a task is chosen."""
    desk.models.task = None
    run(desk.open(blob))
    assert desk.now.stage is Stage.ASKING
    assert desk.models.asked == []
    assert desk.window.choosers.task_text() == "Auto: not sure"

    async def choose() -> None:
        desk.window.choosers.task_chosen.emit("vessel")
        await desk.window.settle()

    run(choose())
    assert desk.case.task.name == "vessel"
    assert desk.now.notice is None


def test_offline_and_omnimodel_reach_the_models(run: Run, desk: Desk, blob: Path) -> None:
    """Each switch analyses the image anew under the new rule; without an omnimodel its badge is off."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.choosers.offline_chosen.emit(True)
        await desk.window.settle()
        desk.window.choosers.omnimodel_chosen.emit("none")
        await desk.window.settle()

    run(work())
    assert desk.models.asked == [
        ("polyp", "builtin", False),
        ("polyp", "builtin", True),
        ("polyp", "none", True),
    ]
    shown = desk.window.models.badges()["omnimodel"]
    assert shown is not None
    assert shown.word == "off"


def test_samples_open(run: Run, desk: Desk) -> None:
    """A built-in sample brings its own task and truth."""

    async def work() -> None:
        desk.window.actions_.sample_chosen.emit("nuclei-phantom")
        await desk.window.settle()

    run(work())
    assert desk.case.task.name == "nuclei"
    assert desk.case.truth is not None


def test_going_back_does_not_ask_again(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """A case of late is on screen again at once; under other choices, or when told to, it is asked anew."""
    first, second = _copies(tmp_path, "first second", blob)

    async def work() -> None:
        await desk.open(first)
        before = desk.case
        await desk.open(second)
        await desk.open(first)
        assert desk.case is before
        assert desk.models.parts[0].asked == ["first.png", "second.png"]
        assert desk.window.choosers.task_text() == "Auto: polyp"
        desk.window.actions_.trigger("again")
        await desk.window.settle()
        assert len(desk.models.parts[0].asked) == 3
        desk.window.choosers.omnimodel_chosen.emit("none")
        await desk.window.settle()
        assert len(desk.models.parts[0].asked) == 4

    run(work())


def test_failed_case_is_asked_anew(run: Run, desk: Desk, blob: Path, tmp_path: Path) -> None:
    """What failed may work the next time, so it is not kept."""
    first, second = _copies(tmp_path, "first second", blob)
    desk.models.parts[1].error = Unreachable("The server did not answer.")

    async def work() -> None:
        await desk.open(first)
        desk.models.parts[1].error = None
        await desk.open(second)
        await desk.open(first)

    run(work())
    assert len(desk.case.predictions) == 2
