"""The file that runs is the one that was asked for, or the reason is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omniview.errors import CardError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.cpu import dot_products
from omniview.inference.variants import chosen_weights
from tests.networks import write_specialist

INT8 = {
    "weights": "bright.int8.onnx",
    "sha256": "a" * 64,
    "dice_change": -0.001,
    "low": -0.002,
    "high": 0.0,
    "n": 12,
    "speedup": 1.9,
}


def _card(folder: Path, **changes: Any) -> SpecialistCard:
    card = read_card(write_specialist(folder, **changes))
    assert isinstance(card, SpecialistCard)
    return card


def test_eight_bits_run_where_the_card_has_them_and_the_cpu_is_made_for_them(tmp_path: Path) -> None:
    """Automatically, and not where 32 bits were asked for."""
    card = _card(tmp_path, int8=INT8)
    assert card.files()[1] == ("bright.int8.onnx", "a" * 64)
    chosen = chosen_weights(card, "cpu", "auto")
    assert (chosen.variant, chosen.why) == ("int8" if dot_products() else None, None)
    full = chosen_weights(card, "cpu", "fp32")
    assert (full.path.name, full.sha256, full.variant) == ("bright.onnx", card.sha256, None)


def test_a_wish_for_eight_bits_that_cannot_be_had_is_answered(tmp_path: Path) -> None:
    """A card without a variant runs as it is, and says so only where eight bits were asked for."""
    card = _card(tmp_path)
    assert chosen_weights(card, "cpu", "auto").why is None
    assert chosen_weights(card, "cpu", "int8").why == "this model has no int8 variant"


def test_a_variant_that_loses_more_is_no_variant(tmp_path: Path) -> None:
    """A card that names one is refused, with the field's name."""
    with pytest.raises(CardError, match=r"int8\.dice_change"):
        _card(tmp_path, int8={**INT8, "dice_change": -0.006})
