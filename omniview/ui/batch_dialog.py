"""Scores a folder while the window stays usable: what will be done, a table that grows, and the report.

The work runs in a process of its own; this dialog only starts, pauses and stops it, and shows what comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path

from PyQt6.QtCore import Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices, QKeyEvent
from PyQt6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from omniview.batch.run import Progress, Resume, Run
from omniview.errors import AnotherRun, OmniViewError
from omniview.ui.batch_cases import Cases, Line
from omniview.ui.batch_form import BatchForm
from omniview.ui.batch_plan import Held, Planned, Scorer, Wish
from omniview.ui.batch_table import CaseTable
from omniview.ui.batch_view import CaseView
from omniview.ui.batch_words import end_words, in_window, plan_words, progress_words
from omniview.ui.file_dialog import ask_paths
from omniview.ui.latest import Latest
from omniview.ui.messages import Level
from omniview.ui.panel import within_screen
from omniview.ui.theme import LEVELS
from omniview.ui.unpaired_box import UnpairedBox

__all__ = ["BatchBox"]

_log = logging.getLogger(__name__)
_SIZE, _SMALLEST = (980, 720), (760, 420)
_STOPPING = "Stopping; what is finished is written…"
_AT_ONCE = 500
"""Finished cases that are put into the table before the window has its turn again."""


class BatchBox(QDialog):
    """The dialog for one folder after another.

    Args:
        parent: the window.
        scorer: plans and runs.
        form: what is chosen at first.
    """

    opened = pyqtSignal(object, object)
    """A case that a person wants to see (Pair), and what was wanted of the models (Wish)."""
    ended = pyqtSignal(str, object)
    """A run is over: how, in words, and their weight (Level)."""

    def __init__(self, parent: QWidget, scorer: Scorer, form: BatchForm) -> None:
        super().__init__(parent)
        self.setWindowTitle("Score a folder")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.resize(within_screen(parent, *_SIZE))
        self.setMinimumSize(*_SMALLEST)
        self._scorer, self._form = scorer, form
        self._planning = Latest(self._defect)
        self._running = Latest(self._defect)
        self._planned: Planned | None = None
        self._wish: Wish | None = None  # what the table is about
        self._held = Held()
        self._run: Run | None = None
        self._working = self._paused = self._stopping = self._all_done = self._stale = False
        self._closing = False
        self._level = Level.INFO
        self._table = CaseTable()
        self._view = CaseView(self._table)
        self._plan_text, self._message = QLabel(), QLabel()
        self._bar = QProgressBar()
        self._filter = QLineEdit()
        self._unpaired = QPushButton("Which, and why…")
        self._start, self._pause = QPushButton("Start"), QPushButton("Pause")
        self._stop, self._report = QPushButton("Stop"), QPushButton("Open report")
        self._mix = QPushButton("Mix both")
        self._lay_out()
        self._connect()
        self._show_state()

    async def settle(self) -> None:
        """Wait until nothing is planned or running any more."""
        await self._planning.settle()
        await self._running.settle()
        await self._planning.settle()  # what a run that has ended had planned anew

    async def close_down(self) -> None:
        """Stop: what is finished is kept; the dialog goes."""
        await self._planning.close()
        self._stopping = self._closing = True
        if self._run is not None:
            self._run.cancel()
            await self._running.settle()
        await self._running.close()
        self.reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """A run goes on behind the window; the menu brings the dialog back."""
        if event is not None and self._working:
            event.ignore()
            self.hide()
        else:
            super().closeEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Enter presses the button that has the focus and no other: none starts, or pays, by accident."""
        if event is None or event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif isinstance(focused := self.focusWidget(), QPushButton):
            focused.click()

    def _lay_out(self) -> None:
        self._filter.setPlaceholderText("Filter the cases")
        self._filter.setAccessibleName("Filter the cases by name")
        self._filter.setClearButtonEnabled(True)
        for label in (self._plan_text, self._message):
            label.setWordWrap(True)
            # names of files may look like markup
            label.setTextFormat(Qt.TextFormat.PlainText)
        self._plan_text.setObjectName("muted")
        self._message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Cases done")
        self._mix.setToolTip("Go on although something has changed; the results will say what")
        self._unpaired.hide()
        self._mix.hide()
        plan, buttons = QHBoxLayout(), QHBoxLayout()
        plan.addWidget(self._plan_text, 1)
        plan.addWidget(self._unpaired)
        buttons.addWidget(self._message, 1)
        for button in (self._report, self._stop, self._pause, self._mix, self._start):
            buttons.addWidget(button)
        for button in (self._unpaired, self._report, self._stop, self._pause, self._mix, self._start):
            button.setAutoDefault(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(9)
        column.addWidget(self._form)
        column.addLayout(plan)
        column.addWidget(self._filter)
        column.addWidget(self._view, 1)
        column.addWidget(self._bar)
        column.addLayout(buttons)

    def _connect(self) -> None:
        self._form.edited.connect(self._forget)
        self._form.changed.connect(self.plan)
        self._form.asked.connect(self._ask_folder)
        self._filter.textChanged.connect(self._table.filter)
        self._filter.returnPressed.connect(self._view.setFocus)
        self._view.opened.connect(self._open_case)
        self._unpaired.clicked.connect(self._show_unpaired)
        self._start.clicked.connect(lambda: self._go("yes"))
        self._mix.clicked.connect(lambda: self._go("anyway"))
        self._pause.clicked.connect(self._toggle_pause)
        self._stop.clicked.connect(lambda: self._cancel())
        self._report.clicked.connect(self._open_report)

    def _ask_folder(self, then: Callable[[Path], None]) -> None:
        ask_paths(self, "Choose a folder", QFileDialog.FileMode.Directory, lambda paths: then(paths[0]))

    def _forget(self) -> None:
        """What was found no longer is what would be done."""
        self._planning.cancel()
        self._planned = None
        self._unpaired.hide()
        self._mix.hide()
        self._plan_text.setText("Press Enter to look.")
        self._tell("")
        self._show_state()

    def plan(self) -> None:
        """Look at what was chosen; a newer choice wins. What is at work goes on, unless that is forbidden."""
        if self._closing:  # what is half typed is finished by the end of the dialog too
            return
        if self._working:
            self._stale = True
            before, now = self._wish, self._form.wish()
            if before is not None and not before.offline and (now is None or now.offline):
                self._cancel("Stopping: the window is offline now.", Level.WARNING)
            return
        self._forget()
        self._look_again()

    def _look_again(self) -> None:
        wish, out = self._form.wish(), self._form.out()
        if wish is None:
            self._plan_text.setText("")
            self._table.show_cases(Cases(()))
        else:
            self._plan_text.setText("Looking…")
            self._planning.start(lambda newest: self._look(wish, out, newest))

    async def _look(self, wish: Wish, out: Path | None, newest: Callable[[], bool]) -> None:
        # what has been done of the same wish stays in the table
        same = self._wish is not None and replace(self._wish, offline=wish.offline) == wish
        if not same:
            self._table.show_cases(Cases(()))
        shown = self._table.pairs
        try:
            held = Held() if out is None else await asyncio.to_thread(self._scorer.held, out)
            planned = await asyncio.to_thread(self._scorer.plan, wish)
            cost = await asyncio.to_thread(planned.cost)
            pairs = planned.pairing.pairs
            known = same and await asyncio.to_thread(pairs.__eq__, shown)
            cases = None if known else await asyncio.to_thread(Cases, pairs)
            words = await asyncio.to_thread(
                partial(plan_words, planned.pairing, cost, out=out is not None, begun=held.run)
            )
        except OmniViewError as error:
            if newest():
                self._wish = None
                self._plan_text.setText("")
                self._table.show_cases(Cases(()))
                self._tell(in_window(error), Level.ERROR)
            return
        if newest():
            self._planned, self._wish, self._held = planned, wish, held
            if cases is not None:
                self._table.show_cases(cases)
            left = planned.pairing.unpaired
            self._plan_text.setText(words)
            self._unpaired.setVisible(bool(left))
            if obstacle := planned.obstacle:
                self._tell(obstacle, Level.WARNING)
            self._show_state()

    def _go(self, resume: Resume) -> None:
        out, planned = self._form.out(), self._planned
        if planned is not None and out is not None and not self._working:
            self._working, self._paused, self._stopping, self._all_done = True, False, False, False
            self._mix.hide()
            self._bar.setRange(0, 1)
            self._bar.setValue(0)
            self._tell("Starting…")
            self._show_state()
            task = self._running.start(lambda _newest: self._score(planned, out, resume))
            task.add_done_callback(self._over)

    async def _score(self, planned: Planned, out: Path, resume: Resume) -> None:
        try:
            self._held = await asyncio.to_thread(self._scorer.held, out)
            going_on: Resume = resume if self._held.run else "no"
            await self._put_finished(out)
            # in a thread: it reads the models' cards
            run = self._run = await asyncio.to_thread(
                partial(planned.run, out, apart=True, resume=going_on, on_progress=self._show_progress)
            )
            self._show_state()
            self._end(*end_words(await run.go()))
            self._held = await asyncio.to_thread(self._scorer.held, out)
        except AnotherRun as error:
            # what the table was given of that run is none of this one's
            self._table.show_cases(await asyncio.to_thread(Cases, self._table.pairs))
            self._mix.show()
            self._end(in_window(error), Level.ERROR)
        except OmniViewError as error:
            self._end(in_window(error), Level.ERROR)

    def _over(self, task: asyncio.Task[None]) -> None:
        """Let the next run begin; called too where a run is stopped before its first step."""
        if task.cancelled():
            self._tell("Stopped before anything was scored.")
        self._run, self._working = None, False
        self._show_state()
        if self._stale and not self._closing:  # what was chosen or set meanwhile holds for the next run
            self._stale, self._planned = False, None
            self._look_again()

    async def _put_finished(self, out: Path) -> None:
        """Show what an earlier sitting has done."""
        if not self._held.run:
            return
        self._tell("Reading what is finished…")
        lines = await asyncio.to_thread(self._finished, out)
        for begin in range(0, len(lines), _AT_ONCE):
            self._table.put(lines[begin : begin + _AT_ONCE])
            await asyncio.sleep(0)

    def _finished(self, out: Path) -> list[Line]:
        """The lines of what the results hold. Blocks; short if that is no longer wanted."""
        return [Line.of(one) for one in takewhile(lambda _: not self._stopping, self._scorer.finished(out))]

    def _show_progress(self, progress: Progress) -> None:
        self._bar.setRange(0, max(1, progress.total))
        self._bar.setValue(progress.totals.finished)
        if progress.record is not None:
            self._table.put((Line.of(progress.record),))
        if progress.totals.finished == progress.total and not self._all_done:
            self._all_done = True
            self._show_state()
        if not self._stopping:
            self._tell(progress_words(progress))

    def _end(self, text: str, level: Level) -> None:
        self._tell(text, level)
        self.ended.emit(text, level)

    def _toggle_pause(self) -> None:
        if self._run is not None:
            self._paused = not self._paused
            (self._run.pause if self._paused else self._run.resume)()
            self._show_state()

    def _cancel(self, text: str = _STOPPING, level: Level = Level.INFO) -> None:
        self._stopping = True
        self._tell(text, level)
        if self._run is not None:
            self._run.cancel()
        else:
            self._running.cancel()
        self._show_state()

    def _open_case(self, row: int) -> None:
        self.opened.emit(self._table.pair_at(row), self._wish)

    def _show_unpaired(self) -> None:
        if self._planned is not None:
            UnpairedBox(self, self._planned.pairing.unpaired).open()

    def _open_report(self) -> None:
        report = self._held.report
        if report is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(report))):
            self._tell(f"No browser could be started. The report is {report}.", Level.WARNING)

    def _show_state(self) -> None:
        going = self._working and not self._stopping and not self._all_done
        running = going and self._run is not None
        self._form.setEnabled(not self._working)
        self._start.setEnabled(
            not self._working and self._planned is not None and self._form.out() is not None
        )
        self._start.setDefault(self._start.isEnabled())
        self._pause.setEnabled(running)
        self._pause.setText("Go on" if self._paused and running else "Pause")
        self._stop.setEnabled(going)
        self._report.setEnabled(not self._working and self._held.report is not None)

    def _tell(self, text: str, level: Level = Level.INFO) -> None:
        if level is not self._level:
            self._level = level
            self._message.setStyleSheet(f"color: {LEVELS[level]}")
        self._message.setText(text)

    def _defect(self, error: BaseException) -> None:
        _log.error("defect", exc_info=error)
        self._tell(f"A defect in OmniView ({type(error).__name__}). See the log, and report it.", Level.ERROR)
