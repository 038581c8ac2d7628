"""OpenAI's interface behind the provider-neutral `Calls`: ChatGPT, and whatever else speaks chat completions.

LLaVA, MedDr, Qwen-VL and the like are served so by Ollama, vLLM and llama.cpp, mostly on this machine or in
the house's own network and without a key.
"""

from __future__ import annotations

from collections.abc import Callable

from omniview.errors import NotAllowed
from omniview.omnimodel.airlock import Airlock, origin
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.calls import Calls, plain_key
from omniview.omnimodel.circuit import Circuit, circuit_of
from omniview.omnimodel.reply import Answers, Api, Prices, Purse
from omniview.settings import OpenAiSettings

__all__ = ["OPENAI", "needs_key", "openai_calls", "openai_endpoint"]

OPENAI = "https://api.openai.com/v1"
"""Where ChatGPT is unless the settings say otherwise."""


def openai_endpoint(settings: OpenAiSettings) -> str:
    """The address that is asked, version included."""
    return settings.base_url or OPENAI


def needs_key(settings: OpenAiSettings) -> bool:
    """Whether nothing can be asked without a key: OpenAI itself. Other servers say so themselves."""
    try:
        return origin(openai_endpoint(settings)) == origin(OPENAI)
    except NotAllowed:  # no address at all, which is said when it is asked
        return False


def openai_calls(
    settings: OpenAiSettings,
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
    """Calls to a chat-completions server. Loads nothing and opens nothing until the first question or `warm`.

    Args:
        settings: model, endpoint, deadline, reasoning.
        key: gives the API key or None; asked in a thread, and anew after a key was rejected. Only OpenAI
            itself cannot do without.
        airlock: decides what may leave, and encodes it.
        audit: keeps the record.
        prices: what models cost.
        purse: what may be spent.
        answers: what was paid for already.
        circuit: the endpoint's, unless another one is wanted.
        first_pause_s: mean pause before a failed request is repeated.
    """
    endpoint = openai_endpoint(settings)

    def build() -> Api:
        # imported here: the SDK takes half a second
        from omniview.omnimodel.openai_api import OpenAiApi

        found = key()
        if found is not None or needs_key(settings):
            found = plain_key(found, "OpenAI")
        return OpenAiApi(settings, endpoint, found, circuit or circuit_of(endpoint), first_pause_s)

    return Calls(
        build,
        model=settings.model,
        endpoint=endpoint,
        airlock=airlock,
        audit=audit,
        max_side=settings.max_side,
        max_output_tokens=settings.max_output_tokens,
        settings=(settings.mask_style, settings.reasoning_effort),
        prices=prices,
        purse=purse,
        answers=answers,
    )
