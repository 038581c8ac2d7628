"""One question to Gemini through Google's SDK, and its answer or the reason for none, in words.

Imported at first use, in a thread, because the SDK takes half a second to load. Nothing that the SDK raises
is passed on or chained: its exceptions hold the request with the API key.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any, TypeVar

import httpx2
from google import genai
from google.auth import exceptions as auth
from google.genai import errors, types

from omniview.errors import Blocked, MissingKey, OmnimodelError, Unreachable, UnusableAnswer
from omniview.omnimodel.airlock import Departure
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.patience import Outage, ask_patiently, refused
from omniview.omnimodel.reply import Departing, Reply
from omniview.omnimodel.wire import broken, open_http, quoted, refusal, retry_after_s, unreadable
from omniview.settings import GeminiSettings

__all__ = ["GeminiApi"]

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
_NEXT_SIGN_IN = "Sign in with gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS."
_WHO = "Gemini"
_ALL = 1000  # more models than there are, so that one page holds them
_Raw = TypeVar("_Raw")
_Found = TypeVar("_Found")


class GeminiApi:
    """A client of one endpoint with one key, for use within one event loop.

    Building it blocks for a tenth of a second: do that in a thread.

    Args:
        settings: model, endpoint, deadline, thinking.
        endpoint: where Gemini is.
        key: the API key, which never appears in a message; empty for Vertex AI.
        circuit: the endpoint's.
        first_pause_s: mean pause before the first repetition.
    """

    def __init__(
        self, settings: GeminiSettings, endpoint: str, key: str, circuit: Circuit, first_pause_s: float
    ) -> None:
        # a value that this SDK does not know yet is no reason to write on the terminal
        warnings.filterwarnings("ignore", message=".* is not a valid ", module=r"google\.genai")
        self._settings = settings
        self._key = key
        self._circuit = circuit
        self._first_pause_s = first_pause_s
        self._http = open_http(endpoint, settings.timeout_s)
        project = settings.vertex_project
        version = settings.api_version
        self._client = genai.Client(
            vertexai=project is not None,
            api_key=key or None,
            project=project,
            location=None if project is None else settings.vertex_location or "global",
            http_options=types.HttpOptions(
                base_url=endpoint,
                # what the other interface calls its beta
                api_version="v1beta1" if project is not None and version == "v1beta" else version,
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
            response_modalities=["TEXT", "IMAGE"] if settings.mask_style == "picture" else None,
            thinking_config=types.ThinkingConfig(**thinking) if thinking else None,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def ask(
        self, question: str, departure: Departure | None, departing: Departing, max_output_tokens: int
    ) -> Reply:
        """The answer, see `Api.ask`."""
        contents: list[Any] = [question]
        if departure is not None:
            contents.insert(0, types.Part.from_bytes(data=departure.data, mime_type=departure.mime))
        config = self._config.model_copy(update={"max_output_tokens": max_output_tokens})
        return await ask_patiently(
            lambda: self._once(contents, config),
            departing,
            who=_WHO,
            circuit=self._circuit,
            timeout_s=self._settings.timeout_s,
            first_pause_s=self._first_pause_s,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        self._client.close()

    async def models(self) -> tuple[str, ...]:
        """The ids of the models that the interface lists. Sends nothing but the key.

        Raises:
            MissingKey: key or credentials are not accepted.
            Unreachable: no connection, no such interface, or the server failed.
            UnusableAnswer: what came back is no list of models.
        """
        listing = self._client.aio.models.list(config=types.ListModelsConfig(page_size=_ALL))
        try:
            found = await self._exchange(listing, lambda pager: [one.name or "" for one in pager.page])
        except Outage as outage:
            found = outage.failure
        if isinstance(found, OmnimodelError):
            raise found
        return tuple(name.rsplit("/", 1)[-1] for name in found)

    async def _once(self, contents: list[Any], config: types.GenerateContentConfig) -> Reply:
        request = self._client.aio.models.generate_content(
            model=self._settings.model, contents=contents, config=config
        )
        found = await self._exchange(request, _read)
        return refused(found) if isinstance(found, OmnimodelError) else found

    async def _exchange(
        self, request: Awaitable[_Raw], read: Callable[[_Raw], _Found]
    ) -> _Found | OmnimodelError:
        """One request; what the server refused is returned, all else raised.

        Raised outside of the `except`, so that nothing of the SDK's is chained.
        """
        try:
            return read(await request)
        except errors.APIError as error:
            failure = self._refusal(error)
            if isinstance(failure, OmnimodelError):
                return failure
        except auth.TransportError:
            failure = Outage(Unreachable("Google's sign-in cannot be reached.", _NEXT_SIGN_IN))
        except auth.GoogleAuthError:
            failure = MissingKey("Google's credentials for Vertex AI are missing or expired.", _NEXT_SIGN_IN)
        except RecursionError:  # brackets upon brackets; a RuntimeError, but not one of the HTTP client's
            failure = unreadable(_WHO)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, RuntimeError) as error:
            failure = broken(error, _WHO, self._settings.timeout_s) or unreadable(_WHO)
        except (ValueError, TypeError, AttributeError, LookupError):
            # what the SDK raises on an answer that is no JSON, or not the JSON it expects
            failure = unreadable(_WHO)
        raise failure

    def _refusal(self, error: errors.APIError) -> OmnimodelError | Outage:
        """An HTTP error state in words."""
        code = error.code if isinstance(error.code, int) else 0
        said = quoted(error.message, self._key)
        if (code == 400 and "API_KEY" in str(error.details)) or "API key" in said:
            return MissingKey(f"Gemini does not accept the API key ({code}){said}.", _NEXT_KEY)
        if code in (401, 403) and not self._key:
            return MissingKey(
                f"Vertex AI does not accept Google's credentials of this machine ({code}){said}.",
                "Check that the account may use Vertex AI in vertex_project.",
            )
        if code == 404:
            return Unreachable(
                f"There is no model {self._settings.model} in version {self._settings.api_version} "
                f"of the interface (404){said}.",
                "Set another model or api_version in the settings.",
            )
        after_s = retry_after_s(getattr(error.response, "headers", None) or {})
        return refusal(_WHO, code, said, _retry_delay_s(error.details) if after_s is None else after_s)


def _retry_delay_s(body: object) -> float | None:
    """The wait that Google's own `RetryInfo` in the body of an error asks for, or None."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            return float(match.group(1))
    return None


