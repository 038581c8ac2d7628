"""While a batch is at work, nothing else in its process spreads out over the cores."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from omniview.batch.one import Question
from omniview.batch.processes import AHEAD, Processes
from omniview.batch.station import Station
from omniview.batch.threads import computing, undisturbed
from omniview.batch.work import Order
from omniview.io.pair_types import Pairing
from omniview.scoring import ComposerOf, Plan
from omniview.settings import Settings
from tests.batch.otsu import OtsuModels


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Two threads of OpenCV and five milliseconds in each test, and afterwards what held before."""
    interval, threads = sys.getswitchinterval(), cv2.getNumThreads()
    sys.setswitchinterval(0.005)
    cv2.setNumThreads(2)
    yield
    sys.setswitchinterval(interval)
    cv2.setNumThreads(threads)


def _now() -> tuple[float, int]:
    return round(sys.getswitchinterval(), 6), cv2.getNumThreads()


async def test_a_station_keeps_the_process_undisturbed_until_it_is_closed() -> None:
    """Stations may overlap and be closed in any order: the last puts back what held before the first."""
    first = Station(OtsuModels())
    assert _now() == (0.001, 1)
    second = Station(OtsuModels())
    await first.close()
    assert _now() == (0.001, 1)
    await second.close()
    assert _now() == (0.005, 2)


def test_an_interval_that_is_shorter_already_is_kept() -> None:
    """The window's own is."""
    sys.setswitchinterval(0.0005)
    with undisturbed():
        assert _now() == (0.0005, 1)
    assert _now() == (0.0005, 2)


@pytest.mark.parametrize(("jobs", "each"), [(1, 4), (2, 2), (3, 1), (16, 1)])
def test_more_processes_do_not_ask_a_cloud_more_at_once(jobs: int, each: int) -> None:
    """Its places are shared out among them; one is the least."""
    planned = Plan(Path(), Pairing((), ()), Order(Question(omnimodel="gemini")), Settings(omnimodel="gemini"))
    workers = planned._workers(jobs, "", ComposerOf(planned.settings), apart=True)
    assert isinstance(workers, Processes)
    assert workers._bounds[1] == each
    assert workers.capacity == jobs * (AHEAD + each)


@pytest.mark.parametrize(
    ("cores", "share", "threads"),
    [(1, 0, 1), (4, 0, 3), (64, 0, 6), (64, 1, 1), (64, 2, 1), (64, 4, 3)],
)
def test_one_core_is_left_to_the_network(
    monkeypatch: pytest.MonkeyPatch, cores: int, share: int, threads: int
) -> None:
    """Of all cores, or of those of one process among several; one thread computes however few there are."""
    monkeypatch.setattr("omniview.batch.threads.cores", lambda: cores)
    with computing(6, share) as pool:
        assert pool._max_workers == threads


def test_each_of_several_processes_takes_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight cores two jobs have four each, for the network and for the rest; ten have one each."""
    monkeypatch.setattr("omniview.batch.processes.cores_here", lambda: 8)
    monkeypatch.setattr("omniview.scoring.cores", lambda: 8)
    planned = Plan(Path(), Pairing((), ()), Order(Question()), Settings())
    for jobs, share in ((1, 8), (2, 4), (10, 1)):
        assert Processes(jobs)._bounds[0] == share
        assert planned._shared_out(jobs).threads == (share if jobs > 1 else 0)
