"""Whatever moment a run is killed at, going on ends with the very bytes of a run that nothing disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.otsu import write_set
from tests.networks import write_specialist

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, and kills by signals")

KILLS = 30
_ROOT = Path(__file__).resolve().parents[2]


class Forker:
    """The process that forks the runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def score(self, out: Path, kill_after_s: float = 300.0) -> int:
        """The exit status of a run; negative where it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{out} {kill_after_s}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture
def forker(own_home: Path, tmp_path: Path) -> Iterator[Forker]:
    """It scores ten cases, one of them broken, by a tiny network."""
    write_specialist(own_home / "models")
    folder = write_set(tmp_path / "set", 10)
    (folder / "images" / "case04.png").write_bytes(b"broken")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.batch.score_set", str(folder), str(tmp_path / "warm")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"},
    ) as process:
        yield Forker(process)


def published(out: Path) -> dict[str, bytes]:
    """Every file of the results but the journal and the times."""
    kept = (p for p in out.rglob("*") if p.is_file() and p.name != "timings.csv" and "journal" not in p.name)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in kept}


def test_thirty_kills_change_nothing(forker: Forker, tmp_path: Path) -> None:
    """Runs are killed at random moments and resumed until they end; then the next run begins."""
    assert forker.score(tmp_path / "first") == 0
    start = time.monotonic()
    assert forker.score(tmp_path / "whole") == 0
    took = time.monotonic() - start
    whole = published(tmp_path / "whole")
    assert {"cases.csv", "summary.json", "masks/case00.fused.png"} <= set(whole)
    moments = random.Random(6)
    kills = turns = 0
    while kills < KILLS:
        out = tmp_path / f"out{turns}"
        turns += 1
        # a resumed run is shorter: the further moments are drawn from what may be left of it
        for left in (1.0, 0.8, 0.6, 0.5):
            status = forker.score(out, moments.uniform(0.0, took * left))
            kills += status == -signal.SIGKILL
            if status == 0:
                break
        assert forker.score(out) == 0
        assert published(out) == whole
