"""Settings are read, checked, overridden and saved without surprises."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniview.errors import OutputError, SettingsError
from omniview.settings import GeminiSettings, Settings, api_key, home


def test_saved_settings_are_read_back(own_home: Path) -> None:
    """What is saved is what is loaded."""
    chosen = Settings(omnimodel="gemini", answers=1, gemini=GeminiSettings(model="m", thinking_level="low"))
    chosen.save()
    assert Settings.load() == chosen
    assert home() == own_home
    assert not list(own_home.glob("*.part"))


def test_defaults_without_a_file() -> None:
    """A new home means default settings, not an error."""
    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("answers = 0", "answers"),
        ("[gemini]\ntimeout_s = -1", "gemini.timeout_s"),
        ("typo = 1", "typo"),
        ("answers = ", "cannot be read"),
        ('[gemini]\nthinking_level = "low"\nthinking_budget = 1', "gemini.thinking_budget"),
        ("[gemini]\nprice_in = 0.5", "prices.toml"),
    ],
)
def test_a_bad_value_is_named(own_home: Path, text: str, named: str) -> None:
    """The message names the setting that breaks a rule."""
    (own_home / "settings.toml").write_text(text)
    with pytest.raises(SettingsError, match=named) as caught:
        Settings.load()
    assert caught.value.next_step


def test_the_environment_wins(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OMNIVIEW_OFFLINE and GOOGLE_GEMINI_BASE_URL override the file."""
    Settings(offline=False).save()
    monkeypatch.setenv("OMNIVIEW_OFFLINE", "1")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    loaded = Settings.load()
    assert loaded.offline
    assert loaded.gemini.base_url == "http://127.0.0.1:9"
    monkeypatch.setenv("OMNIVIEW_OFFLINE", "maybe")
    with pytest.raises(SettingsError, match="OMNIVIEW_OFFLINE"):
        Settings.load()


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's own variable first, blank counts as absent."""
    monkeypatch.setenv("GOOGLE_API_KEY", "second")
    monkeypatch.setenv("GEMINI_API_KEY", "  ")
    assert api_key("gemini") == "second"


def test_no_keyring_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a keyring service has no key, and says so without an exception."""
    import keyring
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())  # type: ignore[no-untyped-call]
    try:
        assert api_key("gemini") is None
    finally:
        keyring.set_keyring(before)


def test_settings_that_cannot_be_saved_say_so(tmp_path: Path) -> None:
    """A home that is a file is reported with the next step."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="could not be saved"):
        Settings().save(blocked)


def test_a_table_that_is_none_is_named(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gemini = 3` is refused in words, also while the environment sets an address in it."""
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    (own_home / "settings.toml").write_text("gemini = 3")
    with pytest.raises(SettingsError, match="setting gemini"):
        Settings.load()


def test_settings_can_be_told_apart_in_a_table() -> None:
    """Equal ones hash alike, with chosen specialists too: workers keep their models by them."""
    one, same, other = (Settings(specialists={"polyp": name}) for name in ("a", "a", "b"))
    assert {one: 1, other: 2}[same] == 1
    assert hash(Settings()) == hash(Settings())
