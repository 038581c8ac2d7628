"""Caps on what omnimodels cost that really stop: money is laid aside before anything is sent.

Each call lays aside the most that it can cost, and the provider is told to answer within that, so that no
number of calls at once can pass a cap. Where less is left than the longest answer could cost, less is laid
aside and a shorter answer is asked for, as long as one of the usual length fits; when not even that, and
nothing is under way that could turn out cheaper than it might have, nothing more is sent.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

from omniview.errors import OmniViewError, OverBudget
from omniview.omnimodel.ledger import Ledger, Spent
from omniview.omnimodel.reply import Estimate

__all__ = ["Budget", "Caps", "Laid"]

_FILE = "spending.sqlite"
_MARGIN = 1.5
"""A usual answer costs up to so many times the dearest of the latest ones."""
_AMPLE = 8.0
"""So many times a usual answer is enough for any, where a cap makes money scarce."""
_AT_ONCE = 4
"""Of what is left, one call takes no more than its share among so many."""
_LOOK_AGAIN_S = 0.5
"""So often somebody who waits looks whether another process has settled a call."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent.

    Attributes:
        session: in one run of the program or one batch; None for no cap.
        daily: on one day (UTC), over all runs; None for no cap.
    """

    session: float | None = None
    daily: float | None = None

    def left(self, spent: Spent) -> float:
        """What may still be spent; infinite without a cap."""
        pairs = ((self.session, spent.session), (self.daily, spent.today))
        return min((cap - done for cap, done in pairs if cap is not None), default=inf)

    def __bool__(self) -> bool:
        return self.session is not None or self.daily is not None


class Laid:
    """Money laid aside for one call; made by `Budget.reserve`.

    Attributes:
        amount: what the call may cost; None: the price is not known, and no cap is set.
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
            self._budget.settle(self._row, actual)


class Budget:
    """The purse of one session; safe among threads, event loops and processes.

    Args:
        home: OmniView's own folder; what is spent is kept in `spending.sqlite` there.
        caps: what may be spent.
        session: a name that processes give which share a session; None: a session of its own.
        currency: ISO 4217 code of all amounts.
    """

    def __init__(
        self, home: Path, caps: Caps | None = None, *, session: str | None = None, currency: str = "USD"
    ) -> None:
        self.caps = caps or Caps()
        self.currency = currency
        self._prices = home / "prices.toml"
        self._ledger = Ledger(home / _FILE)
        self._session = session or uuid.uuid4().hex
        self._lock = Lock()
        self._open: set[int] = set()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def reserve(self, model: str, estimate: Estimate | None) -> Laid:
        """Lay money aside for one call, before anything is sent.

        Where a cap leaves too little while other calls are under way, it waits for them: most cost less than
        they might have.

        Args:
            model: the model's id.
            estimate: what the call may cost; None: the price is not known. What this model's latest calls
                really cost is trusted more than `estimate.ordinary`.

        Raises:
            OverBudget: a cap would be passed, or there is a cap and no price to keep it by.
            OutputError: the ledger cannot be written; then nothing may be sent.
        """
        if estimate is None:
            if self.caps:
                raise OverBudget(
                    f"The price of {model} is not known, so that no spending cap can be kept.",
                    f"Add the price to {self._prices}, or remove the cap.",
                )
            return Laid(self, None, None)
        async with self._turn():  # whoever asked first is served first, so that a batch keeps its order
            while True:
                settled = self._listen()
                work = asyncio.create_task(asyncio.to_thread(self._try, model, estimate))
                try:
                    laid = await asyncio.shield(work)
                except asyncio.CancelledError:
                    await asyncio.shield(asyncio.create_task(_give_up(work)))
                    raise
                if laid is not None:
                    return laid
                with suppress(TimeoutError):
                    await asyncio.wait_for(settled.wait(), _LOOK_AGAIN_S)

    def settle(self, row: int, actual: float | None) -> None:
        """What `Laid.settle` does."""
        try:
            with self._ledger.open() as page:
                page.settle(row, actual)
        finally:
            with self._lock:
                self._open.discard(row)
                waiting, self._waiting = self._waiting, []
            for loop, event in waiting:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    def spent(self) -> Spent:
        """What was spent so far. Blocks for a millisecond or so: call it in a thread.

        Raises:
            OutputError: the ledger cannot be read.
        """
        if not self._ledger.path.exists():
            return Spent(0.0, 0.0)
        with self._ledger.open() as page:
            return page.spent(self._session)

    def usual(self, model: str) -> float | None:
        """What one call of `model` cost lately, on average; None where that is not known. Blocks.

        Raises:
            OutputError: the ledger cannot be read.
        """
        if not self._ledger.path.exists():
            return None
        with self._ledger.open() as page:
            costs = page.latest(model)
        return sum(costs) / len(costs) if costs else None

    def _try(self, model: str, estimate: Estimate) -> Laid | None:
        """Money laid aside, or None while there is hope that some will be left over."""
        with self._lock:
            hope = bool(self._open)
        with self._ledger.open() as page:
            usual = estimate.ordinary
            if latest := page.latest(model):
                # the latest costs hold what was sent too, so that the answer gets room to spare
                usual = min(estimate.most, estimate.sent + _MARGIN * max(latest))
            spent = page.spent(self._session)
            left = self.caps.left(spent)
            if usual > left + _ROUNDING:
                # what other sessions may leave is of use only where the day's cap alone is in the way
                own = Caps(self.caps.session).left(spent) + _ROUNDING < usual
                if hope or page.under_way(self._session if own else None):
                    return None
                raise self._over(spent, usual, own)
            amount = min(estimate.most, max(left, 0.0), max(_AMPLE * usual, left / _AT_ONCE))
            row = page.lay_aside(self._session, model, amount)
            with self._lock:
                self._open.add(row)
        return Laid(self, row, amount)

    def _turn(self) -> asyncio.Lock:
        """The queue of this event loop."""
        with self._lock:
            return self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def _listen(self) -> asyncio.Event:
        """Set when the next call is settled; asked for before looking, so that none is missed."""
        event = asyncio.Event()
        with self._lock:
            self._waiting.append((asyncio.get_running_loop(), event))
        return event

    def _over(self, spent: Spent, usual: float, own: bool) -> OverBudget:
        """Which cap stops it, with the figures; `own`: the session's."""
        cap, done, when, raised = self.caps.daily, spent.today, "today", "budget.daily"
        if own:
            cap, done, when = self.caps.session, spent.session, "in this session"
            raised = "--budget, or budget.session"
        return OverBudget(
            f"{done:.4f} of {cap:g} {self.currency} are spent {when}, and one more question may cost "
            f"{usual:.4f}.",
            f"Raise {raised} in the settings, to ask on.",
        )


async def _give_up(work: asyncio.Task[Laid | None]) -> None:
    """Put back what was laid aside after nobody wanted it any more."""
    with suppress(OmniViewError):
        laid = await work
        if laid is not None:
            await asyncio.to_thread(laid.settle, 0.0)
