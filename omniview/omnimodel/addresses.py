"""Addresses of omnimodels in one spelling, and how near they are, told without looking anything up."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from omniview.errors import NotAllowed

__all__ = ["covers", "is_loopback", "origin"]


def origin(endpoint: str) -> str:
    """Scheme, host and port of a URL, in one spelling, so that a consent holds for one place only.

    Raises:
        NotAllowed: not an http(s) address, or one that two programs may read differently.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    odd = any(c in endpoint for c in "\\@") or not endpoint.isprintable() or " " in endpoint
    if host is None or odd or parts.scheme not in ("http", "https"):
        raise NotAllowed(
            "The omnimodel's address is not a plain http or https address.",
            "Correct base_url in the settings, or GOOGLE_GEMINI_BASE_URL or OPENAI_BASE_URL.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or (443 if parts.scheme == 'https' else 80)}"


def is_loopback(endpoint: str) -> bool:
    """Whether the endpoint is this very machine (127.0.0.0/8, ::1 or localhost), by its literal address."""
    host = urlsplit(origin(endpoint)).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which could point anywhere
        return False


def covers(entry: str, host: str) -> bool:
    """Whether an entry of the trusted ones, a literal host or a network like 10.0.0.0/8, holds `host`."""
    if entry.strip().lower() == host:
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip(), strict=False)
    except ValueError:  # names: only the literal one is trusted
        return False
