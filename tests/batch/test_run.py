"""A folder is scored case by case; what is bad is a row with its reason, never a stop."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.batch.one import Question
from omniview.batch.rows import Row
from omniview.batch.run import score_pairs
from omniview.core.image import Image
from omniview.core.metrics import METRICS
from omniview.core.prediction import Prediction
from omniview.core.segmenter import Segmenter
from omniview.core.task import TASKS, Task
from omniview.errors import OutputError, SettingsError, Unreachable
from omniview.io.pair import pair_folder
from tests.fakes import OtsuSegmenter


class Models:
    """An Otsu specialist, and an omnimodel that is down for images whose name says so."""

    def tasks(self) -> Mapping[str, Task]:
        """The built-in tasks."""
        return TASKS

    def recognise(self, image: Image) -> Task | None:
        """Never clear."""
        return None

    def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
        """One or two segmenters."""
        dead = OtsuSegmenter("cloud", role="omnimodel", error=Unreachable("Down."))
        return (OtsuSegmenter("own"),) if omnimodel == "none" else (OtsuSegmenter("own"), dead)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve good cases with squares of different sizes, and one broken image among them."""
    images, masks = tmp_path / "set" / "images", tmp_path / "set" / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    rng = np.random.default_rng(3)
    for index in range(12):
        pixels = np.zeros((40, 40), np.uint8)
        y, x = rng.integers(2, 20, 2)
        pixels[y : y + 10, x : x + 12] = 200
        cv2.imwrite(str(images / f"case{index:02d}.png"), pixels)
        truth = np.zeros_like(pixels)
        truth[y : y + 10, x : x + 10] = 255
        cv2.imwrite(str(masks / f"case{index:02d}.png"), truth)
    (images / "case05.png").write_bytes(b"\x89PNG broken")
    return tmp_path / "set"


