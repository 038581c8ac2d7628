"""An image is given to the task whose images it resembles, or to none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.core.image import Image
from omniview.core.recognise import FEATURES, Gaussian, Recogniser, features
from omniview.core.task import TASKS

SIZE = len(FEATURES)
NEAR = Gaussian("near", np.zeros(SIZE), np.eye(SIZE), 3.0)
FAR = Gaussian("far", np.full(SIZE, 2.0), np.eye(SIZE), 3.0)
RESOURCE = Path(__file__).resolve().parents[2] / "resources" / "recognise.json"


@pytest.fixture(scope="module")
def fitted() -> Recogniser:
    """The recogniser that ships."""
    return Recogniser.from_json(json.loads(RESOURCE.read_text("utf-8")))


def feature(image: Image, name: str) -> float:
    """One feature by name."""
    return float(features(image)[FEATURES.index(name)])


def painted(colour: tuple[int, int, int], shape: tuple[int, int] = (60, 80)) -> Image:
    """An image of one colour."""
    return Image(np.broadcast_to(np.array(colour, np.uint8), (*shape, 3)))


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    level=st.sampled_from([0, 1, 254, 255, None]),
)
def test_features_are_finite_for_any_image(shape: tuple[int, int], channels: int, level: int | None) -> None:
    """No flat, black, tiny or noisy image breaks the arithmetic, and magnitudes stay moderate."""
    rng = np.random.default_rng(0)
    size = (*shape, channels)
    pixels = rng.integers(0, 256, size, np.uint8) if level is None else np.full(size, level, np.uint8)
    vector = features(Image(pixels))
    assert vector.shape == (SIZE,)
    assert vector.dtype == np.float64
    assert (np.abs(vector) <= 3.0 + 1e-6).all()


def test_features_see_colour() -> None:
    """Red, green, blue and grey are told apart, and grey channels correlate perfectly."""
    assert feature(painted((200, 40, 30)), "red") > 0.6
    assert feature(painted((30, 40, 200)), "bluish share") == 1.0
    assert feature(painted((30, 200, 40)), "greenish share") == 1.0
    assert feature(painted((90, 90, 90)), "grey share") == 1.0
    assert feature(painted((200, 40, 30)), "grey share") == 0.0
    grey = np.random.default_rng(0).integers(0, 256, (50, 50, 1), np.uint8)
    assert feature(Image(grey), "red-green correlation") == pytest.approx(1.0)


def test_features_see_a_round_field_of_view() -> None:
    """A bright disc on black fills the disc and leaves dark corners."""
    rows, columns = np.mgrid[:200, :200] - 99.5
    field = np.where(np.hypot(rows, columns) < 99, 150, 0).astype(np.uint8)[..., None]
    assert feature(Image(field), "disc") > 0.97
    assert feature(Image(field), "dark corners") == 1.0
    assert feature(Image(field), "dark share") == pytest.approx(1 - np.pi / 4, abs=0.02)
    assert feature(painted((150, 150, 150)), "dark corners") == 0.0


def test_features_see_texture() -> None:
    """Stripes are straight, noise is not; noise has fine edges and forgets itself within a pixel."""
    stripes = np.tile(np.repeat([40, 200], 16).astype(np.uint8), (256, 8))[..., None]
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 1), np.uint8)
    assert feature(Image(stripes), "straightness") > 0.99
    assert feature(Image(noise), "straightness") < 0.6
    assert feature(Image(noise), "edges") > feature(Image(stripes), "edges")
    assert abs(feature(Image(noise), "correlation 1 across")) < 0.05
    assert feature(Image(stripes), "correlation 1 down") == pytest.approx(1.0)


def test_features_do_not_depend_on_the_size_of_the_image() -> None:
    """A picture at twice the size has the same features."""
    rows, columns = np.mgrid[:128, :128]
    small = (128 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 7)).astype(np.uint8)[..., None]
    large = small.repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_allclose(features(Image(large)), features(Image(small)), atol=1e-5)


def test_the_nearer_gaussian_wins() -> None:
    """Scores are posterior probabilities, distances are relative to the cutoff."""
    found = Recogniser((NEAR, FAR)).classify(np.full(SIZE, 0.1))
    assert found.task == "near"
    assert sum(found.scores.values()) == pytest.approx(1.0)
    assert found.distances["near"] == pytest.approx(0.1 * np.sqrt(SIZE) / 3.0)
    assert found.distances["far"] == pytest.approx(1.9 * np.sqrt(SIZE) / 3.0)


def test_an_image_like_none_or_like_two_is_nobodys() -> None:
    """Beyond the cutoff, and halfway between two tasks, there is no answer."""
    recogniser = Recogniser((NEAR, replace(FAR, cutoff=30.0)))
    assert recogniser.classify(np.full(SIZE, -5.0)).task is None
    wide = Recogniser((replace(NEAR, cutoff=30.0), replace(FAR, cutoff=30.0)))
    tied = wide.classify(np.full(SIZE, 1.0))
    assert tied.task is None
    assert tied.scores["near"] == pytest.approx(0.5)


def test_a_wider_gaussian_pays_for_its_width() -> None:
    """At equal distances the density decides: the narrower task is likelier close to its mean."""
    wide = Gaussian("wide", np.zeros(SIZE), np.eye(SIZE) / 4, 3.0)
    assert Recogniser((wide, NEAR)).classify(np.zeros(SIZE)).task == "near"
    assert Recogniser((wide, NEAR)).classify(np.full(SIZE, 0.6)).scores["wide"] < 1e-3


def test_a_recogniser_survives_json() -> None:
    """What is written is read again, number for number."""
    recogniser = Recogniser((NEAR, FAR), certainty=0.8)
    again = Recogniser.from_json(json.loads(json.dumps(recogniser.to_json())))
    assert again.to_json() == recogniser.to_json()
    vector = np.linspace(0, 1, SIZE)
    assert again.classify(vector) == recogniser.classify(vector)


def test_other_features_are_refused() -> None:
    """A file fitted on other features is told to be fitted again."""
    with pytest.raises(ValueError, match="fit the recogniser again"):
        Recogniser.from_json({**Recogniser((NEAR,)).to_json(), "features": ["luma"]})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"mean": np.zeros(2)}, "mean"),
        ({"precision": np.eye(2)}, "precision"),
        ({"precision": -np.eye(SIZE)}, "positive definite"),
        ({"precision": np.triu(np.ones((SIZE, SIZE)))}, "symmetric"),
        ({"cutoff": 0.0}, "cutoff"),
    ],
)
def test_a_gaussian_names_what_breaks_a_rule(changes: dict[str, Any], word: str) -> None:
    """Sizes, symmetry, definiteness and cutoff are checked."""
    with pytest.raises(ValueError, match=word):
        replace(NEAR, **changes)


def test_a_recogniser_needs_tasks_of_different_names() -> None:
    """No task, two alike, or a certainty that a tie would reach are refused."""
    for tasks in ((), (NEAR, NEAR)):
        with pytest.raises(ValueError, match="tasks"):
            Recogniser(tasks)
    with pytest.raises(ValueError, match="certainty"):
        Recogniser((NEAR,), certainty=0.3)


def test_the_recogniser_that_ships_knows_the_built_in_tasks(fitted: Recogniser) -> None:
    """Its tasks are those of the table."""
    assert {g.name for g in fitted.tasks} == set(TASKS)


def test_noise_flat_tones_and_lettering_are_nobodys(fitted: Recogniser) -> None:
    """What is no medical image of a known kind gets no task."""
    from skimage import data

    rng = np.random.default_rng(0)
    nothing = [
        *(painted((v, v, v)) for v in (0, 128, 255)),
        Image(rng.integers(0, 256, (200, 300, 3), np.uint8)),
        Image(rng.integers(0, 256, (200, 300, 1), np.uint8)),
        Image(data.page()[..., None]),
        Image(data.text()[..., None]),
        Image(data.camera()[..., None]),
        Image(data.chelsea()),
        Image(data.astronaut()),
    ]
    assert [fitted.recognise(image).task for image in nothing] == [None] * len(nothing)


def test_a_fundus_photograph_of_another_camera_is_recognised(fitted: Recogniser) -> None:
    """scikit-image's retina comes from none of the data sets that were fitted."""
    from skimage import data

    assert fitted.recognise(Image(data.retina())).task == "vessel"


@pytest.mark.parametrize(
    ("folder", "task"),
    [
        ("polyp_kvasir", "polyp"),
        ("polyp_clinicdb", "polyp"),
        ("vessel_chase", "vessel"),
        ("vessel_hrf", "vessel"),
        ("breast_busi", "breast"),
        ("nuclei_dsb2018", "nuclei"),
        ("cells_bccd", None),
    ],
)
def test_real_test_images_are_recognised(
    fitted: Recogniser, shared: Path, folder: str, task: str | None
) -> None:
    """Of the first images of each test split at most one in ten is left to the person; none is mistaken."""
    import csv

    from PIL import Image as Pillow

    images = sorted((shared / "data" / folder / "images").iterdir())
    if task is not None:
        with (shared / "data" / folder / "split.csv").open(encoding="utf-8") as file:
            test = {row["name"] for row in csv.DictReader(file) if row["split"] == "test"}
        images = [path for path in images if path.stem in test]
    found = []
    for path in images[:12]:
        with Pillow.open(path) as picture:
            found.append(fitted.recognise(Image(np.asarray(picture.convert("RGB")))).task)
    assert set(found) <= {task, None}
    assert found.count(task) >= 0.9 * len(found)
