"""Clicks on the real canvas, answered by a real small network, seen in masks, scores and panels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor

from omniview.errors import InferenceError
from omniview.ui.messages import Level
from omniview.ui.prompts import Kind
from tests.ui.click_tool import LEFT, MIDDLE, NOWHERE, RIGHT, Tool
from tests.ui.conftest import Run
from tests.ui.parts import Desk, drag, pixels_of, surface_of


def test_a_click_is_answered_at_once(run: Run, tool: Tool, blob: Path) -> None:
    """The omnimodel's mask has the clicked place; fusion, scores, case list and status line follow."""

    async def work() -> None:
        await tool.take_up(blob)
        assert "Left click" in tool.desk.window.status.text()
        before = tool.desk.case
        assert not tool.answer.mask[0][NOWHERE]
        await tool.click(*NOWHERE)
        assert tool.marks == [(Kind.POSITIVE, NOWHERE)]
        assert tool.answer.mask[0][NOWHERE]
        case = tool.desk.case
        assert case.fusion is not None
        assert case.fusion.mask[0][
            NOWHERE
        ]  # the specialist, who sees nothing there, does not outvote the person
        assert case.prediction("specialist") is before.prediction("specialist")
        assert case.scores["omnimodel"] != before.scores["omnimodel"]
        assert tool.desk.now.entries[0].dice == case.scores["fused"]["dice"]
        assert tool.desk.window.status.text().endswith(
            f"omnimodel: built-in generalist, 1 click, {_ms(tool)}"
        )
        assert not tool.desk.now.asking
        frame = tool.desk.now.frame
        assert frame is not None
        assert any(part is tool.answer.probability for parts in frame.sources.values() for part in parts)

    run(work())


def _ms(tool: Tool) -> str:
    return f"{tool.answer.seconds * 1000:.0f} ms"


def test_each_gesture_says_its_own(run: Run, tool: Tool, blob: Path) -> None:
    """Left is yes, right and Alt+left are no, a drag is a box; all of them are told to the network."""

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(*NOWHERE)
        await tool.click(30, 40, RIGHT)
        await tool.click(10, 5, LEFT, Qt.KeyboardModifier.AltModifier)
        start = tool.at(9.5, 11.5)
        drag(tool.desk.window.canvas, LEFT, start, tool.at(59.5, 71.5) - start)
        await tool.desk.window.settle()

    run(work())
    kinds = [Kind.POSITIVE, Kind.NEGATIVE, Kind.NEGATIVE, Kind.BOX]
    assert [kind for kind, _ in tool.marks] == kinds
    np.testing.assert_allclose(tool.marks[3][1], (10, 12, 60, 72), atol=1)
    heard = tool.listener.heard[-1]
    assert (list(heard.positive), list(heard.negative)) == ([NOWHERE], [(30, 40), (10, 5)])
    assert heard.box is not None
    assert tool.desk.window.status.text().endswith(f"3 clicks and a box, {_ms(tool)}")


def test_the_answer_before_is_told_too(run: Run, tool: Tool, blob: Path) -> None:
    """With each mark goes the mask that the person saw when making it."""

    async def work() -> None:
        await tool.take_up(blob)
        unprompted = tool.answer.probability
        await tool.click(*NOWHERE)
        first = tool.answer.probability
        await tool.click(30, 40, RIGHT)
        priors = [heard.prior for heard in tool.listener.heard]
        assert priors[0] is not None
        assert priors[1] is not None
        np.testing.assert_array_equal(priors[0], unprompted[0])
        np.testing.assert_array_equal(priors[1], first[0])

    run(work())


def test_undo_and_redo_bring_back_the_very_answers(run: Run, tool: Tool, blob: Path) -> None:
    """Nothing is asked again; with nothing shown the case is as before; the menu offers what there is."""

    async def work() -> None:
        await tool.take_up(blob)
        before = tool.desk.case
        await tool.click(*NOWHERE)
        one = tool.answer
        await tool.click(30, 40, RIGHT)
        two = tool.answer
        await tool.do("undo")
        assert tool.answer is one
        await tool.do("undo")
        assert tool.marks == []
        assert tool.answer is before.prediction("omnimodel")
        assert tool.desk.case.scores == before.scores
        await tool.do("undo")
        await tool.do("redo")
        await tool.do("redo")
        assert tool.answer is two
        await tool.do("clear_prompts")
        assert tool.marks == []
        assert tool.answer is before.prediction("omnimodel")
        await tool.do("undo")
        assert tool.answer is two
        assert len(tool.listener.heard) == 2

    run(work())


def test_a_click_on_a_mark_takes_it_away(run: Run, tool: Tool, blob: Path) -> None:
    """A disc at its place, a box at its upper left corner, wherever else the box is large."""

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(*NOWHERE)
        start = tool.at(9.5, 11.5)
        drag(tool.desk.window.canvas, LEFT, start, tool.at(59.5, 71.5) - start)
        await tool.desk.window.settle()
        await tool.click(NOWHERE[0], NOWHERE[1] + 0.3)
        assert [kind for kind, _ in tool.marks] == [Kind.BOX]
        await tool.click(9.5, 11.5)
        assert tool.marks == []

    run(work())


