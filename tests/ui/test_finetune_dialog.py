"""Fine-tuning from the window: a real process, watched, stopped, and its model taken into use."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QComboBox, QLabel, QPushButton, QTableWidget

from omniview.backing.finetuner import FolderTuner
from omniview.inference.card import SpecialistCard, find_cards
from omniview.inference.install import install
from omniview.settings import Settings, home
from omniview.ui.finetune_dialog import FineTuneBox
from omniview.ui.finetune_plan import FineTuneWish
from omniview.ui.session import Session, Snapshot
from omniview.ui.window import Window
from tests.training.folders import write_folder
from tests.training.parents import write_parent
from tests.ui.conftest import Run, shown
from tests.ui.parts import Desk, OtsuModels

# the offscreen platform says so of every dialog
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


class QuickTuner(FolderTuner):
    """The real one, with a schedule of a few steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.settings, self.script = steps, Settings(), ""
        super().__init__(lambda: self.settings, self.follow)

    def follow(self, settings: Settings) -> None:
        """As the composer does."""
        self.settings = settings

    def command(self, wish: FineTuneWish) -> Sequence[str]:
        """A few steps of everything; or what a test wants to be heard from a process."""
        if self.script:
            return sys.executable, "-c", self.script
        return (*super().command(wish), "--steps", str(self.steps), "--threads", "1")


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> SpecialistCard:
    """A specialist that has seen next to nothing."""
    return write_parent(tmp_path_factory.mktemp("parent"), steps=3)


@pytest.fixture
def tuner() -> QuickTuner:
    """What the window is handed."""
    return QuickTuner(400)


@pytest.fixture
def desk(run: Run, parent: SpecialistCard, tuner: QuickTuner) -> Iterator[Desk]:
    """A window that fine-tunes the installed parent."""
    install(parent)
    models = OtsuModels()

    start = Snapshot(task="vessel", omnimodel="none")
    with shown(run, models, lambda: Window(Session(start), models, tuner=tuner)) as desk:
        yield desk


def own(folder: Path, count: int) -> Path:
    """A person's folder, without split.csv."""
    write_folder(folder, {"train": count})
    (folder / "split.csv").unlink()
    return folder


def _renamed(card: SpecialistCard, path: Path) -> Path:
    """The same model under the name of `path`, beside which its weights are put."""
    shutil.copyfile(card.folder / card.weights, path.parent / card.weights)
    text = (card.folder / f"{card.name}.toml").read_text("utf-8")
    path.write_text(text.replace(f'name = "{card.name}"', f'name = "{path.stem}"', 1), "utf-8")
    return path


async def _opened(desk: Desk, folder: Path) -> FineTuneBox:
    desk.window.actions_.trigger("finetune")
    await _until(lambda: desk.window.finetunes.box is not None)
    box = desk.window.finetunes.box
    assert box is not None
    card = box.findChildren(QComboBox)[0]
    card.setCurrentIndex(card.findData("discs"))
    parts = box.findChildren(QComboBox)[1]
    parts.setCurrentIndex(parts.findData("all"))
    box.choose(folder)
    await _until(lambda: "masks found" in _says(box))
    return box


async def _until(reached: Callable[[], bool]) -> None:
    for _ in range(10000):
        if reached():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


def _says(box: FineTuneBox) -> str:
    return "\n".join(label.text() for label in box.findChildren(QLabel))


def _button(box: FineTuneBox, text: str) -> QPushButton:
    return next(b for b in box.findChildren(QPushButton) if b.text() == text)


