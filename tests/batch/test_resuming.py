"""A run goes on only as the run that it was; whatever is mixed on purpose is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniview.errors import OutputError
from tests.batch.otsu import Notes, a_run, write_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six cases."""
    return write_set(tmp_path / "set", 6)


async def test_a_folder_with_a_run_is_refused(folder: Path, tmp_path: Path) -> None:
    """Without --resume nothing is written over, and the message says how to go on."""
    await a_run(folder, tmp_path / "out").go()
    before = (tmp_path / "out" / "cases.csv").stat().st_mtime_ns
    with pytest.raises(OutputError, match="already holds a run") as caught:
        await a_run(folder, tmp_path / "out").go()
    assert "--resume" in caught.value.next_step
    assert (tmp_path / "out" / "cases.csv").stat().st_mtime_ns == before


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
