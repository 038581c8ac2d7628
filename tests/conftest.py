"""Rules that hold for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real cases beside the checkout; tests that need it skip where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the folder of real cases (../shared/data) is not here")
    return SHARED


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has settings, models and logs of its own, and no keys of the person who runs it."""
    home = tmp_path_factory.mktemp("omniview-home")
    monkeypatch.setenv("OMNIVIEW_HOME", str(home))
    for name in (
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_GEMINI_BASE_URL",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OMNIVIEW_OFFLINE", raising=False)
    return home
