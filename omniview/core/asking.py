"""When an omnimodel outside of this machine is asked at all: each question costs money and privacy.

The rule looks at the specialist's predicted quality alone, so that it is the same in the window, on the
command line and in a batch. Models that run here are free and private: the rule does not concern them.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from omniview.core.prediction import Prediction
from omniview.errors import SettingsError

__all__ = ["ALWAYS", "BECAUSE", "AskPolicy", "Share", "Verdict", "When", "rule_from"]

When: TypeAlias = Literal["always", "doubtful", "never"]

BECAUSE: ContextVar[str] = ContextVar("omniview_asked_because", default="")
"""Why the question that is being asked is asked, in words, for the audit; set by the engine for each task."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to ask, and why (not), in words for a person."""

    asked: bool
    because: str


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """A person's rule.

    Attributes:
        when: for every case; only for those that the specialist is doubtful about; for none.
        below: with "doubtful": predicted Dice of the specialist in [0,1] below which the omnimodel is asked.
    """

    when: When = "always"
    below: float = 0.75

    def __post_init__(self) -> None:
        if self.when not in get_args(When):
            raise ValueError(f"AskPolicy.when must be one of {get_args(When)}, got {self.when!r}")
        if not 0.0 <= self.below <= 1.0:
            raise ValueError(f"AskPolicy.below must lie within [0,1], got {self.below}")

    @property
    def waits(self) -> bool:
        """Whether the specialist's answer must be known before anything can be decided."""
        return self.when == "doubtful"

    def decide(self, specialist: Prediction | None) -> Verdict:
        """Whether to ask about a case.

        Args:
            specialist: its answer, or None if it gave none (or, unless the policy waits, none yet).
        """
        if self.when == "always":
            return Verdict(True, "every case is asked about")
        if self.when == "never":
            return Verdict(False, "The settings say that it is never asked.")
        if specialist is None:
            return Verdict(True, "the specialist gave no mask")
        if specialist.quality is None:
            return Verdict(True, "the specialist's quality is not known")
        value, below = _told_apart(specialist.quality.value, self.below)
        if specialist.quality.value < self.below:
            return Verdict(True, f"predicted Dice {value} is below {below}")
        equal = ", but equal to it" if value == below else ""  # as of whoever a share ends with
        return Verdict(False, f"The specialist's predicted Dice {value} is not below {below}{equal}.")


def _told_apart(value: float, below: float) -> tuple[str, str]:
    """Both with three digits, or as many more as show that they differ: a computed threshold has many."""
    digits = 3
    while value != below and f"{value:.{digits}g}" == f"{below:.{digits}g}":
        digits += 1
    return f"{value:.{digits}g}", f"{below:.{digits}g}"


ALWAYS = AskPolicy()
"""Ask about every case."""


@dataclass(frozen=True, slots=True)
class Share:
    """Ask about those cases of a whole batch that the specialist is most doubtful of.

    That needs its opinion on all of them first, from which a threshold follows (`threshold_for_share`).

    Attributes:
        of_all: largest share of the cases to ask about, in [0,1].
    """

    of_all: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.of_all <= 1.0:
            raise ValueError(f"Share.of_all must lie within [0,1], got {self.of_all}")


def rule_from(text: str) -> AskPolicy | Share:
    """The rule that a person wrote: `always`, `never`, `below:0.75` or `share:0.2`.

    Raises:
        SettingsError: it is none of them.
    """
    word, colon, figure = text.strip().partition(":")
    try:
        if not colon and word in ("always", "never"):
            return AskPolicy("always" if word == "always" else "never")
        if word == "below":
            return AskPolicy("doubtful", float(figure))
        if word == "share":
            return Share(float(figure))
    except ValueError:
        pass
    raise SettingsError(
        f"{text!r} does not say when to ask.",
        "Give always, never, below:0.75 (a predicted Dice from 0 to 1) or share:0.2 (of all cases).",
    )
