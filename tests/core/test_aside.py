"""Blocking work is done where its caller's caller says, and knows what that one knew."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from omniview.core.aside import aside, sharing

_KNOWN: ContextVar[str] = ContextVar("known", default="nothing")


def _name() -> str:
    return threading.current_thread().name


async def test_unless_told_asyncio_chooses_the_thread() -> None:
    """It is another one than the loop's, and an error comes back."""
    assert await aside(_name) != _name()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await aside(fail)


async def test_shared_threads_serve_all_that_is_begun_within() -> None:
    """Also tasks, and not what comes after."""
    with ThreadPoolExecutor(1, thread_name_prefix="shared") as threads:
        with sharing(threads):
            task = asyncio.create_task(aside(_name))
            assert await aside(_name) == "shared_0"
        assert await task == "shared_0"
        assert await aside(_name) != "shared_0"


async def test_the_work_knows_what_its_caller_knows() -> None:
    """Context variables are those of the caller, and what the work sets stays with it."""
    _KNOWN.set("all")

    def work() -> str:
        known = _KNOWN.get()
        _KNOWN.set("more")
        return known

    assert await aside(work) == "all"
    assert _KNOWN.get() == "all"
