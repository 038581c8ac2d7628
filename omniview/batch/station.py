"""What one process needs to work at cases: its models, and the bounds within which cases overlap.

Of each case, reading, inference, the question to an omnimodel and scoring follow each other; of several
cases they overlap. A case holds a local place until only an omnimodel's answer is missing, and from then on
only one of the places for that: a slow cloud fills its own places and holds nothing else up.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import perf_counter

from omniview.analyse import analyse
from omniview.batch.one import Models, Ready, prepare, said_in_words
from omniview.batch.threads import computing, undisturbed
from omniview.batch.work import Done, Make, Order, Work, done_with, done_without
from omniview.core.aside import aside, sharing
from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.core.prediction import Prediction, Role
from omniview.core.segmenter import Segmenter, asks_outside, needs_evidence
from omniview.core.task import Task
from omniview.errors import InputError, NotAllowed, OmniViewError, SettingsError
from omniview.io.pair_types import Pair

__all__ = ["CLOUD_PLACES", "LOCAL_PLACES", "Bounds", "Station", "perform", "submit"]

LOCAL_PLACES = 6
"""Cases that are read, inferred or scored at once: enough to keep the network busy, and a bound on memory."""
CLOUD_PLACES = 4
"""Questions to an omnimodel at once, of all processes of a run together as far as there are that many."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a process may take, which is less where it is one of several.

    Attributes:
        cores: to compute on; 0: all that the system lets it use.
        cloud: questions to an omnimodel at once.
    """

    cores: int = 0
    cloud: int = CLOUD_PLACES


class Station:
    """Works at cases; use it from one event loop. Until it is closed, the process is `undisturbed`.

    Args:
        models: what looks at the images; closed with the station.
        bounds: what it may take.
    """

    def __init__(self, models: Models, bounds: Bounds = Bounds()) -> None:
        self._models = models
        self.capacity = LOCAL_PLACES + bounds.cloud
        self._local = asyncio.Semaphore(LOCAL_PLACES)
        self._asking = asyncio.Semaphore(bounds.cloud)
        # apart, because files may be far away: computing never queues behind a network share
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="read")
        self._threads = computing(LOCAL_PLACES, bounds.cores)
        self._undisturbed = ExitStack()
        self._undisturbed.enter_context(undisturbed())

    async def do(self, work: Work) -> Done:
        """The case's rows; whatever goes wrong with it is in them, and nothing is raised but cancellation."""
        start = perf_counter()
        try:
            with said_in_words(), sharing(self._threads):
                done = await self._done(work.pair, work.order)
        except OmniViewError as error:
            # what is wrong with the input is said by a kind of error of its own; the rest died over it
            died = not isinstance(error, (InputError, SettingsError, NotAllowed))
            done = done_without(work.pair, work.order, error, died=died)
        return replace(done, seconds={**done.seconds, "total": perf_counter() - start})

    async def close(self) -> None:
        """End the threads and close the models; nothing may be at work any more."""
        for threads in (self._readers, self._threads):
            await asyncio.to_thread(threads.shutdown)
        self._undisturbed.close()
        await self._models.close()

    async def _done(self, pair: Pair, order: Order) -> Done:
        place = _Place(self._local)
        await place.take()
        try:
            start = perf_counter()
            with sharing(self._readers):
                ready, truths, bad = await aside(lambda: _read(pair, self._models, order))
            read = perf_counter()

            outside = {one.role for one in ready.segmenters if asks_outside(one)}

            def look(case: Case) -> None:
                if case.pending and outside.issuperset(case.pending):
                    place.leave()

            asked = [_Gated(one, self._asking) if asks_outside(one) else one for one in ready.segmenters]
            question = order.question
            case = await analyse(ready.image, ready.task, asked, ask=question.ask, on_update=look)
            analysed = perf_counter()
            done = await aside(lambda: done_with(pair, order, case, truths, bad))
        finally:
            place.leave()
        seconds = {"read": read - start, **done.seconds, "score": perf_counter() - analysed}
        return replace(done, seconds=seconds)


def _read(
    pair: Pair, models: Models, order: Order
) -> tuple[Ready, dict[str, Truth], dict[str, OmniViewError]]:
    """The image, and each reader's truth or what is wrong with it.

    Raises:
        OmniViewError: the image cannot be used, or none of its truths.
    """
    from omniview.io.pair_read import read_truth_files
    from omniview.io.remote import offline

    ready = prepare(pair.image, models, order.question, pair.frame)
    truths, bad = dict[str, Truth](), dict[str, OmniViewError]()
    for files in pair.truths:
        try:
            with offline(order.question.offline):
                truths[files.reader] = read_truth_files(files, ready.image, ready.task.labels)
        except OmniViewError as error:
            bad[files.reader] = error
    if bad and not truths:
        raise next(iter(bad.values()))
    return ready, truths, bad


class _Place:
    """One place behind a semaphore, that is left once however often that is said."""

    def __init__(self, gate: asyncio.Semaphore) -> None:
        self._gate = gate
        self._held = False

    async def take(self) -> None:
        await self._gate.acquire()
        self._held = True

    def leave(self) -> None:
        if self._held:
            self._held = False
            self._gate.release()


@dataclass(frozen=True, slots=True)
class _Gated:
    """An omnimodel outside of this machine that is asked a few questions at once, and no more."""

    own: Segmenter
    gate: asyncio.Semaphore
    asks_outside = True

    @property
    def name(self) -> str:
        return self.own.name

    @property
    def role(self) -> Role:
        return self.own.role

    @property
    def needs_evidence(self) -> bool:
        return needs_evidence(self.own)

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        async with self.gate:
            return await self.own.segment(image, task, evidence)

    async def close(self) -> None:
        await self.own.close()


class _Resident:
    """A station with an event loop of its own in a thread, for a process that has none."""

    def __init__(self, make: Make, bounds: Bounds) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="station", daemon=True)
        self._thread.start()

        async def build() -> Station:
            return Station(await asyncio.to_thread(make), bounds)

        self._at_work: set[Future[Done]] = set()
        try:
            self._station = asyncio.run_coroutine_threadsafe(build(), self._loop).result()
        except BaseException:
            self._end()
            raise

    @property
    def idle(self) -> bool:
        """Whether nothing is at work."""
        return not self._at_work

    def submit(self, work: Work) -> Future[Done]:
        future = asyncio.run_coroutine_threadsafe(self._station.do(work), self._loop)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return future

    def close(self) -> None:
        """Let go of models, threads and loop; nothing may be at work."""
        try:
            asyncio.run_coroutine_threadsafe(self._station.close(), self._loop).result()
        finally:
            self._end()

    def _end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_residents: dict[
    Make, _Resident
] = {}  # until another run comes to this process: models are loaded once a run
_building = threading.Lock()


def submit(work: Work, bounds: Bounds) -> Future[Done]:
    """Start `work` in this process, beside what is at work already; for worker processes.

    The first case of another run closes the models of runs that have nothing at work here.

    Args:
        work: the case.
        bounds: what this process may take.
    """
    with _building:
        if work.make not in _residents:
            for make in [make for make, resident in _residents.items() if resident.idle]:
                _residents.pop(make).close()
            _residents[work.make] = _Resident(work.make, bounds)
        return _residents[work.make].submit(work)


def perform(work: Work, bounds: Bounds) -> Done:
    """As `submit`, to the end; safe to call from several threads at once, whose cases then overlap."""
    return submit(work, bounds).result()
