"""Work that is cut short, fails or is overtaken leaves the window telling the truth."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import tifffile

from omniview.core.image import Image
from omniview.core.prediction import Prediction
from omniview.core.task import Task
from omniview.ui.messages import Action
from omniview.ui.session import Stage
from tests.fakes import OtsuSegmenter
from tests.ui.conftest import Run
from tests.ui.parts import Desk


class Reluctant(OtsuSegmenter):
    """Needs a moment to let go, as a network between two of its nodes does."""

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """As the threshold itself, but slow to stop."""
        try:
            return await OtsuSegmenter.segment(self, image, task)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            raise


def test_a_stopped_model_does_not_look_as_if_it_ran(run: Run, desk: Desk, blob: Path) -> None:
    """After Stop badge and status line say so, and the badge offers to go on."""
    desk.models.parts[1].delay_s = 60

    async def work() -> None:
        desk.window.open([blob])
        await desk.until(lambda now: now.case is not None and len(now.case.predictions) == 1)
        desk.window.actions_.trigger("stop")
        await desk.window.settle()

    run(work())
    badge = desk.window.models.badges()["omnimodel"]
    assert badge is not None
    assert (badge.word, badge.action) == ("stopped", Action.AGAIN)
    assert "omnimodel: stopped" in desk.window.status.text()


def test_an_entry_that_is_analysed_again_stays_busy(run: Run, desk: Desk, blob: Path) -> None:
    """What lets go late of an entry does not mark newer work on it as waiting."""
    desk.models.parts = (Reluctant("slow", delay_s=60),)
    stages: list[Stage] = []

    async def work() -> None:
        desk.window.open([blob])
        await desk.until(lambda now: now.case is not None)
        desk.window.workflow.analyse_again()
        await asyncio.sleep(0.4)
        stages.append(desk.now.entries[0].stage)
        desk.window.actions_.trigger("stop")
        await desk.window.settle()
        stages.append(desk.now.entries[0].stage)

    run(work())
    assert stages == [Stage.ANALYSING, Stage.WAITING]


def test_a_defect_leaves_no_entry_busy(
    run: Run, desk: Desk, blob: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The row shows that it failed, rather than working for ever."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(desk.models, "segmenters", fail)
    run(desk.open(blob))
    assert desk.now.entries[0].stage is Stage.FAILED
    assert desk.now.notice is not None
    assert "ZeroDivisionError" in desk.now.notice.text
    assert "unforeseen" in caplog.text


def test_why_a_file_cannot_be_opened_is_not_talked_over(
    run: Run, desk: Desk, blob: Path, tmp_path: Path
) -> None:
    """While the image on screen still waits for its task, the newer message stays."""
    desk.models.task = None
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")

    async def work() -> None:
        await desk.open(blob)
        await desk.open(broken)

    run(work())
    assert desk.now.notice is not None
    assert "broken.png" in desk.now.notice.text
    assert desk.now.stage is Stage.ASKING


def test_a_broken_frame_lets_the_one_on_screen_go_on(run: Run, desk: Desk, tmp_path: Path) -> None:
    """Turning to a page that cannot be read is told; the analysis that it cut short starts again."""
    clip = tmp_path / "clip.tif"
    frames = np.random.default_rng(1).integers(0, 255, (2, 40, 50), dtype=np.uint8)
    tifffile.imwrite(clip, frames, photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(clip) as tiff:
        at = tiff.pages[1].aspage().dataoffsets[0]
    stored = bytearray(clip.read_bytes())
    stored[at : at + 40] = b"\xff" * 40
    clip.write_bytes(stored)
    desk.models.parts[1].delay_s = 0.5

    async def work() -> None:
        desk.window.open([clip])
        await desk.until(lambda now: now.case is not None and len(now.case.predictions) == 1)
        desk.window.workflow.show_frame(1)
        await desk.window.settle()

    run(work())
    assert desk.now.notice is not None
    assert "clip.tif" in desk.now.notice.text
    assert desk.now.stage is Stage.DONE
    assert len(desk.case.predictions) == 2


def test_frames_are_saved_side_by_side(run: Run, desk: Desk, tmp_path: Path) -> None:
    """Saving the second frame of a clip leaves the masks of the first."""
    frames = np.random.default_rng(1).integers(0, 255, (2, 40, 50), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "clip.tif", frames, photometric="minisblack")

    async def work() -> None:
        await desk.open(tmp_path / "clip.tif")
        for frame in (0, 1):
            desk.window.workflow.show_frame(frame)
            await desk.window.settle()
            desk.window.workflow.save(tmp_path / "out")
            await desk.window.settle()

    run(work())
    saved = sorted(path.name for path in (tmp_path / "out").glob("*.fused.png"))
    assert saved == ["clip.frame0.fused.png", "clip.frame1.fused.png"]


def test_a_defect_while_paths_are_sorted_is_in_the_log(
    run: Run, desk: Desk, blob: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The message sends the person to the log, so the log has it."""

    def fail(_self: Path) -> bool:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(Path, "is_dir", fail)
    run(desk.open(blob))
    assert desk.now.notice is not None
    assert "ZeroDivisionError" in desk.now.notice.text
    assert "unforeseen" in caplog.text
