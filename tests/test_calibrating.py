"""Calibrating goes through the real engine and real models, and fusion finds what it wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from omniview.analyse import analyse
from omniview.calibrating import Skipped, calibrate
from omniview.cli import app
from omniview.compose import Composer
from omniview.core.case import Case
from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import InputError, OutputError, SettingsError
from omniview.inference.pair_card import read_pair_card
from omniview.settings import Settings

HERE = Settings(omnimodel="builtin", offline=True, device="cpu", threads=1, views=1)


def nucleus(i: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on dark ground, and its mask."""
    mask = np.zeros((96, 96), np.uint8)
    cv2.circle(mask, (30 + 3 * i, 60 - 2 * i), 10 + i, 255, -1)
    picture = cv2.GaussianBlur(mask // 2 + 10, (0, 0), 1.5)
    return np.repeat(picture[..., None], 3, axis=2), mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven labelled cases and one without a mask."""
    for name in ("images", "masks"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for i in range(12):
        picture, mask = nucleus(i)
        cv2.imwrite(str(tmp_path / "set" / "images" / f"{i:02}.png"), picture)
        if i < 11:
            cv2.imwrite(str(tmp_path / "set" / "masks" / f"{i:02}.png"), mask)
    return tmp_path / "set"


def test_what_is_learnt_is_written_and_found_again(folder: Path, own_home: Path) -> None:
    """The file lies where fusion looks, and the next analysis has its margin; the unlabelled case is told."""
    told: list[tuple[int, int, Skipped | None]] = []
    found = calibrate(folder, "nuclei", "builtin", settings=HERE, on_case=lambda *one: told.append(one))
    assert found.path == own_home / "fusion" / "nuclei.builtin.toml"
    assert found.fit.n == 11
    assert len(told) == 12
    assert [one.name for one in found.skipped] == ["11"]
    card = read_pair_card(found.path)
    assert card == found.card
    assert card.data["n"] == 11

    async def once(pixels: np.ndarray) -> Case:
        composer = Composer(HERE)
        try:
            task = TASKS["nuclei"]
            image = Image(pixels, modality=task.modality)
            return await analyse(image, task, composer.segmenters(task, "builtin", offline=True))
        finally:
            await composer.close()

    fusion = asyncio.run(once(nucleus(0)[0])).fusion
    assert fusion is not None
    assert fusion.promise == card.calibration().margin
    assert fusion.notes == ()
    vast = np.full((96, 96, 3), 10, np.uint8)
    cv2.circle(vast, (48, 48), 44, (140, 140, 140), -1, cv2.LINE_AA)
    beyond = asyncio.run(once(vast)).fusion
    assert beyond is not None
    assert "unlike any it was measured with" in " ".join(beyond.notes)


def test_a_run_repeats_to_the_byte(folder: Path, tmp_path: Path) -> None:
    """The same cases and models give the same file."""
    first, second = (
        calibrate(folder, "nuclei", "builtin", settings=HERE, out=tmp_path / name).path.read_bytes()
        for name in ("a.toml", "b.toml")
    )
    assert first == second


def test_too_few_cases_teach_nothing(folder: Path) -> None:
    """Ten are needed, and the reason why others do not count is said."""
    with pytest.raises(InputError, match="3 of 3 cases can be used"):
        calibrate(folder, "nuclei", "builtin", settings=HERE, limit=3)
    with pytest.raises(InputError, match=r"0 of 1 cases can be used.*offline"):
        calibrate(folder, "nuclei", "gemini", settings=HERE, limit=1)


def test_what_cannot_be_calibrated_is_refused(folder: Path, tmp_path: Path) -> None:
    """No omnimodel, no single task, no place to write to."""
    with pytest.raises(SettingsError, match="with an omnimodel"):
        calibrate(folder, "nuclei", "none", settings=HERE)
    for task in ("auto", "foo"):
        with pytest.raises(SettingsError, match=f"Each task .* '{task}'") as caught:
            calibrate(folder, task, "builtin", settings=HERE)
        assert "auto" not in caught.value.next_step
    with pytest.raises(SettingsError, match="no omnimodel"):
        calibrate(folder, "nuclei", "nobody", settings=HERE)
    (tmp_path / "file").write_text("")
    told: list[tuple[int, int, Skipped | None]] = []
    for out in (tmp_path / "file" / "x.toml", tmp_path):
        with pytest.raises(OutputError, match="cannot be written"):
            calibrate(
                folder, "nuclei", "builtin", settings=HERE, out=out, on_case=lambda *one: told.append(one)
            )
    assert told == []  # before anybody was asked


def split(folder: Path, groups: dict[str, str]) -> None:
    """A `split.csv` as training has it."""
    lines = ["name,split,group", *(f"{name},test,{group}" for name, group in groups.items())]
    (folder / "split.csv").write_text("\n".join(lines) + "\n", "utf-8")


def test_cases_of_one_patient_are_kept_together(folder: Path, tmp_path: Path) -> None:
    """The folder's split.csv says which are, in whatever order; who is not listed is a group of its own."""
    apart = calibrate(folder, "nuclei", "builtin", settings=HERE, out=tmp_path / "a.toml")
    assert "groups" not in apart.card.data
    split(folder, {f"{i:02}": f"patient {i % 4}" for i in range(9, -1, -1)})
    together = calibrate(folder, "nuclei", "builtin", settings=HERE, out=tmp_path / "b.toml")
    assert together.card.data["groups"] == 5
    assert (together.fit.n, together.card.data["sha256"]) == (apart.fit.n, apart.card.data["sha256"])
    assert together.card.quality != apart.card.quality  # learnt on other folds
    split(folder, {f"{i:02}": f"patient {i % 2}" for i in range(11)})
    told: list[tuple[int, int, Skipped | None]] = []
    with pytest.raises(InputError, match=r"of 2 group\(s\), and 5 groups are needed"):
        calibrate(folder, "nuclei", "builtin", settings=HERE, on_case=lambda *one: told.append(one))
    assert told == []
    (folder / "split.csv").write_text("name;group\n00;a\n", "utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        calibrate(folder, "nuclei", "builtin", settings=HERE, out=tmp_path / "c.toml")


def test_the_command_says_what_it_gained(folder: Path, own_home: Path) -> None:
    """The path goes to stdout, figures and unused cases to stderr."""
    HERE.save(own_home)
    split(folder, {"00": "one", "01": "one"})
    result = CliRunner().invoke(app, ["calibrate", str(folder), "--task", "nuclei", "--omnimodel", "builtin"])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip().endswith("nuclei.builtin.toml")
    assert "cross-validated" in result.stderr
    assert "not used: 11" in result.stderr
    assert "cases of 10 groups" in result.stderr
