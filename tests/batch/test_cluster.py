"""A Dask cluster gives the rows that one process gives, whatever becomes of its workers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import omniview
from omniview.batch import station
from omniview.batch.cluster import Cluster, _seen
from omniview.batch.cluster_worker import Expected, Refusal, perform_here
from omniview.batch.processes import AHEAD
from omniview.batch.station import Bounds
from omniview.batch.work import Done, Work
from omniview.errors import SettingsError
from omniview.scoring import ComposerOf, MadeOf, Plan, plan
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
import sys
import omniview
import psutil

killed = []

def kill_one(progress):
    if progress.totals.finished == 6 and not killed:
        below = psutil.Process().children(recursive=True)
        killed.append(next(one for one in below if "spawn_main" in " ".join(one.cmdline())))
        killed[0].kill()

folder, out = sys.argv[1:]
chosen = {"task": "polyp", "omnimodel": "none", "views": 1}
result = omniview.score(folder, out, jobs=2, scheduler="local", on_progress=kill_one, **chosen)
assert not result.incomplete
print(len(killed))
"""


def ran(script: Path, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What a script comes to, in a process of its own: Dask keeps threads and coroutines for its life."""
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_a_killed_worker_changes_no_row(folder: Path, tmp_path: Path) -> None:
    """A worker is killed in the middle; the other does its cases; the table is that of the local run.

    The script has no guard against being run once more, as Dask's own workers would.
    """
    planned = plan(folder, Settings(omnimodel="none", views=1), task="polyp")
    score_with(planned, tmp_path / "one")
    told = ran(tmp_path / "killing.py", _KILLING, folder, tmp_path / "many")
    assert (told.returncode, told.stdout.strip()) == (0, "1"), told.stderr
    for name in ("cases.csv", "summary.json"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


_DEADLY = """
import asyncio, sys
from pathlib import Path
from omniview.batch.cluster import Cluster
from tests.batch.otsu import MakeOtsu, a_run

folder, out = map(Path, sys.argv[1:])

async def main():
    workers = Cluster("local", jobs=1)
    return await a_run(folder, out, make=MakeOtsu(deadly="case03"), workers=workers, limit=6).go()

result = asyncio.run(main())
print(result.totals.finished, result.totals.failed)
"""


def test_a_case_that_kills_its_workers_takes_no_other_with_it(folder: Path, tmp_path: Path) -> None:
    """It is the only failed row, however often those beside it lost their worker, too."""
    told = ran(tmp_path / "deadly.py", _DEADLY, folder, tmp_path / "out")
    assert (told.returncode, told.stdout.strip()) == (0, "6 1"), told.stderr
    lines = (tmp_path / "out" / "cases.csv").read_text("utf-8").splitlines()
    bad = [line for line in lines if "workers ended while they were at this case alone" in line]
    assert len(bad) == 2
    assert all(line.startswith("case03,") and ",failed," in line for line in bad)


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts by signals")
def test_ctrl_c_is_heard_by_the_run_alone(folder: Path, tmp_path: Path) -> None:
    """A terminal tells every process of it: the run says how to go on, and no worker says anything."""
    arguments = ["score", folder, "--out", tmp_path / "out", "--task", "polyp", "--omnimodel", "none"]
    with subprocess.Popen(
        [sys.executable, "-m", "omniview", *map(str, arguments), "--scheduler", "local"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as running:
        deadline = time.monotonic() + 120
        journal = tmp_path / "out" / "journal.sqlite-wal"  # where finished cases are written first
        begun = None
        while begun is None or journal.stat().st_size == begun:
            assert time.monotonic() < deadline
            assert running.poll() is None
            if begun is None and journal.exists() and journal.stat().st_size > 20_000:
                begun = journal.stat().st_size
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate()
    assert running.returncode == 130
    assert b"go on with --resume" in said
    assert b"Traceback" not in said


_DEVICES = """
import asyncio, os
from distributed import Client
from omniview.batch.cluster import _gpus
from omniview.batch.cluster_start import on_this_machine

async def main():
    async with await on_this_machine(3, 1, _gpus()) as cluster, Client(cluster, asynchronous=True) as client:
        await client.wait_for_workers(3)
        seen = await client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
        print(*sorted(seen.values()))

asyncio.run(main())
"""


def test_each_worker_sees_one_of_the_devices_that_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a shared machine a job has some; workers take those in turn, not the first ones of all."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert Cluster("local", jobs=1).capacity == 2 * AHEAD
    told = ran(tmp_path / "devices.py", _DEVICES)
    assert (told.returncode, told.stdout.split()) == (0, ["3", "3", "5"]), told.stderr


def test_a_worker_that_does_not_see_the_folder_does_no_case(folder: Path, tmp_path: Path) -> None:
    """Its rows would say that files are missing which are there; what is missing everywhere is a row."""
    planned = plan(folder, Settings(omnimodel="none"), task="polyp")
    pair = planned.pairing.pairs[0]
    assert _seen(pair) == pair.files
    work = Work(pair, planned.order, ComposerOf(planned.settings))
    pair.image.rename(tmp_path / "elsewhere.png")
    told = perform_here(work, Expected(omniview.__version__), pair.files, Bounds())
    assert isinstance(told, tuple)
    assert f"does not see {pair.image}" in told[0]
    assert _seen(pair) == pair.files[1:]


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


def test_without_the_extra_the_line_that_installs_it_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the very Python that runs, where a bare pip may be another's."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match="needs distributed, which is not installed") as caught:
        omniview.score(
            folder, tmp_path / "out", task="polyp", omnimodel="none", scheduler="tcp://127.0.0.1:9"
        )
    assert f'{sys.executable} -m pip install "omniview[cluster]"' in caught.value.next_step


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
    told = perform_here(work, Expected("0.0.1"), (), Bounds())
    assert isinstance(told, tuple)
    assert "0.0.1" in told[0]
    assert omniview.__version__ in told[0]


def test_a_worker_with_other_models_does_no_case(folder: Path, own_home: Path, tmp_path: Path) -> None:
    """What a run's answers are made of is the same on every worker, or the run says what is not."""
    planned = plan(folder, Settings(omnimodel="none"), task="polyp")
    look = MadeOf(planned.order.question)
    expected = Expected(omniview.__version__, look(), look)
    pair = replace(planned.pairing.pairs[0], image=tmp_path / "none.png")

    def told(session: str) -> Done | Refusal:
        work = Work(pair, planned.order, ComposerOf(planned.settings, session=session))
        return perform_here(work, expected, (), Bounds())

    try:
        assert isinstance(told("first"), Done)
        (own_home / "models" / "bright.toml").unlink()
        assert isinstance(told("first"), Done)  # it has its models already
        refused = told("second")
    finally:
        while station._residents:
            station._residents.popitem()[1].close()
    assert isinstance(refused, tuple)
    assert "has not the models of this machine: cards.bright, weights.bright." in refused[0]


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
