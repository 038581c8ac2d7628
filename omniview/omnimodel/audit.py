"""A record of every departure of pixels that cannot be altered unnoticed.

`audit.jsonl` holds one JSON object a line, each with the SHA-256 of itself and of the line before it. A line
is written before anything is sent, so that not even a crash hides a departure, and another one with what came
of it: answered, failed or cancelled. There are no pixels, keys, names of files or persons in it.

The last record's hash is kept beside it in `audit.head`: a chain alone would not show a missing end.
Somebody who may write both files can still forge a new chain: this finds tampering, it does not stop it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from omniview.errors import OutputError, UnreadableFile

__all__ = ["Audit", "Paid", "locked", "paid", "verify"]

_FILE = "audit.jsonl"
_START = "0" * 64


class Audit:
    """Appends to the audit of one home folder; safe among threads and processes.

    Args:
        home: OmniView's own folder.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / _FILE

    def append(self, **record: str | int | float | None) -> int:
        """Write one record and return its number, counted from 1. Fields that are None are left out.

        Blocks for a millisecond or so: call it in a thread.

        Raises:
            OutputError: it could not be written; then nothing may be sent.
        """
        fields = {k: v for k, v in record.items() if v is not None}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(_head(self.path)) as head, self.path.open("ab+") as file:
                number, previous = _last(file)
                entry = {
                    "n": number + 1,
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    **fields,
                    "previous": previous,
                }
                entry["hash"] = _hash(entry)
                file.write(_line(entry))
                file.flush()
                # of fixed length and written at once, so that a reader sees the old or the new, never half
                head.seek(0)
                head.write(f"{entry['n']:020d} {entry['hash']}\n".encode())
        except OSError as error:
            raise OutputError(
                f"The audit of what leaves this machine cannot be written ({error.strerror}).",
                f"Make {self.path.parent} writable; without the audit nothing is sent.",
            ) from error
        return number + 1


def verify(path: Path) -> int:
    """Number of records in an unbroken audit; 0 if there is none yet.

    Args:
        path: `audit.jsonl`.

    Raises:
        UnreadableFile: a record was changed, removed, added or reordered; the message names the line.
    """
    try:
        # before the records: one that is written meanwhile must not look as if it were missing
        head = _read_head(path)
        records = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise _unreadable(error) from error
    hashes = [_START]
    for number, raw in enumerate(records, 1):
        entry = _parsed(raw)
        if entry is None or entry.get("n") != number or entry.get("previous") != hashes[-1]:
            raise _broken(number)
        claimed = entry.pop("hash", None)
        if _hash(entry) != claimed:
            raise _broken(number)
        hashes.append(claimed)
    # a crash between the two writes leaves the head behind, never ahead
    if head is None or head[0] >= len(hashes) or hashes[head[0]] != head[1]:
        raise _broken(len(hashes))
    return len(records)


@dataclass(frozen=True, slots=True)
class Paid:
    """What one endpoint was sent on one day, and what that cost.

    Attributes:
        day: UTC, ISO 8601.
        endpoint: scheme, host and port.
        calls: calls that ended, answered or not.
        cost: their sum, in `currency`; None for the calls of which it is not known.
        currency: ISO 4217 code; empty where the cost is not known.
    """

    day: str
    endpoint: str
    calls: int
    cost: float | None
    currency: str


def paid(path: Path) -> tuple[Paid, ...]:
    """Costs by day, endpoint and currency, in that order.

    Args:
        path: `audit.jsonl`; `verify` it first, as nothing is checked here.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        records = [_parsed(raw) or {} for raw in path.read_bytes().splitlines()] if path.exists() else []
    except OSError as error:
        raise _unreadable(error) from error
    where = {record.get("n"): str(record.get("endpoint", "")) for record in records}
    costs: dict[tuple[str, str, str], list[float]] = {}
    for record in records:
        if record.get("event") == "ended":
            day, endpoint = str(record.get("time", ""))[:10], where.get(record.get("of"), "")
            key = (day, endpoint, str(record.get("currency", "")))
            costs.setdefault(key, []).append(record.get("cost", 0.0))
    return tuple(
        Paid(day, endpoint, len(each), sum(each) if currency else None, currency)
        for (day, endpoint, currency), each in sorted(costs.items())
    )


def _unreadable(error: OSError) -> UnreadableFile:
    return UnreadableFile(
        f"The audit cannot be read ({error.strerror}).", "Check the permissions of the file."
    )


def _read_head(path: Path) -> tuple[int, str] | None:
    """Number and hash of the last record that was finished; None if that cannot be read."""
    try:
        number, _, value = _head(path).read_text("utf-8").strip().partition(" ")
        return int(number), value
    except FileNotFoundError:
        return None if path.exists() else (0, _START)
    except ValueError:
        return None


def _broken(line: int) -> UnreadableFile:
    return UnreadableFile(
        f"The audit is broken at line {line}: a record was changed, removed, added or reordered.",
        "Keep the file as evidence and compare it with a backup.",
    )


def _head(path: Path) -> Path:
    return path.with_suffix(".head")


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _hash(entry: dict[str, Any]) -> str:
    """SHA-256 over the record without its own hash, keys sorted."""
    text = json.dumps(entry, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _last(file: BinaryIO) -> tuple[int, str]:
    """Number and hash of the last record; what was torn by a full disk or a power cut stays visible."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return 0, _START
    file.seek(max(0, end - 65536))
    lines = file.read().splitlines(keepends=True)
    if not lines[-1].endswith(b"\n"):
        file.write(b"\n")
    for raw in reversed(lines):
        entry = _parsed(raw)
        if entry is not None and isinstance(entry.get("n"), int):
            return entry["n"], str(entry.get("hash", ""))
    return 0, _START


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """The file, opened and locked for this thread of this process alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0x7FFFFFFF)  # a byte that is never written, so that readers are not locked out
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield file
            finally:
                file.seek(0x7FFFFFFF)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
            yield file  # closing unlocks
