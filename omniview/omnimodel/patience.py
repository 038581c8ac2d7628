"""How long and how often a cloud omnimodel is asked before it is given up, and the words for that.

One policy for all providers: one deadline over all repetitions, pauses with jitter that honour what the
server asks for, and a circuit that remembers among calls.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from omniview.errors import NotAllowed, OmnimodelError, OverBudget, Unreachable
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.reply import Departing, Reply

__all__ = ["MAX_RETRIES", "NEXT_LATER", "Outage", "ask_patiently", "pause_s", "refused", "timed_out"]

MAX_RETRIES = 2
NEXT_LATER = "Try again later; the specialist's result stands."


class Outage(Exception):
    """An attempt failed for a reason that lies with the server or the way to it. Stays inside this package.

    Args:
        failure: what to raise if it stays so.
        after_s: how long the server asks to wait, or None.
        again: whether another attempt makes sense.
        free: nothing was used up: the server refused in so many words, or was never reached.
    """

    def __init__(
        self,
        failure: OmnimodelError,
        after_s: float | None = None,
        *,
        again: bool = True,
        free: bool = False,
    ) -> None:
        super().__init__()
        self.failure = failure
        self.after_s = after_s
        self.again = again
        self.free = free


async def ask_patiently(
    once: Callable[[], Awaitable[Reply]],
    departing: Departing,
    *,
    who: str,
    circuit: Circuit,
    timeout_s: float,
    first_pause_s: float,
) -> Reply:
    """One question with its repetitions. Cancelling cancels the attempt that runs.

    Args:
        once: one attempt; raises Outage where it makes sense to repeat it or to spare the server.
        departing: awaited before each attempt.
        who: the server, in a word that a message can begin with.
        circuit: of the endpoint.
        timeout_s: deadline of all attempts together; waiting for a turn does not count.
        first_pause_s: mean pause before the first repetition.

    Raises:
        Unreachable: no answer in time, or the circuit is open.
        OmnimodelError: whatever the last attempt ended with.
    """
    async with circuit.turn(who):
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                reply = await _repeated(once, departing, deadline, first_pause_s)
        except TimeoutError:
            outage = Outage(timed_out(who, timeout_s))
        except Outage as failed:
            outage = failed
        except NotAllowed:
            raise  # says nothing about the server
        except OmnimodelError:
            circuit.passed()
            raise
        else:
            circuit.passed()
            return reply
        circuit.failed(outage.failure.message, outage.after_s)
    if outage.free:
        return refused(outage.failure)
    raise outage.failure


async def _repeated(
    once: Callable[[], Awaitable[Reply]], departing: Departing, deadline: float, first_pause_s: float
) -> Reply:
    """The first reply; raises the last attempt's Outage, its words saying how hard it was tried."""
    attempt = 0
    outage: Outage | None = None
    while True:
        try:
            await departing(outage is not None and not outage.free)
        except OverBudget as error:
            if outage is None:
                raise
            said = f"{outage.failure.message} It was not asked again: {error.message}"
            outage.failure = type(outage.failure)(said, error.next_step)
            raise outage from None
        try:
            return await once()
        except Outage as failed:
            outage = failed
        wait_s = pause_s(attempt, first_pause_s) if outage.after_s is None else outage.after_s
        too_late = asyncio.get_running_loop().time() + wait_s >= deadline
        if attempt == MAX_RETRIES or too_late or not outage.again:
            outage.failure = _final(outage.failure, attempt + 1, outage.after_s if too_late else None)
            raise outage
        attempt += 1
        await asyncio.sleep(wait_s)


def refused(problem: OmnimodelError) -> Reply:
    """The reply of a server that would not answer or was never reached, and so charges nothing."""
    return Reply("", problem=problem, tokens_in=0, tokens_out=0)


def timed_out(who: str, timeout_s: float) -> Unreachable:
    """That the deadline has passed, in words."""
    return Unreachable(
        f"{who} gave no answer within {timeout_s:g} s.",
        "Try again later, or raise timeout_s in the settings.",
    )


def pause_s(attempt: int, first_s: float) -> float:
    """How long to wait before asking again: doubling, with jitter so that clients do not return in step.

    Args:
        attempt: 0 before the first repetition.
        first_s: the mean of the first pause.
    """
    return first_s * 2.0**attempt * random.uniform(0.5, 1.5)  # noqa: S311 - no secret depends on it


def _final(failure: OmnimodelError, attempts: int, asked_to_wait_s: float | None) -> OmnimodelError:
    """The failure with how hard it was tried."""
    how = f" Tried {attempts} times." if attempts > 1 else ""
    if asked_to_wait_s is not None:
        how += f" It asks to wait {asked_to_wait_s:.0f} s, longer than the deadline allows."
    return type(failure)(failure.message + how, failure.next_step)
