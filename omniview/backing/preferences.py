"""The person's settings for the window: the file, the keyring, consents and kept answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omniview.core.check import Check
from omniview.errors import OutputError
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.cache import AnswerCache
from omniview.omnimodel.clouds import CLOUDS
from omniview.omnimodel.connection import check_connection
from omniview.settings import Settings, api_key, home, key_source, overridden
from omniview.ui.preferences import Stored

__all__ = ["StoredPreferences", "keep_key"]


class StoredPreferences:
    """Keeps settings under OmniView's home.

    Args:
        current: gives the settings in force, with what environment and command line decide.
        follow: called with the settings in force after each change.
    """

    def __init__(self, current: Callable[[], Settings], follow: Callable[[Settings], None]) -> None:
        self._current = current
        self._follow = follow

    def stored(self) -> Stored:
        """What is in force.

        Raises:
            OmniViewError: the settings file or the consents cannot be read.
        """
        settings = Settings.load(environment=False)
        return Stored(
            settings,
            overridden(),
            {provider: key_source(provider) for provider in CLOUDS},
            [consent.endpoint for consent in self._airlock().consents()],
            AnswerCache(home(), settings.cache_mb).info().bytes,
            str(home() / "prices.toml"),
        )

    def use(self, settings: Settings, keys: Mapping[str, str]) -> None:
        """Save settings and keys; what was changed by that holds from now on.

        Raises:
            OmniViewError: they could not be saved.
        """
        now = self._in_force(settings)
        for provider, key in keys.items():
            keep_key(provider, key)
        settings.save()
        self._follow(now)

    def withdraw_consent(self, endpoint: str) -> None:
        """Forget that pixels may go to `endpoint`."""
        self._airlock().revoke(endpoint)

    def clear_cache(self) -> None:
        """Forget all kept answers."""
        AnswerCache(home(), 0).clear()

    async def test(self, provider: str, settings: Settings, key: str, *, offline: bool) -> Sequence[Check]:
        """Try to reach a provider with `settings`, without any pixels.

        Raises:
            NotAllowed: offline.
            OutputError: the audit could not be written, so nothing was tried.
        """
        tried = await asyncio.to_thread(self._in_force, settings)

        def entered_or_stored(name: str) -> str | None:
            return key or api_key(name)

        return await check_connection(
            provider, tried, entered_or_stored, audit=Audit(home()), offline=offline or tried.offline
        )

    def _in_force(self, entered: Settings) -> Settings:
        """The settings in force, with what differs between the file and what was entered."""
        before = Settings.load(environment=False).model_dump()
        return Settings.model_validate(_laid_over(self._current().model_dump(), before, entered.model_dump()))

    def _airlock(self) -> Airlock:
        return Airlock(home(), offline=False)


def _laid_over(
    current: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """`current` with the values that changed from `before` to `after`, table by table."""
    return {
        name: _laid_over(value, before[name], after[name])
        if isinstance(value, Mapping)
        else (value if before[name] == after[name] else after[name])
        for name, value in current.items()
    }


def keep_key(provider: str, key: str) -> None:
    """Put a provider's API key into the system's keyring.

    Raises:
        OutputError: there is no keyring that could keep it.
    """
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password("omniview", provider, key)
    except KeyringError as error:
        raise OutputError(
            "This system has no keyring that could keep the key.",
            "Set GEMINI_API_KEY or OPENAI_API_KEY in the environment instead.",
        ) from error
