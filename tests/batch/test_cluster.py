"""A Dask cluster gives the rows that one process gives, whatever becomes of its workers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import omniview
from omniview.batch.cluster import Cluster, _perform
from omniview.batch.processes import AHEAD
from omniview.batch.work import Work
from omniview.errors import SettingsError
from omniview.scoring import ComposerOf, Plan, plan
from omniview.settings import Settings
from tests.batch.otsu import write_set
from tests.networks import write_specialist

pytest.importorskip("distributed", reason="the extra omniview[cluster] is not installed")

CASES = 24


@pytest.fixture
def folder(tmp_path: Path, own_home: Path) -> Path:
    """A set with one broken image; a tiny network of the user's own."""
    write_specialist(own_home / "models")
    written = write_set(tmp_path / "set", CASES)
    (written / "images" / "case07.png").write_bytes(b"\x89PNG broken")
    return written


def score_with(planned: Plan, out: Path) -> None:
    """Score in this process."""

    async def work() -> None:
        await planned.run(out).go()

    asyncio.run(work())


_KILLING = """
import asyncio, multiprocessing, os, signal, sys
from pathlib import Path
from omniview.scoring import plan
from omniview.settings import Settings

folder, out = map(Path, sys.argv[1:])
killed = []

def kill_one(progress):
    if progress.totals.finished == 6 and not killed:
        killed.append(next(c.pid for c in multiprocessing.active_children()))
        os.kill(killed[0], signal.SIGKILL)

async def main():
    planned = plan(folder, Settings(omnimodel="none", views=1), task="polyp")
    return await planned.run(out, jobs=2, scheduler="local", on_progress=kill_one).go()

if __name__ == "__main__":
    assert not asyncio.run(main()).incomplete
    print(len(killed))
"""


def test_a_killed_worker_changes_no_row(folder: Path, tmp_path: Path) -> None:
    """A worker is killed in the middle; the other does its cases; the table is that of the local run.

    In a process of its own, since Dask keeps threads and coroutines for the life of one.
    """
    planned = plan(folder, Settings(omnimodel="none", views=1), task="polyp")
    score_with(planned, tmp_path / "one")
    script = tmp_path / "killing.py"
    script.write_text(_KILLING)
    told = subprocess.run(
        [sys.executable, str(script), str(folder), str(tmp_path / "many")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (told.returncode, told.stdout.strip()) == (0, "1"), told.stderr
    for name in ("cases.csv", "summary.json"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_a_scheduler_that_is_not_there_is_said(folder: Path, tmp_path: Path) -> None:
    """A wrong address ends in a message with the next step, and not in a row for each case."""
    arguments = ["score", folder, "--out", tmp_path / "out", "--task", "polyp", "--omnimodel", "none"]
    told = subprocess.run(
        [sys.executable, "-m", "omniview", *map(str, arguments), "--scheduler", "tcp://127.0.0.1:9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "cannot be reached" in told.stderr
    assert "--jobs" in told.stderr
    assert "Traceback" not in told.stderr


def test_somebody_elses_cluster_is_kept_busy() -> None:
    """Of a cluster that is there already nobody knows the workers: many are served."""
    assert Cluster("tcp://127.0.0.1:9").capacity >= 64 * AHEAD
    assert Cluster("slurm", jobs=2, asking=4).capacity == 2 * (AHEAD + 4)


def test_offline_and_a_cluster_exclude_each_other(folder: Path, tmp_path: Path) -> None:
    """Offline opens no socket, not even to this machine's own workers."""
    planned = plan(folder, Settings(omnimodel="none", offline=True), task="polyp")
    with pytest.raises(SettingsError, match="socket"):
        planned.run(tmp_path / "out", scheduler="local")


def test_a_worker_of_another_version_does_no_case(folder: Path) -> None:
    """A worker that comes late is asked with every case; its rows would not be those of this run."""
    planned = plan(folder, Settings(omnimodel="none"), task="polyp")
    work = Work(planned.pairing.pairs[0], planned.order, ComposerOf(planned.settings))
    told = _perform(work, "0.0.1")
    assert isinstance(told, str)
    assert "0.0.1" in told
    assert omniview.__version__ in told


@pytest.mark.parametrize("cap", ["session", "daily"])
@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:9", "slurm"])
def test_a_cap_and_other_machines_exclude_each_other(
    folder: Path, tmp_path: Path, scheduler: str, cap: str
) -> None:
    """Machines do not see each other's spending; this one's own workers do, and no cap is no matter."""

    async def started(settings: Settings, where: str) -> None:
        plan(folder, settings, task="polyp").run(tmp_path / "out", scheduler=where)

    capped = Settings(omnimodel="gemini").changed(budget={cap: 1.0})
    with pytest.raises(SettingsError, match="one machine only"):
        asyncio.run(started(capped, scheduler))
    asyncio.run(started(capped, "local"))
    asyncio.run(started(capped.changed(omnimodel="none"), scheduler))
    asyncio.run(started(Settings(omnimodel="gemini"), scheduler))
