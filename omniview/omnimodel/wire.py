"""The HTTP client that every cloud omnimodel uses, and the patience it shows.

Imported at first use, in a thread: building a client costs a tenth of a second.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

from omniview.omnimodel.airlock import is_loopback

__all__ = ["MAX_RETRIES", "RETRIED", "open_http", "pause_s", "retry_after_s"]

MAX_RETRIES = 2
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP states that may pass by themselves."""
_MAX_ANSWER = 16_000_000
"""Bytes; an answer within its token limit has a few hundred thousand."""


class _Bounded(httpx2.AsyncByteStream):
    """Stops a server that never stops, before it fills the memory."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MAX_ANSWER
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise httpx2.DecodingError(f"the answer is longer than {_MAX_ANSWER:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)
        return response


def open_http(endpoint: str, timeout_s: float) -> httpx2.AsyncClient:
    """A pooled client for one endpoint, for use within one event loop.

    Redirects are not followed: the consent is for this address and no other. What is for this machine never
    goes through a proxy.
    """
    local = is_loopback(endpoint)
    return httpx2.AsyncClient(
        transport=_BoundedTransport(trust_env=not local),
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=not local,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a `Retry-After` header asks for, as seconds or as a date (RFC 9110, 10.2.3), or None."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value)) if float(value) < 1e9 else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def pause_s(attempt: int, first_s: float) -> float:
    """How long to wait before asking again: doubling, with jitter so that clients do not return in step.

    Args:
        attempt: 0 before the first repetition.
        first_s: the mean of the first pause.
    """
    return first_s * 2.0**attempt * random.uniform(0.5, 1.5)  # noqa: S311 - no secret depends on it
