"""A tiny specialist of our own making, in the very files that ship: something to fine-tune from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omniview.inference.card import SpecialistCard, read_card
from omniview.training.dataset import load
from omniview.training.fit import Settings
from omniview.training.network import VesselUnet
from omniview.training.recipes import RECIPES
from omniview.training.ship import ship
from omniview.training.specialist import fit_specialist
from tests.training.folders import write_folder

__all__ = ["SIZE", "write_parent"]

SIZE = 64


def write_parent(root: Path, steps: int = 25) -> SpecialistCard:
    """A vessel network that looked at bright discs for a moment; its card in ``root/parent``."""
    recipe = replace(
        RECIPES["vessel"],
        name="discs",
        size=SIZE,
        crop=SIZE,
        longest_px=SIZE,
        overlap_px=0,
        views=("identity", "hflip"),
        limits=("It was made for a test.",),
    )
    folder = write_folder(root / "seen", {"train": 6, "calibrate": 12})
    examples = load([folder], "train")
    settings = Settings(steps=steps, batch=4, rate=3e-3, mixed=False)
    fitted = fit_specialist(recipe, examples, settings, root / "parent.checkpoint", lambda _: None)
    assert isinstance(fitted.network, VesselUnet)
    (root / "parent").mkdir()
    card = read_card(
        ship(
            recipe,
            fitted.network,
            examples,
            load([folder], "calibrate"),
            root / "parent",
            training={"recipe": {"network": "vessel"}},
            data=[{"name": "seen", "split": "train", "n": 6, "source": "made", "licence": "free"}],
        )
    )
    assert isinstance(card, SpecialistCard)
    return card
