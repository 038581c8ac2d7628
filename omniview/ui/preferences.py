"""What the settings dialog needs of whoever keeps the settings, the keys and the connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from omniview.core.check import Check
from omniview.settings import Settings

__all__ = ["Preferences", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in force when the dialog opens.

    Attributes:
        settings: as the file has them, without the environment.
        overridden: setting such as `gemini.base_url` to the environment variable that decides it.
        keys: provider to where its key comes from: "environment", "keyring", or "" for none.
        consents: endpoints to which pixels may go.
        cache_bytes: size of the kept answers.
        prices: where a person's own price table is, or would be.
    """

    settings: Settings
    overridden: Mapping[str, str]
    keys: Mapping[str, str]
    consents: Sequence[str]
    cache_bytes: int
    prices: str


class Preferences(Protocol):
    """The person's settings. All but `test` blocks: call it in a thread."""

    def stored(self) -> Stored:
        """What is in force.

        Raises:
            OmniViewError: the settings file cannot be read.
        """
        ...

    def use(self, settings: Settings, keys: Mapping[str, str]) -> None:
        """Save `settings` and the new `keys` by provider; what was changed by that holds from now on.

        What the environment and the command line decide stays in force.

        Raises:
            OmniViewError: they could not be saved; nothing has changed then.
        """
        ...

    def withdraw_consent(self, endpoint: str) -> None:
        """Forget that pixels may go to `endpoint`."""
        ...

    def clear_cache(self) -> None:
        """Forget all kept answers."""
        ...

    async def test(self, provider: str, settings: Settings, key: str, *, offline: bool) -> Sequence[Check]:
        """Try to reach a provider with `settings`, without any pixels. An empty `key` means the stored one.

        What the environment and the command line decide goes before `settings`, as it does for questions.

        Raises:
            OmniViewError: it may not be tried at all, as offline.
        """
        ...
