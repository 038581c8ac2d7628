"""Other libraries, where they are installed; a test that needs a missing one skips and says how to get it.

Most come with `pip install -e .[oracles]`. Some demand older versions of what OmniView uses and run well with
newer ones: they go into a folder of their own, without their dependencies, and last in the search path:

    pip install --no-deps --target .oracles pysodmetrics==1.6.2 panoptica==2.1.7
"""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

__all__ = ["agree", "disagreement", "peer"]

FOLDER = Path(__file__).resolve().parents[2] / ".oracles"
TOLERANCE = 1e-6


def peer(name: str) -> Any:
    """The module `name`, or skip the tests of the module that asks."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what others deprecate is theirs
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{name} is not here ({error}); see tests/oracles/peers.py", allow_module_level=True)


def disagreement(ours: float | None, theirs: float) -> float:
    """Relative difference; 0 where both are undefined, or both infinite, or both 0 but for rounding."""
    one = math.nan if ours is None else float(ours)
    other = float(theirs)
    if (math.isnan(one) and math.isnan(other)) or one == other or abs(one - other) < 1e-12:
        return 0.0
    return abs(one - other) / abs(other) if other and math.isfinite(other) else math.inf


def agree(where: str, ours: float | None, theirs: float) -> None:
    """Fail, and say where, unless the two agree to 1e-6 relative."""
    assert disagreement(ours, theirs) <= TOLERANCE, f"{where}: {ours} here, {theirs} there"
