from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omniview import resources
from omniview.errors import CardError, WeightsError
from omniview.inference.card import SpecialistCard, find_cards, read_card
from omniview.inference.session import open_session
from omniview.inference.weights import other_place
from omniview.training.export import to_onnx
from omniview.training.from_onnx import FixedNorm, restore
from omniview.training.network import VesselUnet
from omniview.training.novelty import WithNovelty, descriptions
from tests.networks import write_card, write_specialist
from tests.training.made import unsettle

SHIPPED = [card for card in find_cards([resources.path("models")]).cards if isinstance(card, SpecialistCard)]


@pytest.mark.parametrize("card", SHIPPED, ids=lambda card: card.name)
def test_each_shipped_specialist_computes_the_same_in_torch(card: SpecialistCard) -> None:
    """Logits agree with ONNX Runtime's to 0.1 % on pixels as they come from images, in training mode too."""
    restored = restore(card)
    kind, network = restored.kind, restored.network
    assert kind == card.training["recipe"]["network"]
    session = open_session(card.folder / card.weights, device="cpu", threads=1)
    rng = np.random.default_rng(11)
    smooth = rng.random((1, 3, 8, 8)).repeat(card.input.size[0] // 8, 2).repeat(card.input.size[1] // 8, 3)
    mean, std = (np.array(v)[:, None, None] for v in (card.input.mean, card.input.std))
    pixels = ((smooth - mean) / std).astype(np.float32)
    theirs = dict(zip(session.outputs, session.run({"image": pixels}), strict=True))["logits"]
    for mode in (False, True):
        network.train(mode)
        if mode and kind == "lite-presence":
            continue  # its dropout is at work then
        with torch.no_grad():
            ours = network(torch.from_numpy(pixels)).numpy()
        # beside flat ground the local contrast divides by next to nothing: a few logits round otherwise
        assert (np.abs(ours - theirs) / (1.0 + np.abs(theirs))).max() < 1e-3


def test_what_was_usual_in_training_is_taken_over(tmp_path: Path) -> None:
    """A file that says how unlike its training a picture is says the same once it is back in torch."""
    torch.manual_seed(3)
    network = VesselUnet().eval()
    unsettle(network)
    pixels = torch.rand(5, 3, 64, 64)
    whole = WithNovelty(network, descriptions(network, [pixels])).eval()
    to_onnx(whole, {"image": pixels[:2]}, ["logits", "novelty"], tmp_path / "eyes.onnx")
    fields = {"geometry": "tile", "size": [64, 64]}
    card = read_card(write_card(tmp_path, "eyes", task="vessel", modality="fundus", input=fields))
    assert isinstance(card, SpecialistCard)
    restored = restore(card)
    assert restored.kind == "vessel"
    again = WithNovelty.holding(restored.network, restored.usual).eval()
    with torch.no_grad():
        for ours, theirs in zip(again(pixels), whole(pixels), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-3)


def test_fetched_weights_are_taken(tmp_path: Path, own_home: Path) -> None:
    """They lie in OmniView's home, and a damaged file beside the card is left alone."""
    torch.manual_seed(3)
    network = VesselUnet().eval()
    unsettle(network)
    pixels = torch.rand(2, 3, 64, 64)
    to_onnx(network, {"image": pixels}, ["logits"], tmp_path / "eyes.onnx")
    fields = {"geometry": "tile", "size": [64, 64]}
    card = read_card(write_card(tmp_path, "eyes", task="vessel", modality="fundus", input=fields))
    assert isinstance(card, SpecialistCard)
    fetched = other_place("eyes.onnx")
    fetched.parent.mkdir(parents=True)
    (tmp_path / "eyes.onnx").rename(fetched)
    (tmp_path / "eyes.onnx").write_bytes(b"damaged")
    assert restore(card).kind == "vessel"


def test_statistics_stay_as_they_were() -> None:
    """No training mode and no batch changes what a norm subtracts and divides by."""
    norm = FixedNorm(3).train()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    x = 5 * torch.randn(4, 3, 8, 8) + 2
    assert torch.allclose(norm(x), x, atol=1e-5)
    assert all(torch.equal(value, norm.state_dict()[name]) for name, value in before.items())


def test_a_strangers_network_is_refused_in_words(tmp_path: Path) -> None:
    """A card whose network none of ours can take says so, and what to choose instead."""
    card = read_card(write_specialist(tmp_path, "bright"))
    assert isinstance(card, SpecialistCard)
    with pytest.raises(CardError, match="cannot be fine-tuned") as caught:
        restore(card)
    assert "Choose" in caught.value.next_step


def test_other_weights_than_the_cards_are_refused(tmp_path: Path) -> None:
    """Nobody goes on from a file that is not the one whose figures stand in the card."""
    path = write_specialist(tmp_path, "bright")
    (tmp_path / "bright.onnx").write_bytes(b"other")
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    with pytest.raises(WeightsError, match="SHA-256"):
        restore(card)
