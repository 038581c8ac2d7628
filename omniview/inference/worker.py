"""The one inference thread: runs queue here, never on the UI thread, and cancelling one really stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any, TypeVar

from omniview.core.image import Array
from omniview.errors import InferenceError
from omniview.inference.session import Session

__all__ = ["InferenceThread", "Ticket"]

T = TypeVar("T")


class Stopped(Exception):
    """Raised inside the thread to leave work that nobody waits for any more."""


class Ticket:
    """One piece of work's way to hear that nobody waits for it any more."""

    def __init__(self) -> None:
        self._cancelled = Event()
        self._options: Any = None

    def cancel(self) -> None:
        """Stop the run in flight and every later one. Called from another thread."""
        self._cancelled.set()
        if self._options is not None:
            self._options.terminate = True  # stops ONNX Runtime between two nodes, within tens of ms

    def check(self) -> None:
        """Raise if nobody waits any more; call between steps that are long."""
        if self._cancelled.is_set():
            raise Stopped

    def run(self, session: Session, feeds: Mapping[str, Array]) -> list[Array]:
        """`session.run`, stoppable.

        Raises:
            InferenceError: the network failed.
        """
        import onnxruntime as ort

        self._options = ort.RunOptions()
        self.check()  # after the options exist: a cancel before this line is seen here, one after it there
        try:
            return session.run(feeds, self._options)
        except InferenceError:
            self.check()
            raise


class InferenceThread:
    """One thread for all local networks, so that they do not fight for cores or GPU memory.

    Args:
        name: of the thread, for debuggers.
    """

    def __init__(self, name: str = "inference") -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        # To wake an event loop is to let go of the interpreter, and to get it back can take a millisecond.
        # Another thread does that, while the next work is begun.
        self._messenger = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{name} messenger")

    async def run(self, work: Callable[[Ticket], T]) -> T:
        """The result of `work(ticket)`, computed in the thread after what is queued before it.

        If the awaiting task is cancelled, `work` is stopped; cancellation goes on once the thread is free.
        """
        loop, ticket = asyncio.get_running_loop(), Ticket()
        answer: asyncio.Future[T] = loop.create_future()

        def tell(future: Future[T]) -> None:
            give = partial(_hand_over, future, answer)
            try:
                self._messenger.submit(loop.call_soon_threadsafe, give)
            except RuntimeError:
                # no thread can be had, or the main one has ended; somebody may wait all the same
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(give)

        future = self._executor.submit(work, ticket)
        future.add_done_callback(tell)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            ticket.cancel()
            if not future.cancel():
                await asyncio.wait([answer])
            raise

    def close(self) -> None:
        """Wait for the work in flight and end the thread; what is queued is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._messenger.shutdown(wait=True)


def _hand_over(future: Future[T], answer: asyncio.Future[T]) -> None:
    """What came out, or that it was dropped; called in the loop that waits for it, and perhaps twice."""
    if answer.done():
        return
    if future.cancelled():
        answer.cancel()
    elif (error := future.exception()) is not None:
        answer.set_exception(error)
        answer.exception()  # fetched, so that asyncio does not report it as lost where nobody waits any more
    else:
        answer.set_result(future.result())
