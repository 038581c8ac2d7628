"""One file over HTTP into a `.part` file, resumed where it was cut and tried again where that can help."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from omniview.errors import SettingsError
from omniview.settings import FetchSettings

if TYPE_CHECKING:
    import httpx2

__all__ = ["GivenUp", "download"]

TRIES = 5
"""In a row without a megabyte of progress, before a source is given up."""
_PROGRESS = 1 << 20
_MOST_TRIES = 100
_MOST_REDIRECTS = 5
_LONGEST_PAUSE_S = 30.0
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class GivenUp(Exception):
    """A source did not give the file; the reason, in words, without addresses that may hold a password."""


class _TryAgain(Exception):
    """It may go better in a moment."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


def download(
    url: str,
    part: Path,
    size: int | None,
    settings: FetchSettings,
    on_bytes: Callable[[int, int], None],
    pause: Callable[[float], None],
) -> None:
    """Fill `part` from `url`, going on where it ends. TLS is verified; this machine is never proxied.

    Args:
        url: http or https.
        part: what has arrived so far, perhaps nothing.
        size: bytes that it has to have; None: as many as the server says.
        settings: proxy and patience.
        on_bytes: told bytes there and bytes in all (0 where nobody knows).
        pause: waits so many seconds.

    Raises:
        GivenUp: this address will not give the file.
        SettingsError: the proxy's address cannot be used.
        OSError: `part` cannot be written.
    """
    host = urlsplit(url).hostname or "the server"
    failed = 0
    with _client(url, settings) as client:
        for _ in range(_MOST_TRIES):
            before = _length(part)
            try:
                _pull(client, url, part, size, on_bytes)
                return
            except _TryAgain as error:
                failed = 1 if _length(part) - before >= _PROGRESS else failed + 1
                if failed >= TRIES:
                    raise GivenUp(f"{host}: {error}, {TRIES} times") from error
                wait = 2.0 ** (failed - 1) * random.uniform(0.75, 1.25)  # noqa: S311  # spreads load
                pause(min(_LONGEST_PAUSE_S, max(wait, error.after_s or 0.0)))
            except GivenUp as error:
                raise GivenUp(f"{host}: {error}") from error
    raise GivenUp(f"{host}: the connection was cut {_MOST_TRIES} times")


def _client(url: str, settings: FetchSettings) -> httpx2.Client:
    import httpx2

    here = _is_loopback(url)
    try:
        return httpx2.Client(
            timeout=settings.timeout_s,
            follow_redirects=True,
            max_redirects=_MOST_REDIRECTS,
            trust_env=not here,
            proxy=None if here else settings.proxy,
        )
    except (httpx2.InvalidURL, ValueError, ImportError) as error:
        raise SettingsError(
            "The address of the proxy cannot be used.", "Correct fetch.proxy in the settings, or HTTPS_PROXY."
        ) from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _pull(
    client: httpx2.Client, url: str, part: Path, size: int | None, on_bytes: Callable[[int, int], None]
) -> None:
    """One request. What arrives is in `part` however it ends."""
    offset = _length(part)
    if size is not None and offset == size:
        return
    if size is not None and offset > size:
        part.unlink()
        offset = 0
    # a packed answer could not be resumed: its bytes are not the file's
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator := _remembered(part, url):
            headers["If-Range"] = validator
    with _said(), client.stream("GET", url, headers=headers) as response:
        offset = _start(response, part, offset)
        length = response.headers.get("content-length", "")
        said = offset + int(length) if length.isdigit() else None
        if size is not None and said is not None and said != size:
            raise GivenUp(f"its file has {said:,} bytes, the card says {size:,}")
        whole = size or said or 0
        _remember(part, url, response.headers)
        with part.open("ab" if offset else "wb") as out:
            done = offset
            for chunk in response.iter_raw():
                done += len(chunk)
                if size is not None and done > size:
                    out.truncate(0)
                    raise GivenUp(f"it sends more than the {size:,} bytes that the card says")
                out.write(chunk)
                on_bytes(done, whole)
    if whole and done < whole:
        raise _TryAgain("the connection was cut")


def _start(response: httpx2.Response, part: Path, offset: int) -> int:
    """Where the body begins in the file: `offset` if the server resumes there, 0 if it sends all."""
    status = response.status_code
    if status == 416:
        part.unlink(missing_ok=True)
        raise _TryAgain("it cannot go on where the file was cut")
    if status in _AGAIN:
        after = response.headers.get("retry-after", "")
        raise _TryAgain(f"it answered {status}", float(after) if after.isdigit() else None)
    if status not in (200, 206):
        raise GivenUp(f"it answered {status} {response.reason_phrase}".strip())
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise GivenUp("it packs the file although it was asked not to")
    if status == 200:
        return 0
    if not response.headers.get("content-range", "").startswith(f"bytes {offset}-"):
        part.unlink(missing_ok=True)
        raise _TryAgain("it sent another part than was asked for")
    return offset


@contextmanager
def _said() -> Iterator[None]:
    """What httpx raises, told apart: what may pass, and what will not."""
    import httpx2

    try:
        yield
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise GivenUp("its address, or where it leads on to, cannot be used") from error
    except httpx2.TimeoutException as error:
        raise _TryAgain("it did not answer in time") from error
    except httpx2.HTTPError as error:
        if _is_certificate(error):
            raise GivenUp("its certificate is not trusted") from error
        what = "it cannot be reached" if isinstance(error, httpx2.ConnectError) else "the connection was cut"
        raise _TryAgain(what) from error


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _remember(part: Path, url: str, headers: httpx2.Headers) -> None:
    """Keep what tells this version of the file from another, so that two are never mixed."""
    tag = headers.get("etag", "")
    validator = headers.get("last-modified", "") if not tag or tag.startswith("W/") else tag
    part.with_suffix(".from").write_text(f"{urlsplit(url).hostname}\n{validator}\n", "utf-8")


def _remembered(part: Path, url: str) -> str:
    with suppress(OSError, ValueError):
        host, validator = part.with_suffix(".from").read_text("utf-8").splitlines()[:2]
        return validator if host == urlsplit(url).hostname else ""
    return ""
