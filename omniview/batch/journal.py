"""The truth about a run while it goes: one SQLite file that every finished case is written to, once.

A case is there whole or not at all, and on the disk before the next one is waited for: whatever ends the run
(kill, power, a full disk, a share that vanished) costs the cases at work and no other. The file is locked as
long as its process lives, so that two runs never write to one folder. SQLite's write-ahead log is used in
exclusive mode, which needs no memory shared between processes, and so works on network shares too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self

from omniview.batch.progress import Totals
from omniview.batch.rows import Record
from omniview.batch.work import Done
from omniview.errors import OutputError
from omniview.io.write import write_bytes

__all__ = ["NAME", "Input", "Journal"]

NAME = "journal.sqlite"
_SCHEMA = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS input (place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS done (
    name TEXT PRIMARY KEY, failed INTEGER NOT NULL, cost REAL, currency TEXT,
    record TEXT NOT NULL, seconds TEXT NOT NULL, thumbnail BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ran (role TEXT NOT NULL, facts TEXT NOT NULL, UNIQUE (role, facts));
"""
_CAUSES = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space, then go on with --resume."),
    sqlite3.SQLITE_IOERR: (
        "the disk or network share cannot be written to",
        "See that it is there and has space, then go on with --resume.",
    ),
    sqlite3.SQLITE_READONLY: ("this user may not write there", "Choose a folder of your own."),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "Choose a folder that exists and is your own."),
    sqlite3.SQLITE_BUSY: (
        "another run is writing to this folder",
        "Wait until it has ended, or choose another folder.",
    ),
    sqlite3.SQLITE_CORRUPT: ("the journal is damaged", "Choose another folder, and score anew."),
    sqlite3.SQLITE_NOTADB: ("the journal is damaged", "Choose another folder, and score anew."),
}
_CAUSES[sqlite3.SQLITE_LOCKED] = _CAUSES[sqlite3.SQLITE_BUSY]


@dataclass(frozen=True, slots=True)
class Input:
    """A case that is to be scored.

    Attributes:
        name: of the pair.
        stamp: what shows that one of its files has changed.
    """

    name: str
    stamp: str


