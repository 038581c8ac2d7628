"""The recogniser is fitted from folders with one command, on training images alone."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from omniview.core.image import Image
from omniview.core.recognise import Recogniser
from omniview.errors import InputError
from omniview.training.recognise import FOLDERS, confusion, fit, main

TONES = {"polyp": (60, 80, 190), "vessel": (20, 60, 160), "breast": (90, 90, 90), "nuclei": (12, 12, 12)}


def draw(task: str, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(Y,X,3) uint8 BGR: a tone of the task's own with a gradient and noise."""
    ramp = np.linspace(0.7, 1.2, 48)[:, None, None] * rng.uniform(0.9, 1.1)
    return np.clip(np.array(TONES[task]) * ramp + rng.normal(0, 6, (48, 64, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small data sets of four kinds of image, split in three."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for task, folders in FOLDERS.items():
        for folder in folders:
            (root / folder / "images").mkdir(parents=True)
            (root / folder / "masks").mkdir()
            rows = ["name,split,group"]
            for i in range(9):
                cv2.imwrite(str(root / folder / "images" / f"{i}.png"), draw(task, rng))
                cv2.imwrite(str(root / folder / "masks" / f"{i}.png"), np.zeros((48, 64), np.uint8))
                rows.append(f"{i},{('train', 'train', 'calibrate', 'test')[i % 4]},{i}")
            (root / folder / "split.csv").write_text("\n".join(rows), "utf-8")
    return root


def test_fitting_repeats_and_tells_the_tasks_apart(data: Path) -> None:
    """The same data and seed give the same numbers, and no test image is taken for another task."""
    recogniser = fit(data, seed=1)
    assert fit(data, seed=1).to_json() == recogniser.to_json()
    for task, counts in confusion(recogniser, data).items():
        assert set(counts) <= {task, "none"}
    assert recogniser.recognise(Image(np.zeros((9, 9, 3), np.uint8))).task is None


def test_test_images_do_not_shape_the_fit(data: Path, tmp_path: Path) -> None:
    """Changing every test image changes nothing."""
    import shutil

    before = fit(data).to_json()
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    for path in copy.glob("*/images/*.png"):
        if int(path.stem) % 4 == 3:
            cv2.imwrite(str(path), np.full((48, 64, 3), 255, np.uint8))
    assert fit(copy).to_json() == before


def test_the_command_writes_a_file_that_loads_and_prints_the_confusion(data: Path, tmp_path: Path) -> None:
    """One command, one JSON file, one table."""
    app = typer.Typer()
    app.command()(main)
    out = tmp_path / "recognise.json"
    result = CliRunner().invoke(app, ["--data", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert all(task in result.output for task in (*FOLDERS, "none"))
    assert Recogniser.from_json(json.loads(out.read_text("utf-8"))).tasks


def test_missing_data_is_told(tmp_path: Path) -> None:
    """A folder without the data sets ends in a message, not in a traceback."""
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["--data", str(tmp_path), "--out", str(tmp_path / "r.json")])
    assert result.exit_code == 2
    assert "polyp_kvasir" in result.output
    with pytest.raises(InputError):
        fit(tmp_path)
