"""Gemini behind the provider-neutral `Calls` and `CloudSegmenter`: its address and its key."""

from __future__ import annotations

from collections.abc import Callable

from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.calls import Calls, plain_key
from omniview.omnimodel.circuit import Circuit, circuit_of
from omniview.omnimodel.reply import Answers, Api, Prices, Purse
from omniview.settings import GeminiSettings

__all__ = ["GOOGLE", "gemini_calls", "gemini_endpoint"]

GOOGLE = "https://generativelanguage.googleapis.com"
"""Where Gemini is unless the settings say otherwise."""
_GLOBAL = "global"
_CONTINENTS = ("us", "eu")


def gemini_endpoint(settings: GeminiSettings) -> str:
    """The address that Gemini is asked at: Google's, that of Vertex AI in its region, or another one."""
    if settings.base_url is not None:
        return settings.base_url
    if settings.vertex_project is None:
        return GOOGLE
    location = settings.vertex_location or _GLOBAL
    if location == _GLOBAL:
        return "https://aiplatform.googleapis.com"
    if location in _CONTINENTS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def gemini_calls(
    settings: GeminiSettings,
    key: Callable[[], str | None],
    *,
    airlock: Airlock,
    audit: Audit,
    prices: Prices | None = None,
    purse: Purse | None = None,
    answers: Answers | None = None,
    circuit: Circuit | None = None,
    first_pause_s: float = 0.5,
) -> Calls:
    """Calls to Gemini. Loads nothing and opens nothing until the first question or `warm`.

    Args:
        settings: model, endpoint, deadline, thinking.
        key: gives the API key or None; asked in a thread, and anew after a key was rejected. Not asked for
            Vertex AI, where Google's own credentials of this machine count.
        airlock: decides what may leave, and encodes it.
        audit: keeps the record.
        prices: what models cost.
        purse: what may be spent.
        answers: what was paid for already.
        circuit: the endpoint's, unless another one is wanted.
        first_pause_s: mean pause before a failed request is repeated.
    """
    endpoint = gemini_endpoint(settings)

    def build() -> Api:
        # imported here: the SDK takes half a second
        from omniview.omnimodel.gemini_api import GeminiApi

        found = plain_key(key(), "Gemini") if settings.vertex_project is None else ""
        return GeminiApi(settings, endpoint, found, circuit or circuit_of(endpoint), first_pause_s)

    return Calls(
        build,
        model=settings.model,
        endpoint=endpoint,
        airlock=airlock,
        audit=audit,
        max_side=settings.max_side,
        max_output_tokens=settings.max_output_tokens,
        settings=(
            settings.api_version,
            settings.mask_style,
            settings.thinking_level,
            settings.thinking_budget,
            settings.vertex_project,
        ),
        prices=prices,
        purse=purse,
        answers=answers,
    )
