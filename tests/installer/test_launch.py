"""The launcher on a project of its own: the same file, a package without dependencies, a real environment."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from installer import launch

ROOT = Path(__file__).resolve().parents[2]

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "omniview"
version = "1"
dependencies = {dependencies}
"""

# the smallest editable wheel, so that pip has nothing to fetch
BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "omniview-1-py3-none-any.whl"
    here = pathlib.Path(__file__).parent
    needs = "".join(f"Requires-Dist: {line}\\n" for line in (here / "needs.txt").read_text().split())
    info = "omniview-1.dist-info/"
    kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr("omniview.pth", str(here))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: omniview\\nVersion: 1\\n" + needs)
        wheel.writestr(info + "WHEEL", kind)
        wheel.writestr(info + "RECORD", "")
    return name
"""

DOCTOR = """
def missing_libraries(plugins): return []
def apt_packages(libraries): return [], []
def qt_failure(): return None
"""

MAIN = """
import pathlib, sys
print("arguments", sys.argv[1:])
if "--screenshot" in sys.argv:
    pathlib.Path(sys.argv[sys.argv.index("--screenshot") + 1]).touch()
sys.exit(3 if "fail" in sys.argv else 0)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout in a folder whose name is not ASCII and has a space."""
    root = tmp_path / "Über OmniView"
    (root / "installer").mkdir(parents=True)
    (root / "omniview").mkdir()
    shutil.copy(ROOT / "installer" / "launch.py", root / "installer")
    (root / "installer" / "constraints.txt").write_text("")
    (root / "pyproject.toml").write_text(PYPROJECT.format(dependencies="[]"))
    (root / "needs.txt").write_text("")
    (root / "backend.py").write_text(BACKEND)
    for name, text in (("__init__", ""), ("__main__", MAIN), ("doctor", DOCTOR)):
        (root / "omniview" / f"{name}.py").write_text(text)
    return root


def start(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start the project's launcher as a person does, without a screen and without a package index."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("DISPLAY")}
    inherited |= {"PIP_NO_INDEX": "1", "PYTHONUTF8": "1"}
    inherited.pop("QT_QPA_PLATFORM", None)
    return subprocess.run(
        [sys.executable, "installer/launch.py", *arguments],
        cwd=project,
        env={**inherited, **environment},
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_first_second_and_mended_start(project: Path) -> None:
    """The first start installs, the second does not, an interrupted one is mended by the next."""
    first = start(project, "score", "--out", "a b", "fail")
    assert first.returncode == 3, first.stderr
    assert first.stdout == "arguments ['score', '--out', 'a b', 'fail']\n"
    assert "The set-up took" in first.stderr

    second = start(project, "score")
    assert (second.returncode, second.stderr) == (0, "")

    demo = start(project)
    assert demo.returncode == 0, demo.stderr
    assert (project / "omniview-demo" / "window.png").exists()
    assert str(project / "omniview-demo") in demo.stderr
    assert "--offline" in demo.stdout

    (project / ".venv" / launch.STAMP).unlink()
    launch.program(project / ".venv", "python").unlink()
    mended = start(project, "score")
    assert mended.returncode == 0, mended.stderr
    assert "The set-up took" in mended.stderr


def test_no_network_is_said(project: Path) -> None:
    """Where the package index cannot be reached, that is the message, and the next start tries again."""
    (project / "needs.txt").write_text("omniview-needs-this-and-it-does-not-exist")
    closed = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    answer = start(project, **closed)
    assert answer.returncode == 1
    assert "The package index cannot be reached" in answer.stderr
    assert not (project / ".venv" / launch.STAMP).exists()


def test_fingerprint_knows_what_matters(project: Path) -> None:
    """Dependencies, pins and Python change it; the settings of a tool do not."""
    before = launch.fingerprint(project, "3.11")
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "[tool.ruff]\nline-length = 80\n")
    assert launch.fingerprint(project, "3.11") == before
    assert launch.fingerprint(project, "3.12") != before
    (project / "installer" / "constraints.txt").write_text("six==1.17.0")
    pinned = launch.fingerprint(project, "3.11")
    pyproject.write_text(PYPROJECT.format(dependencies='["six"]'))
    assert len({before, pinned, launch.fingerprint(project, "3.11")}) == 3


def test_stamp_survives_and_garbage_counts_as_none(tmp_path: Path) -> None:
    """What was written is read; a missing, cut or foreign file means that no set-up finished."""
    assert launch.read_stamp(tmp_path) == {}
    launch.write_stamp(tmp_path, key="k", extras=("test", "train"))
    stamp = launch.read_stamp(tmp_path)
    assert stamp["key"] == "k"
    assert launch.covers(stamp, "extras", ("train",))
    assert not launch.covers(stamp, "extras", ("docs",))
    assert launch.covers(stamp, "nothing", ())
    for garbage in ('{"key": ', "[]", ""):
        (tmp_path / launch.STAMP).write_text(garbage)
        assert launch.read_stamp(tmp_path) == {}


def test_programs_are_where_the_platform_keeps_them() -> None:
    """`Scripts` with .exe on Windows, `bin` elsewhere."""
    venv = Path("venv")
    assert launch.program(venv, "python", windows=True) == venv / "Scripts" / "python.exe"
    assert launch.program(venv, "python", windows=False) == venv / "bin" / "python"


def test_apt_line_can_be_typed() -> None:
    """The line names the packages, and sudo unless it is root who reads it."""
    line = launch.apt_line(["libegl1", "libgl1"])
    assert line.endswith("apt-get install --yes libegl1 libgl1")
    assert line.startswith("sudo ") == (os.geteuid() != 0)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Collecting x", "ERROR: [Errno 28] No space left on device"], "The disk is full"),
        (["Collecting x", "ERROR: ResolutionImpossible"], "pip could not install"),
        (["WARNING: Retrying: Temporary failure in name resolution", "ERROR: none"], "cannot be reached"),
        (["no line says what is wrong"], "no line says what is wrong"),
    ],
)
def test_pip_failures_are_explained(lines: list[str], expected: str) -> None:
    """What pip said is kept, under a sentence that says what it means."""
    message = launch.pip_failure(lines)
    assert expected in message
    assert lines[-1] in message


@pytest.mark.parametrize(
    ("environment", "plugin"),
    [
        ({}, "offscreen"),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, "xcb"),
        ({"WAYLAND_DISPLAY": "w"}, "wayland"),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has sessions without a screen")
def test_screen(environment: dict[str, str], plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """X11 wins over Wayland as in Qt on most desktops; neither means that nothing can be shown."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launch.screen() == plugin


