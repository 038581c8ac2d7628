"""What the tests of training share: one thread each, and a torch that starts none of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests share the machine, and start from the same random numbers."""
    if "tqdm" in sys.modules:
        # Torch shows a progress bar where tqdm is installed, and the bar starts a thread that stays.
        monkeypatch.setattr(sys.modules["tqdm"].tqdm, "monitor_interval", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
