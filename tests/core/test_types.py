"""The data types refuse what would only fail later and far away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from omniview.core.case import Case, Failure, Truth
from omniview.core.fusion import Fusion
from omniview.core.image import Image, Modality, read_only
from omniview.core.prediction import Prediction, Provenance, Quality
from omniview.core.segmenter import Segmenter
from omniview.core.task import TASKS, Task

HALF = np.full((1, 4, 5), 0.5, np.float32)
EMPTY = np.zeros((1, 4, 5), bool)


def image(**changes: Any) -> Image:
    """A 4x5 image."""
    return Image(**{"pixels": np.zeros((4, 5, 3), np.uint8), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": np.zeros((4, 5), np.uint8)},
        {"pixels": np.zeros((4, 5, 2), np.uint8)},
        {"pixels": np.zeros((0, 5, 3), np.uint8)},
        {"pixels": np.zeros((4, 5, 1), np.float64)},
        {"pixels": np.full((4, 5, 1), np.nan, np.float32)},
        {"spacing_mm": (0.5, 0.0)},
        {"spacing_mm": (np.inf, 1.0)},
        {"window": (40.0, 0.0)},
        {"window": (np.nan, 10.0)},
    ],
)
def test_image_names_the_field_that_breaks_a_rule(changes: dict[str, Any]) -> None:
    """Every broken rule is told with the name of the field."""
    with pytest.raises(ValueError, match=next(iter(changes))):
        image(**changes)


def test_image_cannot_be_written_to_but_shares_its_pixels() -> None:
    """Pixels are read-only in the image, without a copy."""
    pixels = np.zeros((4, 5, 3), np.uint8)
    made = image(pixels=pixels, spacing_mm=(0.1, 0.2), modality=Modality.CT)
    assert made.shape == (4, 5)
    assert np.shares_memory(made.pixels, pixels)
    with pytest.raises(ValueError, match="read-only"):
        made.pixels[0, 0, 0] = 1
    assert read_only(pixels).flags.writeable is False


def test_eight_bit_pixels_are_shown_as_they_are() -> None:
    """An 8-bit image passes through unchanged; grey becomes three equal channels."""
    colour = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(image(pixels=colour).rgb8(), colour)
    grey = colour[..., :1]
    np.testing.assert_array_equal(image(pixels=grey).rgb8(), np.repeat(grey, 3, axis=2))


def test_wide_pixels_are_shown_through_the_window_else_over_their_range() -> None:
    """A window maps its ends to 0 and 255; without one the image's own smallest and largest value do."""
    wide = np.array([[[1000], [1500], [2000]]], np.uint16)
    np.testing.assert_array_equal(Image(wide).rgb8()[0, :, 0], [0, 128, 255])
    np.testing.assert_array_equal(Image(wide, window=(1500.0, 500.0)).rgb8()[0, :, 1], [0, 128, 255])
    np.testing.assert_array_equal(Image(wide).rgb8(window=(1750.0, 500.0))[0, :, 2], [0, 0, 255])
    flat = np.full((2, 2, 1), 7.0, np.float32)
    np.testing.assert_array_equal(Image(flat).rgb8(), 0)


def test_luma_follows_bt_601() -> None:
    """Grey is 0.299 R + 0.587 G + 0.114 B in the pixels' own units, or the single channel."""
    pixels = np.array([[[100, 0, 0], [0, 100, 0], [0, 0, 100]]], np.uint8)
    np.testing.assert_allclose(Image(pixels).grey(), [[29.9, 58.7, 11.4]], rtol=1e-6)
    np.testing.assert_array_equal(Image(pixels[..., :1]).grey(), [[100, 0, 0]])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"name": "two words"}, "name"),
        ({"labels": ()}, "labels"),
        ({"labels": ("a", "a")}, "labels"),
        ({"prompt": " "}, "prompt"),
    ],
)
def test_task_names_the_field_that_breaks_a_rule(changes: dict[str, Any], word: str) -> None:
    """Every broken rule is told with the name of the field."""
    with pytest.raises(ValueError, match=f"Task.{word}"):
        replace(TASKS["polyp"], **changes)


def test_tasks_are_keyed_by_their_names() -> None:
    """The four built-in tasks have one label each."""
    assert list(TASKS) == ["polyp", "vessel", "breast", "nuclei"]
    assert all(name == task.name and len(task.labels) == 1 for name, task in TASKS.items())


