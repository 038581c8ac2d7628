"""A queueing system's jobs do the cases; what it refuses, or is not told, ends in a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.batch.otsu import write_set
from tests.networks import write_specialist

pytestmark = [
    # not imported here: that takes Ctrl-C away from whoever runs the tests
    pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="omniview[cluster] is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="plays SLURM by shell scripts"),
]

_SBATCH = """#!/bin/sh
cp "$1" "$0.job"
cd / && setsid sh "$0.job" > "$0.log" 2>&1 &
echo "Submitted batch job $!"
"""
_SCANCEL = """#!/bin/sh
kill "$1"
"""
_NEVER = """#!/bin/sh
touch "$0.asked"
echo "Submitted batch job 1"
"""
_REFUSING = """#!/bin/sh
echo "sbatch: error: invalid account" >&2
exit 1
"""


@pytest.fixture
def folder(tmp_path: Path, own_home: Path) -> Path:
    """Six cases; a tiny network of the user's own."""
    write_specialist(own_home / "models")
    return write_set(tmp_path / "set", 6)


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder of commands that play SLURM."""
    found = tmp_path / "bin"
    found.mkdir()
    return found


def command(path: Path, text: str) -> None:
    """Make a command."""
    path.write_text(text)
    path.chmod(0o755)


def begun(
    folder: Path, out: Path, commands: Path, *options: str, memory: str = "1GB"
) -> subprocess.Popen[str]:
    """`omniview score`, typed in the set's own folder."""
    always = ("--task", "polyp", "--omnimodel", "none", "--views", "1", *options)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(commands), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    if memory:
        environment["DASK_JOBQUEUE__SLURM__MEMORY"] = memory
    return subprocess.Popen(
        [sys.executable, "-m", "omniview", "score", folder.name, "--out", str(out), *always],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
        env=environment,
    )


def score(folder: Path, out: Path, commands: Path, *options: str, memory: str = "1GB") -> tuple[int, str]:
    """Exit status and words of `omniview score`."""
    with begun(folder, out, commands, *options, memory=memory) as running:
        _, said = running.communicate(timeout=300)
    return running.returncode, said


def test_jobs_give_the_rows_that_one_process_gives(folder: Path, tmp_path: Path, commands: Path) -> None:
    """Also where the folder is named from where the run is, and the jobs are at work elsewhere."""
    command(commands / "sbatch", _SBATCH)
    command(commands / "scancel", _SCANCEL)
    assert score(folder, tmp_path / "one", commands)[0] == 0
    status, said = score(folder, tmp_path / "many", commands, "--scheduler", "slurm")
    assert status == 0, said
    assert "Cases go to slurm as soon as there is a worker." in said
    for name in ("cases.csv", "summary.json"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_jobs_that_are_refused_end_the_run(folder: Path, tmp_path: Path, commands: Path) -> None:
    """In the system's own words; nobody waits for workers that will never come."""
    command(commands / "sbatch", _REFUSING)
    status, said = score(folder, tmp_path / "out", commands, "--scheduler", "slurm")
    assert status == 2
    assert "cannot be started: sbatch: error: invalid account." in said
    assert "Traceback" not in said


def test_a_system_that_is_not_here_is_said(folder: Path, tmp_path: Path, commands: Path) -> None:
    """A message with the next step."""
    status, said = score(folder, tmp_path / "out", commands, "--scheduler", "slurm")
    assert status == 2
    assert "submits jobs by sbatch, which is not on this machine." in said
    assert "Traceback" not in said


def test_a_job_without_memory_is_said(folder: Path, tmp_path: Path, commands: Path) -> None:
    """The file that it is to be written into is named."""
    command(commands / "sbatch", _SBATCH)
    status, said = score(folder, tmp_path / "out", commands, "--scheduler", "slurm", memory="")
    assert status == 2
    assert "memory" in said
    assert "jobqueue.yaml" in said
    assert "Traceback" not in said


def test_who_waits_for_jobs_can_stop(folder: Path, tmp_path: Path, commands: Path) -> None:
    """Ctrl-C ends a run whose jobs never start as it ends any other: dask-jobqueue would take it."""
    command(commands / "sbatch", _NEVER)
    command(commands / "scancel", _SCANCEL)
    with begun(folder, tmp_path / "out", commands, "--scheduler", "slurm") as running:
        assert running.stderr is not None
        while "as soon as there is a worker" not in running.stderr.readline():
            assert running.poll() is None
        while not list(commands.glob("sbatch.asked")):
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        try:
            _, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "go on with --resume" in said
    assert "Traceback" not in said
