"""A process counts the cores that it was given."""

from __future__ import annotations

import os

import pytest

from omniview.core.cores import cores


def test_the_cores_that_were_given_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine's 64 cores a job of three has three."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5, 9}, raising=False)
    assert cores() == 3


@pytest.mark.parametrize(("counted", "expected"), [(8, 8), (None, 1)])
def test_where_a_process_cannot_be_held_to_some_all_count(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, expected: int
) -> None:
    """And where they cannot be counted there is one."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert cores() == expected
