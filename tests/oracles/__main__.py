"""`python -m tests.oracles`: agreement with other libraries, then the race; fails if either does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.metrics import main as race

if __name__ == "__main__":
    agreement = pytest.main(["-q", "-rs", str(Path(__file__).parent)])
    sys.exit(int(agreement != pytest.ExitCode.OK) | race(sys.argv[1:]))
