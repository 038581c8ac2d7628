"""Keeps Python's search for cycles away from work on very many files.

The search goes through every object that there is and lets no other thread run: with 100,000 pairs of paths
on the way that was a third of the time that pairing took, 1.5 seconds at once in which no window answered,
and again at times for as long as the pairs were kept.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["no_search", "set_aside"]

_lock = Lock()
_within = 0
_before = False


@contextmanager
def no_search() -> Iterator[None]:
    """Within it, in any thread, no cycles are looked for; after the last that is left it is as before."""
    global _within, _before
    with _lock:
        if not _within:
            _before = gc.isenabled()
        _within += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within and _before:
                gc.enable()


@contextmanager
def set_aside() -> Iterator[None]:
    """No cycles are looked for within it, and later searches pass over all that there was at its end.

    What is passed over is freed as ever when nobody refers to it any more. Cycles in it wait for the next
    call, which begins with the one search that everything before it takes part in.
    """
    with no_search():
        gc.unfreeze()
        gc.collect()
        yield
        gc.freeze()
