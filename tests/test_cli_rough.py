"""The command line under rough treatment: slips of the pen, full disks, odd names, no home, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from omniview.cli import app
from omniview.io.samples import SAMPLES
from tests.networks import write_specialist
from tests.test_cli import omniview

posix = pytest.mark.skipif(os.name != "posix", reason="the like of it is POSIX's own")


def _commands() -> Iterator[tuple[str, ...]]:
    group = typer.main.get_group(app)
    yield ()
    for name, command in group.commands.items():
        yield (name,)
        for below in getattr(command, "commands", {}):
            yield name, below


@pytest.mark.parametrize("command", [*_commands()], ids=" ".join)
def test_help_fits_a_narrow_terminal(command: tuple[str, ...]) -> None:
    """At 80 columns nothing is clipped, no paragraph breaks early, and brackets stand once."""
    done = omniview(*command, "--help", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert "…" not in done.stdout
    assert "[[" not in done.stdout
    prose = "\n".join(lines).partition("╭")[0].strip().split("\n\n")
    for before, after in (pair for part in prose for pair in pairwise(part.split("\n"))):
        assert len(before) + 1 + len(after.split()[0]) > 79, before


def test_help_names_each_sample() -> None:
    """Whoever has no image yet learns what to type."""
    said = re.sub(r"[│\s]+", " ", omniview("open", "--help").stdout)
    assert all(name in said for name in SAMPLES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("scroe", "folder"), "Did you mean score?"),
        (("photo",), "The commands are open, "),
        (
            ("train", "--task", "polyp", "--data", "x", "--out", "o", "--install"),
            "--install goes with",
        ),
        (("train", "--task", "polyp", "--data", "x", "--out", "o", "--parts", "all"), "--parts goes with"),
        (("train", "--task", "polyp", "--from", "x", "--data", "x", "--out", "o"), "Leave --task out"),
        (("train", "--task", "polyp", "--data", "x", "--out", "o", "--minutes", "inf"), "--minutes is inf"),
        (("train", "--task", "polyp", "--data", "x", "--out", "file"), "file cannot be made"),
        (("metrics", "a.png", "b.png", "--tolerance", "inf"), "--tolerance is inf"),
        (("segment", "a.png", "--out", "o", "--budget", "inf"), "finite"),
    ],
)
def test_slips_are_said(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be meant, or would be passed over, is status 2 with cause and next step."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    done = omniview(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@posix
def test_a_full_disk_is_said() -> None:
    """Data that cannot be written is an error in words, and no second one follows at the end."""
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "omniview", "models", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("What was asked for cannot be written to stdout (No space left on device).")
    assert len(done.stderr.splitlines()) == 1


@posix
def test_a_reader_who_leaves_is_no_error() -> None:
    """`omniview ... | head -1` says nothing on stderr."""
    command = [sys.executable, "-m", "omniview", "models", "show", "generalist-lite0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == ""


@posix
def test_a_home_that_the_terminal_cannot_spell(tmp_path: Path) -> None:
    """In an encoding that lacks a letter it is escaped; the command does its work."""
    done = omniview("cache", "info", OMNIVIEW_HOME=str(tmp_path / "żaba"), PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u017caba" in done.stdout


@pytest.mark.parametrize("module", ["typer", "omniview.doctor"])
def test_ctrl_c_ends_it_without_a_traceback(module: str) -> None:
    """Also while the command line is still being imported: status 130, and not a word of Python."""
    code = (
        "import sys\n"
        "class Pressed:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "from omniview.__main__ import main\n"
        "sys.argv = ['omniview', 'doctor']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "")


@posix
def test_a_name_that_is_no_utf8_stops_nothing(own_home: Path, tmp_path: Path) -> None:
    """An image with a Latin-1 name gets masks and a record like any other."""
    write_specialist(own_home / "models", "own")
    name = os.fsdecode(b"caf\xe9.png")
    ok, content = cv2.imencode(".png", np.full((32, 32, 3), 90, np.uint8))
    assert ok
    try:
        (tmp_path / name).write_bytes(content.tobytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    out = tmp_path / "out"
    done = omniview("segment", tmp_path / name, "--out", out, "--task", "polyp", "--omnimodel", "none")
    assert done.returncode == 0, done.stderr
    assert json.loads((out / os.fsdecode(b"caf\xe9.json")).read_text("utf-8"))["image"] == name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems know their home without HOME")
def test_without_a_home_the_way_out_is_said(tmp_path: Path) -> None:
    """A container's user without a home is told which variable to set; with it all works."""
    nowhere = (
        "import os, pwd, sys\n"
        "pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))\n"
        "for name in ('HOME', 'XDG_DATA_HOME', 'XDG_CONFIG_HOME'): os.environ.pop(name, None)\n"
        "from omniview.__main__ import main\n"
        "main()"
    )

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {k: v for k, v in os.environ.items() if k not in ("OMNIVIEW_HOME", "PYTHON_KEYRING_BACKEND")}
        return subprocess.run(
            [sys.executable, "-c", nowhere, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**given, **environment},
        )

    done = run("cache", "info")
    assert done.returncode == 2
    assert done.stderr.startswith("There is no home folder to keep settings and models in. Set OMNIVIEW_HOME")
    said = run("doctor")
    assert (said.returncode, said.stderr) == (1, "")
    assert "missing  Home: There is no home folder" in said.stdout
    assert run("cache", "info", OMNIVIEW_HOME=str(tmp_path)).returncode == 0
    # the keyring looks for its settings in the home folder: no home is no key, not a defect
    assert run("doctor", OMNIVIEW_HOME=str(tmp_path)).returncode == 0


def test_an_image_that_may_not_be_read_is_the_engines_to_refuse(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option parser would end the command over one of many images, and without a next step."""
    write_specialist(own_home / "models", "own")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 32, 3), 90, np.uint8))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root, who runs tests, may read everything
    arguments = ["segment", "a.png", "--out", "out", "--task", "polyp", "--omnimodel", "none"]
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "out" / "a.fused.png").exists()
