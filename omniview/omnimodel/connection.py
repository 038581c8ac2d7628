"""Whether a cloud omnimodel can be reached and would answer, found out without sending anything of an image.

Step by step, so that the first that fails says where to look: address, key, name, connection, encryption and
the interface itself, which is asked for its models. Each test is in the audit; offline, nothing is tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from omniview.core.check import Check
from omniview.errors import MissingKey, NotAllowed, OmnimodelError
from omniview.omnimodel.airlock import origin
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.calls import plain_key
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.clouds import endpoint_of, key_wanted, title_of
from omniview.settings import Settings

__all__ = ["check_connection"]

_PATIENCE_S = 15.0
_NAMED = 5
"""So many of the models that a server has are named where the one that is set is not among them."""
_NETWORK = "Check the network, the address, and whether a firewall or proxy is in the way."


class _Listing(Protocol):
    """An interface that can be asked for its models."""

    async def models(self) -> tuple[str, ...]: ...

    async def close(self) -> None: ...


async def check_connection(
    name: str, settings: Settings, key: Callable[[str], str | None], *, audit: Audit, offline: bool
) -> tuple[Check, ...]:
    """What works of the connection to the cloud omnimodel `name`, in the order of its steps.

    Opens connections, sends the API key, and nothing else. Ends with the first step without which the next
    makes no sense.

    Args:
        name: one of CLOUDS.
        settings: of all providers.
        key: gives a provider's API key or None; asked in a thread.
        audit: notes that the connection was tested.
        offline: nothing is tried.

    Raises:
        NotAllowed: offline.
        OutputError: the audit could not be written, so nothing was tried.
    """
    if offline:
        raise NotAllowed("OmniView is offline: no connection is tested.", "Switch offline off to test.")
    endpoint = endpoint_of(name, settings)
    try:
        place = origin(endpoint)
    except NotAllowed as error:
        return (Check("Address", "fails", error.message, error.next_step),)
    done = [Check("Address", "works", place)]
    found = await _key(name, settings, key, done)
    await asyncio.to_thread(audit.append, event="test", endpoint=place, model=_model(name, settings))
    if await _reached(endpoint, done) and found is not None:
        await _interface(name, settings, endpoint, found, done)
    return tuple(done)


async def _key(
    name: str, settings: Settings, key: Callable[[str], str | None], done: list[Check]
) -> str | None:
    """The key to test with, empty where none is needed; None where it is missing."""
    wanted = key_wanted(name, settings)
    signs_in = name == "gemini" and wanted is None
    given = None if signs_in else await asyncio.to_thread(key, name)
    try:
        if given is None:
            if wanted is not None:
                raise wanted
            what = (
                "none, Google's credentials of this machine sign in" if signs_in else "none, none is needed"
            )
            done.append(Check("API key", "unknown", what))
            return ""
        found = plain_key(given, title_of(name))
    except MissingKey as error:
        done.append(Check("API key", "fails", error.message, error.next_step))
        return None
    return found


async def _reached(endpoint: str, done: list[Check]) -> bool:
    """Whether the machine that has this address can be talked to."""
    parts = urlsplit(origin(endpoint))
    host, port, secret = parts.hostname or "", parts.port or 0, parts.scheme == "https"
    if await asyncio.to_thread(_proxied, endpoint):
        done.append(Check("Network", "unknown", "goes through a proxy, so the interface alone is asked"))
        return True
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            places = {entry[4][0] for entry in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError, TimeoutError):
        done.append(Check("Name", "fails", f"the name {host} is not known here", _NETWORK))
        return False
    done.append(Check("Name", "works", f"{host} has {len(places)} address{'' if len(places) == 1 else 'es'}"))
    for what, encrypted in (("Connection", False), ("Encryption", True)):
        if encrypted and not secret:
            break
        failure = await _connected(host, port, encrypted)
        if failure:
            done.append(Check(what, "fails", failure, _NETWORK))
            return False
        done.append(Check(what, "works", "the certificate is valid" if encrypted else f"port {port} answers"))
    return True


async def _connected(host: str, port: int, encrypted: bool) -> str:
    """Open a connection and close it again; why that does not work, or nothing."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            context = await asyncio.to_thread(_certificates) if encrypted else None
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except TimeoutError:
        return f"no answer from {host} within {_PATIENCE_S:g} s"
    except ssl.SSLCertVerificationError as error:
        return f"the certificate of {host} is not accepted: {error.verify_message}"
    except ssl.SSLError:
        return f"{host} does not speak TLS on port {port}"
    except OSError:
        return f"{host} does not accept connections on port {port}"
    return ""


def _proxied(endpoint: str) -> bool:
    from omniview.omnimodel.wire import proxy_of

    return proxy_of(endpoint) is not None


def _certificates() -> ssl.SSLContext:
    """What is trusted when questions are asked, is trusted here."""
    import httpx2

    return httpx2.create_ssl_context()


async def _interface(name: str, settings: Settings, endpoint: str, key: str, done: list[Check]) -> None:
    """Ask the interface for its models."""
    try:
        api = await asyncio.to_thread(_api, name, settings, endpoint, key)
    except OmnimodelError as error:
        done.append(Check("Network", "fails", error.message, error.next_step))
        return
    try:
        async with asyncio.timeout(_PATIENCE_S):
            models = await api.models()
    except TimeoutError:
        done.append(Check("Interface", "fails", f"no answer within {_PATIENCE_S:g} s", "Try again later."))
        return
    except MissingKey as error:
        done.append(Check("API key", "fails", error.message, error.next_step))
        return
    except OmnimodelError as error:
        done.append(Check("Interface", "fails", error.message, error.next_step))
        return
    finally:
        await api.close()
    if key:
        done.append(Check("API key", "works", "accepted"))
    done.append(Check("Interface", "works", _version(name, settings, endpoint)))
    done.append(_found(_model(name, settings), models, sure=key_wanted(name, settings) is not None))


def _api(name: str, settings: Settings, endpoint: str, key: str) -> _Listing:
    """The provider's interface, to be closed by whoever asked for it."""
    if name == "openai":
        from omniview.omnimodel.openai_api import OpenAiApi

        return OpenAiApi(settings.openai, endpoint, key or None, Circuit(), 0.5)
    from omniview.omnimodel.gemini_api import GeminiApi

    return GeminiApi(settings.gemini, endpoint, key, Circuit(), 0.5)


def _model(name: str, settings: Settings) -> str:
    return settings.openai.model if name == "openai" else settings.gemini.model


def _version(name: str, settings: Settings, endpoint: str) -> str:
    if name == "openai":
        return f"chat completions at {urlsplit(endpoint).path or '/'}"
    if settings.gemini.vertex_project is not None:
        return f"Vertex AI, project {settings.gemini.vertex_project}"
    return f"version {settings.gemini.api_version}"


def _found(model: str, models: tuple[str, ...], *, sure: bool) -> Check:
    """Whether the model is among those that the server lists.

    Not `sure` are a server of one's own, as llama.cpp answers under whatever name it is asked, and Vertex AI,
    which does not list every preview.
    """
    if model in models:
        return Check("Model", "works", f"{model} is there")
    named = ", ".join(models[:_NAMED]) + (", ..." if len(models) > _NAMED else "")
    detail = f"{model} is not among the models that are listed: {named or 'none'}"
    return Check("Model", "fails" if sure else "unknown", detail, "Set another model in the settings.")