def test_the_newest_mark_wins(run: Run, tool: Tool, blob: Path) -> None:
    """A slow answer to an older mark is cancelled; the one that is shown knows all marks."""

    async def work() -> None:
        await tool.take_up(blob)
        tool.listener.wait_s = 0.3
        tool.press(*NOWHERE)
        await tool.desk.until(lambda now: now.asking)
        await asyncio.sleep(0.1)
        assert "Asking with 1 click" in tool.desk.window.status.text()
        await tool.click(30, 40, RIGHT)

    run(work())
    assert tool.listener.cancelled == 1
    assert len(tool.answer.provenance.prompts) == 2
    assert not tool.desk.now.asking


def test_stopping_does_not_wait_for_the_answer(run: Run, tool: Tool, blob: Path) -> None:
    """Esc puts the tool down; once more, it stops a slow answer; the mask before it stays."""

    async def work() -> None:
        await tool.take_up(blob)
        before = tool.desk.case
        tool.listener.wait_s = 60
        tool.press(*NOWHERE)
        await tool.desk.until(lambda now: now.asking)
        await asyncio.sleep(0.1)
        asking = []
        for _ in range(2):
            tool.desk.window.actions_.trigger("stop")
            asking.append(tool.desk.now.asking)
        await tool.desk.window.settle()
        assert asking == [True, False]
        assert tool.desk.case is before

    run(work())
    assert tool.listener.cancelled == 1


def test_clicks_during_the_analysis_wait_for_it(run: Run, tool: Tool, blob: Path) -> None:
    """The analysis's last result does not take the answer's place."""
    tool.desk.models.parts[0].delay_s = 0.2

    async def work() -> None:
        tool.desk.window.open([blob])
        await tool.desk.until(lambda now: now.case is not None)
        tool.desk.window.actions_.trigger("prompt")
        await tool.click(*NOWHERE)

    run(work())
    assert len(tool.desk.case.predictions) == 2
    assert len(tool.answer.provenance.prompts) == 1


def test_escape_puts_the_tool_down(run: Run, tool: Tool, blob: Path) -> None:
    """What was shown stays; the left button pans again."""

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(*NOWHERE)
        canvas = tool.desk.window.canvas
        assert surface_of(canvas).cursor().shape() == Qt.CursorShape.CrossCursor
        await tool.do("stop")
        assert not tool.desk.now.prompting
        assert surface_of(canvas).cursor().shape() == Qt.CursorShape.ArrowCursor
        before = canvas.visible_rect()
        drag(canvas, LEFT, QPointF(300, 300), QPointF(40, 30))
        await tool.click(20, 20)
        assert canvas.visible_rect() != before
        assert tool.marks == [(Kind.POSITIVE, NOWHERE)]

    run(work())


def test_other_buttons_keep_their_meaning(run: Run, tool: Tool, blob: Path) -> None:
    """The right button still drags the grey window, the middle one pans; neither marks anything."""

    async def work() -> None:
        await tool.take_up(blob)
        canvas = tool.desk.window.canvas
        before = canvas.visible_rect()
        drag(canvas, RIGHT, QPointF(300, 300), QPointF(60, 20))
        assert tool.desk.now.view.window is not None
        await asyncio.sleep(0.05)  # pyqtgraph drops moves that follow each other too fast
        drag(canvas, MIDDLE, QPointF(300, 300), QPointF(60, 20))
        assert canvas.visible_rect() != before
        await tool.desk.window.settle()

    run(work())
    assert tool.marks == []


