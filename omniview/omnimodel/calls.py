"""One call to a cloud omnimodel, whatever it asks: airlock, memory, money and audit around an Api.

Everything that asks a cloud (for masks, for words) does it through `Calls`, so that no path exists on which
pixels leave without consent and a record, or money without a purse.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from omniview.core.asking import BECAUSE
from omniview.core.image import Image
from omniview.errors import MissingKey, OmnimodelError, OmniViewError
from omniview.omnimodel.airlock import Airlock, Departure
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.bill import Bill, uncut
from omniview.omnimodel.reply import Answers, Api, Estimate, Prices, Purse, Reply

__all__ = ["ORDINARY_TOKENS", "Calls", "Outcome", "plain_key"]

ORDINARY_TOKENS = 2048
"""Length of an ordinary answer, a few outlines and thoughts: assumed until a model's own answers tell."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call.

    Attributes:
        reply: what came back; its `problem`, where there is one, is for the caller to raise.
        cost: in the price table's currency, or None where it is not known.
        cached: the answer was remembered, and nothing was sent.
        key: under which the reply can be kept.
    """

    reply: Reply
    cost: float | None
    cached: bool
    key: str


class _Line:
    """A built Api and how many calls use it, so that one that was replaced closes after its last call."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.users = 0
        self.replaced = False


