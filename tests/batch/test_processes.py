"""Worker processes give the same rows as this one, and none of them is needed to stay alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omniview.batch.processes import Processes
from omniview.errors import OmniViewError
from tests.batch.otsu import MakeOtsu, a_run, write_set

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signals")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight cases."""
    return write_set(tmp_path / "set", 8)


async def test_two_jobs_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """cases.csv and summary.json do not depend on who did the cases; a broken one is among them."""
    (folder / "images" / "case05.png").write_bytes(b"broken")
    await a_run(folder, tmp_path / "one", masks=True).go()
    await a_run(folder, tmp_path / "two", masks=True, workers=Processes(2)).go()
    names = ["cases.csv", "summary.json", *(f"masks/case{i:02d}.fused.png" for i in range(5))]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


async def test_a_lost_worker_costs_nothing(folder: Path, tmp_path: Path) -> None:
    """Cases that were at work in a worker when it was killed are done once more."""
    make = MakeOtsu(deadly="case03", once=str(tmp_path / "killed"))
    result = await a_run(folder, tmp_path / "out", make=make, workers=Processes(2)).go()
    assert (tmp_path / "killed").exists()
    assert (result.totals.finished, result.totals.failed) == (8, 0)


async def test_a_case_that_kills_its_worker_is_a_row(folder: Path, tmp_path: Path) -> None:
    """It is named with the signal; those beside it are scored."""
    result = await a_run(folder, tmp_path / "out", make=MakeOtsu(deadly="case03"), workers=Processes(2)).go()
    assert (result.totals.finished, result.totals.failed) == (8, 1)
    lines = (tmp_path / "out" / "cases.csv").read_text("utf-8").splitlines()
    bad = [line for line in lines if "signal 9" in line]
    assert len(bad) == 2
    assert all(line.startswith("case03,") and ",failed," in line for line in bad)
    assert result.summary["models"]["fused"]["metrics"]["dice"]["n"] == 8  # it counts as the worst


_PARENT = """
import asyncio, sys
from pathlib import Path
from omniview.batch.processes import Processes
from omniview.errors import OmniViewError
from tests.batch.otsu import a_run

class Slow(Processes):
    async def do(self, work):
        done = await super().do(work)
        print(self._workers[0]._process.pid, flush=True)
        await asyncio.sleep(60)
        return done

asyncio.run(a_run(Path(sys.argv[1]), Path(sys.argv[2]), workers=Slow(1)).go())
"""


def test_workers_end_with_their_parent(folder: Path, tmp_path: Path) -> None:
    """A killed parent leaves no worker behind."""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(folder), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 30
        while _alive(worker):
            assert time.monotonic() < deadline, "the worker goes on"
            time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Whether a process is there and is more than an entry that nobody has collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(("status", "words"), [(3, "exit status 3"), (None, "No such file or directory")])
async def test_workers_that_cannot_start_end_the_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, words: str
) -> None:
    """One message instead of a failed row for every case; nothing is counted as done."""
    broken = tmp_path / "python"
    if status is not None:
        broken.write_text(f"#!/bin/sh\nexit {status}\n")
        broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(OmniViewError, match=f"No worker process can be started \\({words}\\)"):
        await a_run(folder, tmp_path / "out", workers=Processes(2)).go()
    monkeypatch.undo()
    result = await a_run(folder, tmp_path / "out", resume="yes").go()
    assert (result.totals.finished, result.totals.failed) == (8, 0)
