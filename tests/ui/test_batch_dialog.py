"""Scoring a folder from the window: planned, run in a process of its own, paused, stopped, gone on with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from omniview.batch.journal import Journal
from omniview.settings import Settings
from tests.ui.batch_parts import CASES, button, column, double_click, form_of, opened, planned, says, until
from tests.ui.conftest import Run
from tests.ui.parts import Desk

# the offscreen platform says so of every dialog
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def test_a_folder_is_scored_beside_the_window(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """The table fills, the broken case has its reason, the files are those of the command line's engine."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, out)
        assert f"{CASES} images, {CASES} with ground truth" in says(box)
        assert column(box, 6) == ["waiting"] * CASES
        button(box, "Start").click()
        await box.settle()
        states = column(box, 6)
        assert states.count("done") == CASES - 1
        assert states[3].startswith("unreadable: case03.png is not an image")
        assert "1 of them failed" in says(box)
        assert button(box, "Open report").isEnabled()
        with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["model"] == "fused"]
        shown = [text for text in column(box, 4) if text]
        assert shown == [f"{float(row['dice']):.3f}" for row in rows if row["dice"]]

    run(work())


def test_stopped_and_gone_on_with(run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path) -> None:
    """Pause and stop keep what is finished; Start goes on with the rest, and what was there is shown."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, out)
        button(box, "Start").click()
        await until(lambda: any(state == "done" for state in column(box, 6)))
        button(box, "Pause").click()
        assert "paused" in says(box)
        button(box, "Stop").click()
        await box.settle()
        first = json.loads((out / "summary.json").read_text("utf-8"))
        assert first["about"]["incomplete"] is ("waiting" in column(box, 6))
        button(box, "Start").click()
        await box.settle()
        assert "waiting" not in column(box, 6)
        assert not json.loads((out / "summary.json").read_text("utf-8"))["about"]["incomplete"]

    run(work())


def test_the_dialog_follows_the_windows_offline(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """What was planned before the switch is planned anew, as the window says now."""

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        form = form_of(box)
        for offline in (False, True):
            scorer_desk.window.session.update(offline=offline)
            assert not button(box, "Start").isEnabled()  # until it is planned anew
            wish = form.wish()
            assert wish is not None
            assert wish.offline is offline
            await box.settle()
            assert button(box, "Start").isEnabled()

    run(work())


def test_double_click_opens_the_case(run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path) -> None:
    """Image and truth are opened in the window, while the dialog stays."""

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        double_click(box, 1)
        await scorer_desk.window.settle()
        assert scorer_desk.case.image.name == "case01.png"
        assert scorer_desk.case.truth is not None
        assert box.isVisible()

    run(work())


def test_a_wrong_folder_is_said(run: Run, scorer_desk: Desk, tmp_path: Path) -> None:
    """Nothing to score: the reason is in the dialog, and nothing can be started."""
    (tmp_path / "empty").mkdir()

    async def work() -> None:
        box = opened(scorer_desk)
        form_of(box).choose(tmp_path / "empty", tmp_path / "out")
        await until(lambda: "no image" in says(box))
        assert not button(box, "Start").isEnabled()

    run(work())


def test_closed_over_a_run_the_dialog_says_in_the_window_how_it_ended(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """Whoever closes the dialog over a run hears of its end, and finds the table as it was left."""

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        button(box, "Start").click()
        box.close()
        assert not box.isVisible()
        await box.settle()
        assert scorer_desk.now.notice is not None
        assert f"{CASES} of {CASES} cases are done" in scorer_desk.now.notice.text
        assert opened(scorer_desk) is box
        assert column(box, 6).count("done") == CASES - 1

    run(work())


def test_the_window_is_closed_in_the_middle_of_a_run(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """What is finished is kept and published; another sitting goes on with it."""
    out = tmp_path / "out"

    async def first() -> None:
        box = await planned(scorer_desk, scored_set, out)
        button(box, "Start").click()
        await until(lambda: any(state == "done" for state in column(box, 6)))
        await scorer_desk.window.batches.close()
        assert (out / "report.html").exists()

    async def second() -> None:
        box = await planned(scorer_desk, scored_set, out)
        assert "hold a run already" in says(box)
        button(box, "Start").click()
        await box.settle()
        assert "waiting" not in column(box, 6)

    run(first())
    run(second())


def test_stopped_before_it_began(run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path) -> None:
    """Stop works from the very first moment, and so does Start after it."""

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, tmp_path / "out")
        button(box, "Start").click()
        button(box, "Stop").click()
        await box.settle()
        assert "Stopped before anything" in says(box)
        assert button(box, "Start").isEnabled()
        assert not button(box, "Stop").isEnabled()

    run(work())


def test_results_of_another_run_are_mixed_only_if_a_person_says_so(
    run: Run, scorer_desk: Desk, scored_set: Path, settings_in_force: list[Settings], tmp_path: Path
) -> None:
    """After a change of settings the run is refused in the window's words; Mix both records the change."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, out)
        button(box, "Start").click()
        await box.settle()
        settings_in_force.append(settings_in_force[-1].changed(views=2))
        scorer_desk.window.batches.look_again()
        await box.settle()
        button(box, "Start").click()
        await box.settle()
        assert "views was 1 and is 2" in says(box)
        assert "--" not in says(box)
        assert set(column(box, 6)) == {"waiting"}  # what the other run has done is not this one's
        assert button(box, "Mix both").isVisible()
        button(box, "Mix both").click()
        await box.settle()
        assert f"{CASES} of {CASES} cases are done" in says(box)
        assert not button(box, "Mix both").isVisible()
        about = json.loads((out / "summary.json").read_text("utf-8"))["about"]
        assert about["resumed_anyway"] == ["settings.views was 1 and is 2"]

    run(work())


def test_settings_that_change_in_the_middle_hold_for_the_next_run(
    run: Run, scorer_desk: Desk, scored_set: Path, settings_in_force: list[Settings], tmp_path: Path
) -> None:
    """The run at work keeps to those it was begun with, and its table stays; then all is planned anew."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, out)
        button(box, "Start").click()
        await until(lambda: any(state == "done" for state in column(box, 6)))
        settings_in_force.append(settings_in_force[-1].changed(views=2))
        scorer_desk.window.batches.look_again()
        await box.settle()
        assert json.loads((out / "summary.json").read_text("utf-8"))["about"]["settings"]["views"] == 1
        assert column(box, 6).count("done") == CASES - 1
        form_of(box).choose(scored_set, tmp_path / "next")
        await until(lambda: button(box, "Start").isEnabled())
        button(box, "Start").click()
        await box.settle()
        second = json.loads((tmp_path / "next" / "summary.json").read_text("utf-8"))
        assert second["about"]["settings"]["views"] == 2

    run(work())


def test_two_runs_never_share_their_results(
    run: Run, scorer_desk: Desk, scored_set: Path, tmp_path: Path
) -> None:
    """Where another run is writing, this one is refused and says why."""
    out = tmp_path / "out"

    async def work() -> None:
        box = await planned(scorer_desk, scored_set, out)
        with Journal(out):
            button(box, "Start").click()
            await box.settle()
        assert "another run is writing to this folder" in says(box)
        assert button(box, "Start").isEnabled()

    run(work())


def test_the_dialog_fits_the_screen(run: Run, scorer_desk: Desk) -> None:
    """Nothing that is needed lies beyond the edge of a small screen, or of one with large letters."""
    box = opened(scorer_desk)
    screen = box.screen()
    assert screen is not None
    room = screen.availableSize()
    assert box.width() <= room.width()
    assert box.height() <= room.height()
    assert scorer_desk.window.height() <= room.height()
