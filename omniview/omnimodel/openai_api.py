"""One question to a chat-completions server through OpenAI's SDK, and its answer or the reason for none.

Imported at first use, in a thread, because the SDK takes half a second to load. Nothing that the SDK raises
is passed on or chained: its exceptions hold the request with the API key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI

from omniview.errors import OmnimodelError
from omniview.omnimodel.airlock import Departure, origin
from omniview.omnimodel.chat import read_completion
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.complaints import Refused, complaint, failure
from omniview.omnimodel.openai import needs_key
from omniview.omnimodel.patience import Outage, ask_patiently, refused
from omniview.omnimodel.reply import Departing, Reply
from omniview.omnimodel.wire import broken, open_http, unreadable
from omniview.settings import OpenAiSettings

__all__ = ["OpenAiApi"]

_KEYLESS = "not-needed"
"""Sent in place of a key: the SDK insists on one, and servers that have none ignore it."""
_INTERFACE = "chat-completions"
_LIMITS = ("max_completion_tokens", "max_tokens")
"""OpenAI's reasoning models take only the first, older servers only the second."""
_UNKNOWN = ("unsupported", "not support", "unknown", "unrecognized", "unexpected", "extra", "not permitted")
"""Words with which a server says that it does not know a field, rather than that a value is too large."""


class OpenAiApi:
    """A client of one endpoint with one key or none, for use within one event loop.

    Building it blocks for a tenth of a second: do that in a thread.

    Args:
        settings: model, deadline, limits.
        endpoint: the interface's address, version included.
        key: the API key, which never appears in a message, or None for a server that wants none.
        circuit: of the endpoint.
        first_pause_s: mean pause before the first repetition.
    """

    def __init__(
        self,
        settings: OpenAiSettings,
        endpoint: str,
        key: str | None,
        circuit: Circuit,
        first_pause_s: float,
    ) -> None:
        own = needs_key(settings)
        self._settings = settings
        self._key = key
        self._circuit = circuit
        self._first_pause_s = first_pause_s
        self._who = "OpenAI" if own else urlsplit(origin(endpoint)).netloc
        self._limit = _LIMITS[0] if own else _LIMITS[1]
        self._http = open_http(endpoint, settings.timeout_s)
        self._client = AsyncOpenAI(
            api_key=key or _KEYLESS,
            base_url=endpoint,
            timeout=settings.timeout_s,
            max_retries=0,  # repetitions are ours: each is a departure and is recorded as one
            http_client=self._http,
        )
        if not own:  # the SDK reads these from the environment, and they are nobody else's business
            self._client.organization = self._client.project = None

    async def ask(
        self, question: str, departure: Departure | None, departing: Departing, max_output_tokens: int
    ) -> Reply:
        """The answer, as of `Api`.

        Raises:
            Unreachable: no connection, cut, timed out, or the circuit is open.
            UnusableAnswer: what came back is not an answer of the interface.
        """
        content: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if departure is not None:
            data = base64.b64encode(departure.data).decode("ascii")
            url = f"data:{departure.mime};base64,{data}"
            content.insert(0, {"type": "image_url", "image_url": {"url": url}})
        return await ask_patiently(
            partial(self._once, content, departing, max_output_tokens),
            departing,
            who=self._who,
            circuit=self._circuit,
            timeout_s=self._settings.timeout_s,
            first_pause_s=self._first_pause_s,
        )

    async def models(self) -> tuple[str, ...]:
        """The ids of the models that the server lists. Sends nothing but the key.

        Raises:
            MissingKey: the key is not accepted.
            Unreachable: no connection, no such interface, or the server failed.
            UnusableAnswer: what came back is no list of models.
        """
        found: Any
        try:
            body = await self._exchange(self._client.models.with_raw_response.list())
            found = self._in_words(body) if isinstance(body, Refused) else None
        except Outage as outage:
            found = outage
        if found is not None:
            raise found.failure if isinstance(found, Outage) else found
        listed = body.get("data") if isinstance(body, dict) else None
        if not isinstance(listed, list):
            raise unreadable(_INTERFACE)
        names = (one.get("id") for one in listed if isinstance(one, dict))
        return tuple(name for name in names if isinstance(name, str))

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _once(self, content: list[dict[str, Any]], departing: Departing, most: int) -> Reply:
        """One attempt; a server that does not know one name of the limit is asked again with the other."""
        limit = self._limit
        body = await self._complete(content, limit, most)
        if isinstance(body, Refused) and _does_not_know(limit, body):
            self._limit = limit = _LIMITS[_LIMITS.index(limit) - 1]
            await departing(False)
            body = await self._complete(content, limit, most)
        if isinstance(body, Refused):
            found = self._in_words(body)
            if isinstance(found, Outage):
                raise found
            return refused(found)
        reply = read_completion(body, self._who, self._key or "")
        if reply is None:
            raise unreadable(_INTERFACE)
        return reply

    async def _complete(self, content: list[dict[str, Any]], limit: str, most: int) -> Any:
        message: Any = {"role": "user", "content": content}
        more: dict[str, Any] = {limit: most}
        if self._settings.reasoning_effort is not None:
            more["reasoning_effort"] = self._settings.reasoning_effort
        return await self._exchange(
            self._client.chat.completions.with_raw_response.create(
                model=self._settings.model, messages=[message], **more
            )
        )

    async def _exchange(self, request: Any) -> Any:
        """The JSON of one answer, or Refused; raises outside of the `except`, so that nothing is chained."""
        problem: OmnimodelError | Outage
        try:
            response = await request
            body = json.loads(response.content)
            return _error_within(body, response.headers) or body
        except openai.APIStatusError as error:
            return Refused(error.status_code, _parsed(error.response.content), error.response.headers)
        except openai.APIConnectionError as error:
            problem = self._broken(error.__cause__)
        except RecursionError:  # brackets upon brackets; a RuntimeError, but not one of the HTTP client's
            problem = unreadable(_INTERFACE)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, RuntimeError) as error:
            problem = self._broken(error)
        except (ValueError, TypeError, AttributeError, LookupError, openai.OpenAIError):
            # an answer that is no JSON, or not the JSON that the SDK expects
            problem = unreadable(_INTERFACE)
        raise problem

    def _in_words(self, body: Refused) -> OmnimodelError | Outage:
        return failure(body, who=self._who, model=self._settings.model, key=self._key)

    def _broken(self, error: BaseException | None) -> OmnimodelError | Outage:
        found = broken(error, self._who, self._settings.timeout_s) if isinstance(error, Exception) else None
        return found or unreadable(_INTERFACE)


def _does_not_know(limit: str, body: Refused) -> bool:
    """Whether a server refused the request because of the name of this field."""
    if body.code not in (400, 422):
        return False
    words = " ".join(complaint(body.body)).lower()
    return limit in words and any(word in words for word in _UNKNOWN)


def _error_within(body: Any, headers: Mapping[str, str]) -> Refused | None:
    """The error that some gateways send with a state of 200, or None."""
    if not isinstance(body, dict) or body.get("choices") or body.get("data"):
        return None
    error = body.get("error")
    if not error and body.get("object") != "error":
        return None
    code = (error if isinstance(error, dict) else body).get("code")
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() else 400
    return Refused(number if 400 <= number < 600 else 400, body, headers)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
