"""The cloud omnimodels by name: where each is, what it lacks before it can be asked, and its `Calls`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from omniview.errors import MissingKey
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.calls import Calls
from omniview.omnimodel.gemini import gemini_calls, gemini_endpoint
from omniview.omnimodel.openai import needs_key, openai_calls, openai_endpoint
from omniview.omnimodel.reply import Answers, Prices, Purse
from omniview.settings import MaskStyle, Settings

__all__ = ["CLOUDS", "cloud_calls", "endpoint_of", "key_wanted", "style_of", "title_of"]

CLOUDS = ("gemini", "openai")
"""Omnimodels that may cost money and see pixels outside of this machine, by their names in the settings."""
_TITLES = {"gemini": "Gemini", "openai": "OpenAI"}


def title_of(name: str) -> str:
    """The provider's name as a person writes it."""
    return _TITLES[name]


def endpoint_of(name: str, settings: Settings) -> str:
    """The address that `name` is asked at: what a consent is given for."""
    return openai_endpoint(settings.openai) if name == "openai" else gemini_endpoint(settings.gemini)


def style_of(name: str, settings: Settings) -> MaskStyle:
    """How `name` is asked for masks."""
    return settings.openai.mask_style if name == "openai" else settings.gemini.mask_style


def key_wanted(name: str, settings: Settings) -> MissingKey | None:
    """What to say where there is no API key, or None where it can be done without.

    A chat-completions server of one's own needs none, and Vertex AI asks the machine's Google credentials.
    """
    if not needs_key(settings.openai) if name == "openai" else settings.gemini.vertex_project is not None:
        return None
    return MissingKey(
        f"There is no {title_of(name)} API key.",
        f"Set {title_of(name).upper()}_API_KEY, or choose another omnimodel.",
    )


def cloud_calls(
    name: str,
    settings: Settings,
    key: Callable[[str], str | None],
    *,
    airlock: Airlock,
    audit: Audit,
    prices: Prices | None = None,
    purse: Purse | None = None,
    answers: Answers | None = None,
) -> Calls:
    """Calls to the cloud omnimodel `name`. Loads nothing and opens nothing until the first question.

    Args:
        name: one of CLOUDS.
        settings: of all providers.
        key: gives a provider's API key or None; asked in a thread.
        airlock: decides what may leave, and encodes it.
        audit: keeps the record.
        prices: what models cost.
        purse: what may be spent.
        answers: what was paid for already.
    """
    own = partial(key, name)
    if name == "openai":
        return openai_calls(
            settings.openai, own, airlock=airlock, audit=audit, prices=prices, purse=purse, answers=answers
        )
    return gemini_calls(
        settings.gemini, own, airlock=airlock, audit=audit, prices=prices, purse=purse, answers=answers
    )
