"""Fine-tuning from the window: which specialists there are, how it is started, and the new model in use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from omniview.compose import model_folders
from omniview.errors import CardError
from omniview.inference.card import SpecialistCard, find_cards, read_card
from omniview.inference.install import install
from omniview.settings import Settings
from omniview.ui.finetune_plan import FineTuneWish

__all__ = ["FolderTuner"]


class FolderTuner:
    """Fine-tunes with `omniview train --from`.

    Args:
        current: gives the settings in force.
        follow: called with those in force once another model was chosen.
    """

    def __init__(self, current: Callable[[], Settings], follow: Callable[[Settings], None]) -> None:
        self._current = current
        self._follow = follow

    def cards(self) -> Sequence[tuple[str, str]]:
        """The specialists that run as ONNX, the one of each name that would be found."""
        found = {
            card.name: card.task
            for card in find_cards(model_folders()).cards
            if isinstance(card, SpecialistCard) and card.weights.endswith(".onnx")
        }
        return tuple(found.items())

    def masks(self, folder: Path) -> int:
        """Cases outside of the test split.

        Raises:
            InputError: it holds none, or breaks a rule.
        """
        from omniview.training.dataset import read_rows

        return sum(row.split != "test" for row in read_rows(folder))

    def command(self, wish: FineTuneWish) -> Sequence[str]:
        """This very OmniView as a process of its own."""
        start = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "omniview"]
        options = ("--from", wish.card, "--data", str(wish.folder), "--out", str(wish.out))
        return (*start, "train", *options, "--parts", wish.parts, "--minutes", str(wish.minutes), "--child")

    def use(self, card: Path) -> str:
        """Install and choose, as `name-2` or the like where another model has the name.

        Raises:
            OmniViewError: it could not be installed.
        """
        found = read_card(card)
        if not isinstance(found, SpecialistCard):
            raise CardError(f"{card.name} is no specialist's card.", "Choose another.")
        name = install(found, rename=True).stem
        now = self._current()
        self._follow(now.changed(specialists={**now.specialists, found.task: name}))
        return name
