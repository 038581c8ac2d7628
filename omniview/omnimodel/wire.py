"""The HTTP client that every cloud omnimodel uses, and how its failures are read.

Imported at first use, in a thread: building a client costs a tenth of a second.
"""

from __future__ import annotations

import urllib.request
import zlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2

from omniview.errors import MissingKey, OmnimodelError, Unreachable, UnusableAnswer
from omniview.log import redact
from omniview.omnimodel.airlock import is_loopback, origin
from omniview.omnimodel.patience import NEXT_LATER, Outage, timed_out

__all__ = ["broken", "open_http", "proxy_of", "quoted", "refusal", "retry_after_s", "unreadable"]

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP states that may pass by themselves."""
_NEXT_NETWORK = "Check the network and the address."
_MAX_ANSWER = 16_000_000
"""Bytes; an answer within its token limit has a few hundred thousand."""


class _Bounded(httpx2.AsyncByteStream):
    """Stops a server that never stops, before it fills the memory."""

    def __init__(self, stream: httpx2.AsyncByteStream, packed: bool) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(wbits=31) if packed else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MAX_ANSWER
        async for chunk in self._stream:
            piece = self._unpacked(chunk, left + 1)
            left -= max(len(chunk), len(piece))
            if left < 0:
                raise httpx2.DecodingError(f"the answer is longer than {_MAX_ANSWER:,} bytes")
            yield piece

    def _unpacked(self, chunk: bytes, at_most: int) -> bytes:
        if self._inflate is None:
            return chunk
        if self._inflate.eof:
            return b""  # whatever follows the end would only be collected
        try:
            return self._inflate.decompress(chunk, at_most)
        except zlib.error as error:
            raise httpx2.DecodingError("the answer is not packed as it says") from error

    async def aclose(self) -> None:
        await self._stream.aclose()


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "gzip"
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        # unpacked here: the client itself would unpack without end, and a kilobyte can hold a megabyte
        packed = response.headers.pop("content-encoding", "").strip().lower()
        response.stream = _Bounded(response.stream, packed in ("gzip", "x-gzip"))
        return response


def open_http(endpoint: str, timeout_s: float) -> httpx2.AsyncClient:
    """A pooled client for one endpoint, for use within one event loop.

    Redirects are not followed: the consent is for this address and no other. What is for this machine never
    goes through a proxy; all else goes through that which this machine's settings prescribe.

    Raises:
        Unreachable: the proxy's address cannot be used.
    """
    local = is_loopback(endpoint)
    try:
        # the client itself looks at the environment's proxies only where it may choose its own transport
        transport = _BoundedTransport(trust_env=not local, proxy=proxy_of(endpoint))
    except (httpx2.InvalidURL, ValueError, ImportError):
        transport = None
    if transport is None:
        raise Unreachable(
            "The address of this machine's proxy cannot be used.",
            "Correct HTTPS_PROXY, ALL_PROXY or HTTP_PROXY.",
        )
    return httpx2.AsyncClient(
        transport=transport, timeout=timeout_s, follow_redirects=False, trust_env=not local
    )


def proxy_of(endpoint: str) -> str | None:
    """The proxy through which this machine is set to reach an endpoint, or None.

    Never to be shown: its address can hold a password.
    """
    parts = urlsplit(origin(endpoint))
    if is_loopback(endpoint) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"


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


def broken(error: Exception, who: str, timeout_s: float) -> OmnimodelError | Outage | None:
    """What an exception of the HTTP client means, in words; None if it is not one of its own.

    Args:
        error: what was raised; nothing of its text is used, because it can hold the request.
        who: the server, in a word that a message can begin with.
        timeout_s: the deadline that was set.
    """
    match error:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return Outage(timed_out(who, timeout_s), again=False, free=True)
        case httpx2.TimeoutException():
            return Outage(timed_out(who, timeout_s), again=False)
        case httpx2.DecodingError():
            return unreadable(who)
        case httpx2.InvalidURL():
            return Unreachable(
                f"The address of {who} cannot be used.", "Check the provider's base_url in the settings."
            )
        case httpx2.ConnectError():
            return Outage(Unreachable(f"{who} cannot be reached: no connection.", _NEXT_NETWORK), free=True)
        case httpx2.HTTPError() | OSError():
            cut = f"The connection to {who} was cut before the answer was complete."
            return Outage(Unreachable(cut, _NEXT_NETWORK))
        case RuntimeError():  # what httpx2 raises once its client is closed
            return Unreachable(f"The connection to {who} was closed meanwhile.", "Ask again.")
        case _:
            return None


def unreadable(who: str) -> UnusableAnswer:
    """That the body is not what the interface answers with."""
    return UnusableAnswer(
        f"What came back is not an answer of the {who} interface.",
        f"Check that base_url leads to a {who} interface, or try again later.",
    )


def refusal(who: str, code: int, said: str, after_s: float | None) -> OmnimodelError | Outage:
    """What an HTTP state other than success means, whoever the provider; its own cases come before this.

    Args:
        who: the server, in a word that a message can begin with.
        code: the HTTP state.
        said: the server's own words as `quoted` gives them.
        after_s: the wait that the server asks for, or None.
    """
    if code in (401, 403):
        return MissingKey(
            f"{who} does not accept the API key ({code}){said}.", f"Check the {who} API key and its rights."
        )
    if 300 <= code < 400:
        return Unreachable(
            f"The server wants to send the request elsewhere ({code}), which was not agreed to.",
            "Set base_url to the final address and agree to that.",
        )
    if code == 429:
        limited = f"{who} answers to no more requests for now: rate limit or quota (429){said}."
        return Outage(Unreachable(limited, "Wait, or raise the quota of the key."), after_s, free=True)
    if code in _RETRIED:
        failed = f"{who}'s server failed ({code}){said}."
        return Outage(Unreachable(failed, NEXT_LATER), after_s, free=True)
    return Unreachable(
        f"{who} refused the request ({code}){said}.",
        "Check the model and its other settings.",
    )


def quoted(message: object, key: str) -> str:
    """A server's own words behind a colon, short, without anything that could be a key or pixels."""
    words = redact(str(message or "").replace(key, "[redacted]") if key else str(message or "")).split()
    plain = " ".join(word for word in words if len(word) <= 60 and word.isprintable())[:160]
    return f": {plain.rstrip('.')}" if plain else ""
