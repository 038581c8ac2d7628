"""While a batch is at work, nothing else in its process spreads out over the cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import cv2
import pytest

from omniview.batch.station import Station
from omniview.batch.threads import computing, undisturbed
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


@pytest.mark.parametrize(("cores", "most", "threads"), [(None, 6, 1), (1, 6, 1), (4, 6, 3), (64, 6, 6)])
def test_one_core_is_left_to_the_network(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, most: int, threads: int
) -> None:
    """And one thread computes however few there are."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    with computing(most) as pool:
        assert pool._max_workers == threads
