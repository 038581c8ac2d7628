"""A calibration is found by the models' hashes, and never used for other models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omniview import resources
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.trust import SAFE_DEFAULT
from omniview.errors import CardError
from omniview.inference.card import GeneralistCard, SpecialistCard, find_cards
from omniview.inference.pair_card import (
    PairCard,
    calibration_for,
    identity,
    read_pair_card,
    write_pair_card,
)

MAP = np.full((1, 2, 2), 0.2, np.float32)
CARD = {
    "schema": 1,
    "task": "polyp",
    "omnimodel": "gemini",
    "specialist_model": {"name": "own", "identity": ["aa"]},
    "omnimodel_model": {"name": "cloud", "identity": ["model-1"]},
    "fusion": {
        "kappa": 8.0,
        "bias": -2.0,
        "ceiling": 1.0,
        "assumed_specialist": 0.8,
        "assumed_omnimodel": 0.7,
    },
    "margin": {"specialist": {"outer": 0.3, "inner": 0.7, "alpha": 0.1}},
}


def by(role: Role, weights: str | None = None, model_id: str | None = None, model: str = "x") -> Prediction:
    """A prediction of some model."""
    return Prediction(model, role, MAP, provenance=Provenance(weights_sha256=weights, model_id=model_id))


@pytest.fixture
def written(own_home: Path) -> Path:
    """The person's own calibration of a pair."""
    path = own_home / "fusion" / "polyp.gemini.toml"
    write_pair_card(PairCard.model_validate(CARD), path)
    return path


def test_a_pair_finds_its_own_calibration(written: Path) -> None:
    """By weights where there are any, by the model's id where there are none; in any order."""
    own, other = by("specialist", "aa"), by("omnimodel", model_id="model-1")
    for pair in ((own, other), (other, own)):
        calibration, notes = calibration_for("polyp", pair)
        assert calibration == read_pair_card(written).calibration()
        assert notes == ()
    assert calibration_for("breast", (own, other))[0] == SAFE_DEFAULT


def test_a_model_alone_gets_its_margin(written: Path) -> None:
    """The specialist's contours do not wait for an omnimodel."""
    calibration, _ = calibration_for("polyp", (by("specialist", "aa"),))
    assert calibration.margin_specialist is not None


def test_other_weights_are_not_measured_and_that_is_said(written: Path) -> None:
    """The same names with other hashes fuse by the safe default, with a note."""
    pair = by("specialist", "bb"), by("omnimodel", model_id="model-1", model="cloud")
    calibration, notes = calibration_for("polyp", pair)
    assert calibration == SAFE_DEFAULT
    assert len(notes) == 1
    assert "other weights" in notes[0]
    assert calibration_for("polyp", (by("specialist"), by("omnimodel")))[0] == SAFE_DEFAULT


def test_a_click_was_never_measured(written: Path) -> None:
    """What answers a person's marks is not what was calibrated."""
    clicked = Prediction(
        "cloud", "omnimodel", MAP, provenance=Provenance(model_id="model-1", prompts=({"click": [1, 1]},))
    )
    assert calibration_for("polyp", (by("specialist", "aa"), clicked))[0] == SAFE_DEFAULT


def test_a_broken_file_takes_nothing_away(written: Path) -> None:
    """It is told in a note, and fusion goes on by the safe default."""
    written.write_text("kappa = ")
    calibration, notes = calibration_for("polyp", (by("specialist", "aa"), by("omnimodel")))
    assert calibration == SAFE_DEFAULT
    assert "cannot be read" in notes[0]
    with pytest.raises(CardError, match="cannot be read"):
        read_pair_card(written)


@pytest.mark.parametrize("change", [{"fusion": {**CARD["fusion"], "kappa": -1.0}}, {"schema": 2}, {"x": 1}])  # type: ignore[dict-item]
def test_a_file_that_breaks_a_rule_says_which(written: Path, change: dict[str, object]) -> None:
    """Values are checked as fusion checks them."""
    import tomli_w

    written.write_text(tomli_w.dumps({**CARD, **change}))
    with pytest.raises(CardError, match="not valid"):
        read_pair_card(written)


def test_identity_is_weights_before_names() -> None:
    """A name alone tells little of a local model, and is all there is of a cloud's."""
    assert identity(by("omnimodel", "aa bb", "id")) == ("aa", "bb")
    assert identity(by("omnimodel", None, "id")) == ("id",)
    assert identity(by("omnimodel")) == ()


@pytest.mark.parametrize("task", ["polyp", "breast", "nuclei", "vessel"])
def test_what_ships_speaks_of_what_ships(task: str) -> None:
    """Each shipped specialist with the built-in generalist has its calibration, with margins and quality."""
    cards = find_cards([resources.path("models")]).cards
    (specialist,) = [c for c in cards if isinstance(c, SpecialistCard) and c.task == task]
    (generalist,) = [c for c in cards if isinstance(c, GeneralistCard)]
    pair = [
        by("specialist", " ".join(sha256 for _, sha256 in specialist.files())),
        by("omnimodel", " ".join(sha256 for _, sha256 in generalist.files())),
    ]
    calibration, notes = calibration_for(task, pair)
    assert notes == ()
    assert calibration.quality is not None
    assert calibration.margin is not None
    assert calibration.margin_specialist is not None
    assert calibration.margin_omnimodel is not None


def test_a_variant_is_the_model_itself(written: Path) -> None:
    """Eight bits of the same network keep what was measured of it: they are admitted only if hardly other."""
    about = Provenance(weights_sha256="88", variant="int8", variant_of="aa")
    variant = Prediction("x", "specialist", MAP, provenance=about)
    calibration, notes = calibration_for("polyp", (variant, by("omnimodel", model_id="model-1")))
    assert (calibration, notes) == (read_pair_card(written).calibration(), ())
