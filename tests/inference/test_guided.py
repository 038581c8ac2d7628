"""A network from elsewhere gets a card that fits it, or is refused with the reason and the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.core.image import Image
from omniview.core.phantom import endoscopy
from omniview.core.task import TASKS
from omniview.errors import CardError, OmniViewError, SettingsError, WeightsError
from omniview.inference.guided import Proposal, Wishes, propose
from omniview.inference.network_file import look_into
from tests.inference.exports import write_export

POLYP = TASKS["polyp"]


def _picture() -> Image:
    return endoscopy(size=(96, 128))[0]


def _proposed(path: Path, wishes: Wishes | None = None, **about: Any) -> Proposal:
    return propose(look_into(write_export(path, **about)), POLYP, wishes or Wishes(), _picture())


@pytest.mark.parametrize(
    ("about", "activation", "channels"),
    [
        ({}, "logits", None),
        ({"end": "Sigmoid"}, "probability", None),
        ({"classes": 2}, "softmax", (1,)),
        ({"classes": 2, "end": "Softmax"}, "probability", (1,)),
        ({"classes": 2, "end": "ArgMax"}, "classes", (1,)),
    ],
)
def test_the_output_is_understood(
    tmp_path: Path, about: dict[str, Any], activation: str, channels: tuple[int, ...] | None
) -> None:
    """The last operator and the number of channels tell what the numbers are, and where the background is."""
    found = _proposed(tmp_path / "w.onnx", size=(64, 64), **about)
    assert (found.output.activation, found.output.channels) == (activation, channels)
    assert (found.input.size, found.input.geometry) == ((64, 64), "stretch")


def test_a_library_s_way_of_feeding(tmp_path: Path) -> None:
    """nnU-Net tiles and takes each image's own mean, SMP takes ImageNet's, MONAI the pixels as they are."""
    path = write_export(tmp_path / "w.onnx", size=(64, 64))
    network = look_into(path)
    found = {
        preset: propose(network, POLYP, Wishes(preset=preset), _picture()).input
        for preset in ("smp", "nnunet", "monai")
    }
    assert found["smp"].mean == (0.485, 0.456, 0.406)
    assert (found["nnunet"].geometry, found["nnunet"].overlap, found["nnunet"].normalise) == (
        "tile",
        32,
        "image",
    )
    assert (found["monai"].mean, found["monai"].std) == ((0.0,) * 3, (1.0,) * 3)


def test_grey_networks_and_free_sizes(tmp_path: Path) -> None:
    """One channel has one mean; a free size is a guess that is said, or what the person says."""
    found = _proposed(tmp_path / "w.onnx", channels=1)
    assert (found.input.channels, found.input.size) == (1, (512, 512))
    assert any("--size" in note for note in found.notes)
    given = _proposed(tmp_path / "w.onnx", Wishes(size=(64, 96), mean=(0.2,), std=(0.3,)), channels=1)
    assert (given.input.size, given.input.mean) == ((64, 96), (0.2,))
    assert not any("--size" in note for note in given.notes)


def test_one_class_of_several_is_chosen_by_name(tmp_path: Path) -> None:
    """Which of many classes is meant is asked, never guessed."""
    with pytest.raises(CardError, match="4 channels") as caught:
        _proposed(tmp_path / "w.onnx", classes=4, size=(64, 64))
    assert "--labels" in caught.value.next_step
    wishes = Wishes(labels=("background", "tool", "polyp", "blood"))
    assert _proposed(tmp_path / "w.onnx", wishes, classes=4, size=(64, 64)).output.channels == (2,)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"inputs": 2}, "2 inputs"),
        ({"outputs": 2}, "2 outputs"),
        ({"channels": 4}, "4 channels"),
        ({"shape": ["n", 64, 64, 3]}, "colours last"),
        ({"shape": ["n", 3, 8, 64, 64]}, "a volume"),
        ({"batch": 4}, "4 pictures at once"),
        ({"size": (64, "w")}, "fixes one side"),
        ({"opset": 99}, "opset 99"),
        ({"ir": 99}, "IR version 99"),
        ({"pool": True}, "no map"),
    ],
)
def test_what_cannot_be_a_specialist_is_refused(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    """The reason is named, and what to do."""
    with pytest.raises(WeightsError, match=said) as caught:
        _proposed(tmp_path / "w.onnx", **{"size": (64, 64), **about})
    assert caught.value.next_step


@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04pytorch"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    """A PyTorch archive or a text is told apart from ONNX."""
    path = tmp_path / "w.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not an ONNX network"):
        look_into(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """With or without a hash to check."""
    for sha256 in (None, "0" * 64):
        with pytest.raises(WeightsError, match="cannot be read"):
            look_into(tmp_path / "absent.onnx", sha256)


def test_another_hash_than_told_is_refused(tmp_path: Path) -> None:
    """Both hashes are shown."""
    with pytest.raises(WeightsError, match="0" * 64):
        look_into(write_export(tmp_path / "w.onnx"), "0" * 64)


def test_weights_in_a_file_that_is_not_there_are_missed(tmp_path: Path) -> None:
    """The missing file is named."""
    path = write_export(tmp_path / "w.onnx", external="w.data")
    assert look_into(path).external
    (tmp_path / "w.data").unlink()
    with pytest.raises(WeightsError, match=r"w\.data"):
        look_into(path)


@pytest.mark.parametrize(
    ("about", "wishes", "error"),
    [
        ({"size": (64, 64)}, {"size": (32, 32)}, CardError),
        ({"size": (64, 64)}, {"mean": (0.5,)}, CardError),
        ({"size": (64, 64)}, {"labels": ("background", "polyp")}, CardError),
        ({"size": (64, 64), "classes": 2}, {"labels": ("background", "lesion")}, CardError),
        ({"size": (64, 64)}, {"threshold": 2.0}, CardError),
        ({"size": (64, 64)}, {"activation": "softmax", "labels": ("polyp",)}, WeightsError),
        ({"size": (64, 64)}, {"std": (np.nan,) * 3}, WeightsError),
    ],
)
def test_wishes_that_contradict_the_network_are_refused(
    tmp_path: Path, about: dict[str, Any], wishes: dict[str, Any], error: type[OmniViewError]
) -> None:
    """What a person says is checked against what the network does."""
    with pytest.raises(error):
        _proposed(tmp_path / "w.onnx", Wishes(**wishes), **about)


@pytest.mark.parametrize("wish", ["preset", "geometry", "activation"])
def test_unknown_words_are_refused(wish: str) -> None:
    """The words that there are stand in the next step."""
    with pytest.raises(SettingsError, match=wish):
        Wishes(**dict[str, Any]({wish: "magic"}))