def test_an_unsteady_click_is_a_click(
    run: Run, tool: Tool, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved by two pixels while the button was down for long: no box of nothing."""

    async def work() -> None:
        await tool.take_up(blob)
        canvas = tool.desk.window.canvas
        monkeypatch.setattr(canvas.scene(), "minDragTime", 0.0)
        drag(canvas, LEFT, tool.at(*NOWHERE), QPointF(2, 1), steps=2)
        drag(canvas, RIGHT, tool.at(30, 40), QPointF(2, 1), steps=2)
        await tool.desk.window.settle()

    run(work())
    assert tool.marks == [(Kind.POSITIVE, NOWHERE), (Kind.NEGATIVE, (30, 40))]


def test_outside_of_the_image_nothing_is_marked(run: Run, tool: Tool, blob: Path) -> None:
    """A click beside it is none; a box that hangs over is cut at the edge."""

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(-1, 40)
        assert tool.marks == []
        start = tool.at(60.5, 79.5)
        drag(tool.desk.window.canvas, LEFT, start, tool.at(75, 95) - start)
        await tool.desk.window.settle()

    run(work())
    ((kind, place),) = tool.marks
    assert kind is Kind.BOX
    assert place[2:] == (70, 90)


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: desk.window.choosers.task_chosen.emit("vessel"),
        lambda desk: desk.window.actions_.trigger("again"),
        lambda desk: desk.window.open_sample("polyp-phantom"),
    ],
    ids=["task", "again", "case"],
)
def test_another_case_or_task_begins_with_nothing_shown(
    run: Run, tool: Tool, blob: Path, change: Callable[[Desk], None]
) -> None:
    """Marks belong to one image and one question; the tool stays in the hand."""

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(*NOWHERE)
        change(tool.desk)
        await tool.desk.window.settle()

    run(work())
    assert tool.marks == []
    assert tool.desk.now.prompts.past == ()
    assert tool.desk.now.prompting
    assert tool.answer.provenance.prompts == ()


@pytest.mark.parametrize(("omnimodel", "reason"), [("gemini", "at every click"), ("none", "no omnimodel")])
def test_where_nobody_listens_the_tool_is_off(
    run: Run, tool: Tool, blob: Path, omnimodel: str, reason: str
) -> None:
    """The button says why; a tool in the hand is put down."""
    action = tool.desk.window.actions_.action("prompt")

    async def work() -> None:
        assert not action.isEnabled()
        assert "Open an image" in action.toolTip()
        await tool.take_up(blob)
        assert action.isEnabled()
        assert action.isChecked()
        tool.desk.window.choosers.omnimodel_chosen.emit(omnimodel)
        await tool.desk.window.settle()
        assert not action.isEnabled()
        assert not action.isChecked()
        assert reason in action.toolTip()
        await tool.click(*NOWHERE)

    run(work())
    assert tool.marks == []
    assert not tool.desk.now.prompting


def test_a_failure_is_told_and_the_mask_stays(run: Run, tool: Tool, blob: Path) -> None:
    """The marks stay too, to be undone or asked again with one more."""

    async def work() -> None:
        await tool.take_up(blob)
        before = tool.desk.case
        tool.listener.error = InferenceError("It broke.", "Click again.")
        await tool.click(*NOWHERE)
        assert tool.desk.case is before
        assert tool.desk.now.notice is not None
        assert (tool.desk.now.notice.text, tool.desk.now.notice.level) == ("It broke.", Level.ERROR)
        tool.listener.error = None
        await tool.click(30, 40, RIGHT)
        assert len(tool.answer.provenance.prompts) == 2

    run(work())


def test_prompts_are_saved_with_the_masks(run: Run, tool: Tool, blob: Path, tmp_path: Path) -> None:
    """The record says what the omnimodel was shown; the mask is the one that it gave."""

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(*NOWHERE)
        tool.desk.window.workflow.save(tmp_path / "out")
        await tool.desk.window.settle()

    run(work())
    record = json.loads((tmp_path / "out" / "blob.json").read_text("utf-8"))
    shown = record["models"]["omnimodel"]["provenance"]["prompts"]
    assert shown == [{"kind": "positive", "row": NOWHERE[0], "column": NOWHERE[1]}]
    written = pixels_of(tmp_path / "out" / "blob.omnimodel.png")
    np.testing.assert_array_equal(written > 127, tool.answer.mask[0])


def test_marks_are_painted_where_they_are(run: Run, tool: Tool, blob: Path) -> None:
    """A green disc and a red one, at their pixels, whatever the zoom."""

    def colour(row: int, column: int) -> QColor:
        image = tool.desk.window.canvas.grab().toImage()
        at = tool.at(row, column)
        scale = image.devicePixelRatio()
        return QColor(image.pixel(round((at.x() + 3) * scale), round((at.y() + 3) * scale)))

    async def work() -> None:
        await tool.take_up(blob)
        await tool.click(*NOWHERE)
        await tool.click(40, 40, RIGHT)
        for zoom in ("zoom_in", "actual", "fit"):
            await tool.do(zoom)
            yes, no = colour(*NOWHERE), colour(40, 40)
            assert yes.green() > 1.5 * yes.red()
            assert no.red() > 1.5 * no.green()

    run(work())


def test_a_truth_chosen_later_scores_the_answer(run: Run, tool: Tool, blob: Path) -> None:
    """Also after everything that was shown is taken back."""
    truth = blob.parent.parent / "masks" / "blob.png"
    alone = blob.with_name("alone.png")
    alone.write_bytes(blob.read_bytes())

    async def work() -> None:
        await tool.take_up(alone)
        await tool.click(*NOWHERE)
        tool.desk.window.use_truth(truth)
        await tool.desk.window.settle()
        with_click = tool.desk.case.scores["omnimodel"]["dice"]
        await tool.do("clear_prompts")
        assert tool.desk.case.scores["omnimodel"]["dice"] != with_click
        assert tool.desk.case.truth is not None

    run(work())