def test_a_better_model_is_shown_and_taken_into_use(
    run: Run, desk: Desk, parent: SpecialistCard, tuner: QuickTuner, tmp_path: Path
) -> None:
    """Progress comes while it runs, a table of the held-out masks at the end; a click installs it."""
    card = _renamed(parent, tmp_path / "discs-own.toml")
    stand = {"stage": "fold 1 of 4", "fraction": 0.1, "seconds_left": 200.0, "step": 8, "loss": 0.5}
    pairs = [["a", 0.5, 0.75], ["b", 0.75, 0.8]]
    end = {"card": str(card), "report": "r.md", "reason": "", "words": "Mean Dice rose.", "pairs": pairs}
    lines = [{"event": "progress", "dice": 0.625, **stand}, {"event": "end", **end}]
    said, after = (json.dumps(line) for line in lines)
    tuner.script = f"print({said!r}, flush=True); input(); print({after!r}, flush=True)"

    async def work() -> None:
        box = await _opened(desk, own(tmp_path / "own", 8))
        assert "8 masks found." in _says(box)
        assert not _button(box, "Use this model").isEnabled()
        _button(box, "Start").click()
        await _until(lambda: "Fold 1 of 4, about 3 min left" in _says(box))
        assert "Step 8: loss 0.500, Dice of the watched masks 0.625" in _says(box)
        assert _button(box, "Cancel").isEnabled()
        assert not _button(box, "Start").isEnabled()
        box._child._process.write(b"\n")
        await box.settle()
        assert "Mean Dice rose." in _says(box)
        table = box.findChild(QTableWidget)
        assert table is not None
        shown = [[table.item(row, column) for column in range(4)] for row in range(2)]
        assert [[item.text() for item in row if item is not None] for row in shown] == [
            ["a", "0.500", "0.750", "+0.250"],
            ["b", "0.750", "0.800", "+0.050"],
        ]
        assert _button(box, "Start").isEnabled()  # who does not want this one may try for another
        _button(box, "Use this model").click()
        await box.settle()
        assert "discs-own is in use now." in _says(box)
        offered = box.findChildren(QComboBox)[0]
        assert offered.findData("discs-own") >= 0
        assert offered.currentData() == "discs"
        assert Settings.load().specialists == tuner.settings.specialists == {"vessel": "discs-own"}
        assert "discs-own" in {found.name for found in find_cards([home() / "models"]).cards}

    run(work())


def test_cancelling_ends_the_process_and_keeps_what_is_done(run: Run, desk: Desk, tmp_path: Path) -> None:
    """The child is gone, its checkpoint is there, and Start may be pressed again."""

    async def work() -> None:
        box = await _opened(desk, own(tmp_path / "own", 6))
        _button(box, "Start").click()
        await _until(lambda: "loss" in _says(box))
        _button(box, "Cancel").click()
        await box.settle()
        assert "Stopped" in _says(box)
        assert _button(box, "Start").isEnabled()
        assert list((tmp_path / "own-finetuned" / "discs-own.parts").glob("*.checkpoint"))
        assert not list((tmp_path / "own-finetuned").glob("*.onnx"))

    run(work())


def test_closing_the_window_leaves_no_process_behind(run: Run, desk: Desk, tmp_path: Path) -> None:
    """What runs when the window rests is ended with it."""

    async def work() -> None:
        box = await _opened(desk, own(tmp_path / "own", 5))
        _button(box, "Start").click()
        child = box._child._process
        await _until(lambda: child.processId() > 0)
        number = child.processId()
        await desk.window.rest()
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)

    run(work())


def test_too_few_masks_or_none_cannot_be_started(run: Run, desk: Desk, tmp_path: Path) -> None:
    """The dialog says how many there are and how many it takes, or why the folder will not do."""

    async def work() -> None:
        box = await _opened(desk, own(tmp_path / "own", 3))
        assert "3 masks found; at least 5 are needed" in _says(box)
        assert not _button(box, "Start").isEnabled()
        (tmp_path / "empty").mkdir()
        box.choose(tmp_path / "empty")
        await _until(lambda: "holds no case" in _says(box))
        assert not _button(box, "Start").isEnabled()

    run(work())


def test_what_the_process_refuses_is_said(run: Run, desk: Desk, tmp_path: Path) -> None:
    """A reason that only the training finds stands in the dialog with its next step."""
    folder = write_folder(tmp_path / "own", {"train": 6})
    rows = [f"train{n},train,patient" for n in range(6)]
    (folder / "split.csv").write_text("\n".join(["name,split,group", *rows]) + "\n")

    async def work() -> None:
        box = await _opened(desk, folder)
        _button(box, "Start").click()
        await box.settle()
        assert "All masks belong to one group" in _says(box)
        assert _button(box, "Start").isEnabled()

    run(work())
