"""The newest wish wins: what ran before is cancelled and can no longer touch the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["Coalesced", "Latest"]

T = TypeVar("T")


class Latest:
    """Runs one coroutine at a time; a newer one cancels the older.

    Args:
        failed: told of an exception that a coroutine let escape.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._old: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether the newest coroutine is still at work."""
        return self._task is not None and not self._task.done()

    def start(self, make: Callable[[Callable[[], bool]], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Cancel what runs and start what `make` returns.

        Args:
            make: gets a function that says whether its coroutine is still the newest, for code that the
                coroutine hands to others, who may call after it was cancelled.
        """
        self.cancel()
        task: asyncio.Task[None] | None = None

        def newest() -> bool:
            return self._task is task

        task = asyncio.get_running_loop().create_task(make(newest))
        self._task = task
        self._old.add(task)
        task.add_done_callback(self._finished)
        return task

    def cancel(self) -> None:
        """Cancel what runs, if anything."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def settle(self) -> None:
        """Wait until nothing runs; what is started meanwhile is waited for too."""
        while self._old:
            await asyncio.wait(set(self._old))

    async def close(self) -> None:
        """Cancel what runs, and wait until all that was ever started has let go."""
        self.cancel()
        await self.settle()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._old.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)


class Coalesced(Generic[T]):
    """Runs one request at a time; of those that come meanwhile only the last is run after it.

    For work that must not be cancelled half-way but whose results age quickly, such as painting.

    Args:
        work: carries out one request.
        failed: told of an exception that `work` let escape; the next request is run all the same.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], failed: Callable[[BaseException], None]) -> None:
        self._work = work
        self._failed = failed
        self._next: T | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> bool:
        """Whether a newer request waits for the one that runs."""
        return self._next is not None

    def ask(self, request: T) -> None:
        """Run `request` as soon as possible, in place of any that still waits."""
        self._next = request
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def settle(self) -> None:
        """Wait until every request is done."""
        while self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Drop what waits and wait for what runs."""
        self._next = None
        await self.settle()

    async def _run(self) -> None:
        try:
            while (request := self._next) is not None:
                self._next = None
                try:
                    await self._work(request)
                except Exception as error:  # noqa: BLE001 - nobody awaits this task: it would be lost
                    self._failed(error)
        finally:
            self._task = None
