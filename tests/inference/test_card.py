"""Cards are read whole, and a wrong one says which field is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from omniview.errors import CardError
from omniview.inference.card import GeneralistCard, SpecialistCard, find_cards, read_card
from omniview.inference.sam_card import SamCard
from tests.networks import write_card, write_specialist
from tests.omnimodel.generalist import write_generalist
from tests.omnimodel.sam_pairs import write_pair


def test_a_good_card_is_read(tmp_path: Path) -> None:
    """Fields arrive as they stand, with the folder that the weights are in."""
    card = read_card(write_specialist(tmp_path, views={"names": ["identity", "hflip"]}))
    assert isinstance(card, SpecialistCard)
    assert card.folder == tmp_path
    assert card.views.names == ("identity", "hflip")
    assert [name for name, _ in card.files()] == ["bright.onnx"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"task": None}, "task"),
        ({"sha256": "abc"}, "sha256"),
        ({"kind": "wizard"}, "kind"),
        ({"schema": 2}, "schema"),
        ({"typo": 1}, "typo"),
        ({"labels": []}, "labels"),
        ({"input": {"geometry": "stretch", "size": [8, 8]}}, "input"),
        ({"input": {"geometry": "stretch", "size": [32, 32], "overlap": 4}}, "input"),
        ({"input": {"geometry": "tile", "size": [32, 32], "overlap": 17}}, "input"),
        ({"input": {"geometry": "stretch", "size": [32, 32], "mean": [0.5]}}, "input"),
        ({"input": {"geometry": "stretch", "size": [32, 32], "std": [1.0, 0.0, 1.0]}}, "input"),
        ({"views": {"names": ["hflip"]}}, "views"),
        ({"views": {"names": ["identity", "sideways"]}}, "views"),
        ({"quality": {"confidence": [0.0], "dice": [0.0, 1.0], "half_width": 0.1}}, "quality"),
        ({"output": {"temperature": 0.0}}, "output.temperature"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    """The message names the field that breaks a rule, and there is a next step."""
    path = write_specialist(tmp_path, **changes)
    with pytest.raises(CardError, match=named) as caught:
        read_card(path)
    assert caught.value.next_step


def test_a_generalist_has_two_networks_or_three(tmp_path: Path) -> None:
    """A click network comes with what its numbers mean, and not without it."""
    halves = read_card(write_generalist(tmp_path / "halves"))
    assert isinstance(halves, GeneralistCard)
    assert (halves.clicks, len(halves.files())) == (None, 2)
    card = read_card(write_generalist(tmp_path / "clicks", third=True))
    assert isinstance(card, GeneralistCard)
    assert card.clicks is not None
    assert card.files()[2] == ("c.onnx", card.clicks.sha256)
    assert [task.prompted and task.prompted.close for task in card.tasks.values()] == [1.5, None]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"clicks": None}, "prompted"),
        ({"tasks": {"polyp": {}, "vessel": {}}}, "prompted"),
        ({"tasks": {"polyp": {"prompted": {"close": 0.9}}, "vessel": {"prompted": {}}}}, "close"),
        ({"tasks": {"polyp": {"prompted": {"threshold": 1.0}}, "vessel": {"prompted": {}}}}, "threshold"),
        ({"clicks": {"network": "c.onnx", "sha256": "abc"}}, "clicks.sha256"),
        ({"clicks": {"network": "c.onnx", "sha256": "0" * 64, "views": {"names": ["hflip"]}}}, "views"),
    ],
)
def test_a_click_network_is_described_whole(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    """The message names what is wrong with it."""
    path = write_generalist(tmp_path, third=True, **changes)
    with pytest.raises(CardError, match=named):
        read_card(path)


def _changed(card: Path, changes: dict[str, Any]) -> Path:
    card.write_text(tomli_w.dumps({**tomllib.loads(card.read_text("utf-8")), **changes}), "utf-8")
    return card


@pytest.mark.parametrize("field", ["name", "weights", "int8.weights"])
@pytest.mark.parametrize(
    "name",
    ["/x.onnx", "../x.onnx", "a/x.onnx", "..\\x.onnx", "C:x.onnx", "..", ".x", "a..", "x.onnx:s", "x\n", ""],
)
def test_no_card_chooses_a_folder(tmp_path: Path, field: str, name: str) -> None:
    """What becomes a file stays where it is put, whoever wrote the card."""
    eight = {"sha256": "a" * 64, "dice_change": 0.0, "low": 0.0, "high": 0.0, "n": 1, "speedup": 2.0}
    changes = {"int8": {**eight, "weights": name}} if field == "int8.weights" else {field: name}
    path = _changed(write_specialist(tmp_path), changes)
    with pytest.raises(CardError, match=rf"at {field}: .*without a folder"):
        read_card(path)


@pytest.mark.parametrize("field", ["name", "encoder", "decoder", "clicks.network"])
def test_no_card_of_several_networks_does(tmp_path: Path, field: str) -> None:
    """Neither a generalist's nor a SAM pair's."""
    name = "../../x.onnx"
    changes = (
        {"clicks": {"network": name, "sha256": "0" * 64}} if field == "clicks.network" else {field: name}
    )
    paths = [write_generalist(tmp_path / "generalist", third=True)]
    if field != "clicks.network":
        paths.append(write_pair(tmp_path / "pair", "sam"))
    for path in paths:
        with pytest.raises(CardError, match=rf"at {field}: .*without a folder"):
            read_card(_changed(path, changes))


def test_a_name_may_have_spaces_and_other_letters(tmp_path: Path) -> None:
    """People name models in their own language."""
    names = {"name": "Größe 2 (neu)", "weights": "Größe-2.5 v+.int8.onnx"}
    card = read_card(_changed(write_specialist(tmp_path), names))
    assert (card.name, card.files()[0][0]) == ("Größe 2 (neu)", "Größe-2.5 v+.int8.onnx")


def test_what_is_not_toml_is_said(tmp_path: Path) -> None:
    """A damaged card is a CardError, not a parser's traceback."""
    path = tmp_path / "bad.toml"
    path.write_text("= nothing")
    with pytest.raises(CardError, match=r"bad\.toml"):
        read_card(path)
    with pytest.raises(CardError):
        read_card(tmp_path / "absent.toml")


