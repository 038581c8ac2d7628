"""Fine-tunes a specialist on a person's own masks, in a process of its own, while the window stays usable.

The dialog chooses, shows what comes, and at the end asks whether the better model is to be used; it knows
nothing of networks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from omniview.errors import OmniViewError
from omniview.ui.child import Child
from omniview.ui.file_dialog import ask_paths
from omniview.ui.finetune_plan import FineTuneWish, Tuner
from omniview.ui.latest import Latest
from omniview.ui.messages import Level
from omniview.ui.theme import LEVELS

__all__ = ["FineTuneBox"]

_log = logging.getLogger(__name__)
_SIZE = (760, 620)
_FEWEST = 5
_REST_MS = 350  # a person who still types is not waiting for a folder to be listed
_SUFFIX = "-finetuned"
_PARTS = (
    ("decoder", "Decoder: quick and gentle, for few masks"),
    ("adapter", "Biases and norms: the smallest change"),
    ("all", "Everything: for images that look different"),
)
_TITLES = ("Held-out mask", "Dice before", "Dice after", "Change")


class FineTuneBox(QDialog):
    """The dialog.

    Args:
        parent: the window.
        tuner: knows the specialists and how to begin.
        cards: (name, task) of the specialists to choose from.
        task: the task whose specialist is chosen at first.
    """

    used = pyqtSignal()
    """Another model is in use from now on."""

    def __init__(self, parent: QWidget, tuner: Tuner, cards: Sequence[tuple[str, str]], task: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Fine-tune a specialist")
        self.resize(*_SIZE)
        self._tuner = tuner
        self._looking, self._using = Latest(self._defect), Latest(self._defect)
        self._child = Child(self)
        self._masks, self._stopping, self._answered = 0, False, False
        self._new: Path | None = None
        self._card, self._parts, self._minutes = QComboBox(), QComboBox(), QSpinBox()
        self._folder, self._out = QLineEdit(), QLineEdit()
        self._found, self._message, self._curve = QLabel(), QLabel(), QLabel()
        self._bar, self._table = QProgressBar(), QTableWidget(0, len(_TITLES))
        self._start, self._cancel = QPushButton("Start"), QPushButton("Cancel")
        self._use = QPushButton("Use this model")
        self._rest = QTimer(self)
        self._fill(cards, task)
        self._lay_out()
        self._connect()
        self._show_state()

    async def settle(self) -> None:
        """Wait until nothing is looked at or running any more."""
        await self._looking.settle()
        await self._child.settle()
        await self._using.settle()

    async def close_down(self) -> None:
        """Stop the process; what it has done is kept on disk; the dialog goes."""
        self._rest.stop()
        await self._looking.close()
        self._child.stop()
        await self._child.settle()
        await self._using.settle()
        self.reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Training goes on behind the window; the menu brings the dialog back."""
        if event is not None and self._child.running:
            event.ignore()
            self.hide()
        else:
            super().closeEvent(event)

    def choose(self, folder: Path, out: Path | None = None) -> None:
        """As if a person had entered these."""
        self._folder.setText(str(folder))
        if out is not None:
            self._out.setText(str(out))

    def _fill(self, cards: Sequence[tuple[str, str]], task: str) -> None:
        self._list(cards)
        own = [place for place, (_, about) in enumerate(cards) if about == task]
        self._card.setCurrentIndex(own[-1] if own else 0)
        for key, text in _PARTS:
            self._parts.addItem(text, key)
        self._minutes.setRange(1, 24 * 60)
        self._minutes.setValue(15)
        self._minutes.setSuffix(" min at most")
        self._folder.setPlaceholderText("Folder with images/ and masks/ of the same names, 5 or more")
        self._out.setPlaceholderText("Folder for the new model and the report")

    def _list(self, cards: Sequence[tuple[str, str]]) -> None:
        """The specialists to choose from; who was chosen stays so."""
        chosen = self._card.currentData()
        self._card.clear()
        for name, about in cards:
            self._card.addItem(f"{name} · {about}", name)
        self._card.setCurrentIndex(max(0, self._card.findData(chosen)))

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(8)
        line = QHBoxLayout()
        line.setSpacing(10)
        line.addWidget(self._parts, 1)
        line.addWidget(self._minutes)
        for row, (title, field) in enumerate(
            (("&Specialist", self._card), ("&Your masks", self._folder), ("&Results", self._out))
        ):
            label = _muted(title)
            label.setBuddy(field)
            grid.addWidget(label, row, 0)
            if isinstance(field, QLineEdit):
                grid.addWidget(field, row, 1)
                grid.addWidget(self._chooser(field), row, 2)
            else:
                grid.addWidget(field, row, 1, 1, 2)
        learnt = _muted("&Learn")
        learnt.setBuddy(self._parts)
        grid.addWidget(learnt, 3, 0)
        grid.addLayout(line, 3, 1, 1, 2)
        for label in (self._found, self._message, self._curve):
            label.setWordWrap(True)
        self._found.setObjectName("muted")
        self._curve.setObjectName("muted")
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._table.setObjectName("cases")
        self._table.setHorizontalHeaderLabels(_TITLES)
        for place in range(len(_TITLES)):
            head = self._table.horizontalHeaderItem(place)
            assert head is not None
            head.setTextAlignment(_alignment(place))
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._table.setShowGrid(False)
        down, across = self._table.verticalHeader(), self._table.horizontalHeader()
        assert down is not None
        assert across is not None
        down.hide()
        across.setDefaultSectionSize(110)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self._use, self._cancel, self._start):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(9)
        column.addLayout(grid)
        column.addWidget(self._found)
        column.addWidget(self._table, 1)
        column.addWidget(self._message)
        column.addWidget(self._curve)
        column.addWidget(self._bar)
        column.addLayout(buttons)

    def _chooser(self, field: QLineEdit) -> QPushButton:
        button = QPushButton("Choose…")
        button.setAutoDefault(False)

        def ask() -> None:
            ask_paths(
                self,
                "Choose a folder",
                QFileDialog.FileMode.Directory,
                lambda paths: field.setText(str(paths[0])),
            )

        button.clicked.connect(lambda _checked: ask())
        return button

    def _connect(self) -> None:
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(lambda: self._looking.start(self._look))
        self._folder.textChanged.connect(self._follow)
        self._out.textChanged.connect(lambda _text: self._show_state())
        self._start.clicked.connect(lambda _checked: self._go())
        self._cancel.clicked.connect(lambda _checked: self._stop())
        self._use.clicked.connect(lambda _checked: self._using.start(self._take))
        self._child.said.connect(self._hear)
        self._child.ended.connect(self._end)

    def _follow(self, text: str) -> None:
        folder = Path(text.strip())
        self._out.setText(str(folder.with_name(folder.name + _SUFFIX)) if folder.name else "")
        self._masks = 0
        self._found.setText("")
        self._rest.start()
        self._show_state()

    async def _look(self, newest: Callable[[], bool]) -> None:
        text = self._folder.text().strip()
        if not text:
            return
        try:
            masks, words = await asyncio.to_thread(self._tuner.masks, Path(text)), ""
        except OmniViewError as error:
            masks, words = 0, str(error)
        if newest():
            enough = masks >= _FEWEST
            few = "" if enough else f"; at least {_FEWEST} are needed, better 10 to 20"
            self._masks = masks
            self._found.setText(words or f"{masks} masks found{few}.")
            self._show_state()

    def _go(self) -> None:
        wish = FineTuneWish(
            self._card.currentData(),
            Path(self._folder.text().strip()),
            Path(self._out.text().strip()),
            self._parts.currentData(),
            self._minutes.value(),
        )
        self._new, self._stopping, self._answered = None, False, False
        self._table.setRowCount(0)
        self._bar.setValue(0)
        self._tell("Starting…", Level.BUSY)
        self._child.start(self._tuner.command(wish))
        self._show_state()

    def _stop(self) -> None:
        self._stopping = True
        self._tell("Stopping; what is finished is kept…", Level.BUSY)
        self._child.stop()
        self._show_state()

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message.get("event")
        if kind == "progress" and not self._stopping:
            self._bar.setValue(round(1000 * message["fraction"]))
            left = message["seconds_left"]
            words = message["stage"].capitalize()
            self._tell(words + ("" if left is None else f", about {_duration(left)} left"), Level.BUSY)
            if message["loss"] is not None:
                seen = message["dice"]
                dice = "" if seen is None else f", Dice of the watched masks {seen:.3f}"
                self._curve.setText(f"Step {message['step']}: loss {message['loss']:.3f}{dice}")
        elif kind == "error":
            self._answered = True
            self._tell(f"{message['message']} {message['next_step']}".strip(), Level.ERROR)
        elif kind == "end":
            self._answered = True
            self._show_gain(message)

    def _show_gain(self, message: dict[str, Any]) -> None:
        pairs = message["pairs"]
        self._table.setRowCount(len(pairs))
        for row, (name, before, after) in enumerate(pairs):
            for column, text in enumerate((name, f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}")):
                item = QTableWidgetItem(text)
                item.setTextAlignment(_alignment(column))
                self._table.setItem(row, column, item)
        self._curve.setText(f"Report: {message['report']}")
        better = message["card"] is not None
        self._new = Path(message["card"]) if better else None
        self._tell(f"{message['words']} {message['reason']}".strip(), Level.GOOD if better else Level.WARNING)

    def _end(self) -> None:
        if self._stopping and not self._answered:
            self._tell("Stopped. Start goes on from there; the old model is kept.", Level.WARNING)
        elif not self._answered:
            self._tell(f"It ended with an error. {self._child.complaint()}".strip(), Level.ERROR)
        self._stopping = False
        self._show_state()

    async def _take(self, _newest: Callable[[], bool]) -> None:
        new = self._new
        if new is None:
            return
        try:
            name = await asyncio.to_thread(self._tuner.use, new)
            cards = await asyncio.to_thread(self._tuner.cards)
        except OmniViewError as error:
            self._tell(str(error), Level.ERROR)
            return
        self._new = None
        self._list(cards)
        self._tell(f"{name} is in use now.", Level.GOOD)
        self._show_state()
        self.used.emit()

    def _show_state(self) -> None:
        running = self._child.running
        for field in (self._card, self._folder, self._out, self._parts, self._minutes):
            field.setEnabled(not running)
        ready = self._masks >= _FEWEST and bool(self._out.text().strip()) and self._card.count() > 0
        self._start.setEnabled(ready and not running)
        self._cancel.setEnabled(running and not self._stopping)
        self._use.setEnabled(not running and self._new is not None)
        self._use.setDefault(self._use.isEnabled())
        self._start.setDefault(self._start.isEnabled() and not self._use.isEnabled())

    def _tell(self, text: str, level: Level) -> None:
        self._message.setStyleSheet(f"color: {LEVELS[level]}")
        self._message.setText(text)

    def _defect(self, error: BaseException) -> None:
        _log.error("defect", exc_info=error)
        self._tell(f"A defect in OmniView ({type(error).__name__}). See the log, and report it.", Level.ERROR)


def _alignment(column: int) -> Qt.AlignmentFlag:
    """Numbers to the right, names to the left."""
    side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _muted(title: str) -> QLabel:
    label = QLabel(title)
    label.setObjectName("muted")
    return label


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