def _read(response: types.GenerateContentResponse) -> Reply:
    """The text of an answer, or why there is none."""
    usage = response.usage_metadata
    out = None if usage is None else (usage.candidates_token_count, usage.thoughts_token_count)
    text, reason = "", ""
    pictures: list[bytes] = []
    problem: OmnimodelError | None = None
    candidate = response.candidates[0] if response.candidates else None
    if candidate is not None:
        reason = _word(candidate.finish_reason)
        for part in (candidate.content.parts if candidate.content else None) or []:
            text += part.text if part.text and not part.thought else ""
            blob = part.inline_data
            if blob is not None and blob.data and (blob.mime_type or "").startswith("image/"):
                pictures.append(blob.data)
    feedback = response.prompt_feedback
    blocked = _word(feedback.block_reason) if feedback else ""
    if candidate is None and (blocked or feedback):
        problem = _declined("the question", blocked or "OTHER")
    elif reason in _WITHHELD:
        problem = _declined("the answer", reason)
    elif not text.strip() and not pictures:
        problem = _empty(reason)
    return Reply(
        text=text,
        cut_off=reason == "MAX_TOKENS",
        problem=problem,
        version=response.model_version,
        tokens_in=None if usage is None else usage.prompt_token_count,
        tokens_out=None if out is None or out == (None, None) else sum(n or 0 for n in out),
        pictures=tuple(pictures),
    )


def _word(value: object) -> str:
    """The name of an enumeration's member, known to this SDK or not."""
    return str(getattr(value, "value", value) or "")


def _declined(what: str, reason: str) -> Blocked:
    why = _WITHHELD.get(reason, "it gives no closer reason")
    return Blocked(f"Gemini declined {what}: {why} ({reason}).", _NEXT_BLOCKED)


def _empty(reason: str) -> UnusableAnswer:
    if reason == "MAX_TOKENS":
        return UnusableAnswer(
            "Gemini spent all of max_output_tokens on thinking and gave no answer.",
            "Raise max_output_tokens or lower the thinking in the settings.",
        )
    ending = f" (it ended with {reason})" if reason not in ("", "STOP") else ""
    return UnusableAnswer(f"Gemini's answer is empty{ending}.", "Ask again, or choose another model.")
