"""Peers warn of much that is theirs alone; only their numbers are looked at."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let warnings of other libraries pass in this folder."""
    for item in items:
        if "oracles" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
