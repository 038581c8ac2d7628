"""Caps on what omnimodels cost that really stop: money is laid aside before anything is sent.

Each call lays aside the most that it can cost, and the provider is told to answer within that, so that no
number of calls at once can pass a cap. Where less is left than the longest answer could cost, less is laid
aside and a shorter answer is asked for, as long as one of the usual length fits; when not even that, and
nothing is under way that could turn out cheaper than it might have, nothing more is sent.

The ledger is `spending.sqlite` in OmniView's home folder, one row a call, shared by all processes. A call
whose process died is never settled: what it had laid aside counts as spent.
"""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from omniview.errors import OmniViewError, OutputError, OverBudget

__all__ = ["Budget", "Laid", "Spent"]

_FILE = "spending.sqlite"
_BUSY_S = 10.0
_LEARNED_FROM = 20
"""So many of a model's latest calls tell what an answer usually costs; fewer than three tell nothing."""
_MARGIN = 1.5
"""A usual answer costs up to so many times the dearest of them."""
_AMPLE = 8.0
"""So many times a usual answer is enough for any, where a cap makes money scarce."""
_AT_ONCE = 4
"""Of what is left, one call takes no more than its share among so many."""
_ROUNDING = 1e-9
_TABLE = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    day TEXT NOT NULL,
    session TEXT NOT NULL,
    model TEXT NOT NULL,
    laid_aside REAL NOT NULL,
    cost REAL
)
"""
_BY_DAY = "CREATE INDEX IF NOT EXISTS calls_by_day ON calls (day)"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent, with what is laid aside for calls that are under way.

    Attributes:
        session: in this run of the program.
        today: on this day (UTC), over all runs.
    """

    session: float
    today: float


class Laid:
    """Money laid aside for one call; made by `Budget.reserve`.

    Attributes:
        amount: how much, so that the call may not cost more; None: the price is not known, and no cap is set.
    """

    __slots__ = ("_budget", "_row", "amount")

    def __init__(self, budget: Budget, row: int | None, amount: float | None) -> None:
        self._budget = budget
        self._row = row
        self.amount = amount

    def settle(self, actual: float | None) -> None:
        """Put the true cost in place of what was laid aside; None: not known, so that stands as spent.

        Blocks for a millisecond or so: call it in a thread, exactly once.

        Raises:
            OutputError: it could not be written; what was laid aside stands as spent.
        """
        if self._row is not None:
            self._budget._settle(self._row, actual)


