"""The newest coroutine wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from omniview.ui.latest import Coalesced, Latest
from tests.ui.conftest import Run


def test_newest_wins(run: Run) -> None:
    """What ran before is cancelled, and is told that it is not the newest any more."""
    seen: list[str] = []
    alive: list[Callable[[], bool]] = []

    async def job(name: str, newest: Callable[[], bool]) -> None:
        alive.append(newest)
        await asyncio.sleep(0.02)
        seen.append(name)

    async def work() -> None:
        latest = Latest(lambda error: seen.append(repr(error)))
        latest.start(lambda newest: job("first", newest))
        await asyncio.sleep(0)
        latest.start(lambda newest: job("second", newest))
        assert latest.busy
        await latest.settle()
        assert not latest.busy

    run(work())
    assert seen == ["second"]
    assert [newest() for newest in alive] == [False, True]


def test_escaped_error_is_told(run: Run) -> None:
    """An exception that a coroutine lets escape reaches whoever asked to be told, once."""
    told: list[BaseException] = []

    async def fail(_newest: Callable[[], bool]) -> None:
        raise RuntimeError("no")

    async def work() -> None:
        latest = Latest(told.append)
        latest.start(fail)
        await latest.settle()

    run(work())
    assert [str(error) for error in told] == ["no"]


def test_closing_waits_for_what_lets_go_slowly(run: Run) -> None:
    """After close, even a coroutine that needs time to let go has ended."""
    ended: list[str] = []

    async def slow(_newest: Callable[[], bool]) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.02)
            ended.append("slow")

    async def work() -> None:
        latest = Latest(lambda _: None)
        latest.start(slow)
        await asyncio.sleep(0)
        await latest.close()

    run(work())
    assert ended == ["slow"]


def test_requests_in_between_are_dropped(run: Run) -> None:
    """Of the requests that come while one runs, only the last is run."""
    done: list[int] = []

    async def work() -> None:
        async def job(request: int) -> None:
            await asyncio.sleep(0.01)
            done.append(request)

        coalesced = Coalesced(job, lambda _: None)
        coalesced.ask(1)
        await asyncio.sleep(0)
        for request in (2, 3, 4):
            coalesced.ask(request)
        assert coalesced.waiting
        await coalesced.settle()
        await coalesced.close()

    run(work())
    assert done == [1, 4]


def test_a_request_that_fails_is_told_and_stops_no_other(run: Run) -> None:
    """The error reaches whoever was named for it, and the next request is run."""
    told: list[BaseException] = []
    done: list[int] = []

    async def work() -> None:
        async def job(request: int) -> None:
            await asyncio.sleep(0)
            if request == 1:
                raise ValueError("no")
            done.append(request)

        coalesced = Coalesced(job, told.append)
        coalesced.ask(1)
        await asyncio.sleep(0)
        coalesced.ask(2)
        await coalesced.settle()

    run(work())
    assert [str(error) for error in told] == ["no"]
    assert done == [2]
