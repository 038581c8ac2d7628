"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / "omniview").rglob("*.py"))
OURS = [*PACKAGE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "installer").rglob("*.py"))]

HEAVY = (
    "PyQt6",
    "pyqtgraph",
    "qasync",
    "torch",
    "onnxruntime",
    "google.genai",
    "openai",
    "SimpleITK",
    "skimage",
    "pydicom",
)
VAGUE = {"manager", "handler", "helper", "helpers", "utils", "util", "base", "common", "service"}
# a folder of somebody's machine, rather than one that every machine has
MACHINE = re.compile(r"(?<![\w.<~-])/(?:home|Users|root|work|mnt|media)/[\w.-]+|[A-Z]:\\Users\\\w+")
PATIENT_IMAGES = {".jpg", ".jpeg", ".dcm", ".tif", ".tiff", ".bmp", ".webp", ".nii", ".mha", ".gz"}


def tracked() -> list[Path]:
    """Files under version control that still exist."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_layers_hold() -> None:
    """An image travels one way; Qt, torch and the network stay where they belong."""
    checked = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    "module", ["omniview", "omniview.cli", "omniview.analyse", "omniview.io", "omniview.doctor"]
)
def test_importing_is_cheap(module: str) -> None:
    """The command answers at once, and runs where no Qt can: nothing heavy is loaded before it is needed."""
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    loaded = set(json.loads(asked.stdout))
    assert not loaded.intersection(HEAVY)


def test_files_are_short() -> None:
    """Nobody keeps more than 400 lines in mind."""
    too_long = {
        str(file.relative_to(ROOT)): n for file in OURS if (n := len(file.read_bytes().splitlines())) > 400
    }
    assert not too_long


def test_names_say_something() -> None:
    """A name with a word that fits everything has not been thought about."""
    vague = [name for file in PACKAGE for name in _names(file) if VAGUE.intersection(_words(name))]
    assert not vague


def test_nothing_is_left_for_later() -> None:
    """No function only says that somebody will write it."""
    stubs = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in PACKAGE
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node)
    ]
    assert not stubs


def test_every_package_is_one() -> None:
    """A folder with modules has an `__init__.py`: without it the wheel's import order could hide it."""
    folders = {file.parent for file in PACKAGE}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_no_machine_is_named() -> None:
    """A path of the machine that something was written on is true nowhere else."""
    found = []
    for file in tracked():
        text = file.read_bytes().decode("latin-1")  # networks too: exporters write source paths into them
        found += [f"{file.relative_to(ROOT)}: {match.group()}" for match in MACHINE.finditer(text)]
    assert not found


def test_no_image_is_tracked() -> None:
    """Fetched images have owners and terms; samples are phantoms or come from installed packages."""
    assert not [str(file.relative_to(ROOT)) for file in tracked() if file.suffix.lower() in PATIENT_IMAGES]


def _names(file: Path) -> Iterator[str]:
    yield file.stem
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]