def test_core_must_be_covered_unless_tests_are_chosen() -> None:
    """The whole run demands 100 % of core; a part of the tests cannot reach that. pytest comes last."""
    whole, part = launch.steps([])[-1], launch.steps(["tests/io"])[-1]
    assert whole[0] == part[0] == "pytest"
    assert "--cov-fail-under=100" in whole[1]
    assert part[1][-1] == "tests/io"
    assert not any(argument.startswith("--cov") for argument in part[1])


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (PermissionError(13, "Permission denied", ".venv"), "a folder of your own"),
        (OSError(28, "No space left on device"), "Make room"),
    ],
)
def test_what_cannot_be_written_is_told(
    error: OSError, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkout of somebody else's and a full disk get cause and next step, wherever they show."""

    def fail(extras: tuple[str, ...]) -> None:
        raise error

    monkeypatch.setattr(launch, "prepare", fail)
    assert launch.main([]) == 1
    said = capsys.readouterr().err
    assert str(error) in said
    assert step in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a screen")
def test_a_demo_that_has_no_place_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where omniview-demo cannot be made, nothing is rendered in vain."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    launch.DEMO.touch()
    assert launch.open_sample() == 1
    assert "omniview-demo cannot be made (File exists)" in capsys.readouterr().err


def test_old_python_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Too old a Python gets a sentence, not a traceback."""
    monkeypatch.setattr(launch, "MINIMUM", (9, 9))
    assert launch.main([]) == 2
    assert "needs Python 9.9 or newer" in capsys.readouterr().err


def test_every_dependency_is_pinned() -> None:
    """constraints.txt pins each package that pyproject.toml asks for on this platform, torch exactly."""
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "installer" / "constraints.txt").read_text("utf-8").splitlines()
    pins = {
        canonicalize_name(pin.name): pin.specifier
        for pin in (Requirement(line) for line in lines if line and not line.startswith("#"))
    }
    assert all(len(pin) == 1 and str(pin).startswith("==") for pin in pins.values())
    assert str(pins[canonicalize_name("torch")]) == "==2.13.0"
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    for requirement in map(Requirement, [*project["dependencies"], *extras]):
        if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"}):
            pinned = str(pins[canonicalize_name(requirement.name)]).removeprefix("==")
            assert requirement.specifier.contains(pinned), f"{requirement} is pinned to {pinned}"


def test_an_old_python_gets_that_far() -> None:
    """The file is still understood by Pythons that are too old, or they could not be told so."""
    ast.parse((ROOT / "installer" / "launch.py").read_text("utf-8"), feature_version=(3, 7))