def test_a_users_card_replaces_one_of_the_same_name(tmp_path: Path) -> None:
    """The last folder wins; a missing folder holds no cards; a broken card takes no other away."""
    write_specialist(tmp_path / "shipped", version="1")
    write_specialist(tmp_path / "own", version="2")
    write_card(tmp_path / "own", "another")
    (tmp_path / "own" / "broken.toml").write_text("= broken")
    found = find_cards([tmp_path / "shipped", tmp_path / "own", tmp_path / "none"])
    assert [(card.name, card.version) for card in found.cards] == [("another", "1"), ("bright", "2")]
    assert [problem.message for problem in found.problems if "broken.toml" in problem.message]


def test_a_sam_card_is_found_among_the_others(tmp_path: Path) -> None:
    """A pair of the SAM family is a card like any other; it must say under which terms it came."""
    write_pair(tmp_path, "sam", pixels="unit")
    (card,) = find_cards([tmp_path]).cards
    assert isinstance(card, SamCard)
    assert [name for name, _ in card.files()] == ["e.onnx", "d.onnx"]
    assert (card.licence, card.pixels, card.tasks, card.parameters) == ("none needed", "unit", ("any",), 0)
    assert card.folder == tmp_path
    for changes, named in (({"licence": ""}, "licence"), ({"pixels": "tasty"}, "pixels")):
        with pytest.raises(CardError, match=f"at {named}"):
            read_card(write_pair(tmp_path, "sam", **changes))
