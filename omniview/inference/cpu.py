"""Whether this CPU is made for networks in eight bits: what decides if an int8 variant may run on it.

Without an instruction that multiplies bytes and adds the products up in 32 bits, int8 is hardly faster, and
on x86 it is not even the same network: pairs of products are added up in 16 bits there, which overflow.
"""

from __future__ import annotations

import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["dot_products"]

_NUMPY_NAMES = ("AVX512VNNI", "ASIMDDP")
"""AVX512_VNNI, and the dot product of ARMv8.2."""
_LINUX_NAMES = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})


@cache
def dot_products() -> bool:
    """Whether one instruction multiplies bytes and adds up in 32 bits (VNNI of x86, DotProd of ARM).

    NumPy, which asks the processor itself on every system, knows all of these but AVX_VNNI of newer Intel
    desktop processors; Linux names that too. What is not known counts as missing.
    """
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return True  # all of Apple's own
    features: Any = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    if any(getattr(features, "__cpu_features__", {}).get(name) for name in _NUMPY_NAMES):
        return True
    try:
        described = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False
    lines = (line for line in described.splitlines() if line.startswith(("flags", "Features")))
    return not _LINUX_NAMES.isdisjoint(next(lines, "").split())
