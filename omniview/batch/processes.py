"""Worker processes on this machine: each with models of its own, none of them needed to stay alive.

A fresh interpreter is started for each, never a fork, and spoken to through its standard input and output. A
worker whose input ends, because the run is over or its parent was killed, ends itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import BinaryIO

from omniview.batch.work import Done, Work, done_without
from omniview.core.cores import cores as cores_here
from omniview.errors import OmniViewError

__all__ = ["AHEAD", "Processes", "environment", "main"]

AHEAD = 3
"""Cases given to one worker at once: one to read, one to infer, one to score."""
_START = "from omniview.batch.processes import main; main({}, {})"
_READY = -1
_CAUSE = "A worker process ended while it was at this case"


class _LostError(Exception):
    """The process ended before it answered."""


def environment() -> dict[str, str]:
    """That of a fresh interpreter which is to find the modules that this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


class Processes:
    """Does cases in worker processes; use it from one event loop.

    A case whose worker is lost is done once more, alone in a worker of its own, so that a case that kills
    its worker is told from those that were only beside it; lost again, it is a failed row.

    Args:
        jobs: how many workers.
        asking: cases beyond the local ones that a worker may have waiting for an omnimodel, and ask at once.
    """

    def __init__(self, jobs: int, asking: int = 0) -> None:
        self._bounds = max(1, cores_here() // jobs), max(1, asking)
        self.capacity = jobs * (AHEAD + asking)
        self._workers: list[_Worker | None] = [None] * jobs
        self._alone = asyncio.Lock()

    async def do(self, work: Work) -> Done:
        """What became of the case.

        Raises:
            OmniViewError: no worker process can be started at all.
        """
        try:
            worker = await self._least_busy()
            return await worker.do(work)
        except _LostError:
            async with self._alone:
                return await self._once_more(work)

    async def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            if worker is not None:
                await asyncio.to_thread(worker.end)

    async def _least_busy(self) -> _Worker:
        for place, worker in enumerate(self._workers):
            if worker is None or worker.lost:
                self._workers[place] = fresh = _Worker(asyncio.get_running_loop(), *self._bounds)
                if worker is not None:
                    await asyncio.to_thread(worker.end)
                return fresh
        return min((w for w in self._workers if w is not None), key=lambda worker: worker.busy)

    async def _once_more(self, work: Work) -> Done:
        worker = _Worker(asyncio.get_running_loop(), *self._bounds)
        try:
            return await worker.do(work)
        except _LostError as error:
            reason = OmniViewError(f"{_CAUSE}, twice ({error}).", "Try it alone, with more memory.")
            return done_without(work.pair, work.order, reason, died=True)
        finally:
            await asyncio.to_thread(worker.end)


class _Worker:
    """One process and what it owes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cores: int, cloud: int) -> None:
        self.lost = False
        self._loop = loop
        self._keys = itertools.count()
        self._owed: dict[int, asyncio.Future[Done]] = {}
        self._ready = False
        self._sending = threading.Lock()
        try:
            # not asyncio's own subprocesses: Qt's event loop has none on Windows
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-P", "-c", _START.format(cores, cloud)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                start_new_session=True,  # Ctrl-C is the parent's to hear
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise OmniViewError(
                f"No worker process can be started ({error.strerror}).", "Score with --jobs 1."
            ) from error
        self._listener = threading.Thread(target=self._listen, name="worker answers", daemon=True)
        self._listener.start()

    @property
    def busy(self) -> int:
        """How many cases it has."""
        return len(self._owed)

    async def do(self, work: Work) -> Done:
        """What became of the case.

        Raises:
            _LostError: the process ended first.
            OmniViewError: the process cannot be started.
        """
        key, answer = next(self._keys), self._loop.create_future()
        self._owed[key] = answer
        try:
            if self.lost:  # before there was anybody to be told
                self._tell_of_loss()
            else:
                await asyncio.to_thread(self._send, (key, work))
            done: Done = await answer
            return done
        finally:  # cancelled while it is sent, it is owed to nobody any more
            self._owed.pop(key, None)

    def end(self) -> None:
        """Close its input, upon which it ends, and wait for that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._sending, contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._listener.join()
        self._process.stdout.close()

    def _send(self, message: tuple[int, Work]) -> None:
        assert self._process.stdin is not None
        with self._sending, contextlib.suppress(OSError, ValueError):  # the listener hears of its end
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                key, done = pickle.load(self._process.stdout)  # noqa: S301 - our own process
            except (EOFError, OSError, pickle.UnpicklingError):
                self._process.wait()
                self._call(self._tell_of_loss)
                return
            self._call(partial(self._answer, key, done))

    def _call(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what)

    def _answer(self, key: int, done: Done) -> None:
        if key == _READY:
            self._ready = True
        elif (waiting := self._owed.get(key)) is not None and not waiting.done():
            waiting.set_result(done)

    def _tell_of_loss(self) -> None:
        self.lost = True
        code = self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        for waiting in self._owed.values():
            if not waiting.done():
                waiting.set_exception(
                    _LostError(how)
                    if self._ready
                    else OmniViewError(f"No worker process can be started ({how}).", "Score with --jobs 1.")
                )
                waiting.exception()  # fetched: whoever was cancelled while sending does not look at it


def main(cores: int, cloud: int) -> None:
    """A worker's whole life: cases in, answers out, until its input ends; for the numbers see `Bounds`."""
    inbox = sys.stdin.buffer
    # what libraries print must not end up among the answers
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    from omniview import log
    from omniview.batch.station import Bounds, submit
    from omniview.settings import home

    log.start(home())
    sending = threading.Lock()
    _put(outbox, sending, _READY, None)
    while True:
        try:
            key, work = pickle.load(inbox)  # noqa: S301 - from the parent
        except EOFError:
            # the rest of this process is at cases that nobody waits for any more
            os._exit(0)
        submit(work, Bounds(cores, cloud)).add_done_callback(partial(_answered, outbox, sending, key))


def _answered(outbox: BinaryIO, sending: threading.Lock, key: int, answer: Future[Done]) -> None:
    try:
        _put(outbox, sending, key, answer.result())
    except BaseException:  # noqa: BLE001 - whatever it was, the parent hears of it by this process's end
        os._exit(1)


def _put(outbox: BinaryIO, sending: threading.Lock, key: int, done: Done | None) -> None:
    with sending:
        pickle.dump((key, done), outbox)
        outbox.flush()
