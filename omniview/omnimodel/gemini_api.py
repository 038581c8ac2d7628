"""One question to Gemini through Google's SDK, and its answer or the reason for none, in words.

Imported at first use, in a thread, because the SDK takes half a second to load. Nothing that the SDK raises
is passed on or chained: its exceptions hold the request with the API key.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from omniview.errors import Blocked, MissingKey, OmnimodelError, Unreachable, UnusableAnswer
from omniview.log import redact
from omniview.omnimodel.airlock import Departure
from omniview.omnimodel.wire import MAX_RETRIES, RETRIED, open_http, pause_s, retry_after_s
from omniview.settings import GeminiSettings

__all__ = ["GeminiApi", "Reply"]

_WITHHELD = MappingProxyType(
    {
        "SAFETY": "its safety filter was triggered",
        "IMAGE_SAFETY": "its safety filter for images was triggered",
        "PROHIBITED_CONTENT": "it counts the content as prohibited",
        "IMAGE_PROHIBITED_CONTENT": "it counts the image as prohibited",
        "BLOCKLIST": "a word is on its block list",
        "SPII": "it sees personal data in the image or the answer",
        "RECITATION": "the answer came too close to a source",
        "LANGUAGE": "it does not support the language",
        "JAILBREAK": "it takes the question for an attack",
        "MODEL_ARMOR": "its filter was triggered",
        "ESCALATION": "one of its rules was triggered",
        "PUP_LIMITED_DISABLED": "the account is limited for breaking its policy",
    }
)
"""Reasons for which Gemini declines, as its `finishReason` and `blockReason` have them."""
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_NEXT_BLOCKED = "Try another model, or go on with the specialist alone."
_NEXT_KEY = "Check GEMINI_API_KEY, and that the key may use the Gemini API."
_NEXT_LATER = "Try again later; the specialist's result stands."


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        text: the answer without the model's thoughts.
        cut_off: the token limit was reached before its end.
        problem: why there is nothing to be read in it, or None.
        version: the model version that the answer names.
        tokens_in: tokens sent.
        tokens_out: tokens received, thinking included.
    """

    text: str
    cut_off: bool = False
    problem: OmnimodelError | None = None
    version: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None


class _Retry(Exception):
    """The attempt failed in a way that may pass. Never leaves this module."""

    def __init__(self, failure: OmnimodelError, after_s: float | None) -> None:
        super().__init__()
        self.failure = failure
        self.after_s = after_s


