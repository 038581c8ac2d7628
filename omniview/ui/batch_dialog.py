"""Scores a folder while the window stays usable: what will be done, a table that grows, and the report.

The work runs in a process of its own; this dialog only starts, pauses and stops it, and shows what comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QModelIndex, QSize, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from omniview.batch.journal import NAME
from omniview.batch.run import Progress, Result, Resume, Run
from omniview.errors import OmniViewError
from omniview.ui.batch_form import BatchForm
from omniview.ui.batch_plan import Planned, Scorer, Wish
from omniview.ui.batch_table import CaseTable
from omniview.ui.file_dialog import ask_paths
from omniview.ui.latest import Latest
from omniview.ui.messages import Level
from omniview.ui.theme import LEVELS

__all__ = ["BatchBox"]

_log = logging.getLogger(__name__)
_SIZE = (980, 720)
_REPORT = "report.html"
_TOLD = 12
"""Files without a counterpart that a tooltip names."""


class BatchBox(QDialog):
    """The dialog for one folder after another.

    Args:
        parent: the window.
        scorer: plans and runs.
        form: what is chosen at first.
    """

    opened = pyqtSignal(object, object)
    """Image and truth (Path, Path | None) of a case that a person wants to see."""

    def __init__(self, parent: QWidget, scorer: Scorer, form: BatchForm) -> None:
        super().__init__(parent)
        self.setWindowTitle("Score a folder")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.resize(*_SIZE)
        self._scorer, self._form = scorer, form
        self._planning = Latest(self._defect)
        self._running = Latest(self._defect)
        self._planned: Planned | None = None
        self._run: Run | None = None
        self._paused = self._reported = self._online = False
        self._table = CaseTable()
        self._plan_text, self._message = QLabel(), QLabel()
        self._bar = QProgressBar()
        self._filter = QLineEdit()
        self._start, self._pause = QPushButton("Start"), QPushButton("Pause")
        self._stop, self._report = QPushButton("Stop"), QPushButton("Open report")
        self._lay_out()
        self._connect()
        self._show_state()

    async def settle(self) -> None:
        """Wait until nothing is planned or running any more."""
        await self._planning.settle()
        await self._running.settle()

    async def close_down(self) -> None:
        """Stop: what is finished is kept; the dialog goes."""
        await self._planning.close()
        if self._run is not None:
            self._run.cancel()
            await self._running.settle()
        await self._running.close()
        self._form.close_down()
        self.reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """A run goes on behind the window; the menu brings the dialog back."""
        if event is not None and self._run is not None:
            event.ignore()
            self.hide()
        else:
            super().closeEvent(event)

    def _lay_out(self) -> None:
        view = self._view = QTableView()
        view.setObjectName("cases")
        view.setModel(self._table)
        view.setSortingEnabled(True)
        view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # as paired, until a person clicks on a title
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setShowGrid(False)
        view.setIconSize(QSize(44, 44))
        view.setToolTip("Double click opens the case in the viewer")
        for header, size in ((view.verticalHeader(), 48), (view.horizontalHeader(), 96)):
            assert header is not None
            header.setDefaultSectionSize(size)
            # measured for all rows, headers would stall with 100,000 of them
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down, across = view.verticalHeader(), view.horizontalHeader()
        assert down is not None
        assert across is not None
        down.hide()
        across.resizeSection(0, 60)
        across.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        across.setSectionResizeMode(6, QHeaderView.ResizeMode.Interactive)
        self._filter.setPlaceholderText("Filter the cases")
        self._filter.setClearButtonEnabled(True)
        for label in (self._plan_text, self._message):
            label.setWordWrap(True)
        self._plan_text.setObjectName("muted")
        self._bar.setTextVisible(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self._message, 1)
        for button in (self._report, self._stop, self._pause, self._start):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(9)
        for widget in (self._form, self._plan_text, self._filter):
            column.addWidget(widget)
        column.addWidget(view, 1)
        column.addWidget(self._bar)
        column.addLayout(buttons)

    def _connect(self) -> None:
        self._form.changed.connect(self.plan)
        self._form.asked.connect(self._ask_folder)
        self._filter.textChanged.connect(self._table.filter)
        self._view.doubleClicked.connect(self._open_case)
        self._start.clicked.connect(self._go)
        self._pause.clicked.connect(self._toggle_pause)
        self._stop.clicked.connect(self._cancel)
        self._report.clicked.connect(self._open_report)

    def _ask_folder(self, then: Callable[[Path], None]) -> None:
        ask_paths(self, "Choose a folder", QFileDialog.FileMode.Directory, lambda paths: then(paths[0]))

    def plan(self) -> None:
        """Look at what was chosen; a newer choice wins. What is at work goes on, unless that is forbidden."""
        if self._run is not None:
            now = self._form.wish()
            if self._online and (now is None or now.offline):
                self._tell("Stopping: the window is offline now.", Level.WARNING)
                self._run.cancel()
            return
        self._planned = None
        self._tell("")
        wish, out = self._form.wish(), self._form.out()
        self._reported = False
        if wish is None:
            self._planning.cancel()
            self._plan_text.setText("")
            self._table.show_pairs(())
        else:
            self._plan_text.setText("Looking…")
            self._planning.start(lambda newest: self._look(wish, out, newest))
        self._show_state()

    async def _look(self, wish: Wish, out: Path | None, newest: Callable[[], bool]) -> None:
        try:
            reported = out is not None and await asyncio.to_thread((out / _REPORT).exists)
            planned = await asyncio.to_thread(self._scorer.plan, wish)
            cost = await asyncio.to_thread(planned.cost)
        except OmniViewError as error:
            if newest():
                self._plan_text.setText("")
                self._table.show_pairs(())
                self._tell(str(error), Level.ERROR)
            return
        if newest():
            self._planned, self._reported, self._online = planned, reported, not wish.offline
            self._table.show_pairs(planned.pairing.pairs)
            self._plan_text.setText(_plan_words(planned, cost))
            left = planned.pairing.unpaired
            lines = [f"{one.name}: {one.reason}" for one in left[:_TOLD]]
            more = [f"and {len(left) - _TOLD} more"] if len(left) > _TOLD else []
            self._plan_text.setToolTip("\n".join((*lines, *more)))
            self._show_state()

    def _go(self) -> None:
        out, planned = self._form.out(), self._planned
        if planned is not None and out is not None and self._run is None:
            self._running.start(lambda _newest: self._score(planned, out))

    async def _score(self, planned: Planned, out: Path) -> None:
        self._tell("Starting…")
        self._paused = False
        try:
            resume = await asyncio.to_thread((out / NAME).exists)
            going_on: Resume = "yes" if resume else "no"
            # in a thread: it reads the models' cards
            run = self._run = await asyncio.to_thread(
                partial(planned.run, out, apart=True, resume=going_on, on_progress=self._show_progress)
            )
            self._show_state()
            if resume:
                self._table.put(await asyncio.to_thread(self._scorer.finished, out))
            self._show_end(await run.go())
            self._reported = await asyncio.to_thread((out / _REPORT).exists)
        except OmniViewError as error:
            self._tell(str(error), Level.ERROR)
        finally:
            self._run = None
            self._show_state()

    def _show_progress(self, progress: Progress) -> None:
        totals = progress.totals
        self._bar.setRange(0, max(1, progress.total))
        self._bar.setValue(totals.finished)
        if progress.record is not None:
            self._table.put((progress.record,))
        parts = [f"{totals.finished} of {progress.total}"]
        if totals.failed:
            parts.append(f"{totals.failed} failed")
        if totals.cost is not None:
            parts.append(f"{totals.cost:.4f} {totals.currency or ''}".strip())
        if progress.paused:
            parts.append("paused; what is under way is finished")
        elif progress.remaining_s is not None:
            parts.append(f"about {_duration(progress.remaining_s)} left")
        self._tell(", ".join(parts))

    def _show_end(self, result: Result) -> None:
        totals = result.totals
        what = f"{totals.finished} of {result.total} cases are done"
        failed = f", {totals.failed} of them failed" if totals.failed else ""
        rest = ". Start goes on with the rest." if result.incomplete else "."
        level = Level.WARNING if result.incomplete or totals.failed else Level.GOOD
        self._tell(what + failed + rest, level)

    def _toggle_pause(self) -> None:
        if self._run is not None:
            self._paused = not self._paused
            (self._run.pause if self._paused else self._run.resume)()
            self._show_state()

    def _cancel(self) -> None:
        if self._run is not None:
            self._tell("Stopping; what is finished is written…")
            self._run.cancel()

    def _open_case(self, index: QModelIndex) -> None:
        self.opened.emit(*self._table.files_at(index.row()))

    def _open_report(self) -> None:
        out = self._form.out()
        if out is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(out / _REPORT)))

    def _show_state(self) -> None:
        running = self._run is not None
        self._form.setEnabled(not running)
        self._start.setEnabled(not running and self._planned is not None and self._form.out() is not None)
        self._start.setDefault(self._start.isEnabled())
        self._pause.setEnabled(running)
        self._pause.setText("Go on" if self._paused and running else "Pause")
        self._stop.setEnabled(running)
        self._report.setEnabled(not running and self._reported)

    def _tell(self, text: str, level: Level = Level.INFO) -> None:
        self._message.setStyleSheet(f"color: {LEVELS[level]}")
        self._message.setText(text)

    def _defect(self, error: BaseException) -> None:
        _log.error("defect", exc_info=error)
        self._tell(f"A defect in OmniView ({type(error).__name__}). See the log, and report it.", Level.ERROR)


def _plan_words(planned: Planned, cost: str) -> str:
    pairs, left = planned.pairing.pairs, planned.pairing.unpaired
    truths = sum(pair.truth is not None for pair in pairs)
    parts = [f"{len(pairs)} images, {truths} with ground truth"]
    if left:
        files = "1 file" if len(left) == 1 else f"{len(left)} files"
        parts.append(f"{files} could not be paired (point here for which)")
    if cost:
        parts.append(cost)
    return "; ".join(parts) + "."


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