def _loaded(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None, path
    return np.asarray(pixels > 0)


def _rows(out: Path) -> list[dict[str, str]]:
    with (out / "cases.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_every_case_is_a_row_and_scores_are_right(folder: Path, tmp_path: Path) -> None:
    """Dice equals a recomputation from the written masks; the broken image has its reason; order is kept."""
    out = tmp_path / "out"
    seen: list[int] = []
    pairs = pair_folder(folder).pairs

    def watch(index: int, rows: Sequence[Row]) -> None:
        seen.append(index)

    totals = await score_pairs(pairs, Models(), Question("polyp"), out, masks=True, on_case=watch)
    rows = _rows(out)
    assert seen == list(range(12))
    assert len(rows) == 24
    assert (totals.cases, totals.failed) == (12, 1)
    for row in rows:
        stem = Path(row["image"]).stem
        if stem == "case05":
            assert row["status"] == "unreadable"
            assert row["reason"]
            assert row["dice"] == ""
            continue
        mask = _loaded(out / "masks" / f"{stem}.{row['model']}.png")
        truth = _loaded(folder / "masks" / f"{stem}.png")
        dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
        assert float(row["dice"]) == pytest.approx(dice, abs=1e-6)
        assert row["distance_unit"] == "px"
        assert all(row[name] != "" for name in METRICS if name not in ("auc", "average_precision"))
    summary = json.loads((out / "summary.json").read_text("utf-8"))["models"]["specialist"]
    assert (summary["cases"], summary["scored"], summary["unreadable"]) == (12, 11, 1)
    assert summary["metrics"]["dice"]["n"] == 11


async def test_a_dead_omnimodel_counts_as_failed_not_as_missing(folder: Path, tmp_path: Path) -> None:
    """Its rows are blank with a reason, its mean Dice counts each as 0, and the fused rows are complete."""
    out = tmp_path / "out"
    pairs = pair_folder(folder).pairs[:4]
    totals = await score_pairs(pairs, Models(), Question("polyp", "cloud"), out)
    omnimodel = [row for row in _rows(out) if row["model"] == "omnimodel"]
    assert {row["status"] for row in omnimodel} == {"failed"}
    assert all("Down." in row["reason"] for row in omnimodel)
    assert totals.summary["models"]["omnimodel"]["metrics"]["dice"]["mean"] == 0
    assert totals.summary["models"]["omnimodel"]["metrics"]["mae"]["mean"] == 1
    assert totals.summary["models"]["fused"]["scored"] == 4
    assert totals.failed == 0


async def test_an_image_of_unknown_kind_is_a_row(folder: Path, tmp_path: Path) -> None:
    """With task auto and an image that is not recognised, the row says how to go on."""
    await score_pairs(pair_folder(folder).pairs[:1], Models(), Question(), tmp_path / "out")
    assert all("Name the task" in row["reason"] for row in _rows(tmp_path / "out"))


async def test_a_wrong_task_is_said_once(folder: Path, tmp_path: Path) -> None:
    """A task that does not exist is a message before anything is written."""
    with pytest.raises(SettingsError, match="wart"):
        await score_pairs(pair_folder(folder).pairs, Models(), Question("wart"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_results_that_cannot_be_written_are_said(folder: Path, tmp_path: Path) -> None:
    """A folder that is a file ends the run with a message."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        await score_pairs(pair_folder(folder).pairs, Models(), Question("polyp"), tmp_path / "file")


async def test_finished_cases_stay_when_a_run_is_cut(folder: Path, tmp_path: Path) -> None:
    """An error in the middle leaves the rows before it in the file."""
    out = tmp_path / "out"

    def cut(index: int, rows: Sequence[Row]) -> None:
        if index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await score_pairs(pair_folder(folder).pairs, Models(), Question("polyp"), out, on_case=cut)
    assert len(_rows(out)) == 6


async def test_masks_are_named_as_the_rows_name_their_image(folder: Path, tmp_path: Path) -> None:
    """Of two images of one name in different folders it is clear which mask is whose."""
    for kind in ("images", "masks"):
        (folder / kind / "ward").mkdir()
        stored = (folder / kind / "case00.png").read_bytes()
        (folder / kind / "ward" / "case00.png").write_bytes(stored)
    pairs = pair_folder(folder).pairs
    await score_pairs(pairs, Models(), Question("polyp"), tmp_path / "out", masks=True)
    named = {row["image"] for row in _rows(tmp_path / "out") if row["status"] == "ok"}
    assert {"case00", "ward/case00"} <= named
    written = (tmp_path / "out" / "masks").rglob("*.fused.png")
    below = {path.relative_to(tmp_path / "out" / "masks").as_posix() for path in written}
    assert {name.removesuffix(".fused.png") for name in below} == named


async def test_a_defect_is_a_row(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw costs one case, not the run; the log has it whole."""

    class Defective(Models):
        def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
            raise ZeroDivisionError("unforeseen")

    pairs = pair_folder(folder).pairs[:2]
    totals = await score_pairs(pairs, Defective(), Question("polyp"), tmp_path / "out")
    assert totals.failed == 2
    assert all("ZeroDivisionError" in row["reason"] for row in _rows(tmp_path / "out"))
    assert "unforeseen" in caplog.text


async def test_nothing_is_at_work_after_a_run_that_broke_off(folder: Path, tmp_path: Path) -> None:
    """When results cannot be written, the cases ahead are stopped before the error is told."""

    class OnlyFirst(OtsuSegmenter):
        async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
            await asyncio.sleep(0 if image.name == "case00.png" else 60)
            return await OtsuSegmenter.segment(self, image, task)

    class Slow(Models):
        def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
            return (OnlyFirst(),)

    def stop(_index: int, _rows: Sequence[Row]) -> None:
        raise OutputError("The disk is full.")

    ours = asyncio.all_tasks()
    with pytest.raises(OutputError):
        await score_pairs(pair_folder(folder).pairs[:4], Slow(), Question("polyp"), tmp_path, on_case=stop)
    assert asyncio.all_tasks() == ours


async def test_frames_that_are_not_scored_are_told(folder: Path, tmp_path: Path) -> None:
    """Of a clip one frame is scored, and its row says so."""
    import tifffile

    for kind in ("images", "masks"):
        (folder / kind / "case00.png").unlink()
        pages = np.zeros((2, 20, 20), np.uint8)
        pages[:, 5:10, 5:10] = 255
        tifffile.imwrite(folder / kind / "case00.tif", pages, photometric="minisblack")
    await score_pairs(pair_folder(folder).pairs[:2], Models(), Question("polyp"), tmp_path / "out")
    told = {row["image"]: row["reason"] for row in _rows(tmp_path / "out")}
    assert "only frame 0" in told["case00"]
    assert "frame" not in told["case01"]
