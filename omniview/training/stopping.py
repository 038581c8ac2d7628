"""Ctrl-C, or a polite request to end, lets the step at hand be finished and kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C was pressed; as long as this holds, nothing else happens.

    SIGTERM counts too where it would raise ``KeyboardInterrupt`` (as the command line has it). What was
    there before holds again afterwards. Signals reach the main thread alone; elsewhere nothing is deferred.
    """
    asked = threading.Event()

    def remember(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is signal.default_int_handler:
                before[number] = signal.signal(number, remember)
    try:
        yield asked.is_set
    finally:
        for number, what in before.items():
            signal.signal(number, what)
