from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from omniview import resources
from omniview.errors import OmniViewError

ROOT = Path(__file__).resolve().parents[1]


def test_a_checkout_reads_its_own_folder() -> None:
    """In a source tree the resources are those beside the package."""
    assert resources.path("models") == ROOT / "resources" / "models"


def test_what_is_missing_is_named() -> None:
    """The message names the resource and what to do."""
    with pytest.raises(OmniViewError, match=r"models/no-such-card\.toml is missing") as caught:
        resources.path("models/no-such-card.toml")
    assert caught.value.next_step


@pytest.mark.parametrize("name", ["", "/etc/hosts", "../pyproject.toml", "models/../..", "models\\x", "C:/x"])
def test_names_stay_inside(name: str) -> None:
    """No name leads out of the resources, on any platform."""
    with pytest.raises(ValueError, match="inside the resources"):
        resources.path(name)


def test_a_frozen_app_reads_its_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyInstaller unpacks the wheel's layout into the folder that it names."""
    bundled = tmp_path / "omniview" / "_resources" / "models"
    bundled.mkdir(parents=True)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert resources.path("models") == bundled


def test_the_wheel_brings_everything(tmp_path: Path) -> None:
    """A built wheel holds every resource, the command and the licence, and finds what it holds."""
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        commands = next(name for name in names if name.endswith(".dist-info/entry_points.txt"))
        assert "omniview = omniview.__main__:main" in archive.read(commands).decode()
        archive.extractall(tmp_path / "installed")
    shipped = {file.relative_to(ROOT / "resources").as_posix() for file in tracked_resources()}
    assert shipped <= {name.removeprefix("omniview/_resources/") for name in names}
    assert "omniview/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)

    if first := min(shipped, default=None):
        code = "import sys; from omniview import resources; print(resources.path(sys.argv[1]))"
        asked = subprocess.run(
            [
                sys.executable,
                "-I",
                "-c",
                f"import sys; sys.path.insert(0, sys.argv.pop()); {code}",
                first,
                ".",
            ],
            cwd=tmp_path / "installed",
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        assert Path(asked.stdout.strip()) == tmp_path / "installed" / "omniview" / "_resources" / first


def tracked_resources() -> list[Path]:
    """What ships: files under resources/, without what an editor or a test run left there."""
    files = (file for file in (ROOT / "resources").rglob("*") if file.is_file())
    return [file for file in files if not any(part.startswith(".") for part in file.parts[-2:])]