class GeminiApi:
    """A client of one endpoint with one key, for use within one event loop.

    Building it blocks for a tenth of a second: do that in a thread.

    Args:
        settings: model, endpoint, deadline, thinking.
        endpoint: where Gemini is.
        key: the API key; it never appears in a message.
        first_pause_s: mean pause before the first repetition.
    """

    def __init__(self, settings: GeminiSettings, endpoint: str, key: str, first_pause_s: float) -> None:
        # a value that this SDK does not know yet is no reason to write on the terminal
        warnings.filterwarnings("ignore", message=".* is not a valid ", module=r"google\.genai")
        self._settings = settings
        self._key = key
        self._first_pause_s = first_pause_s
        self._http = open_http(endpoint, settings.timeout_s)
        self._client = genai.Client(
            vertexai=False,
            api_key=key,
            http_options=types.HttpOptions(
                base_url=endpoint,
                api_version=settings.api_version,
                timeout=max(1, int(settings.timeout_s * 1000)),
                httpx_async_client=self._http,
            ),
        )
        thinking = {
            name: value
            for name in ("thinking_level", "thinking_budget")
            if (value := getattr(settings, name)) is not None
        }
        self._config = types.GenerateContentConfig(
            max_output_tokens=settings.max_output_tokens,
            thinking_config=types.ThinkingConfig(**thinking) if thinking else None,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def ask(self, prompt: str, departure: Departure, departing: Callable[[], Awaitable[None]]) -> Reply:
        """The answer to `prompt` about the picture, with repetitions where a failure may pass.

        Cancelling closes the connection.

        Args:
            prompt: the question.
            departure: the picture, cleared by the airlock.
            departing: awaited before each time the picture is sent.

        Raises:
            Unreachable: refused, cut, timed out, rate-limited, or the server failed.
            MissingKey: the key is not accepted.
        """
        contents = [types.Part.from_bytes(data=departure.data, mime_type=departure.mime), prompt]
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                return await self._with_repetitions(contents, departing, deadline)
        except TimeoutError:
            pass
        raise Unreachable(
            f"Gemini gave no answer within {self._settings.timeout_s:g} s.",
            "Try again later, or raise timeout_s in the settings.",
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        self._client.close()

    async def _with_repetitions(
        self, contents: list[Any], departing: Callable[[], Awaitable[None]], deadline: float
    ) -> Reply:
        attempt = 0
        while True:
            await departing()
            try:
                return _read(await self._once(contents))
            except _Retry as retry:
                failure, after_s = retry.failure, retry.after_s
            wait_s = pause_s(attempt, self._first_pause_s) if after_s is None else after_s
            too_late = asyncio.get_running_loop().time() + wait_s >= deadline
            if attempt == MAX_RETRIES or too_late:
                raise _final(failure, attempt + 1, after_s if too_late else None)
            attempt += 1
            await asyncio.sleep(wait_s)

    async def _once(self, contents: list[Any]) -> types.GenerateContentResponse:
        """One request; raises outside of the `except`, so that nothing of the SDK's is chained."""
        failure: OmnimodelError | _Retry
        try:
            return await self._client.aio.models.generate_content(
                model=self._settings.model, contents=contents, config=self._config
            )
        except errors.APIError as error:
            failure = self._refusal(error)
        except httpx2.TimeoutException:
            failure = Unreachable(
                f"Gemini gave no answer within {self._settings.timeout_s:g} s.", _NEXT_LATER
            )
        except httpx2.DecodingError:
            failure = _unreadable()
        except (httpx2.HTTPError, OSError) as error:
            failure = _Retry(Unreachable(_cut_words(error), "Check the network and the address."), None)
        except httpx2.InvalidURL:
            failure = Unreachable("The address of Gemini cannot be used.", "Check base_url in the settings.")
        except RuntimeError:  # what httpx2 raises once its client is closed
            failure = Unreachable("The connection to Gemini was closed meanwhile.", "Ask again.")
        except (ValueError, TypeError, AttributeError, LookupError):
            # what the SDK raises on an answer that is no JSON, or not the JSON it expects
            failure = _unreadable()
        raise failure

    def _refusal(self, error: errors.APIError) -> OmnimodelError | _Retry:
        """An HTTP error state in words."""
        code = error.code if isinstance(error.code, int) else 0
        said = self._said(error.message)
        if code in (401, 403) or (code == 400 and "API_KEY" in str(error.details)) or "API key" in said:
            return MissingKey(f"Gemini does not accept the API key ({code}){said}.", _NEXT_KEY)
        if 300 <= code < 400:
            return Unreachable(
                f"The server wants to send the request elsewhere ({code}), which was not agreed to.",
                "Set base_url to the final address and agree to that.",
            )
        if code == 404:
            return Unreachable(
                f"There is no model {self._settings.model} in version {self._settings.api_version} "
                f"of the interface (404){said}.",
                "Set another model or api_version in the settings.",
            )
        if code == 429:
            failure = Unreachable(
                f"Gemini answers to no more requests for now: rate limit or quota (429){said}.",
                "Wait, or raise the quota of the key.",
            )
        elif code in RETRIED:
            failure = Unreachable(f"Gemini's server failed ({code}){said}.", _NEXT_LATER)
        else:
            return Unreachable(
                f"Gemini refused the request ({code}){said}.",
                "Check model, thinking and max_output_tokens in the settings.",
            )
        headers = getattr(error.response, "headers", None) or {}
        after_s = retry_after_s(headers)
        return _Retry(failure, _retry_delay_s(error.details) if after_s is None else after_s)

    def _said(self, message: object) -> str:
        """The server's own words, short, without anything that could be a key or pixels."""
        words = redact(str(message or "").replace(self._key, "[redacted]")).split()
        plain = " ".join(word for word in words if len(word) <= 60 and word.isprintable())[:160]
        return f": {plain.rstrip('.')}" if plain else ""


def _retry_delay_s(body: object) -> float | None:
    """The wait that Google's own `RetryInfo` in the body of an error asks for, or None."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            return float(match.group(1))
    return None


def _cut_words(error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError):
        return "Gemini cannot be reached: no connection."
    return "The connection to Gemini was cut before the answer was complete."


def _unreadable() -> UnusableAnswer:
    return UnusableAnswer(
        "What came back is not an answer of the Gemini interface.",
        "Check that base_url leads to a Gemini interface, or try again later.",
    )


def _final(failure: OmnimodelError, attempts: int, asked_to_wait_s: float | None) -> OmnimodelError:
    """The failure with how hard it was tried."""
    how = f" Tried {attempts} times." if attempts > 1 else ""
    if asked_to_wait_s is not None:
        how += f" It asks to wait {asked_to_wait_s:.0f} s, longer than the deadline allows."
    return type(failure)(failure.message + how, failure.next_step)


def _read(response: types.GenerateContentResponse) -> Reply:
    """The text of an answer, or why there is none."""
    usage = response.usage_metadata
    out = None if usage is None else (usage.candidates_token_count, usage.thoughts_token_count)
    text, pictures, reason = "", 0, ""
    problem: OmnimodelError | None = None
    candidate = response.candidates[0] if response.candidates else None
    if candidate is not None:
        reason = _word(candidate.finish_reason)
        for part in (candidate.content.parts if candidate.content else None) or []:
            text += part.text if part.text and not part.thought else ""
            pictures += part.inline_data is not None
    feedback = response.prompt_feedback
    blocked = _word(feedback.block_reason) if feedback else ""
    if candidate is None and (blocked or feedback):
        problem = _declined("the question", blocked or "OTHER")
    elif reason in _WITHHELD:
        problem = _declined("the answer", reason)
    elif not text.strip():
        problem = _empty(reason, pictures)
    return Reply(
        text=text,
        cut_off=reason == "MAX_TOKENS",
        problem=problem,
        version=response.model_version,
        tokens_in=None if usage is None else usage.prompt_token_count,
        tokens_out=None if out is None or out == (None, None) else sum(n or 0 for n in out),
    )


def _word(value: object) -> str:
    """The name of an enumeration's member, known to this SDK or not."""
    return str(getattr(value, "value", value) or "")


def _declined(what: str, reason: str) -> Blocked:
    why = _WITHHELD.get(reason, "it gives no closer reason")
    return Blocked(f"Gemini declined {what}: {why} ({reason}).", _NEXT_BLOCKED)


def _empty(reason: str, pictures: int) -> UnusableAnswer:
    if reason == "MAX_TOKENS":
        return UnusableAnswer(
            "Gemini spent all of max_output_tokens on thinking and gave no answer.",
            "Raise max_output_tokens or lower the thinking in the settings.",
        )
    if pictures:
        return UnusableAnswer(
            "Gemini answered with a picture instead of masks.", "Choose a model that answers in text."
        )
    ending = f" (it ended with {reason})" if reason not in ("", "STOP") else ""
    return UnusableAnswer(f"Gemini's answer is empty{ending}.", "Ask again, or choose another model.")
