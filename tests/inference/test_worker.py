"""Runs queue in one thread, and a cancelled one really stops."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omniview.inference.session import open_session
from omniview.inference.worker import InferenceThread, Ticket
from tests.networks import write_brightness, write_endless


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """A thread that is closed after the test."""
    one = InferenceThread()
    yield one
    one.close()


async def test_work_runs_off_the_calling_thread_in_order(thread: InferenceThread) -> None:
    """All work is done by one other thread, first come first served."""
    order: list[int] = []

    def work(_: Ticket, index: int) -> int:
        order.append(index)
        return threading.get_ident()

    idents = await asyncio.gather(*(thread.run(partial(work, index=index)) for index in range(5)))
    assert len(set(idents)) == 1
    assert idents[0] != threading.get_ident()
    assert order == list(range(5))


async def test_a_cancelled_run_stops_and_frees_the_thread(thread: InferenceThread, tmp_path: Path) -> None:
    """A network that would run for minutes ends when its task is cancelled; the next one gets its turn."""
    write_endless(tmp_path / "endless.onnx")
    write_brightness(tmp_path / "quick.onnx")
    endless = open_session(tmp_path / "endless.onnx", device="cpu", threads=1)
    quick = open_session(tmp_path / "quick.onnx", device="cpu", threads=1)
    feeds = {"image": np.zeros((1, 3, 64, 64), np.float32)}
    started = threading.Event()

    def forever(ticket: Ticket) -> object:
        started.set()
        return ticket.run(endless, feeds)

    first = asyncio.create_task(thread.run(forever))
    queued = asyncio.create_task(thread.run(lambda ticket: ticket.run(endless, feeds)))
    await asyncio.to_thread(started.wait)
    await asyncio.sleep(0.05)
    queued.cancel()
    first.cancel()
    results = await asyncio.gather(first, queued, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert len(await thread.run(lambda ticket: ticket.run(quick, feeds))) == 1


async def test_an_error_reaches_the_caller(thread: InferenceThread) -> None:
    """What the work raises is raised where it is awaited."""

    def fail(_: Ticket) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await thread.run(fail)


async def test_work_that_is_dropped_leaves_nobody_waiting() -> None:
    """Closing ends what is in flight, and whoever waits for the rest hears that it will not come."""
    thread, started, may_end = InferenceThread(), threading.Event(), threading.Event()

    def work(_: Ticket) -> str:
        started.set()
        may_end.wait()
        return "done"

    first = asyncio.create_task(thread.run(work))
    await asyncio.to_thread(started.wait)
    second = asyncio.create_task(thread.run(work))
    await asyncio.sleep(0)  # now it is queued
    closing = asyncio.create_task(asyncio.to_thread(thread.close))
    assert isinstance((await asyncio.gather(second, return_exceptions=True))[0], asyncio.CancelledError)
    may_end.set()
    assert await first == "done"
    await closing


async def test_another_thread_wakes_the_loop(
    thread: InferenceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inference thread has the next work to begin, and must not let go of the interpreter for that."""
    loop, wakers = asyncio.get_running_loop(), list[str]()
    wake = loop.call_soon_threadsafe

    def noted(callback: Any, *args: Any, **options: Any) -> asyncio.Handle:
        wakers.append(threading.current_thread().name)
        return wake(callback, *args, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", noted)
    name = await thread.run(lambda _: threading.current_thread().name)
    assert wakers
    assert name not in wakers


_MAIN_ENDS_FIRST = """
import asyncio, threading, time
from concurrent.futures import thread as pools
from omniview.inference.worker import InferenceThread

started = threading.Event()

def work(ticket):
    started.set()
    while not pools._shutdown:
        time.sleep(0.01)
    return "done"

async def go():
    print(await InferenceThread().run(work))

threading.Thread(target=lambda: asyncio.run(go())).start()
started.wait()
"""


def test_an_answer_arrives_where_no_further_work_can_be_handed_over() -> None:
    """As in a program whose main thread ends while another still waits for a network."""
    # in a process of its own, because nothing but its end would stop whoever waits in vain
    ran = subprocess.run(
        [sys.executable, "-c", _MAIN_ENDS_FIRST], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout == "done\n", ran.stderr
