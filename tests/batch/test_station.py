"""A station works in threads of its own; a worker process holds the models of the run that it works for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniview.batch import station
from omniview.batch.one import Question
from omniview.batch.station import Bounds, Station, perform
from omniview.batch.work import Order, Work, done_with
from omniview.inference.worker import InferenceThread
from omniview.io.pair_types import Pair
from omniview.scoring import ComposerOf
from omniview.settings import Settings
from tests.batch.otsu import MakeOtsu, OtsuModels
from tests.batch.traced import a_pair, traced_specialist


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
            done = perform(Work(missing, Order(Question("polyp")), make), Bounds())
            assert done.record.name == "none"
        assert list(station._residents) == [make]
        assert sum(thread.name == "station" for thread in threading.enumerate()) == 1


async def test_a_case_is_read_computed_and_inferred_in_threads_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What computes has the few threads that a batch has for it, and not asyncio's many."""
    scored = list[str]()

    def noted(*given: Any) -> Any:
        scored.append(threading.current_thread().name)
        return done_with(*given)

    monkeypatch.setattr(station, "done_with", noted)
    thread = InferenceThread()
    specialist = traced_specialist(tmp_path, thread)
    one = Station(OtsuModels(specialist))
    try:
        for name in ("a", "b"):
            done = await one.do(Work(a_pair(tmp_path, name), Order(Question("polyp")), MakeOtsu()))
            assert done.record.rows[0].status == "ok"
    finally:
        await one.close()
        thread.close()
    assert len(specialist.steps) == 4
    assert len(scored) == 2
    assert all(name.startswith("compute") for name in (*specialist.steps, *scored))
