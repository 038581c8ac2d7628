"""A variant is admitted on what it does to held-out cases, and the card says so either way."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.errors import CardError, InputError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.weights import other_place
from omniview.training.quantise import Verdict, add_variant, calibration_inputs, write_verdict
from tests.networks import write_card, write_convolutions
from tests.training.folders import write_folder

GOOD = Verdict(-0.001, -0.003, 0.001, 40, 1.8)
CARD: dict[str, Any] = {
    "input": {"geometry": "stretch", "size": [32, 32]},
    "views": {"names": ["identity", "hflip"]},
}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A small network that finds what is bright, and its card."""
    write_convolutions(tmp_path / "conv.onnx")
    return write_card(tmp_path, "conv", **CARD)


def test_a_variant_ships_only_if_it_is_faster_and_next_to_nothing_is_lost() -> None:
    """A fall by 0.005 is too much, and so are taking as long and taking images for unlike the training."""
    assert GOOD.admitted
    assert replace(GOOD, change=0.01).admitted
    assert not replace(GOOD, change=-0.005).admitted
    assert not replace(GOOD, speedup=1.0).admitted
    assert not replace(GOOD, estranged=0.05).admitted
    assert str(replace(GOOD, change=-0.02)).startswith("not shipped: mean Dice -0.0200")


def test_card_and_file_agree_with_the_verdict(tmp_path: Path, card: Path) -> None:
    """Whatever the machine's speed says: the variant is in the card, with its hash, or nowhere."""
    folder = write_folder(tmp_path / "polyp_made", {"train": 4, "calibrate": 3, "test": 1})
    verdict = add_variant(card, [folder], threads=1, images=6)
    assert (verdict.n, abs(verdict.change) < 0.02) == (3, True)
    read = read_card(card)
    assert isinstance(read, SpecialistCard)
    assert read.training["int8"] == str(verdict)
    variant = tmp_path / "conv.int8.onnx"
    assert (read.int8 is not None) == variant.exists() == verdict.admitted
    if read.int8 is not None:
        assert read.int8.sha256 == hashlib.sha256(variant.read_bytes()).hexdigest()


def test_fetched_weights_have_a_variant_too(tmp_path: Path, card: Path, own_home: Path) -> None:
    """The full network lies in OmniView's home then; card and variant stay together."""
    fetched = other_place("conv.onnx")
    fetched.parent.mkdir(parents=True)
    (tmp_path / "conv.onnx").rename(fetched)
    folder = write_folder(tmp_path / "polyp_made", {"train": 2, "calibrate": 2})
    verdict = add_variant(card, [folder], threads=1, images=2)
    assert (tmp_path / "conv.int8.onnx").exists() == verdict.admitted
    assert list(fetched.parent.iterdir()) == [fetched]


def test_a_variant_that_is_not_admitted_leaves_a_sentence_only(tmp_path: Path, card: Path) -> None:
    """An earlier variant's field and file go."""
    variant = tmp_path / "conv.int8.onnx"
    variant.write_bytes(b"eight bits")
    write_verdict(card, GOOD, variant)
    assert tomllib.loads(card.read_text())["int8"]["n"] == 40
    bad = replace(GOOD, change=-0.02)
    write_verdict(card, bad, variant)
    values = tomllib.loads(card.read_text())
    assert "int8" not in values
    assert values["training"]["int8"] == str(bad)
    assert not variant.exists()


def test_ranges_come_from_train_images_only(tmp_path: Path, card: Path) -> None:
    """As many inputs as asked for, as the network gets them; without train images there are none to take."""
    read = read_card(card)
    assert isinstance(read, SpecialistCard)
    folder = write_folder(tmp_path / "polyp_made", {"train": 2, "calibrate": 1})
    inputs = calibration_inputs(read, [folder], 5)
    assert [one.shape for one in inputs] == [(1, 3, 32, 32)] * 5
    assert len({one.tobytes() for one in inputs}) > 1
    assert all(np.isfinite(one).all() for one in inputs)
    without = write_folder(tmp_path / "polyp_other", {"calibrate": 1})
    with pytest.raises(InputError, match="train"):
        calibration_inputs(read, [without], 5)


def test_folders_without_calibrate_cases_are_refused(tmp_path: Path, card: Path) -> None:
    """Nothing is admitted that was not measured, and no file is left."""
    folder = write_folder(tmp_path / "polyp_made", {"train": 2})
    with pytest.raises(InputError, match="calibrate"):
        add_variant(card, [folder])
    assert not (tmp_path / "conv.int8.onnx").exists()


def test_only_specialists_have_variants(tmp_path: Path) -> None:
    """Another kind of card is refused by name."""
    from omniview import resources

    with pytest.raises(CardError, match=r"generalist\.toml"):
        add_variant(resources.path("models") / "generalist.toml", [tmp_path])


def test_the_novelty_limit_is_raised_as_rounding_raises_novelty(tmp_path: Path) -> None:
    """The variant has a limit of its own; without a variant it is the card's."""
    write_convolutions(tmp_path / "conv.onnx")
    card = write_card(tmp_path, "conv", novelty={"limit": 2.0}, **CARD)
    (tmp_path / "conv.int8.onnx").write_bytes(b"eight bits")
    write_verdict(card, replace(GOOD, strangeness=1.25), tmp_path / "conv.int8.onnx")
    read = read_card(card)
    assert isinstance(read, SpecialistCard)
    assert [read.novelty_limit(int8=eight) for eight in (False, True)] == [2.0, 2.5]


def test_a_variant_that_no_longer_knows_what_is_strange_is_not_admitted() -> None:
    """Rounding may raise novelty a little, not drown it."""
    assert replace(GOOD, strangeness=1.9).admitted
    drowned = replace(GOOD, strangeness=44.0)
    assert not drowned.admitted
    assert "44.00 times as high" in str(drowned)