class Calls:
    """Calls of one model at one endpoint. Use it within one event loop; `warm` may run in any thread.

    Args:
        build: makes the provider's Api; may block, is run in a thread, and is run anew after a key was
            rejected, so that it must read the key itself. Raises MissingKey where there is none.
        model: the model's id.
        endpoint: where it is.
        airlock: decides what may leave, and encodes it.
        audit: keeps the record.
        max_side: longer side in pixels of the picture that is sent.
        max_output_tokens: the most that may come back, for the estimated cost.
        settings: all else that an answer depends on (API version, thinking), as part of the memory's key.
        prices: what models cost.
        purse: what may be spent.
        answers: what was paid for already.
    """

    def __init__(
        self,
        build: Callable[[], Api],
        *,
        model: str,
        endpoint: str,
        airlock: Airlock,
        audit: Audit,
        max_side: int,
        max_output_tokens: int,
        settings: tuple[object, ...] = (),
        prices: Prices | None = None,
        purse: Purse | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.model = model
        self.endpoint = endpoint
        self._build = build
        self._airlock = airlock
        self._audit = audit
        self._max_side = max_side
        self._max_output_tokens = max_output_tokens
        self._settings = settings
        self._prices = prices
        self._purse = purse
        self._answers = answers
        self._building = threading.Lock()
        self._line: _Line | None = None

    @property
    def currency(self) -> str | None:
        """ISO 4217 code of costs, or None without prices."""
        return None if self._prices is None else self._prices.currency

    def warm(self) -> None:
        """Load the provider's library and build its client, so that the first question does not wait for it.

        Blocks for up to a second: call it in a thread. Opens no connection; does nothing without a key.
        """
        with suppress(OmnimodelError):  # said when somebody asks
            self._opened()

    async def check(self) -> None:
        """See whether pixels may leave, before any is touched.

        Raises:
            NotAllowed: offline, or without consent.
        """
        await asyncio.to_thread(self._airlock.check, self.endpoint)

    async def clear(self, image: Image, show: Callable[[Image], Image] | None = None) -> Departure:
        """The picture as it may leave.

        Args:
            image: the whole image.
            show: turns or crops it, after burned-in text was blacked out.

        Raises:
            NotAllowed: it may not.
        """
        return await asyncio.to_thread(
            partial(self._airlock.clear, image, self.endpoint, self._max_side, show=show)
        )

    def estimate(self, question: str, size: tuple[int, int] | None) -> Estimate | None:
        """What a call may cost, or None where that is not known.

        Args:
            question: the text.
            size: (h,w) of the picture that is sent, or None without one.
        """
        if self._prices is None:
            return None
        longest = self._max_output_tokens
        costs = [
            self._prices.estimate(self.model, question, size, tokens)
            for tokens in (0, min(ORDINARY_TOKENS, longest), longest)
        ]
        known = [cost for cost in costs if cost is not None]
        return Estimate(*known) if len(known) == len(costs) else None

    async def send(self, question: str, departure: Departure | None = None) -> Outcome:
        """Ask, unless the answer is remembered; with a record before each departure and one of what came.

        Cancelling closes the connection.

        Args:
            question: the text.
            departure: the picture as `clear` gave it, or None for a question without one.

        Raises:
            NotAllowed: offline, or without consent.
            MissingKey: no key that can be one.
            OverBudget: a cap is reached, so nothing was sent.
            Unreachable: no connection, cut, timed out, or the circuit is open.
            UnusableAnswer: what came is not an answer of the interface.
            OutputError: the audit could not be written, so nothing was sent.
        """
        await self.check()
        if self._answers is not None:
            key = self._key(question, departure)
            kept = await asyncio.to_thread(self._answers.get, key)
            if kept is not None:
                return Outcome(kept, 0.0, cached=True, key=key)
        line = await self._take()
        try:
            return await self._send(line.api, question, departure)
        finally:
            await self._give_back(line)

    async def keep(self, outcome: Outcome) -> None:
        """Remember an answer that could be used."""
        if self._answers is not None and not outcome.cached:
            await uncut(self._answers.put, outcome.key, outcome.reply)

    async def close(self) -> None:
        """Close all connections."""
        line, self._line = self._line, None
        if line is not None:
            await line.api.close()

    def _key(self, question: str, departure: Departure | None) -> str:
        picture = None if departure is None else departure.sha256
        parts = [picture, question, self.model, self.endpoint, self._max_output_tokens, *self._settings]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()

    def _opened(self) -> _Line:
        with self._building:
            if self._line is None:
                self._line = _Line(self._build())
            return self._line

    async def _take(self) -> _Line:
        line = await asyncio.to_thread(self._opened) if self._line is None else self._line
        line.users += 1
        return line

    async def _give_back(self, line: _Line) -> None:
        line.users -= 1
        if line.replaced and not line.users:
            await line.api.close()

    async def _send(self, api: Api, question: str, departure: Departure | None) -> Outcome:
        sent: list[int] = []
        data = question.encode() if departure is None else departure.data
        size = None if departure is None else departure.placement.size

        bill = Bill(self._purse, self.model, self.estimate(question, size))

        def note() -> None:
            # asked at the last moment: a consent may be withdrawn while a call waits or is repeated
            consent = self._airlock.check(self.endpoint)
            number = self._audit.append(
                event="sent",
                endpoint=self.endpoint if departure is None else departure.endpoint,
                model=self.model,
                sha256=hashlib.sha256(data).hexdigest() if departure is None else departure.sha256,
                bytes=len(data),
                consent=consent,
                text=None if departure is None else departure.text or None,
                because=BECAUSE.get() or None,
            )
            sent.append(number)
            bill.departed()

        async def depart(broke_off: bool) -> None:
            await bill.next(broke_off=broke_off)
            await uncut(note)

        reply: Reply | None = None
        cost: float | None = None
        ended = "cancelled"
        try:
            limit = self._limit(question, size, await bill.reserve())
            reply = await api.ask(question, departure, depart, limit)
            ended = "answered" if reply.problem is None else type(reply.problem).__name__
            if isinstance(reply.problem, MissingKey):
                self._replace(api)
        except OmniViewError as error:
            ended = type(error).__name__
            raise
        finally:

            def settle() -> None:
                nonlocal cost
                cost = bill.settle(self._cost(reply))
                self._record(sent, ended, reply, cost)

            await uncut(settle)
        return Outcome(reply, cost, cached=False, key=self._key(question, departure))

    def _record(self, sent: list[int], ended: str, reply: Reply | None, cost: float | None) -> None:
        """Write down in the audit how a call ended."""
        if sent:
            self._audit.append(
                event="ended",
                of=sent[-1],
                times_sent=len(sent),
                outcome=ended,
                model=self.model,
                model_version=None if reply is None else reply.version,
                tokens_in=None if reply is None else reply.tokens_in,
                tokens_out=None if reply is None else reply.tokens_out,
                cost=cost,
                currency=None if cost is None else self.currency,
            )

    def _limit(self, question: str, size: tuple[int, int] | None, amount: float | None) -> int:
        """How many tokens may come back for what was laid aside."""
        longest = self._max_output_tokens
        if self._prices is None or amount is None:
            return longest
        paid = self._prices.affordable(self.model, question, size, amount)
        return longest if paid is None else min(longest, paid)

    def _replace(self, api: Api) -> None:
        """Build anew for the next call: the key was not accepted, and may be corrected meanwhile."""
        if self._line is not None and self._line.api is api:
            self._line.replaced = True
            self._line = None

    def _cost(self, reply: Reply | None) -> float | None:
        if reply is None or reply.tokens_in is None or self._prices is None:
            return None
        if reply.tokens_out is None and (reply.text or reply.pictures or reply.cut_off):
            return None  # something came back, and it is not said how much
        return self._prices.cost(self.model, reply.tokens_in, reply.tokens_out or 0)


def plain_key(key: str | None, provider: str) -> str:
    """An API key that can be one, without what pasting leaves around it.

    Args:
        key: what was found, or None.
        provider: its name, for the message.

    Raises:
        MissingKey: there is none, or it cannot be one; it is not shown.
    """
    plain = (key or "").strip()
    if not plain.isascii() or not plain.isprintable() or len(plain.split()) != 1:
        state = "is empty or holds characters that no key has" if key is not None else "is not set"
        raise MissingKey(f"The {provider} API key {state}.", "Set it, or choose another omnimodel.")
    return plain