class Journal:
    """The journal of one folder of results; safe to call from several threads.

    Args:
        folder: of the results; made if missing.

    Raises:
        OutputError: it cannot be written to, or another run is at it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"Results cannot be written to {folder} ({error.strerror}).", "Choose another folder."
            ) from error
        with self._said_in_words():
            self._file = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._said_in_words():
                self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._file.execute("PRAGMA journal_mode = WAL")
                self._file.execute("PRAGMA synchronous = FULL")
                self._file.execute("BEGIN EXCLUSIVE")
                self._file.execute("COMMIT")
                self._file.executescript(_TABLES)
            self._identity = _identity(self.path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        with self._lock:
            self._file.close()

    def about(self) -> dict[str, Any]:
        """What the run was begun with."""
        return {name: json.loads(value) for name, value in self._all("SELECT name, value FROM about")}

    def inputs(self) -> list[Input]:
        """The cases that are to be scored, in order."""
        return [Input(*row) for row in self._all("SELECT name, stamp FROM input ORDER BY place")]

    def stamp(self, name: str) -> str:
        """That of the case of this name."""
        ((found,),) = self._all("SELECT stamp FROM input WHERE name = ?", name)
        return str(found)

    def finished(self) -> frozenset[str]:
        """Names of the cases that are written."""
        return frozenset(name for (name,) in self._all("SELECT name FROM done"))

    def totals(self) -> Totals:
        """Counts of the finished cases."""
        (row,) = self._all("SELECT COUNT(*), TOTAL(failed), SUM(cost), MAX(currency) FROM done")
        return Totals(row[0], int(row[1]), row[2], row[3])

    def begin(self, about: Mapping[str, Any], inputs: Sequence[Input]) -> None:
        """Start a run, or go on with another set of inputs: what is finished of the same files is kept.

        Raises:
            OutputError: it cannot be written.
        """
        with self._transaction() as file:
            old = dict(file.execute("SELECT name, stamp FROM input"))
            new = {one.name: one.stamp for one in inputs}
            stale = [(name,) for name, stamp in old.items() if new.get(name) != stamp]
            file.executemany("DELETE FROM done WHERE name = ?", stale)
            file.execute("DELETE FROM ran WHERE NOT EXISTS (SELECT 1 FROM done)")
            file.execute("DELETE FROM input")
            file.executemany(
                "INSERT INTO input VALUES (?, ?, ?)",
                ((place, one.name, one.stamp) for place, one in enumerate(inputs)),
            )
            file.execute("DELETE FROM about")
            values = ((name, _text(value)) for name, value in {"schema": _SCHEMA, **about}.items())
            file.executemany("INSERT INTO about VALUES (?, ?)", values)

    def see_itself(self) -> None:
        """Let nothing be written to a folder that is another by now, and may be another run's.

        A file that was deleted or moved away stays writable to whoever has it open, and nobody else sees it.

        Raises:
            OutputError: the journal is not where it was begun.
        """
        try:
            found = _identity(self.path)
        except OSError:  # a disk or share that fails is told of by the writing itself
            return
        if found != self._identity:
            raise OutputError(
                f"{self.path} is gone: deleted, moved, or its share went away.",
                "Bring the folder back and go on with --resume, or score anew.",
            )

    def add(self, done: Done) -> None:
        """Write a finished case, and return when it is on the disk; its masks come first.

        Raises:
            OutputError: it cannot be written, or the journal is gone; what was there stays.
        """
        self.see_itself()
        for name, content in done.files.items():
            write_bytes(self.path.parent / name, content)
        record = done.record
        with self._transaction() as file:
            file.execute(
                "INSERT INTO done VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    record.name,
                    record.failed,
                    *record.cost,
                    _text(record.to_json()),
                    _text(dict(done.seconds)),
                    record.thumbnail,
                ),
            )
            facts = ((role, _text(dict(one))) for role, one in done.ran.items())
            file.executemany("INSERT OR IGNORE INTO ran VALUES (?, ?)", facts)

    def records(self) -> Records:
        """The finished cases in the order of the inputs, read one by one whenever they are gone through."""
        return Records(self)

    def ran(self) -> dict[str, list[dict[str, Any]]]:
        """Role to what really ran, each variety once."""
        found: dict[str, list[dict[str, Any]]] = {}
        for role, facts in self._all("SELECT role, facts FROM ran ORDER BY role DESC, facts"):
            found.setdefault(role, []).append(json.loads(facts))
        return found

    def seconds(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Names of the finished cases in order, with what took how long."""
        query = "SELECT name, seconds FROM input JOIN done USING (name) ORDER BY place"
        for name, seconds in self.rows(query):
            yield name, json.loads(seconds)

    def rows(self, query: str, *values: str) -> Iterator[tuple[Any, ...]]:
        """The rows of `query`, one by one; nothing may be written between the first and the last."""
        with self._said_in_words():
            yield from self._file.execute(query, values)

    def _all(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self.rows(query, *values))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._said_in_words():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:  # SQLite has already rolled back after some errors
                    self._file.execute("ROLLBACK")
                raise

    @contextmanager
    def _said_in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind of error
            cause, next_step = _CAUSES.get(code, (str(error), "Choose another folder."))
            raise OutputError(f"{self.path} could not be written: {cause}.", next_step) from error


class Records:
    """The finished cases of a journal in the order of its inputs; may be gone through again and again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __len__(self) -> int:
        return len(self._journal.finished())

    def __iter__(self) -> Iterator[Record]:
        query = "SELECT record, thumbnail FROM input JOIN done USING (name) ORDER BY place"
        for record, thumbnail in self._journal.rows(query):
            yield Record.from_json(json.loads(record), thumbnail)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells this file from another one of its name; None where there is none.

    Raises:
        OSError: that cannot be told.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
