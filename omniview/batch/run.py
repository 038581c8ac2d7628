"""A run: every case of a folder through the engine, once, whatever happens to the process in between.

Cases go to whoever does them (this process, several, a cluster) as fast as those take them; what comes back
goes to the journal, case by case. When the run ends, however it ends, what is finished is published: tables,
summary and report are written from the journal, in the order of the inputs, and so are the same bytes
whether a run went through or was killed and resumed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from omniview.batch.journal import Journal
from omniview.batch.progress import Progress, Tally, Totals
from omniview.batch.results import MASKS
from omniview.batch.resuming import Resume, begin, keep_apart, lost_folder
from omniview.batch.rows import UNREADABLE
from omniview.batch.timings import write_timings
from omniview.batch.work import Done, Make, Order, Work
from omniview.errors import OmniViewError, UnreadableFile
from omniview.io.pair_types import Pair
from omniview.io.remote import offline, shown

__all__ = ["Progress", "Result", "Resume", "Run", "Totals", "Workers"]

T = TypeVar("T")


class Workers(Protocol):
    """Who does the cases."""

    capacity: int
    """How many cases are worth giving them at once."""

    async def do(self, work: Work) -> Done:
        """What became of a case; raises only where no case at all can be done."""
        ...

    async def close(self) -> None:
        """Let go of everything; nothing is at work any more."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended.

    Attributes:
        out: folder of the results.
        total: cases that were to be scored.
        totals: counts of those that were.
        summary: what summary.json holds.
    """

    out: Path
    total: int
    totals: Totals
    summary: Mapping[str, Any]

    @property
    def incomplete(self) -> bool:
        """Whether cases are left to do."""
        return self.totals.finished < self.total


class Run:
    """One run, to be awaited once with `go`; paused, resumed and cancelled from the same event loop.

    Args:
        pairs: what is to be scored.
        order: what is wanted of each.
        make: where the models come from.
        workers: who does them; closed at the end.
        out: folder for the results; made if missing.
        deciding: what decides the rows, and so must not change between sittings; JSON can hold it.
        about: what the results are to say besides, such as what could not be paired; JSON can hold it.
        resume: go on with what is in `out`: "no", "yes" where nothing has changed, or "anyway".
        session: whose spending cap the run keeps to, kept for later sittings.
        on_progress: called on the event loop's thread.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        order: Order,
        make: Make,
        workers: Workers,
        out: Path,
        *,
        deciding: Mapping[str, Any],
        about: Mapping[str, Any] | None = None,
        resume: Resume = "no",
        session: str = "",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._pairs = pairs
        self._order = order
        self._make = make
        self._workers = workers
        self._out = out
        self._deciding = deciding
        self._about = about or {}
        self._resuming: Resume = resume
        self._session = session
        self._notify = on_progress or (lambda _: None)
        self._tally = Tally(len(pairs), Totals())
        self._may_start = asyncio.Event()
        self._may_start.set()
        self._feeders: list[asyncio.Task[None]] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._cancelled = False
        # one thread for the journal: writes and reads never meet, and the event loop never waits for a disk
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def pause(self) -> None:
        """Start no further case; those at work are finished and written."""
        self._may_start.clear()
        self._tally.rest()
        self._notify(self._tally.progress())

    def resume(self) -> None:
        """Go on after a pause."""
        self._may_start.set()
        self._tally.go_on()
        self._notify(self._tally.progress())

    def cancel(self) -> None:
        """Stop what is at work; `go` then writes what is finished, and returns."""
        self._cancelled = True
        for feeder in self._feeders:
            feeder.cancel()

    async def go(self) -> Result:
        """Do every case that is not done yet, and publish.

        Cancelled from outside, it publishes what is finished before it lets go.

        Raises:
            OutputError: results cannot be written, another run is at the folder, or it holds a run that this
                is not the continuation of; what was finished stays in the journal.
            UnreadableFile: a folder of images or truths went away meanwhile.
            OmniViewError: no case can be done at all.
        """
        try:
            journal = await self._in_order(self._open)
            try:
                return await self._go(journal)
            finally:
                await self._in_order(journal.close)
        finally:
            self._scribe.shutdown()
            await self._workers.close()

    def _open(self) -> Journal:
        if self._order.masks:
            keep_apart(self._out / MASKS, self._pairs)
        return Journal(self._out)

    async def _go(self, journal: Journal) -> Result:
        accepted = await self._in_order(lambda: self._begin(journal))
        self._tally = Tally(len(self._pairs), await self._in_order(journal.totals))
        if not self._may_start.is_set():
            self._tally.rest()
        finished = await self._in_order(journal.finished)
        self._notify(self._tally.progress())
        todo = (pair for pair in self._pairs if pair.name not in finished)
        try:
            await self._feed_all(journal, todo)
        except BaseException:
            # publish what there is; why the run ended is what matters, not that this fails too
            with contextlib.suppress(OmniViewError):
                await self._in_order(lambda: self._publish(journal, accepted))
            raise
        summary = await self._in_order(lambda: self._publish(journal, accepted))
        return Result(self._out, len(self._pairs), self._tally.totals, summary)

    def _begin(self, journal: Journal) -> tuple[str, ...]:
        with offline(self._order.question.offline):
            return begin(journal, self._pairs, self._deciding, self._resuming, self._session)

    async def _feed_all(self, journal: Journal, todo: Iterator[Pair]) -> None:
        if self._cancelled:
            return
        self._feeders = [
            asyncio.create_task(self._feed(journal, todo), name="feeder")
            for _ in range(min(self._workers.capacity, len(self._pairs)))
        ]
        try:
            await asyncio.gather(*self._feeders)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
        finally:
            for feeder in self._feeders:
                feeder.cancel()
            await asyncio.gather(*self._feeders, *self._writing, return_exceptions=True)

    async def _feed(self, journal: Journal, todo: Iterator[Pair]) -> None:
        while True:
            await self._may_start.wait()
            if (pair := next(todo, None)) is None:
                return
            done = await self._workers.do(Work(pair, self._order, self._make))
            if not done.ran or any(row.status == UNREADABLE for row in done.record.rows):
                await self._see_the_folder(journal, pair)
            # a case that is done is written, even if the run is cancelled meanwhile
            writing = asyncio.create_task(self._write(journal, done), name="write")
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)
            await asyncio.shield(writing)

    async def _see_the_folder(self, journal: Journal, pair: Pair) -> None:
        """Let no case be written off because the folder of its files has gone away.

        Raises:
            UnreadableFile: it has.
        """
        before = await self._in_order(lambda: journal.stamp(pair.name))
        lost = await asyncio.to_thread(lost_folder, pair, before, self._pairs)
        if lost is not None:
            raise UnreadableFile(
                f"The folder {shown(lost)} is gone; what was scored before is kept.",
                "Bring it back, then go on with --resume.",
            )

    async def _write(self, journal: Journal, done: Done) -> None:
        await self._in_order(lambda: journal.add(done))
        self._tally.finish(done.record)
        self._notify(self._tally.progress(done.record))

    async def _in_order(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._scribe, what)

    def _publish(self, journal: Journal, accepted: Sequence[str]) -> Mapping[str, Any]:
        """Write everything that is made of the journal; what summary.json then holds."""
        from omniview.batch.publish import publish

        journal.see_itself()
        totals = journal.totals()
        about = {
            **self._about,
            **self._deciding,
            "models": journal.ran(),
            "cases": len(self._pairs),
            "finished": totals.finished,
            "failed": totals.failed,
            "cost": totals.cost,
            "currency": totals.currency,
            "incomplete": totals.finished < len(self._pairs),
            "resumed_anyway": list(accepted),
        }
        publish(journal.records(), about, self._out)
        write_timings(self._out / "timings.csv", journal.seconds())
        summary: Mapping[str, Any] = json.loads((self._out / "summary.json").read_text("utf-8"))
        return summary
