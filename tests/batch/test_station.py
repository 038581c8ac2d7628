"""A worker process holds the models of the run that it works for, and of no earlier one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniview.batch import station
from omniview.batch.one import Question
from omniview.batch.station import perform
from omniview.batch.work import Order, Work
from omniview.io.pair_types import Pair
from omniview.scoring import ComposerOf
from omniview.settings import Settings


@pytest.fixture
def emptied() -> Iterator[None]:
    """The worker's models are let go of afterwards, as its end would do."""
    yield
    while station._residents:
        station._residents.popitem()[1].close()


@pytest.mark.usefixtures("emptied", "own_home")
def test_another_run_closes_what_an_earlier_one_left(tmp_path: Path) -> None:
    """Each run has a session of its own; after five of them a worker has one station, not five."""
    missing = Pair(tmp_path / "none.png", None, "none")
    for run in range(5):
        make = ComposerOf(Settings(omnimodel="none", views=1), session=str(run))
        for _ in range(2):
            done = perform(Work(missing, Order(Question("polyp")), make))
            assert done.record.name == "none"
        assert list(station._residents) == [make]
        assert sum(thread.name == "station" for thread in threading.enumerate()) == 1
