"""A process beside the window that speaks in lines of JSON, and ends when nobody listens any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import QObject, QProcess, QTimer, pyqtSignal

__all__ = ["Child"]

_GRACE_MS = 8000
"""How long a process may take to keep what it has done before it is killed."""


class Child(QObject):
    """One process at a time."""

    said = pyqtSignal(dict)
    """An object that it wrote on a line of its standard output."""
    ended = pyqtSignal()
    """It is gone."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(lambda _code, _status: self._finish())
        self._process.errorOccurred.connect(self._fail)
        self._grace = QTimer(self)
        self._grace.setSingleShot(True)
        self._grace.setInterval(_GRACE_MS)
        self._grace.timeout.connect(self._process.kill)
        self._gone = asyncio.Event()
        self._gone.set()
        self._errors = b""

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return not self._gone.is_set()

    def start(self, command: Sequence[str]) -> None:
        """Start it; there must be none."""
        self._gone.clear()
        self._process.start(command[0], list(command[1:]))

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self.running:
            self._process.closeWriteChannel()
            self._process.terminate()
            self._grace.start()

    async def settle(self) -> None:
        """Wait until it is gone."""
        await self._gone.wait()

    def complaint(self) -> str:
        """The last line of its standard error."""
        lines = self._errors.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _read(self) -> None:
        while self._process.canReadLine():
            line = bytes(self._process.readLine().data())
            try:
                message: Any = json.loads(line)
            except ValueError:
                continue  # a library that talks
            if isinstance(message, dict):
                self.said.emit(message)

    def _finish(self) -> None:
        self._read()
        self._errors = bytes(self._process.readAllStandardError().data())
        self._let_go()

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:  # then `finished` never comes
            self._errors = self._process.errorString().encode()
            self._let_go()

    def _let_go(self) -> None:
        self._grace.stop()
        self._gone.set()
        self.ended.emit()
