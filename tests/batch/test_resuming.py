"""A run goes on only as the run that it was; whatever is mixed on purpose is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omniview.batch.progress import Progress
from omniview.batch.resuming import Resume, stamp_of
from omniview.errors import OutputError, UnreadableFile
from omniview.io.pair import pair_folder
from omniview.io.pair_types import Pair
from tests.batch.otsu import Notes, OtsuModels, a_run, write_set
from tests.fakes import OtsuSegmenter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six cases."""
    return write_set(tmp_path / "set", 6)


def slow() -> OtsuModels:
    """So that something can happen in the middle."""
    return OtsuModels(OtsuSegmenter("own", delay_s=0.05))


class Meanwhile(Notes):
    """Does something when the first case is done."""

    def __init__(self, what: Callable[[], object]) -> None:
        super().__init__()
        self._what = what

    def append(self, one: Progress) -> None:
        """Note it."""
        super().append(one)
        if one.totals.finished == 1:
            self._what()


async def test_a_folder_with_a_run_is_refused(folder: Path, tmp_path: Path) -> None:
    """Without --resume nothing is written over, and the message says how to go on."""
    await a_run(folder, tmp_path / "out").go()
    before = (tmp_path / "out" / "cases.csv").stat().st_mtime_ns
    with pytest.raises(OutputError, match="already holds a run") as caught:
        await a_run(folder, tmp_path / "out").go()
    assert "--resume" in caught.value.next_step
    assert (tmp_path / "out" / "cases.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize("resume", ["no", "yes", "anyway"])
async def test_a_folder_without_a_finished_case_holds_no_run(
    folder: Path, tmp_path: Path, resume: Resume
) -> None:
    """Where a run failed before its first case, another may begin; the results know nothing of the first."""
    await a_run(folder, tmp_path / "out", limit=1, deciding={"views": 8}).go()
    os.utime(folder / "images" / "case00.png", ns=(1, 1))
    stopped = a_run(folder, tmp_path / "out", deciding={"views": 4}, resume="anyway")
    stopped.cancel()
    assert (await stopped.go()).totals.finished == 0
    result = await a_run(folder, tmp_path / "out", deciding={"views": 1}, resume=resume).go()
    assert result.totals.finished == 6
    assert result.summary["about"]["resumed_anyway"] == []
    assert len((tmp_path / "out" / "cases.csv").read_text("utf-8").splitlines()) == 13


async def test_what_ran_for_nothing_is_forgotten(folder: Path, tmp_path: Path) -> None:
    """Models of cases that were all thrown away are not told as models of this run."""
    other = OtsuModels(OtsuSegmenter("other"))
    await a_run(folder, tmp_path / "out", other, limit=1).go()
    os.utime(folder / "images" / "case00.png", ns=(1, 1))
    result = await a_run(folder, tmp_path / "out", limit=1, resume="anyway").go()
    assert "other" not in str(result.summary["about"]["models"])


async def test_resuming_nothing_starts(folder: Path, tmp_path: Path) -> None:
    """On a new or empty folder --resume simply begins; on a finished run it does no case again."""
    (tmp_path / "out").mkdir()
    notes = Notes()
    assert (await a_run(folder, tmp_path / "out", resume="yes", notes=notes).go()).totals.finished == 6
    assert len(notes.names) == 6
    again = Notes()
    assert (await a_run(folder, tmp_path / "out", resume="yes", notes=again).go()).totals.finished == 6
    assert not again.names


async def test_changed_settings_are_refused(folder: Path, tmp_path: Path) -> None:
    """The message names what was and what is."""
    await a_run(folder, tmp_path / "out", deciding={"settings": {"views": 8}, "weights": {}}).go()
    changed = {"settings": {"views": 1}, "weights": {"polyp": "abc"}}
    with pytest.raises(OutputError, match=r"settings\.views was 8 and is 1; weights\.polyp was nothing"):
        await a_run(folder, tmp_path / "out", deciding=changed, resume="yes").go()


async def test_changed_inputs_are_refused(folder: Path, tmp_path: Path) -> None:
    """A changed image, a changed mask, a new case and a lost one are all told."""
    await a_run(folder, tmp_path / "out").go()
    os.utime(folder / "images" / "case01.png", ns=(1, 1))
    (folder / "masks" / "case02.png").write_bytes((folder / "masks" / "case03.png").read_bytes())
    os.utime(folder / "masks" / "case02.png", ns=(2, 2))
    (folder / "images" / "case04.png").rename(folder / "images" / "case99.png")
    with pytest.raises(OutputError) as caught:
        await a_run(folder, tmp_path / "out", resume="yes").go()
    for words in (
        "1 case is new (case99)",
        "1 case is gone (case04)",
        "2 cases are changed (case01, case02)",
    ):
        assert words in caught.value.message


async def test_anyway_is_recorded(folder: Path, tmp_path: Path) -> None:
    """--resume=anyway does what is new or changed, keeps the rest, and the summary says what was mixed."""
    await a_run(folder, tmp_path / "out", deciding={"views": 8}).go()
    os.utime(folder / "images" / "case01.png", ns=(1, 1))
    notes = Notes()
    result = await a_run(folder, tmp_path / "out", deciding={"views": 1}, resume="anyway", notes=notes).go()
    assert notes.names == ["case01"]
    told = result.summary["about"]["resumed_anyway"]
    assert told == ["views was 8 and is 1", "1 case is changed (case01)"]
    later = await a_run(folder, tmp_path / "out", deciding={"views": 1}, resume="yes").go()
    assert later.summary["about"]["resumed_anyway"] == told


async def test_two_runs_on_one_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    """The second hears of the first; the first goes on undisturbed."""
    from omniview.batch.journal import Journal

    with Journal(tmp_path / "out"), pytest.raises(OutputError, match="another run is writing"):
        await a_run(folder, tmp_path / "out").go()
    assert (await a_run(folder, tmp_path / "out").go()).totals.finished == 6


@pytest.mark.skipif(sys.platform == "win32", reason="an open file is not deleted there")
async def test_results_that_were_deleted_meanwhile_are_not_mixed_with_others(
    folder: Path, tmp_path: Path
) -> None:
    """Whoever deletes a folder and scores into it anew gets the new run's results, and not the old one's."""
    out = tmp_path / "out"
    begun = asyncio.Event()
    notes = Meanwhile(begun.set)
    going = asyncio.create_task(a_run(folder, out, slow(), notes=notes).go())
    await begun.wait()
    shutil.rmtree(out)
    await a_run(folder, out, limit=2).go()
    with pytest.raises(OutputError, match="is gone"):
        await going
    assert len((out / "cases.csv").read_text("utf-8").splitlines()) == 5


@pytest.mark.parametrize("emptied", [False, True])
async def test_a_folder_that_goes_away_costs_no_case(tmp_path: Path, emptied: bool) -> None:
    """A share that is unmounted in the middle ends the run; when it is back, a resume ends it as ever."""
    folder, away = write_set(tmp_path / "set", 24), tmp_path / "away"

    def unmount() -> None:
        (folder / "images").rename(away)
        if emptied:
            (folder / "images").mkdir()

    run = a_run(folder, tmp_path / "out", slow(), notes=Meanwhile(unmount))
    with pytest.raises(UnreadableFile, match=r"images is gone") as caught:
        await run.go()
    assert "--resume" in caught.value.next_step
    assert 1 <= (tmp_path / "out" / "cases.csv").read_text("utf-8").count("\n") // 2 < 24
    if emptied:
        (folder / "images").rmdir()
    away.rename(folder / "images")
    result = await a_run(folder, tmp_path / "out", resume="yes").go()
    assert (result.incomplete, result.totals.failed) == (False, 0)
    await a_run(folder, tmp_path / "whole").go()
    assert (tmp_path / "out" / "cases.csv").read_bytes() == (tmp_path / "whole" / "cases.csv").read_bytes()


async def test_a_file_that_goes_away_is_a_row(tmp_path: Path) -> None:
    """One missing image ends no run, and one that was never there neither."""
    folder = write_set(tmp_path / "set", 24)
    (folder / "images" / "case20.png").unlink()
    (folder / "images" / "case20.png").symlink_to("nowhere.png")
    gone = Meanwhile((folder / "images" / "case23.png").unlink)
    result = await a_run(folder, tmp_path / "out", slow(), notes=gone).go()
    assert (result.totals.finished, result.totals.failed) == (24, 2)


async def test_masks_of_another_folder_are_another_input(folder: Path, tmp_path: Path) -> None:
    """Same names, sizes and times do not make them the same."""
    shutil.copytree(folder / "masks", tmp_path / "other")
    (pair,) = pair_folder(folder).pairs[:1]
    other = Pair(pair.image, tmp_path / "other" / pair.files[1].name, pair.name)
    assert pair.files[1].stat().st_mtime_ns == other.files[1].stat().st_mtime_ns
    assert stamp_of(pair) != stamp_of(other)
    assert stamp_of(Pair(pair.image, pair.truth, pair.name)) == stamp_of(pair)


@pytest.mark.parametrize(
    ("header", "line"), [("x.mhd", "ElementDataFile = x.raw"), ("x.nhdr", "data file: ./x.raw")]
)
def test_the_pixels_beside_a_header_are_part_of_it(tmp_path: Path, header: str, line: str) -> None:
    """Other pixels are another input, though the header that names them is the same."""
    (tmp_path / header).write_text(f"NDims = 2\n{line}\n", "utf-8")
    pair = Pair(tmp_path / header, None, "x")
    found = [stamp_of(pair)]
    for content in (b"1", b"22"):
        (tmp_path / "x.raw").write_bytes(content)
        found.append(stamp_of(pair))
    assert len(set(found)) == 3


async def test_only_our_own_torn_files_are_swept(folder: Path, tmp_path: Path) -> None:
    """What a killed run left goes once the run is accepted; nothing else, nor anything of a refused one."""
    out = tmp_path / "out"
    await a_run(folder, out, masks=True).go()
    (out / "masks" / "ward").mkdir()
    ours = [out / ".cases.csv.0123abcd.part", out / "masks" / "ward" / ".a.png.0123abcd.part"]
    theirs = [out / ".download.part", out / "images" / ".x.png.0123abcd.part"]
    theirs[1].parent.mkdir()
    for path in (*ours, *theirs):
        path.write_bytes(b"")
    with pytest.raises(OutputError, match="already holds"):
        await a_run(folder, out, masks=True).go()
    assert all(path.exists() for path in (*ours, *theirs))
    await a_run(folder, out, masks=True, resume="yes").go()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)
