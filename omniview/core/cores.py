"""How many cores this process may use, which is not how many there are.

A queueing system or a container gives a job some of a machine's cores; threads for all of them would take
turns on those few.
"""

from __future__ import annotations

import os

__all__ = ["cores"]


def cores() -> int:
    """Cores that the system lets this process run on; at least 1."""
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
