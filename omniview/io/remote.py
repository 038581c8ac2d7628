"""Files that lie elsewhere (s3, gcs, sftp, http, ...): listed by fsspec, brought here one by one to be read.

A remote file is a Path whose first part is a scheme, `s3:/bucket/images/x.png`: pathlib makes that of the
address, and everything that only compares and joins names works on it as on any other path.
Every socket is opened behind one door, `_opened`, which stays shut within `offline`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from omniview.errors import NotAllowed, OmniViewError, UnreadableFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = [
    "entries",
    "fetched",
    "is_http",
    "is_remote",
    "offline",
    "refuse_offline",
    "shown",
    "shown_name",
    "stamp",
    "url_of",
]

_OF_THIS_MACHINE = ("file://", "local://")
_SHORTEST = 3
"""Letters and colon of a scheme; one letter and a colon are a drive of Windows."""
_USERINFO = re.compile(r"[^/?]*@|[^/:?\[]*:(?!\d*(?:[/?]|$)).*@")
"""User and password before the host, also where a password holds a slash that should have been quoted."""
_IN_ADDRESSES = re.compile(r"(://)(?:[^\s/@?'\"]*@)?([^\s?'\"]*)(?:\?[^\s'\"]*)?")
_TOKEN = 6
"""Characters of a query's value that may be a secret; shorter ones are words that messages need."""
_shut: ContextVar[bool] = ContextVar("offline", default=False)
"""Whether no socket may be opened; threads of an executor start with the default."""


def is_remote(path: PurePath | str) -> bool:
    """Whether this lies elsewhere, by its first part."""
    first = str(path).replace("\\", "/").partition("/")[0]
    return len(first) >= _SHORTEST and first.endswith(":") and first[:-1].isalnum()


def is_http(path: PurePath | str) -> bool:
    """Whether this is reached by HTTP, where names are quoted: a space is %20."""
    return is_remote(path) and str(path).lower().startswith(("http:", "https:"))


def url_of(path: PurePath | str) -> str:
    """The address of a remote path: `s3:/bucket/x` is `s3://bucket/x`."""
    scheme, _, rest = str(path).replace("\\", "/").partition(":")
    # a file system without hosts (file, memory) is addressed by three slashes
    return (
        f"{scheme}:///{rest.lstrip('/')}" if scheme in ("file", "local") else f"{scheme}://{rest.lstrip('/')}"
    )


def shown(path: PurePath | str) -> str:
    """The path as messages, names and records have it: of an address neither user, password nor query.

    A query may be a signature that lets anybody read the file.
    """
    if not is_remote(path):
        return str(path)
    scheme, _, rest = url_of(path).partition("://")
    return f"{scheme}://{_USERINFO.sub('', rest, count=1) if _USERINFO.match(rest) else rest}".partition("?")[
        0
    ]


def shown_name(path: PurePath | str) -> str:
    """The last part of what is shown of it."""
    return PurePosixPath(shown(path)).name if is_remote(path) else PurePath(path).name


@contextmanager
def offline(wanted: bool = True) -> Iterator[None]:
    """Within it nothing elsewhere is listed, asked for or brought here: that raises NotAllowed.

    Args:
        wanted: False changes nothing: what is offline already stays so.
    """
    token = _shut.set(wanted or _shut.get())
    try:
        yield
    finally:
        _shut.reset(token)


def refuse_offline(path: PurePath | str) -> None:
    """Let nothing that lies elsewhere be reached while no socket may be opened.

    Raises:
        NotAllowed: it is remote, and no address of this machine's own files.
    """
    if is_remote(path) and not url_of(path).startswith(_OF_THIS_MACHINE):
        raise NotAllowed(
            f"{shown(path)} is reached by sockets, and offline none is opened.", "Leave --offline out."
        )


def entries(folder: str) -> list[tuple[str, bool]]:
    """Names in a remote folder, and whether each is a folder itself.

    Raises:
        UnreadableFile: it cannot be listed.
        NotAllowed: within `offline`.
    """
    with _said_in_words(folder):
        system, place = _opened(folder)
        found = system.ls(place, detail=True)
    names = [(one["name"].rstrip("/"), one["type"] == "directory") for one in found]
    if is_http(folder):  # a page of links: to sort it, to the folder above, to elsewhere
        start = f"{place.rstrip('/')}/"
        names = [(name, is_folder) for name, is_folder in names if name.rpartition("/")[0] + "/" == start]
    return [(name.rpartition("/")[2], is_folder) for name, is_folder in names]


def stamp(path: PurePath) -> str:
    """Size and time of change (or version) of a remote file, as text; empty where neither is known.

    Raises:
        UnreadableFile: it is not there, or cannot be asked for.
        NotAllowed: within `offline`.
    """
    with _said_in_words(path):
        system, place = _opened(path)
        facts = system.info(place)
    known = ("size", "ETag", "etag", "LastModified", "mtime", "updated", "created")
    return ":".join(str(facts[name]) for name in known if facts.get(name) is not None)


@contextmanager
def fetched(path: Path) -> Iterator[Path]:
    """A file on this machine with the content of `path`; for a remote one a copy that is deleted afterwards.

    Raises:
        UnreadableFile: it cannot be brought here.
        NotAllowed: it is remote, within `offline`.
    """
    if not is_remote(path):
        yield path
        return
    folder = Path(tempfile.mkdtemp(prefix="omniview-"))
    try:
        here = folder / shown_name(path)  # the name stays: it says what kind of file it is
        with _said_in_words(path):
            system, place = _opened(path)
            system.get_file(place, os.fspath(here))
        yield here
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _opened(path: PurePath | str) -> tuple[AbstractFileSystem, str]:
    if _shut.get():
        refuse_offline(path)
    from fsspec.core import url_to_fs

    opened: tuple[AbstractFileSystem, str] = url_to_fs(url_of(path))
    return opened


@contextmanager
def _said_in_words(path: PurePath | str) -> Iterator[None]:
    """Whatever a file system of any maker raises, as a message with the next step."""
    try:
        yield
    except OmniViewError:
        raise
    except ImportError as error:
        raise UnreadableFile(
            f"{shown(path)} needs a package that is not installed ({_first_line(error, path)}).",
            "Install what it names, s3fs for s3, gcsfs for gcs, paramiko for sftp, aiohttp for http.",
        ) from error
    except FileNotFoundError as error:
        raise UnreadableFile(f"{shown(path)} is not there.", "Check the address.") from error
    except PermissionError as error:
        raise UnreadableFile(f"{shown(path)} may not be read.", "Check the credentials.") from error
    except Exception as error:
        # each file system brings exceptions of its own
        raise UnreadableFile(
            f"{shown(path)} cannot be read ({type(error).__name__}: {_first_line(error, path)}).",
            "Check address, credentials and network.",
        ) from error


def _first_line(error: Exception, path: PurePath | str) -> str:
    """What a file system says, without what nobody else may read: it may quote the address or parts of it."""
    rest = url_of(path).partition("://")[2]
    found = _USERINFO.match(rest)
    userinfo = found[0][:-1] if found else ""
    query = rest[found.end() if found else 0 :].partition("?")[2]
    values = [value for field in query.split("&") if len(value := field.partition("=")[2]) >= _TOKEN]
    secret = {userinfo, userinfo.partition(":")[2], query, *values}
    text = str(error)
    for part in sorted({*secret, *map(unquote, secret)} - {""}, key=len, reverse=True):
        text = text.replace(part, "…")
    return _IN_ADDRESSES.sub(r"\1\2", text).partition("\n")[0][:160]
