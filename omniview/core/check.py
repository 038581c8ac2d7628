"""One thing that was tried, and what came of it: a row of a connection test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Check", "Verdict"]

Verdict: TypeAlias = Literal["works", "fails", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """A finding of a connection test.

    Attributes:
        what: the step, a few words.
        verdict: "unknown" where it could not be tried, which is no failure.
        detail: what was found, in words.
        next_step: what to do about it; empty if nothing.
    """

    what: str
    verdict: Verdict
    detail: str
    next_step: str = ""
