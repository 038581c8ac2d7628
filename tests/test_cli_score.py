"""`omniview score` as a person types it: refused, resumed, interrupted, and the same rows as from Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import omniview
from omniview.cli import app
from tests.batch.otsu import write_set
from tests.networks import write_specialist


@pytest.fixture
def folder(own_home: Path, tmp_path: Path) -> Path:
    """Four cases, and a tiny network for polyps."""
    write_specialist(own_home / "models")
    return write_set(tmp_path / "set", 4)


def score(folder: Path, out: Path, *options: str) -> Result:
    """What the command comes to."""
    always = ("--task", "polyp", "--omnimodel", "none", "--views", "1")
    return CliRunner().invoke(app, ["score", str(folder), "--out", str(out), *always, *options])


def test_a_run_is_refused_and_resumed(folder: Path, tmp_path: Path) -> None:
    """A second run ends with status 1 and the next step; --resume, bare or with a value, goes on."""
    assert score(folder, tmp_path / "out").exit_code == 0
    again = score(folder, tmp_path / "out")
    assert again.exit_code == 1
    assert again.stderr.startswith(f"{tmp_path / 'out'} already holds a run.")  # and no bar before it
    assert "--resume" in again.output
    assert score(folder, tmp_path / "out", "--resume").exit_code == 0
    (folder / "images" / "case01.png").write_bytes(b"broken")
    changed = score(folder, tmp_path / "out", "--resume")
    assert changed.exit_code == 1
    assert "--resume=anyway" in changed.output
    mixed = score(folder, tmp_path / "out", "--resume=anyway")
    assert mixed.exit_code == 1  # a case failed
    assert "case01: fused: unreadable" in mixed.output


def test_all_doors_give_the_same_rows(folder: Path, tmp_path: Path) -> None:
    """The command line, worker processes and Python write the same table, byte by byte."""
    assert score(folder, tmp_path / "a").exit_code == 0
    assert score(folder, tmp_path / "b", "--jobs", "2").exit_code == 0
    omniview.score(folder, tmp_path / "c", task="polyp", omnimodel="none", views=1)
    tables = {(tmp_path / name / "cases.csv").read_bytes() for name in "abc"}
    assert len(tables) == 1


@pytest.mark.parametrize(("spoilt", "status"), [("images", 1), ("masks", 0)])
def test_a_folder_without_a_score_ends_in_words(
    folder: Path, tmp_path: Path, spoilt: str, status: int
) -> None:
    """Where no image can be read, or none has a truth, there is no mean to tell, and results all the same."""
    for path in (folder / spoilt).iterdir():
        path.write_bytes(b"broken") if spoilt == "images" else path.unlink()
    told = score(folder, tmp_path / "out")
    assert told.exit_code == status
    assert "fused: no Dice (n 0, failed 0)" in told.output
    assert (tmp_path / "out" / "report.html").exists()


def test_what_cannot_be_paired_is_told_first(folder: Path, tmp_path: Path) -> None:
    """Images without a mask and masks without an image are named with the reason."""
    (folder / "masks" / "case02.png").rename(folder / "masks" / "other.png")
    told = score(folder, tmp_path / "out").output
    assert "not paired: case02.png: no mask has this image's name" in told
    assert "not paired: other.png: no image has this mask's name" in told


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts by signals")
def test_ctrl_c_keeps_what_is_finished(own_home: Path, tmp_path: Path) -> None:
    """An interrupted run writes its tables, says how to go on, and goes on."""
    write_specialist(own_home / "models")
    folder, out = write_set(tmp_path / "set", 800), tmp_path / "out"  # a busy machine is late to interrupt
    command = [sys.executable, "-m", "omniview", "score", str(folder), "--out", str(out)]
    options = ["--task", "polyp", "--omnimodel", "none", "--views", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, env=environment) as running:
        deadline = time.monotonic() + 60
        journal = out / "journal.sqlite-wal"  # where finished cases are written first
        while not journal.exists() or journal.stat().st_size < 500_000:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    assert running.returncode == 130
    assert b"go on with --resume" in said
    finished = len((out / "cases.csv").read_text("utf-8").splitlines()) // 2
    assert 0 < finished < 800
    assert score(folder, out, "--resume").exit_code == 0
    assert len((out / "cases.csv").read_text("utf-8").splitlines()) == 1601


def test_a_run_is_compared_with_another(folder: Path, tmp_path: Path) -> None:
    """--against says what had changed and which cases moved."""
    assert score(folder, tmp_path / "a").exit_code == 0
    (folder / "images" / "case01.png").write_bytes(b"broken")
    told = score(folder, tmp_path / "b", "--against", str(tmp_path / "a"))
    assert told.exit_code == 1  # a case failed
    assert "case01" in told.output
    assert (tmp_path / "b" / "against.html").exists()
    assert (tmp_path / "b" / "against.json").exists()


def test_what_there_is_to_compare_with_is_looked_at_first(folder: Path, tmp_path: Path) -> None:
    """A slip in --against ends the command before hours of scoring, not after."""
    out = tmp_path / "out"
    for other, said in ((tmp_path / "gone", "holds no finished run"), (out, "with itself")):
        done = score(folder, out, "--against", str(other))
        assert said in str(done.exception)
        assert not out.exists()