@pytest.mark.parametrize(
    "quality", [(-0.1, -0.1, 0.5), (0.5, 0.6, 0.7), (0.5, 0.4, 0.45), (0.9, 0.8, 1.1), (np.nan, 0.0, 1.0)]
)
def test_quality_lies_within_its_interval(quality: tuple[float, float, float]) -> None:
    """0 <= low <= value <= high <= 1, and nan is none of it."""
    with pytest.raises(ValueError, match="low <= value <= high"):
        Quality(*quality)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"role": "judge"}, "role"),
        ({"probability": HALF[0]}, "probability"),
        ({"probability": HALF.astype(np.float64)}, "probability"),
        ({"probability": HALF * 3}, "probability"),
        ({"probability": HALF * np.float32(np.nan)}, "probability"),
        ({"spread": HALF[:, :2]}, "spread"),
    ],
)
def test_prediction_names_the_field_that_breaks_a_rule(changes: dict[str, Any], word: str) -> None:
    """Every broken rule is told with the name of the field."""
    with pytest.raises(ValueError, match=f"Prediction.{word}"):
        Prediction(**{"model": "m", "role": "specialist", "probability": HALF, **changes})


def test_the_edge_of_a_mask_is_above_one_half() -> None:
    """A probability of exactly 0.5 is outside."""
    probability = np.array([[[0.5, np.nextafter(np.float32(0.5), np.float32(1))]]], np.float32)
    made = Prediction("m", "omnimodel", probability, spread=probability)
    assert made.mask.tolist() == [[[False, True]]]
    assert made.spread is not None
    assert not made.spread.flags.writeable


def test_provenance_leaves_out_what_does_not_apply() -> None:
    """Files hold only what is known."""
    assert Provenance(provider="CPU", notes=("a", "b"), cost=0.0).to_json() == {
        "provider": "CPU",
        "cost": 0.0,
        "notes": ["a", "b"],
    }


def test_fusion_refuses_maps_of_different_shapes() -> None:
    """All maps of a fusion have one shape, and a margin is read-only."""
    made = Fusion(HALF, EMPTY, HALF, HALF, margin=(EMPTY, EMPTY))
    assert made.margin is not None
    assert not made.margin[0].flags.writeable
    with pytest.raises(ValueError, match=r"Fusion\.mask"):
        Fusion(HALF, EMPTY[:, :2], HALF, HALF)
    with pytest.raises(ValueError, match=r"Fusion\.weight"):
        Fusion(HALF, EMPTY, HALF, HALF[:, :2])


def test_truth_holds_a_boolean_mask_and_instances_of_its_size() -> None:
    """A truth of another type or with instances of another size is refused."""
    numbers = np.zeros((4, 5), np.int32)
    made = Truth(EMPTY, instances=numbers)
    assert made.instances is not None
    assert not made.instances.flags.writeable
    assert Truth(EMPTY).instances is None
    with pytest.raises(ValueError, match=r"Truth\.mask"):
        Truth(EMPTY.astype(np.uint8))
    with pytest.raises(ValueError, match=r"Truth\.instances"):
        Truth(EMPTY, instances=numbers[:2])


def test_case_finds_what_each_role_brought() -> None:
    """A role's prediction or failure is found, or None."""
    prediction = Prediction("m", "specialist", HALF)
    failure = Failure("g", "omnimodel", "The server did not answer.")
    case = Case(image(), TASKS["polyp"], (prediction,), (failure,), truth=Truth(EMPTY))
    assert case.prediction("specialist") is prediction
    assert case.prediction("omnimodel") is None
    assert case.failure("omnimodel") is failure
    assert case.failure("specialist") is None
    assert not case.scores


def test_case_has_its_answers_in_one_order() -> None:
    """Whichever model was the first to answer or to fail, the specialist stands first."""
    made = [Prediction("m", role, HALF) for role in ("omnimodel", "specialist")]
    lost = [Failure("m", role, "gone") for role in ("omnimodel", "specialist")]
    case = Case(image(), TASKS["polyp"], tuple(made), tuple(lost))
    assert [p.role for p in case.predictions] == ["specialist", "omnimodel"]
    assert [f.role for f in case.failures] == ["specialist", "omnimodel"]


def test_case_refuses_what_does_not_fit_the_image_and_the_task() -> None:
    """Predictions and truth are of the image's size and the task's labels, one prediction a role."""
    task, made = TASKS["polyp"], Prediction("m", "specialist", HALF)
    with pytest.raises(ValueError, match="prediction of m"):
        Case(image(pixels=np.zeros((5, 4, 1), np.uint8)), task, (made,))
    with pytest.raises(ValueError, match="prediction of m"):
        Case(image(), Task("two", Modality.CT, ("a", "b"), "both"), (made,))
    with pytest.raises(ValueError, match="one prediction a role"):
        Case(image(), task, (made, made))
    with pytest.raises(ValueError, match=r"Case\.truth"):
        Case(image(), task, truth=Truth(EMPTY[:, :, :2]))


def test_a_segmenter_is_whatever_has_its_parts() -> None:
    """The protocol is structural: no registration, no parent class."""
    assert not isinstance(object(), Segmenter)
