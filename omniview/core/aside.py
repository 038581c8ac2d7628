"""Where the blocking steps of an analysis are done: in asyncio's threads, or in those that a batch hands out.

Threads that compute in Python take the interpreter from each other at every step, and a network that runs
beside them gets it later, too. Whoever analyses many images at once says here which few threads there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

__all__ = ["aside", "sharing"]

T = TypeVar("T")

_SHARED: ContextVar[Executor | None] = ContextVar("shared", default=None)


async def aside(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done in another thread, in a copy of this context."""
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_SHARED.get(), context.run, work)


@contextmanager
def sharing(threads: Executor) -> Iterator[None]:
    """Within, and in tasks that are begun within, `aside` means these threads; they may have a queue."""
    token = _SHARED.set(threads)
    try:
        yield
    finally:
        _SHARED.reset(token)
