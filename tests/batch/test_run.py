"""A folder is scored case by case; what is bad is a row with its reason, never a stop."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.batch.journal import Journal
from omniview.batch.station import CLOUD_PLACES, LOCAL_PLACES, Bounds, Station
from omniview.core.image import Image
from omniview.core.metrics import METRICS
from omniview.core.prediction import Prediction
from omniview.core.segmenter import Segmenter
from omniview.core.task import Task
from omniview.errors import OutputError, Unreachable
from tests.batch.otsu import Notes, OtsuModels, a_run, write_set
from tests.fakes import OtsuSegmenter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve cases."""
    return write_set(tmp_path / "set")


def loaded(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """A mask file."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None, path
    return np.asarray(pixels > 0)


def rows_in(out: Path) -> list[dict[str, str]]:
    """The lines of cases.csv."""
    with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names_in(folder: Path) -> set[str]:
    """What lies directly in a folder."""
    return {path.name for path in folder.iterdir()}


async def test_every_case_is_a_row_and_scores_are_right(folder: Path, tmp_path: Path) -> None:
    """Dice equals a recomputation from the written masks; a broken image has its reason; order is kept."""
    out, notes = tmp_path / "out", Notes()
    (folder / "images" / "case05.png").write_bytes(b"\x89PNG broken")
    result = await a_run(folder, out, masks=True, notes=notes).go()
    rows = rows_in(out)
    assert sorted(notes.names) == [f"case{index:02d}" for index in range(12)]
    assert [row["image"] for row in rows] == [f"case{index // 2:02d}" for index in range(24)]
    assert (result.total, result.totals.finished, result.totals.failed) == (12, 12, 1)
    assert not result.incomplete
    for row in rows:
        if row["image"] == "case05":
            assert row["status"] == "unreadable"
            assert row["reason"]
            assert row["dice"] == ""
            continue
        mask = loaded(out / "masks" / f"{row['image']}.{row['model']}.png")
        truth = loaded(folder / "masks" / f"{row['image']}.png")
        dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
        assert float(row["dice"]) == pytest.approx(dice, abs=1e-6)
        assert row["distance_unit"] == "px"
        assert all(row[name] != "" for name in METRICS if name not in ("auc", "average_precision"))
    summary = json.loads((out / "summary.json").read_text("utf-8"))["models"]["specialist"]
    assert (summary["cases"], summary["scored"], summary["unreadable"]) == (12, 11, 1)
    assert summary["metrics"]["dice"]["n"] == 11


async def test_times_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    """They differ from run to run, so they are in a table of their own."""
    await a_run(folder, tmp_path / "out").go()
    with (tmp_path / "out" / "timings.csv").open(encoding="utf-8", newline="") as file:
        timings = list(csv.DictReader(file))
    assert [row["image"] for row in timings] == [f"case{index:02d}" for index in range(12)]
    assert all(float(row["total"]) >= float(row["read"]) for row in timings)
    assert "seconds" not in rows_in(tmp_path / "out")[0]


async def test_a_dead_omnimodel_counts_as_failed_not_as_missing(folder: Path, tmp_path: Path) -> None:
    """Its rows are blank with a reason, its mean Dice counts each as 0, and the fused rows are complete."""
    out = tmp_path / "out"
    dead = OtsuSegmenter("cloud", role="omnimodel", error=Unreachable("Down."))
    result = await a_run(folder, out, OtsuModels(omnimodel=dead), omnimodel="cloud", limit=4).go()
    omnimodel = [row for row in rows_in(out) if row["model"] == "omnimodel"]
    assert {row["status"] for row in omnimodel} == {"failed"}
    assert all("Down." in row["reason"] for row in omnimodel)
    assert result.summary["models"]["omnimodel"]["metrics"]["dice"]["mean"] == 0
    assert result.summary["models"]["omnimodel"]["metrics"]["mae"]["mean"] == 1
    assert result.summary["models"]["fused"]["scored"] == 4
    assert result.totals.failed == 0


async def test_an_image_of_unknown_kind_is_a_row(folder: Path, tmp_path: Path) -> None:
    """With task auto and an image that is not recognised, the row says how to go on."""
    await a_run(folder, tmp_path / "out", task="auto", limit=1).go()
    assert all("Name the task" in row["reason"] for row in rows_in(tmp_path / "out"))


async def test_results_that_cannot_be_written_are_said(folder: Path, tmp_path: Path) -> None:
    """A folder that is a file ends the run with a message."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        await a_run(folder, tmp_path / "file").go()


async def test_bad_cases_are_named_and_good_ones_scored(tmp_path: Path) -> None:
    """With a third of the cases corrupt, mis-sized, empty or unreadable, nothing else is missing."""
    folder = write_set(tmp_path / "set", 24)
    images, masks = folder / "images", folder / "masks"
    whole = (images / "case00.png").read_bytes()
    (images / "case00.png").write_bytes(whole[: len(whole) // 2])
    (images / "case03.png").write_bytes(b"")
    (images / "case06.png").write_text("not an image")
    (masks / "case09.png").write_bytes(b"")
    cv2.imwrite(str(masks / "case12.png"), np.zeros((7, 9), np.uint8))
    (images / "case15.png").unlink()
    (images / "case15.png").mkdir()
    (masks / "case18.png").write_bytes(whole[:60])
    cv2.imwrite(str(images / "case21.png"), np.zeros((40, 41), np.uint8))
    run = a_run(folder, tmp_path / "out")
    result = await run.go()
    rows = {row["image"]: row for row in rows_in(tmp_path / "out") if row["model"] == "fused"}
    bad = {f"case{index:02d}" for index in range(0, 24, 3)} - {"case15"}  # a folder is no image at all
    assert {name for name, row in rows.items() if row["status"] != "ok"} == bad
    assert all(rows[name]["status"] == "unreadable" and rows[name]["reason"] for name in bad)
    assert {name for name, row in rows.items() if row["dice"] != ""} == set(rows) - bad
    assert result.totals.failed == len(bad) == 7


@pytest.mark.parametrize(
    ("error", "words"),
    [(ZeroDivisionError("unforeseen"), "ZeroDivisionError"), (MemoryError(), "too little memory")],
)
async def test_a_defect_is_a_row(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, words: str
) -> None:
    """What nobody foresaw costs one case, not the run; the log has it whole."""

    class Defective(OtsuModels):
        def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
            raise error

    result = await a_run(folder, tmp_path / "out", Defective(), limit=2).go()
    assert result.totals.failed == 2
    assert all(words in row["reason"] for row in rows_in(tmp_path / "out"))
    assert {row["status"] for row in rows_in(tmp_path / "out")} == {"failed"}  # it counts as the worst
    assert result.summary["models"]["fused"]["failed"] == 2
    assert ("unforeseen" in caplog.text) == isinstance(error, ZeroDivisionError)


async def test_masks_are_named_as_the_rows_name_their_image(folder: Path, tmp_path: Path) -> None:
    """Of two images of one name in different folders it is clear which mask is whose."""
    for kind in ("images", "masks"):
        (folder / kind / "ward").mkdir()
        stored = (folder / kind / "case00.png").read_bytes()
        (folder / kind / "ward" / "case00.png").write_bytes(stored)
    await a_run(folder, tmp_path / "out", masks=True).go()
    named = {row["image"] for row in rows_in(tmp_path / "out") if row["status"] == "ok"}
    assert {"case00", "ward/case00"} <= named
    written = (tmp_path / "out" / "masks").rglob("*.fused.png")
    below = {path.relative_to(tmp_path / "out" / "masks").as_posix() for path in written}
    assert {name.removesuffix(".fused.png") for name in below} == named


async def test_masks_are_not_written_among_truths(folder: Path) -> None:
    """Results may lie in the set itself, but for masks: the next time they would be taken for truths."""
    before = names_in(folder)
    with pytest.raises(OutputError, match="holds what is scored"):
        await a_run(folder, folder, masks=True).go()
    assert names_in(folder) == before
    assert (await a_run(folder, folder).go()).totals.finished == 12


async def test_frames_that_are_not_scored_are_told(folder: Path, tmp_path: Path) -> None:
    """Of a clip one frame is scored, and its row says so."""
    import tifffile

    for kind in ("images", "masks"):
        (folder / kind / "case00.png").unlink()
        pages = np.zeros((2, 20, 20), np.uint8)
        pages[:, 5:10, 5:10] = 255
        tifffile.imwrite(folder / kind / "case00.tif", pages, photometric="minisblack")
    await a_run(folder, tmp_path / "out", limit=2).go()
    told = {row["image"]: row["reason"] for row in rows_in(tmp_path / "out")}
    assert "only frame 0" in told["case00"]
    assert "frame" not in told["case01"]


async def test_readers_are_scored_each_and_against_each_other(folder: Path, tmp_path: Path) -> None:
    """Two readers' masks give a row each for every model, and one that compares the readers."""
    (folder / "masks").rename(folder / "1st_manual")
    (folder / "2nd_manual").mkdir()
    for path in (folder / "images").iterdir():
        (folder / "2nd_manual" / path.name).write_bytes(path.read_bytes())
    (folder / "2nd_manual" / "case01.png").write_bytes(b"")
    await a_run(folder, tmp_path / "out", limit=2).go()
    found = {(row["image"], row["model"], row["truth"]): row for row in rows_in(tmp_path / "out")}
    assert float(found["case00", "specialist", "2nd_manual"]["dice"]) == 1
    assert 0.8 < float(found["case00", "specialist", "1st_manual"]["dice"]) < 1
    assert (
        found["case00", "observer 2nd_manual", "1st_manual"]["dice"]
        == found["case00", "fused", "1st_manual"]["dice"]
    )
    assert found["case01", "fused", "1st_manual"]["status"] == "ok"
    assert found["case01", "fused", "2nd_manual"]["status"] == "unreadable"
    assert ("case01", "observer 2nd_manual", "1st_manual") not in found


async def test_nobody_takes_the_place_of_an_unreadable_first_reader(folder: Path, tmp_path: Path) -> None:
    """The first reader's rows stay first, unreadable; the second one's score is no headline of the case."""
    (folder / "masks").rename(folder / "2nd_manual")
    (folder / "1st_manual").mkdir()
    for path in (folder / "2nd_manual").iterdir():
        (folder / "1st_manual" / path.name).write_bytes(path.read_bytes())
    (folder / "1st_manual" / "case01.png").write_bytes(b"")
    result = await a_run(folder, tmp_path / "out", limit=3).go()
    rows = [row for row in rows_in(tmp_path / "out") if row["image"] == "case01"]
    assert [(row["model"], row["truth"], row["status"]) for row in rows] == [
        (model, reader, status)
        for model in ("specialist", "fused")
        for reader, status in (("1st_manual", "unreadable"), ("2nd_manual", "ok"))
    ]
    assert result.summary["models"]["fused"]["metrics"]["dice"]["n"] == 2
    assert result.summary["models"]["fused"]["unreadable"] == 1
    with Journal(tmp_path / "out") as journal:
        (record,) = [one for one in journal.records() if one.name == "case01"]
    assert (record.bins, record.thumbnail, record.margins) == ({}, None, None)


class Stuck(OtsuSegmenter):
    """A cloud that does not answer before it is let."""

    def __init__(self) -> None:
        super().__init__("cloud", role="omnimodel", asks_outside=True)
        self.answers = asyncio.Event()

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """A mask, in the end."""
        self.asked.append(image.name)
        await self.answers.wait()
        return await OtsuSegmenter.segment(self, image, task)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition()` holds."""
    for _ in range(4000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never came to that")


@pytest.mark.parametrize("places", [CLOUD_PLACES, 1])
async def test_a_slow_cloud_fills_its_own_places_only(folder: Path, tmp_path: Path, places: int) -> None:
    """While it is silent, it has its few questions, and as many cases more as may be at work go on."""
    own, cloud = OtsuSegmenter("own"), Stuck()
    workers = Station(OtsuModels(own, cloud), Bounds(cloud=places))
    run = a_run(folder, tmp_path / "out", omnimodel="cloud", workers=workers)
    going = asyncio.create_task(run.go())
    everybody = places + LOCAL_PLACES
    await until(lambda: len(cloud.asked) == places and len(own.asked) == everybody)
    await asyncio.sleep(0.1)
    assert (len(cloud.asked), len(own.asked)) == (places, everybody)
    cloud.answers.set()
    result = await going
    assert result.totals.finished == 12


async def test_a_cancelled_run_keeps_what_is_finished(folder: Path, tmp_path: Path) -> None:
    """Tables are written of the finished cases, the summary says that it is incomplete; a resume ends it."""
    notes = Notes()
    run = a_run(folder, tmp_path / "out", OtsuModels(OtsuSegmenter("own", delay_s=0.05)), notes=notes)
    going = asyncio.create_task(run.go())
    await until(lambda: len(notes.names) >= 3)
    run.cancel()
    result = await going
    assert result.incomplete
    assert 3 <= result.totals.finished < 12
    assert result.summary["about"]["incomplete"] is True
    assert len({row["image"] for row in rows_in(tmp_path / "out")}) == result.totals.finished
    resumed = await a_run(folder, tmp_path / "out", resume="yes").go()
    assert not resumed.incomplete
    undisturbed = await a_run(folder, tmp_path / "whole").go()
    assert resumed.summary == undisturbed.summary
    assert (tmp_path / "out" / "cases.csv").read_bytes() == (tmp_path / "whole" / "cases.csv").read_bytes()


async def test_a_pause_starts_nothing_new(folder: Path, tmp_path: Path) -> None:
    """What is at work is finished; the rest waits until it may go on."""
    notes = Notes()
    run = a_run(folder, tmp_path / "out", notes=notes)
    run.pause()
    assert [one.paused for one in notes] == [True]
    going = asyncio.create_task(run.go())
    await until(lambda: len(notes) == 2)
    await asyncio.sleep(0.2)
    assert not notes.names
    run.resume()
    assert [one.paused for one in notes] == [True, True, False]
    assert (await going).totals.finished == 12


async def test_cancelling_the_task_publishes_and_leaves_nothing_at_work(folder: Path, tmp_path: Path) -> None:
    """As by Ctrl-C: the cases ahead are stopped, what is finished is written, the models are closed."""
    models = OtsuModels(OtsuSegmenter("own", delay_s=0.05))
    notes = Notes()
    ours = asyncio.all_tasks()
    going = asyncio.create_task(a_run(folder, tmp_path / "out", models, notes=notes).go())
    await until(lambda: len(notes.names) >= 2)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert asyncio.all_tasks() == ours
    assert models.closed
    assert len({row["image"] for row in rows_in(tmp_path / "out")}) >= 2


async def test_progress_counts_and_estimates(folder: Path, tmp_path: Path) -> None:
    """From nothing to everything, with an estimate as soon as there is something to go by."""
    notes = Notes()
    await a_run(folder, tmp_path / "out", notes=notes).go()
    assert [one.totals.finished for one in notes] == list(range(13))
    assert notes[0].remaining_s is None
    assert notes[-1].remaining_s == 0
    assert all(one.remaining_s for one in notes[1:-1])
