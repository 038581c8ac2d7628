"""The threads that a batch computes in, and what the rest of the process leaves to them meanwhile.

Cases are what a batch does side by side. Whatever else would spread out over the cores, or keep the
interpreter for itself, takes time from the network, which is what all cases wait for.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2

from omniview.core.cores import cores

__all__ = ["computing", "undisturbed"]

_SWITCH_S = 0.001
"""How long a thread may keep the interpreter while another waits; Python's own 5 ms cost the network 5 %."""

_changing = threading.RLock()  # a collection of garbage may leave while one enters
_before: list[tuple[float, int]] = []
"""What held before each of those that are within: the first is what holds when none of them is any more."""


def computing(most: int, share: int = 0) -> ThreadPoolExecutor:
    """Threads named "compute", at most `most`, as many as there are cores beside one for the network.

    More of them would take turns with each other, and with the network. Where the network has several
    threads of its own, fewer cores may be idle than there are of these: then the system shares them out.

    Args:
        most: threads that have something to do.
        share: cores of this process, where it is one of several; 0: all that it may use.
    """
    return ThreadPoolExecutor(max(1, min(most, (share or cores()) - 1)), thread_name_prefix="compute")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, OpenCV works in the thread that calls it, and threads hand the interpreter on sooner.

    Both hold for the whole process. Several may be within at once and leave in any order: the last puts back.
    """
    with _changing:
        _before.append((sys.getswitchinterval(), cv2.getNumThreads()))
        # between two runs of the network its thread waits for whoever scores to let go of the interpreter
        sys.setswitchinterval(min(_before[0][0], _SWITCH_S))
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _changing:
            interval, threads = _before.pop()
            sys.setswitchinterval(interval)
            cv2.setNumThreads(threads)
