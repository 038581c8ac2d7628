"""What the dialog for fine-tuning needs of whoever does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["FineTuneWish", "Tuner"]


@dataclass(frozen=True, slots=True)
class FineTuneWish:
    """What a person wants to be fine-tuned.

    Attributes:
        card: name of the specialist to begin with.
        folder: images/ and masks/ of one's own.
        out: folder for the new model and the report.
        parts: what of the network may change.
        minutes: how long it may take at most.
    """

    card: str
    folder: Path
    out: Path
    parts: str
    minutes: int


class Tuner(Protocol):
    """Knows the specialists, and how a process that fine-tunes one is started. All of it blocks."""

    def cards(self) -> Sequence[tuple[str, str]]:
        """(name, task) of the specialists that can be begun with."""
        ...

    def masks(self, folder: Path) -> int:
        """How many masks of `folder` may be looked at.

        Raises:
            OmniViewError: it holds none, or breaks a rule.
        """
        ...

    def command(self, wish: FineTuneWish) -> Sequence[str]:
        """Program and arguments; it writes lines of JSON and ends when its standard input does."""
        ...

    def use(self, card: Path) -> str:
        """Install the model of that card and choose it for its task; its name.

        Raises:
            OmniViewError: it could not be installed.
        """
        ...
