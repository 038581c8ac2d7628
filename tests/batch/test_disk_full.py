"""A disk that is full, or a share that is gone, ends a run with its cause, and costs no finished case."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.otsu import a_run, write_set
from tests.batch.test_killed import published

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")

_ROOT = Path(__file__).resolve().parents[2]
_SCORE = """
import asyncio, resource, sys
from pathlib import Path
from omniview.errors import OutputError
from tests.batch.otsu import a_run

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    asyncio.run(a_run(Path(sys.argv[1]), Path(sys.argv[2])).go())
except OutputError as error:
    print(error)
"""


async def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    """Where no file may grow beyond a limit, the journal stays whole, and a resume ends the run."""
    folder = write_set(tmp_path / "set", 30)
    done = subprocess.run(  # noqa: ASYNC221 - nothing else waits
        [sys.executable, "-c", _SCORE, str(folder), str(tmp_path / "out"), "150000"],
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=True,
    )
    assert "journal.sqlite could not be written" in done.stdout
    assert "go on with --resume" in done.stdout
    from omniview.batch.journal import Journal

    with Journal(tmp_path / "out") as journal:
        finished = journal.totals().finished
    assert 0 < finished < 30
    result = await a_run(folder, tmp_path / "out", resume="yes").go()
    assert result.totals.finished == 30
    await a_run(folder, tmp_path / "whole").go()
    assert published(tmp_path / "out") == published(tmp_path / "whole")


async def test_a_share_that_vanishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks that cannot be written end the run with the file's name; the journal is whole."""
    from omniview.errors import OutputError
    from tests.batch.otsu import Notes

    folder, out = write_set(tmp_path / "set", 6), tmp_path / "out"
    out.mkdir()
    (out / "masks").write_text("in the way")
    notes = Notes()
    with pytest.raises(OutputError, match="could not be written"):
        await a_run(folder, out, masks=True, notes=notes).go()
    assert not notes.names
    (out / "masks").unlink()
    assert (await a_run(folder, out, masks=True, resume="yes").go()).totals.finished == 6
