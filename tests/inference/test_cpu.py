"""Whether a CPU is made for eight bits is known without being told."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from omniview.inference.cpu import dot_products


def test_what_the_system_says_of_the_processor_is_what_is_found() -> None:
    """On Linux the flags of the first processor decide, whichever way they were asked for."""
    described = Path("/proc/cpuinfo")
    if not described.is_file() or platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("the system does not describe its processor")
    flags = set(described.read_text("ascii", "replace").split())
    assert dot_products() == bool(flags & {"avx512_vnni", "avx_vnni", "asimddp"})
