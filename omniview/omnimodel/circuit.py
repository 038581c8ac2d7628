"""A fuse for each endpoint: a server that keeps failing is left alone for a while, and never overrun.

Without it every case of a batch would wait out its whole deadline against a server that is down. After
several failures in a row calls fail at once, and say when the next one is let through; that one is a probe,
and its success closes the circuit again (circuit breaker: M. Nygard, Release It!, 2007).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Lock
from weakref import WeakKeyDictionary

from omniview.errors import Unreachable
from omniview.omnimodel.airlock import origin

__all__ = ["Circuit", "circuit_of"]

FAILURES = 5
"""In a row, until the circuit opens. Each is a whole call with its repetitions."""
AT_ONCE = 4
"""Calls to one endpoint at a time."""
_PAUSE_S = 15.0
_LONGEST_PAUSE_S = 300.0


class Circuit:
    """The state of one endpoint, shared by everything in this process that calls it; safe among threads.

    Args:
        failures: so many in a row open the circuit.
        pause_s: for how long, the first time; doubled each time that a probe fails.
        at_once: calls at a time in one event loop; further ones wait for their turn.
    """

    def __init__(self, failures: int = FAILURES, pause_s: float = _PAUSE_S, at_once: int = AT_ONCE) -> None:
        self._failures = failures
        self._first_pause_s = pause_s
        self._at_once = at_once
        self._lock = Lock()
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._row = 0
        self._why = ""
        self._pause_s = pause_s
        self._open_until: float | None = None
        self._probing = False

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

        Args:
            who: the server, in a word that a message can begin with.

        Raises:
            Unreachable: the circuit is open; says for how long.
        """
        # a call that could not be made anyway does not queue, and one that queued looks again
        self._refuse_if_open(who)
        async with self._slot():
            probe = self._enter(who)
            try:
                yield
            finally:
                if probe:
                    with self._lock:
                        self._probing = False

    def passed(self) -> None:
        """The server answered, be it with a refusal: it is alive."""
        with self._lock:
            self._row, self._open_until, self._pause_s = 0, None, self._first_pause_s

    def failed(self, why: str, wait_s: float | None = None) -> None:
        """A call failed for a reason that lies with the server.

        Args:
            why: the reason, for the message.
            wait_s: how long the server asks to be left alone.
        """
        with self._lock:
            self._row += 1
            self._why = why
            if self._row < self._failures:
                return
            now = time.monotonic()
            if self._open_until is not None:
                if now < self._open_until:  # a call from before it opened says nothing new
                    return
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            self._open_until = now + max(self._pause_s, min(wait_s or 0.0, _LONGEST_PAUSE_S))

    def _slot(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._slots:
                self._slots[loop] = asyncio.Semaphore(self._at_once)
            return self._slots[loop]

    def _refuse_if_open(self, who: str) -> None:
        with self._lock:
            self._check(who)

    def _enter(self, who: str) -> bool:
        """Whether this call is the probe of a circuit that was open."""
        with self._lock:
            self._check(who)
            self._probing = self._open_until is not None
            return self._probing

    def _check(self, who: str) -> None:
        if self._open_until is None:
            return
        left_s = self._open_until - time.monotonic()
        if left_s > 0 or self._probing:
            when = f"The next try is possible in {left_s:.0f} s." if left_s > 0 else "It is just being tried."
            raise Unreachable(
                f"{who} failed {self._row} times in a row and is left alone for now. Last: {self._why}",
                f"{when} The specialist's result stands.",
            )


_CIRCUITS: dict[str, Circuit] = {}
_CIRCUITS_LOCK = Lock()


def circuit_of(endpoint: str) -> Circuit:
    """The one circuit of this process for an endpoint.

    Raises:
        NotAllowed: not an address at all.
    """
    place = origin(endpoint)
    with _CIRCUITS_LOCK:
        return _CIRCUITS.setdefault(place, Circuit())
