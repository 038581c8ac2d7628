"""What a person agreed to: to which endpoints pixels may go, kept in `consents.json` of the home folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from omniview.errors import NotAllowed, OutputError
from omniview.omnimodel.addresses import origin
from omniview.omnimodel.audit import locked

__all__ = ["Consent", "Consents", "How"]

How: TypeAlias = Literal["command line", "dialog"]

_FILE = "consents.json"


@dataclass(frozen=True, slots=True)
class Consent:
    """That pixels may go to one endpoint.

    Attributes:
        endpoint: scheme, host and port.
        when: UTC, ISO 8601.
        how: where it was given.
        keep_text: burned-in text may go there, too; only of use while the endpoint is trusted.
    """

    endpoint: str
    when: str
    how: str
    keep_text: bool = False


class Consents:
    """The list in a home folder; read anew each time, so that a withdrawal counts at once.

    Safe among threads and processes: a change that another one makes meanwhile is not undone.

    Args:
        home: OmniView's own folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE

    def all(self) -> tuple[Consent, ...]:
        """What has been agreed to so far.

        Raises:
            NotAllowed: the file cannot be understood; what cannot be read allows nothing.
        """
        try:
            values = json.loads(self._path.read_text("utf-8"))
            return tuple(
                Consent(str(v["endpoint"]), str(v["when"]), str(v["how"]), v.get("keep_text") is True)
                for v in values
            )
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise NotAllowed(
                f"The list of consents in {self._path.parent} cannot be read ({type(error).__name__}).",
                f"Delete {_FILE} and agree again.",
            ) from error

    def grant(self, endpoint: str, how: How, *, keep_text: bool = False) -> Consent:
        """Remember that a person agreed; `keep_text`: that burned-in text may go there, too.

        Raises:
            NotAllowed: the address is not one that can be agreed to.
            OutputError: it could not be written down.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        consent = Consent(origin(endpoint), now, how, keep_text)
        with self._changing():
            self._write([*(c for c in self.all() if c.endpoint != consent.endpoint), consent])
        return consent

    def revoke(self, endpoint: str) -> bool:
        """Forget the consent for `endpoint`; whether there was one.

        Raises:
            OutputError: it could not be written down.
        """
        place = origin(endpoint)
        if all(c.endpoint != place for c in self.all()):
            return False  # there may be no folder to write to
        with self._changing():
            before = self.all()
            kept = [c for c in before if c.endpoint != place]
            if len(kept) < len(before):
                self._write(kept)
        return len(kept) < len(before)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Between reading and writing nobody else does either to change the list."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self._path.with_suffix(".lock")):
                yield
        except OSError as error:
            raise OutputError(
                f"The consent could not be saved ({error.strerror}).", f"Make {self._path.parent} writable."
            ) from error

    def _write(self, consents: Sequence[Consent]) -> None:
        part = self._path.with_suffix(".part")
        values = [
            {"endpoint": c.endpoint, "when": c.when, "how": c.how}
            | ({"keep_text": True} if c.keep_text else {})
            for c in consents
        ]
        part.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
        part.replace(self._path)
