"""What was spent, in a small database that all of a person's OmniView processes share.

One row a call, written before anything is sent. A row without a cost is a call under way; it counts with what
was laid aside for it, and does so for ever if its process dies.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omniview.errors import OutputError

__all__ = ["Ledger", "Page", "Spent"]

_BUSY_S = 10.0
_LEARNED_FROM = 20
_ENOUGH = 3
"""So many of a model's latest calls tell what an answer usually costs, and fewer than these tell nothing."""
_UNDER_WAY_S = 120.0
"""A call of another process that takes longer may be that process's last: nobody waits for it any more."""
_TABLES = (
    """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    day TEXT NOT NULL,
    session TEXT NOT NULL,
    model TEXT NOT NULL,
    laid_aside REAL NOT NULL,
    cost REAL
)
""",
    "CREATE INDEX IF NOT EXISTS calls_by_day ON calls (day)",
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent, with what is laid aside for calls that are under way.

    Attributes:
        session: in this run of the program.
        today: on this day (UTC), over all runs.
    """

    session: float
    today: float


class Page:
    """The ledger while it is locked: what is read here cannot change before it is written.

    Args:
        connection: to the database, within a transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._now = datetime.now(UTC)
        self._day = self._now.date().isoformat()

    def spent(self, session: str) -> Spent:
        """The sums of a session and of today."""
        total = "SELECT COALESCE(SUM(COALESCE(cost, laid_aside)), 0) FROM calls WHERE "
        ((of_session,),) = self._connection.execute(total + "session = ?", (session,))
        ((of_today,),) = self._connection.execute(total + "day = ?", (self._day,))
        return Spent(of_session, of_today)

    def latest(self, model: str) -> tuple[float, ...]:
        """What a model's latest calls cost each; nothing where they are too few to tell."""
        found = self._connection.execute(
            "SELECT cost FROM calls WHERE model = ? AND cost > 0 ORDER BY id DESC LIMIT ?",
            (model, _LEARNED_FROM),
        ).fetchall()
        return tuple(cost for (cost,) in found) if len(found) >= _ENOUGH else ()

    def under_way(self, session: str | None) -> bool:
        """Whether a call that began lately has not ended, of a session or (None) of any."""
        since = self._now.timestamp() - _UNDER_WAY_S
        ((count,),) = self._connection.execute(
            "SELECT COUNT(*) FROM calls WHERE day = ? AND cost IS NULL AND time > ?"
            " AND session = COALESCE(?, session)",
            (self._day, since, session),
        )
        return bool(count)

    def lay_aside(self, session: str, model: str, amount: float) -> int:
        """Write down a call that is about to be made; returns its number."""
        row = self._connection.execute(
            "INSERT INTO calls (time, day, session, model, laid_aside) VALUES (?, ?, ?, ?, ?)",
            (self._now.timestamp(), self._day, session, model, amount),
        ).lastrowid
        assert row is not None, "SQLite numbers every inserted row"
        return row

    def settle(self, row: int, cost: float | None) -> None:
        """Write down what a call cost; None: what was laid aside."""
        self._connection.execute(
            "UPDATE calls SET cost = COALESCE(?, laid_aside) WHERE id = ? AND cost IS NULL", (cost, row)
        )


class Ledger:
    """The database; safe among threads and processes.

    Args:
        path: the file; made when it is first opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def open(self) -> Iterator[Page]:
        """The ledger, locked for whoever holds it; written when left without an error. Blocks.

        Raises:
            OutputError: it cannot be used.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE")
                for table in _TABLES:
                    connection.execute(table)
                yield Page(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()  # what was not committed is undone
        except (sqlite3.Error, OSError) as error:
            raise OutputError(
                f"The record of what was spent cannot be used ({error}).",
                f"Make {self.path} writable, or move it away if it is damaged; without it nothing is sent.",
            ) from error
