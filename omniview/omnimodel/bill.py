"""The money of one call: it may leave several times, and each time that breaks off may be charged.

A request that was cut off on its way back was perhaps answered, and paid for. So it counts with all that was
laid aside for it, and before it is repeated as much is laid aside anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from omniview.errors import OverBudget
from omniview.omnimodel.reply import Estimate, Purse, Reservation

__all__ = ["Bill", "uncut"]

_WAIT_S = 2.0
"""A repetition holds one of the endpoint's places, which those that it would wait for may need themselves."""


class Bill:
    """What one call costs, over all its departures. For one task; `settle` may run in any thread.

    Args:
        purse: what may be spent, or None where nobody counts.
        model: the model's id.
        estimate: what one departure may cost; None: the price is not known.
    """

    def __init__(self, purse: Purse | None, model: str, estimate: Estimate | None) -> None:
        self._purse = purse
        self._model = model
        self._estimate = estimate
        self._reserved: Reservation | None = None
        self._lost: float | None = 0.0
        self._under_way = False

    async def reserve(self) -> float | None:
        """Lay aside for the first departure; how much, or None for any amount.

        Raises:
            OverBudget: a cap is reached.
            OutputError: it cannot be written down.
        """
        if self._purse is not None:
            self._reserved = await self._purse.reserve(self._model, self._estimate)
        return self._amount

    async def next(self, *, broke_off: bool) -> None:
        """Before each departure: what the one before it, if there was any, came to.

        Args:
            broke_off: the one before was sent and broke off, so that it may be charged.

        Raises:
            OverBudget: as much as for the first cannot be laid aside again.
            OutputError: it cannot be written down.
        """
        self._under_way = False
        if broke_off:
            await self._again()

    def departed(self) -> None:
        """From now on it may be charged."""
        self._under_way = True

    def settle(self, cost: float | None) -> float | None:
        """Put the true cost of the last departure in place of what was laid aside; what all cost together.

        Blocks for a moment.

        Args:
            cost: of the last departure; None where it is not known.

        Returns:
            The sum, those that broke off in full; None where any of it is not known.

        Raises:
            OutputError: it could not be written; what was laid aside stands as spent.
        """
        last = cost if self._under_way else 0.0
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.settle(last)
        return None if last is None or self._lost is None else self._lost + last

    @property
    def _amount(self) -> float | None:
        return None if self._reserved is None else self._reserved.amount

    async def _again(self) -> None:
        amount, reserved, self._reserved = self._amount, self._reserved, None
        self._lost = None if amount is None or self._lost is None else self._lost + amount
        if reserved is None or self._purse is None:
            return
        await uncut(reserved.settle, None)
        try:
            async with asyncio.timeout(_WAIT_S):
                self._reserved = await self._purse.reserve(self._model, self._estimate)
        except TimeoutError:
            enough = False
        else:
            # the length of the answer that is asked for was chosen by the first amount
            enough = amount is None or self._amount is None or self._amount >= amount
        if not enough:
            raise OverBudget(
                "What is left of the cap does not pay for as long an answer once more.",
                "Ask again, or raise the cap in the settings.",
            )


async def uncut(work: Callable[..., None], *arguments: Any) -> None:
    """Run in a thread to its end, even if the awaiting task is cancelled meanwhile; it is told afterwards."""
    done = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise
