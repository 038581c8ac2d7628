"""What the window asks for before a chat-completions server sees a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniview.backing.gate import Gate
from omniview.settings import OpenAiSettings, Settings


def gate(base_url: str | None) -> Gate:
    """The gate to a server."""
    settings = Settings(openai=OpenAiSettings(base_url=base_url))
    return Gate(lambda: settings, given=False)


def test_this_machine_needs_neither_key_nor_consent(own_home: Path) -> None:
    """Ollama beside OmniView is asked at once."""
    assert gate("http://127.0.0.1:11434/v1").wanted("openai") is None


def test_a_server_of_ones_own_needs_consent_but_no_key(own_home: Path) -> None:
    """And is asked once it was given; to it alone."""
    wanted = gate("http://192.0.2.7:8000/v1").wanted("openai")
    assert wanted is not None
    assert not wanted.key
    assert "192.0.2.7:8000" in wanted.consent
    gate("http://192.0.2.7:8000/v1").give("openai", "")
    assert gate("http://192.0.2.7:8000/v1").wanted("openai") is None
    assert gate("http://192.0.2.8:8000/v1").wanted("openai") is not None
    assert gate("http://192.0.2.7:8000/v1").withdraw("openai")


def test_openai_itself_needs_both(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a key is set."""
    wanted = gate(None).wanted("openai")
    assert wanted is not None
    assert wanted.key
    assert "api.openai.com" in wanted.consent
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    again = gate(None).wanted("openai")
    assert again is not None
    assert not again.key
