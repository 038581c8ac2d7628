"""Weights that do not ship are fetched once: resumed after a cut, and put in place only if the hash is right.

What has arrived lies in a `.part` file, named for the hash, until it is whole; whatever goes wrong, the next
try goes on there. Closed networks have two ways: a mirror (an address of their own, or a folder), and putting
the file by hand where `by_hand` says.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from omniview.errors import OutputError, SettingsError, WeightsError
from omniview.inference.card import Card
from omniview.inference.download import GivenUp, download
from omniview.inference.weights import other_place, verified
from omniview.settings import FetchSettings, home

__all__ = ["Wanted", "by_hand", "fetch", "wanted"]

_CHUNK = 1 << 20

OnBytes: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that a card names and that is not there.

    Attributes:
        model: the card's name.
        path: where it is to lie.
        sha256: lower-case hex.
        urls: where it may come from, in order; perhaps none.
        size: bytes, where the card says.
    """

    model: str
    path: Path
    sha256: str
    urls: tuple[str, ...] = ()
    size: int | None = None


def wanted(card: Card) -> tuple[Wanted, ...]:
    """The files of `card` that are missing or not those that it names."""
    found = []
    for name, sha256 in card.files():
        try:
            verified(card.folder / name, sha256)
        except WeightsError:
            own = card.folder == home() / "models"
            path = card.folder / name if own else other_place(name)
            origin = card.fetch.get(name)
            urls, size = ((), None) if origin is None else (origin.url, origin.size)
            found.append(Wanted(card.name, path, sha256, urls, size))
    return tuple(found)


def by_hand(file: Wanted) -> str:
    """Where a person without a way to the outside puts the file, and which file that is."""
    size = "" if file.size is None else f", {file.size:,} bytes"
    return f"Put the file here: {file.path} (SHA-256 {file.sha256}{size})."


def fetch(
    file: Wanted,
    settings: FetchSettings,
    *,
    offline: bool,
    on_bytes: OnBytes = lambda _done, _total: None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch one file, from the mirror where one is set, else from the card's addresses in turn. Blocks.

    Args:
        file: what is wanted.
        settings: mirror, proxy, patience.
        offline: open no socket: only a folder as mirror is read then.
        on_bytes: told how many bytes of how many are there.
        pause: waits so many seconds between tries.

    Returns:
        Its path.

    Raises:
        WeightsError: no source gave the right file; why, and where to put it by hand.
        OutputError: it cannot be written; what has arrived is kept.
        SettingsError: the mirror or the proxy cannot be used.
    """
    sources = _sources(file, settings.mirror)
    if offline:
        if not any(isinstance(source, Path) for source in sources):
            raise WeightsError(
                f"OmniView is offline, so {file.path.name} was not fetched; no connection was made.",
                f"Fetch it without --offline. {by_hand(file)}",
            )
        sources = tuple(source for source in sources if isinstance(source, Path))
    if not sources:
        raise WeightsError(f"The card of {file.model} names no address for {file.path.name}.", by_hand(file))
    part = file.path.with_name(f"{file.path.name}.{file.sha256[:12]}.part")
    reasons = []
    with _written(file), _only_one(part):
        _room_for(file, part)
        for source in sources:
            try:
                _from(source, file, part, settings, on_bytes, pause)
            except GivenUp as error:
                reasons.append(str(error))
                continue
            part.replace(file.path)
            part.with_suffix(".from").unlink(missing_ok=True)
            return file.path
    raise WeightsError(f"{file.path.name} could not be fetched: {'; '.join(reasons)}.", by_hand(file))


def _sources(file: Wanted, mirror: str | None) -> tuple[str | Path, ...]:
    """Addresses and paths to try; those of the mirror only, where there is one."""
    if mirror is None:
        return file.urls
    scheme = urlsplit(mirror).scheme
    tails = [*(urlsplit(url).path.lstrip("/") for url in file.urls), file.path.name]
    tails = [tail for tail in dict.fromkeys(tails) if ".." not in tail.split("/")]
    if scheme in ("http", "https"):
        return tuple(f"{mirror.rstrip('/')}/{tail}" for tail in tails)
    folder = Path(url2pathname(urlsplit(mirror).path)) if scheme == "file" else Path(mirror)
    if not folder.is_dir():
        raise SettingsError(
            "The mirror is neither an http(s) address nor a folder that is there.",
            "Correct fetch.mirror in the settings, OMNIVIEW_MIRROR or --mirror.",
        )
    return tuple(folder / tail for tail in tails)


def _from(
    source: str | Path,
    file: Wanted,
    part: Path,
    settings: FetchSettings,
    on_bytes: OnBytes,
    pause: Callable[[float], None],
) -> None:
    """Fill `part` from `source` and check it; a resumed file that turns out wrong is fetched anew once."""
    where = source.name if isinstance(source, Path) else urlsplit(source).hostname
    for _ in range(2):
        resumed = part.exists() and part.stat().st_size > 0
        if isinstance(source, Path):
            _copy(source, file, part, on_bytes)
        else:
            download(source, part, file.size, settings, on_bytes, pause)
        with part.open("rb") as whole:
            digest = hashlib.file_digest(whole, "sha256").hexdigest()
        if digest == file.sha256:
            return
        part.unlink()
        part.with_suffix(".from").unlink(missing_ok=True)
        if not resumed:
            break
    raise GivenUp(
        f"{where} gave another file (SHA-256 {digest[:12]}..., the card says {file.sha256[:12]}...)"
    )


def _copy(source: Path, file: Wanted, part: Path, on_bytes: OnBytes) -> None:
    try:
        reading = source.open("rb")
    except OSError as error:
        raise GivenUp(f"the mirror has no {source.name} ({error.strerror})") from error
    with reading, part.open("wb") as out:
        total = os.fstat(reading.fileno()).st_size
        if file.size is not None and total != file.size:
            raise GivenUp(f"the mirror's {source.name} has {total:,} bytes, not {file.size:,}")
        while chunk := reading.read(_CHUNK):
            out.write(chunk)
            on_bytes(out.tell(), total)


def _room_for(file: Wanted, part: Path) -> None:
    if file.size is None:
        return
    needed = file.size - (part.stat().st_size if part.exists() else 0)
    if needed > (free := shutil.disk_usage(part.parent).free):
        raise OutputError(
            f"{file.path.name} needs {needed:,} bytes more, and {part.parent} has {free:,} left.",
            "Make room, then fetch again: what has arrived is kept.",
        )


@contextmanager
def _written(file: Wanted) -> Iterator[None]:
    """Troubles of writing, in words."""
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OutputError(
            f"{file.path.name} cannot be written ({error.strerror}).",
            f"Make room in {file.path.parent}, or make it writable, then fetch again: what arrived is kept.",
        ) from error


@contextmanager
def _only_one(part: Path) -> Iterator[None]:
    """Two processes never fill one file; SQLite's lock ends with its process, however that ends."""
    lock = part.with_suffix(".lock")
    name = part.name.rsplit(".", 2)[0]
    with ExitStack() as until_done:  # the file stays: who removed it could let a third one in
        try:
            connection = sqlite3.connect(lock, timeout=0, isolation_level=None)
            until_done.enter_context(closing(connection))
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # of extended codes, the low byte
                raise WeightsError(
                    f"Another OmniView is fetching {name}.", "Wait for it, then try again."
                ) from error
            raise OutputError(
                f"{name} cannot be fetched: {lock.name} cannot be locked ({error}).",
                f"Make {lock.parent} writable, or remove {lock}, then fetch again.",
            ) from error
        yield
