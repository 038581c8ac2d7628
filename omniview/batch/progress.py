"""How far a run is: counts, what it has cost, and when it will be done."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from omniview.batch.rows import Record

__all__ = ["Progress", "Tally", "Totals"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of finished cases.

    Attributes:
        finished: cases that are in the journal.
        failed: those of them without a usable fused mask: unreadable, or no model gave one.
        cost: what omnimodels were paid, in `currency`; None where no price is known.
        currency: ISO 4217 code.
    """

    finished: int = 0
    failed: int = 0
    cost: float | None = None
    currency: str | None = None

    def plus(self, record: Record) -> Totals:
        """With one more case."""
        cost, currency = record.cost
        return Totals(
            self.finished + 1,
            self.failed + record.failed,
            self.cost if cost is None else (self.cost or 0.0) + cost,
            currency or self.currency,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        total: cases that are to be scored.
        totals: those that are done, in earlier sittings too.
        seconds: of this sitting, without pauses.
        remaining_s: estimate for the rest, or None before the first case.
        record: the case that has just been finished; None at the start and when resumed or paused.
        paused: whether new cases wait.
    """

    total: int
    totals: Totals
    seconds: float
    remaining_s: float | None
    record: Record | None = None
    paused: bool = False


class Tally:
    """Counts a run's cases and the time that it is at work.

    Args:
        total: cases that are to be scored.
        totals: those that are done already.
    """

    def __init__(self, total: int, totals: Totals) -> None:
        self._total = total
        self.totals = totals
        self._before = totals.finished
        self._seconds = 0.0
        self._since: float | None = monotonic()

    def rest(self) -> None:
        """Stop the clock."""
        self._seconds, self._since = self._elapsed(), None

    def go_on(self) -> None:
        """Start the clock again."""
        self._seconds, self._since = self._elapsed(), monotonic()

    def finish(self, record: Record) -> None:
        """Count one more case."""
        self.totals = self.totals.plus(record)

    def progress(self, record: Record | None = None) -> Progress:
        """Where things stand."""
        seconds = self._elapsed()
        here = self.totals.finished - self._before
        left = self._total - self.totals.finished
        remaining = seconds * left / here if here else None
        return Progress(self._total, self.totals, seconds, remaining, record, self._since is None)

    def _elapsed(self) -> float:
        return self._seconds + (0.0 if self._since is None else monotonic() - self._since)
