"""Answers that were paid for, kept on disk so that nothing is paid for twice.

One file an answer, named by the SHA-256 of all that it depends on, in `cache` in OmniView's home folder. It
holds the model's words and token counts: no question, no key, no picture that was sent. An answer that is
itself a picture is not kept, since it may be the patient's image painted over; nor one that was cut off,
since the next may be whole. The least recently used files go when the limit is reached.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from omniview.errors import OutputError
from omniview.omnimodel.reply import Reply

__all__ = ["AnswerCache", "CacheInfo"]

_FOLDER = "cache"
_SCHEMA = 1
_KEY = re.compile(r"[0-9a-f]{64}")
_PART = ".part"
_PART_AGE_S = 3600.0
"""A file that is being written for longer than this was left by a crash."""
_AFTER = 0.9
"""Of the limit: what is left when files had to go, so that not every answer has to make room for itself."""
_UNSEEN = 1 / 16
"""Of the limit: so much is added at most before the folder is looked through; other processes write too."""


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What is kept.

    Attributes:
        folder: where.
        answers: how many.
        bytes: how much space they take.
        limit: how much they may take, in bytes.
    """

    folder: Path
    answers: int
    bytes: int
    limit: int


class AnswerCache:
    """Answers by key; safe among threads and processes. All of it blocks for a moment.

    Args:
        home: OmniView's own folder.
        megabytes: how much space answers may take (1 MB = 1e6 bytes).
    """

    def __init__(self, home: Path, megabytes: float) -> None:
        self._folder = home / _FOLDER
        self._limit = int(megabytes * 1e6)
        self._lock = Lock()
        self._room = 0  # bytes that may be added until the folder is looked through again

    def get(self, key: str) -> Reply | None:
        """The reply kept under `key` (SHA-256, lower-case hex), or None.

        A file that is damaged is removed. What other processes do meanwhile does no harm.
        """
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        reply = _decoded(raw, key)
        with contextlib.suppress(OSError):
            if reply is None:
                path.unlink()
            else:
                os.utime(path)  # used just now
        return reply

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply that could be used; failing to keep it is no error."""
        if reply.problem is not None or reply.cut_off or reply.pictures:
            return
        path, raw = self._path(key), _encoded(reply, key)
        if len(raw) > self._limit:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, raw)
            self._grown(len(raw))

    def info(self) -> CacheInfo:
        """What is kept."""
        sizes = [size for _, _, size in self._files()]
        return CacheInfo(self._folder, len(sizes), sum(sizes), self._limit)

    def clear(self) -> int:
        """Forget everything; how many answers there were.

        Raises:
            OutputError: some could not be removed.
        """
        removed = 0
        try:
            for path in self._folder.glob(f"*/*{_PART}"):
                path.unlink(missing_ok=True)
            for path, _, _ in self._files():
                path.unlink(missing_ok=True)
                removed += 1
        except OSError as error:
            raise OutputError(
                f"Kept answers could not be removed ({error.strerror}).", f"Delete {self._folder} by hand."
            ) from error
        return removed

    def _path(self, key: str) -> Path:
        if _KEY.fullmatch(key) is None:
            raise ValueError("key must be a SHA-256 in lower-case hex")
        return self._folder / key[:2] / f"{key}.json"

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """Path, time of last use and size of every answer; nothing else that may lie in the folder."""
        for path in self._folder.glob("??/*.json"):
            if _KEY.fullmatch(path.stem):
                with contextlib.suppress(OSError):  # gone meanwhile
                    stat = path.stat()
                    yield path, stat.st_mtime, stat.st_size

    def _grown(self, by: int) -> None:
        """Make room where the limit is passed."""
        with self._lock:
            self._room -= by
            if self._room >= 0:
                return
            files = sorted(self._files(), key=lambda file: file[1])
            left = sum(size for _, _, size in files)
            if left > self._limit:
                for path, _, size in files:
                    if left <= _AFTER * self._limit:
                        break
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)
                        left -= size
                self._sweep()
            self._room = int(min(self._limit - left, _UNSEEN * self._limit))

    def _sweep(self) -> None:
        """Remove what a crash left half written."""
        for path in self._folder.glob(f"??/*{_PART}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _PART_AGE_S:
                    path.unlink()


def _replace(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(_PART, dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _encoded(reply: Reply, key: str) -> bytes:
    body: dict[str, Any] = {
        "schema": _SCHEMA,
        "key": key,
        "text": reply.text,
        "version": reply.version,
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
    }
    return json.dumps({**body, "sha256": _hash(body)}).encode()


def _decoded(raw: bytes, key: str) -> Reply | None:
    """The reply, or None if a single bit of it has changed."""
    try:
        body = json.loads(raw)
        claimed = body.pop("sha256")
        if claimed != _hash(body) or body["key"] != key or body["schema"] != _SCHEMA:
            return None
        return Reply(
            body["text"],
            version=body["version"],
            tokens_in=body["tokens_in"],
            tokens_out=body["tokens_out"],
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _hash(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
