from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from omniview import resources
from omniview.errors import OutputError
from omniview.inference.card import SpecialistCard, find_cards, read_card
from omniview.inference.install import free, install
from omniview.settings import Settings, home

_CARD = """
schema = 1
name = "{name}"
version = "1"
kind = "specialist"
task = "polyp"
modality = "endoscopy"
labels = ["polyp"]
weights = "{name}.onnx"
sha256 = "{sha256}"
parameters = 1

[input]
geometry = "stretch"
size = [64, 64]
"""


def made(folder: Path, name: str, weights: bytes) -> SpecialistCard:
    """A card in ``folder`` beside weights that nobody runs."""
    folder.mkdir()
    (folder / f"{name}.onnx").write_bytes(weights)
    path = folder / f"{name}.toml"
    path.write_text(_CARD.format(name=name, sha256=sha256(weights).hexdigest()), "utf-8")
    return specialist(path)


def specialist(path: Path) -> SpecialistCard:
    """The card in that file."""
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    return card


def test_another_model_of_that_name_is_never_replaced(tmp_path: Path) -> None:
    """The first stays as it is; the second is refused, or gets a number; each finds its own weights."""
    first, second = (made(tmp_path / part, "polyp-data", part.encode()) for part in ("one", "two"))
    path = install(first, rename=True)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="another model named polyp-data") as caught:
        install(second)
    assert "--name" in caught.value.next_step
    other = install(second, rename=True)
    assert (path.stem, other.stem, path.read_bytes()) == ("polyp-data", "polyp-data-2", before)
    for card, weights in ((specialist(path), b"one"), (specialist(other), b"two")):
        assert (card.folder / card.weights).read_bytes() == weights
        assert card.weights == f"{card.name}-{card.sha256[:8]}.onnx"
    assert Settings.load().specialists == {"polyp": "polyp-data-2"}


def test_the_same_weights_are_installed_once(tmp_path: Path) -> None:
    """To install again changes nothing, whether under its own name or a numbered one."""
    first, second = (made(tmp_path / part, "polyp-data", part.encode()) for part in ("one", "two"))
    for _ in range(2):
        assert [install(card, rename=True).stem for card in (first, second)] == ["polyp-data", "polyp-data-2"]
    assert install(first).stem == "polyp-data"
    assert len(list((home() / "models").iterdir())) == 4


def test_a_shipped_model_is_not_hidden(tmp_path: Path) -> None:
    """Its name is taken, and so is that of a card which cannot be read: it may be mended yet."""
    shipped = find_cards([resources.path("models")]).cards[0].name
    with pytest.raises(OutputError, match=shipped):
        free(shipped)
    assert install(made(tmp_path / "own", shipped, b"own"), rename=True).stem == f"{shipped}-2"
    (home() / "models" / "broken.toml").write_text("schema = ", "utf-8")
    with pytest.raises(OutputError, match="broken"):
        free("broken")
    assert free("new") == "new"


def test_a_cut_installation_leaves_the_old_card_with_its_weights(tmp_path: Path) -> None:
    """Where the card cannot be written, no model changes and none appears."""
    old = install(made(tmp_path / "one", "polyp-data", b"one"))
    new = made(tmp_path / "two", "polyp-new", b"two")
    (home() / "models" / "polyp-new.toml.part").mkdir()
    with pytest.raises(OutputError, match="cannot be put"):
        install(new)
    assert [card.name for card in find_cards([home() / "models"]).cards] == ["polyp-data"]
    assert (old.parent / specialist(old).weights).read_bytes() == b"one"
    assert Settings.load().specialists == {"polyp": "polyp-data"}