class Budget:
    """The purse of one session; safe among threads, event loops and processes.

    Args:
        home: OmniView's own folder.
        session: cap of this run; None for no cap.
        daily: cap of one day (UTC), over all runs; None for no cap.
        currency: ISO 4217 code of all amounts.
    """

    def __init__(
        self, home: Path, *, session: float | None = None, daily: float | None = None, currency: str = "USD"
    ) -> None:
        self.path = home / _FILE
        self.currency = currency
        self._caps = {"session": session, "daily": daily}
        self._session = uuid.uuid4().hex
        self._lock = Lock()
        self._open: set[int] = set()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def reserve(self, model: str, least: float | None, most: float | None) -> Laid:
        """Lay money aside for one call, before anything is sent.

        Where a cap leaves less than `least` while other calls of this budget are under way, it waits for
        them: most cost less than they might have.

        Args:
            model: the model's id.
            least: what a call with an answer of ordinary length may cost; what this model's latest calls
                really cost is trusted more. None: the price is not known.
            most: what the call may cost at most; None: the price is not known.

        Raises:
            OverBudget: a cap would be passed, or there is a cap and no price to keep it by.
            OutputError: the ledger cannot be written; then nothing may be sent.
        """
        if least is None or most is None:
            self._refuse_without_price(model)
            return Laid(self, None, None)
        while True:
            changed = self._listen()
            work = asyncio.create_task(asyncio.to_thread(self._try, model, min(least, most), most))
            try:
                laid = await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.shield(asyncio.create_task(_give_up(work)))
                raise
            if laid is not None:
                return laid
            await changed.wait()

    def spent(self) -> Spent:
        """What was spent so far. Blocks for a millisecond or so: call it in a thread.

        Raises:
            OutputError: the ledger cannot be read.
        """
        if not self.path.exists():
            return Spent(0.0, 0.0)
        with self._ledger() as ledger:
            return self._sums(ledger)

    def _try(self, model: str, least: float, most: float) -> Laid | None:
        """Money laid aside, or None while there is hope that some will be left over."""
        with self._lock:
            hope = bool(self._open)
        with self._ledger() as ledger:
            usual = min(most, self._learned(ledger, model) or least)
            spent = self._sums(ledger)
            left = min(
                (
                    cap - done
                    for cap, done in zip(self._caps.values(), (spent.session, spent.today), strict=True)
                    if cap is not None
                ),
                default=float("inf"),
            )
            if usual > left + _ROUNDING:
                if hope:
                    return None
                raise self._over(spent, usual)
            amount = min(most, max(left, 0.0), max(_AMPLE * usual, left / _AT_ONCE))
            now = datetime.now(UTC)
            row = ledger.execute(
                "INSERT INTO calls (time, day, session, model, laid_aside) VALUES (?, ?, ?, ?, ?)",
                (now.isoformat(timespec="seconds"), _day(now), self._session, model, amount),
            ).lastrowid
            assert row is not None
        with self._lock:
            self._open.add(row)
        return Laid(self, row, amount)

    def _settle(self, row: int, actual: float | None) -> None:
        try:
            with self._ledger() as ledger:
                ledger.execute(
                    "UPDATE calls SET cost = COALESCE(?, laid_aside) WHERE id = ? AND cost IS NULL",
                    (actual, row),
                )
        finally:
            with self._lock:
                self._open.discard(row)
                waiting, self._waiting = self._waiting, []
            for loop, event in waiting:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def _listen(self) -> asyncio.Event:
        """Set when the next call is settled; asked for before looking, so that none is missed."""
        event = asyncio.Event()
        with self._lock:
            self._waiting.append((asyncio.get_running_loop(), event))
        return event

    def _learned(self, ledger: sqlite3.Connection, model: str) -> float | None:
        """What an answer of `model` usually costs at most, by its latest calls; None if that is not known."""
        costs = ledger.execute(
            "SELECT cost FROM calls WHERE model = ? AND cost > 0 ORDER BY id DESC LIMIT ?",
            (model, _LEARNED_FROM),
        ).fetchall()
        return _MARGIN * max(cost for (cost,) in costs) if len(costs) >= 3 else None

    def _sums(self, ledger: sqlite3.Connection) -> Spent:
        total = "SELECT COALESCE(SUM(COALESCE(cost, laid_aside)), 0) FROM calls WHERE "
        ((session,),) = ledger.execute(total + "session = ?", (self._session,))
        ((today,),) = ledger.execute(total + "day = ?", (_day(datetime.now(UTC)),))
        return Spent(session, today)

    def _over(self, spent: Spent, usual: float) -> OverBudget:
        """Which cap stops it, with the figures."""
        cap = self._caps["session"]
        if cap is not None and usual > cap - spent.session + _ROUNDING:
            done, when, raised = spent.session, "in this session", "--budget, or budget.session"
        else:
            cap, done, when, raised = self._caps["daily"], spent.today, "today", "budget.daily"
        return OverBudget(
            f"{done:.4f} of {cap:g} {self.currency} are spent {when}, and one more question may cost "
            f"{usual:.4f}.",
            f"Raise {raised} in the settings, to ask on.",
        )

    def _refuse_without_price(self, model: str) -> None:
        if any(cap is not None for cap in self._caps.values()):
            raise OverBudget(
                f"The price of {model} is not known, so that no spending cap can be kept.",
                f"Add the price to {self.path.parent / 'prices.toml'}, or remove the cap.",
            )

    @contextmanager
    def _ledger(self) -> Iterator[sqlite3.Connection]:
        """The ledger, locked for this thread of this process alone; written when left without an error."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                connection.execute(_BY_DAY)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()  # what was not committed is undone
        except (sqlite3.Error, OSError) as error:
            raise OutputError(
                f"The record of what was spent cannot be used ({error}).",
                f"Make {self.path} writable, or move it away if it is damaged; without it nothing is sent.",
            ) from error


async def _give_up(work: asyncio.Task[Laid | None]) -> None:
    """Put back what was laid aside after nobody wanted it any more."""
    with suppress(OmniViewError):
        laid = await work
        if laid is not None:
            await asyncio.to_thread(laid.settle, 0.0)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
