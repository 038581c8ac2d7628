"""The shapes that asking a cloud omnimodel is made of, whoever the provider is.

`Api` is what a provider's module has to offer; `Purse`, `Prices` and `Answers` are what `Calls` uses of money
and memory where it was given any. They meet here so that none of them has to import another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from omniview.errors import OmnimodelError
from omniview.omnimodel.airlock import Departure

__all__ = ["Answers", "Api", "Departing", "Estimate", "Prices", "Purse", "Reply", "Reservation"]

Departing: TypeAlias = Callable[[bool], Awaitable[None]]
"""Awaited before each time that anything is sent, repetitions included: it keeps the record and the bill.

Its argument: whether the attempt before was sent and broke off, so that it may be charged. Raises NotAllowed,
OutputError, and OverBudget where a repetition is not paid for; then nothing must be sent.
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        text: the answer without the model's thoughts.
        cut_off: the token limit was reached before its end.
        problem: why there is nothing to be read in it, or None. Also where the server refused the request.
        version: the model version that the answer names.
        tokens_in: tokens sent.
        tokens_out: tokens received, thinking included.
        pictures: encoded pictures that the answer holds beside its text.
    """

    text: str
    cut_off: bool = False
    problem: OmnimodelError | None = None
    version: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    pictures: tuple[bytes, ...] = ()


class Api(Protocol):
    """One provider's interface at one endpoint with one key, for use within one event loop."""

    async def ask(
        self, question: str, departure: Departure | None, departing: Departing, max_output_tokens: int
    ) -> Reply:
        """The answer, with repetitions where a failure may pass. Cancelling closes the connection.

        Args:
            question: the text.
            departure: the picture, cleared by the airlock, or None for a question without one.
            departing: awaited before each time anything is sent, see `Departing`.
            max_output_tokens: the most that may come back; it was paid for that much.

        Raises:
            OmnimodelError: it is not known what the server did with the request: cut, timed out, or an
                answer that is none. What the server refused in so many words, or never got, and so does not
                charge, is a Reply with a `problem` and no tokens.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Calling twice does no harm."""
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call may cost before it is made, in the price table's currency.

    Attributes:
        sent: an upper bound for what is sent.
        ordinary: with an answer of ordinary length.
        most: with the longest answer that is allowed.
    """

    sent: float
    ordinary: float
    most: float


class Reservation(Protocol):
    """Money laid aside for one departure of a call."""

    @property
    def amount(self) -> float | None:
        """What the call may cost, so that its answer must be no longer; None: the price is not known."""
        ...

    def settle(self, actual: float | None) -> None:
        """Put the true cost in place of the estimate; None: not known, so the estimate stands as spent.

        May block for a moment (called in a thread). Called exactly once.
        """
        ...


class Purse(Protocol):
    """What may still be spent; shared by everything that costs, safe among threads."""

    async def reserve(self, model: str, estimate: Estimate | None) -> Reservation:
        """Lay money aside before anything is sent; waits while calls under way may leave some over.

        Cancelling puts it back.

        Args:
            model: the model's id.
            estimate: what the call may cost; None: the price is not known.

        Raises:
            OverBudget: a cap would be passed, or there is a cap and no price to keep it by.
            OutputError: it cannot be written down, so nothing may be sent.
        """
        ...


class Prices(Protocol):
    """What models cost."""

    @property
    def currency(self) -> str:
        """ISO 4217 code of all amounts."""
        ...

    def cost(self, model: str, tokens_in: int, tokens_out: int) -> float | None:
        """What a call cost, or None where the model's price is not known."""
        ...

    def estimate(
        self, model: str, question: str, size: tuple[int, int] | None, max_output_tokens: int
    ) -> float | None:
        """What a call may cost at most, or None where the model's price is not known.

        Args:
            model: the model's id.
            question: the text.
            size: (h,w) of the picture in pixels, or None without one.
            max_output_tokens: the most that may come back.
        """
        ...

    def affordable(
        self, model: str, question: str, size: tuple[int, int] | None, amount: float
    ) -> int | None:
        """How many tokens may come back for `amount`; None: any number, or the price is not known."""
        ...


class Answers(Protocol):
    """Replies that were paid for, kept so that nothing is paid for twice; safe among threads."""

    def get(self, key: str) -> Reply | None:
        """The reply kept under `key` (SHA-256, lower-case hex), or None. May block (called in a thread)."""
        ...

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply that could be used. May block (called in a thread); failing to keep is no error."""
        ...
