"""The main window: builds the panels and connects what a person wants to the workflow. Nothing else does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QPixmap
from PyQt6.QtWidgets import QMainWindow, QSplitter, QVBoxLayout, QWidget

from omniview.io.samples import SAMPLES
from omniview.ui.about import AboutBox, KeysBox
from omniview.ui.actions import Actions
from omniview.ui.batch_plan import Scorer
from omniview.ui.batches import Batches
from omniview.ui.canvas import Canvas
from omniview.ui.case_list import CaseList
from omniview.ui.choosers import Choosers
from omniview.ui.consent import Consents
from omniview.ui.finetune_plan import Tuner
from omniview.ui.finetunes import FineTunes
from omniview.ui.frame import whole_window
from omniview.ui.frame_bar import FrameBar
from omniview.ui.layer_keys import LayerKeys
from omniview.ui.layer_panel import LayerPanel
from omniview.ui.legend import Legend
from omniview.ui.messages import Action, Badge, Level, Notice
from omniview.ui.model_panel import ModelPanel
from omniview.ui.models import Models, Permission
from omniview.ui.notice_bar import NoticeBar
from omniview.ui.opening import Opening
from omniview.ui.panel import side, within_screen
from omniview.ui.preferences import Preferences
from omniview.ui.quality_panel import QualityPanel
from omniview.ui.score_panel import ScorePanel
from omniview.ui.session import Entry, Session, Snapshot
from omniview.ui.settings_dialog import SettingsDesk
from omniview.ui.status_line import ReadoutBar, StatusLine
from omniview.ui.touring import Touring
from omniview.ui.view import Layer
from omniview.ui.workflow import Workflow

__all__ = ["Window"]

_log = logging.getLogger(__name__)

_LEFT, _RIGHT = 210, 336
_START, _SMALLEST = (1280, 800), (900, 460)


class _Part(Protocol):
    """What works beside the panels, and is waited for and ended with the window."""

    async def settle(self) -> None: ...

    async def close(self) -> None: ...


class Window(QMainWindow):
    """OmniView's window.

    Args:
        session: what is shown; changed by the workflow and, for the view alone, here.
        models: where segmenters come from.
        permission: keys and consents for cloud omnimodels, or None where there are none.
        preferences: the person's settings, or None where they cannot be changed.
        scorer: scores folders, or None where that is not wanted.
        tuner: fine-tunes specialists, or None where that is not wanted.
    """

    def __init__(
        self,
        session: Session,
        models: Models,
        permission: Permission | None = None,
        *,
        preferences: Preferences | None = None,
        scorer: Scorer | None = None,
        tuner: Tuner | None = None,
    ) -> None:
        super().__init__()
        self.session = session
        self.workflow = Workflow(session, models)
        self.closed = asyncio.Event()
        self._opening = Opening(self, session, self.workflow, self._complain)
        self._consents = Consents(self, session, permission, self._begin_anew)
        self.settings = SettingsDesk(self, session, preferences, self._begin_anew)
        self.batches = Batches(self, session, models, scorer, self.workflow.open)
        self.finetunes = FineTunes(self, session, tuner, self._begin_anew, self._complain)
        self.touring = Touring(session, self._complain)
        self.canvas = Canvas()
        self.cases, self.choosers = CaseList(), Choosers(models.tasks(), models.omnimodels())
        self.layers, self.scores = LayerPanel(), ScorePanel()
        self.quality, self.models = QualityPanel(), ModelPanel()
        self.frames, self.readout, self.status = FrameBar(), ReadoutBar(), StatusLine()
        self.legend, self.notice = Legend(self.canvas), NoticeBar(self.canvas)
        self.actions_ = Actions(self, SAMPLES, models.listening())
        self.setWindowTitle("OmniView")
        self.resize(within_screen(self, *_START))
        self.setMinimumSize(*_SMALLEST)
        self.setAcceptDrops(True)
        self._lay_out()
        self._connect()
        self._keys = LayerKeys(self)
        self._keys.tapped.connect(self._toggle)
        self._keys.held.connect(self._hold)
        self.canvas.installEventFilter(self)
        session.changed.connect(self._apply)
        self._apply(Snapshot(stage=session.now.stage, omnimodel="", task=""), session.now)
        self.canvas.setFocus()

    def open(self, paths: Sequence[Path], truth: Path | None = None) -> None:
        """Open files and folders; `truth` belongs to the first."""
        self._opening.open(paths, truth)

    def open_sample(self, key: str) -> None:
        """Open a built-in sample, with the others beside it in the case list."""
        keys = tuple(SAMPLES)
        self.workflow.open([Entry(name, sample=name) for name in keys], keys.index(key))

    def use_truth(self, path: Path) -> None:
        """Score the case on screen against `path`."""
        self.workflow.use_truth(path)

    async def settle(self) -> None:
        """Wait until all that was asked for is on screen."""
        for part in self._parts():
            await part.settle()
        await self.workflow.settle()
        await self.canvas.settle()

    async def rest(self) -> None:
        """Stop all work; the window may be deleted afterwards."""
        for part in self._parts():
            await part.close()
        await self.workflow.close()
        await self.canvas.close_down()

    def _parts(self) -> tuple[_Part, ...]:
        return self._opening, self._consents, self.settings, self.batches, self.finetunes, self.touring

    def picture(self) -> QPixmap:
        """The window as it looks now."""
        return self.grab()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Tell the main coroutine; it ends the work before the loop stops."""
        super().closeEvent(event)
        self.closed.set()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files and folders."""
        if event is not None and (data := event.mimeData()) is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what was dropped, or use it as ground truth."""
        data = None if event is None else event.mimeData()
        if event is None or data is None:
            return
        paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self._opening.drop(paths)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep what lies over the canvas in its place."""
        if event is not None and event.type() == QEvent.Type.Resize and watched is self.canvas:
            self.legend.place()
            self.notice.place()
        return super().eventFilter(watched, event)

    def _lay_out(self) -> None:
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.readout)
        column.addWidget(self.frames)
        self.results = side(self.layers, self.scores, self.quality, self.models)
        split = QSplitter(Qt.Orientation.Horizontal)
        for widget in (self.cases, centre, self.results):
            split.addWidget(widget)
        split.setStretchFactor(1, 1)
        split.setSizes([_LEFT, _START[0] - _LEFT - _RIGHT, _RIGHT])
        split.setHandleWidth(2)
        self.cases.setMinimumWidth(150)
        self.results.setMinimumWidth(_RIGHT)
        whole = QWidget()
        rows = QVBoxLayout(whole)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(split, 1)
        rows.addWidget(self.status)
        self.setCentralWidget(whole)
        self.actions_.toolbar.addWidget(self.choosers)

    def _connect(self) -> None:
        flow, do = self.workflow, self.actions_
        self.cases.chosen.connect(flow.select)
        self.choosers.task_chosen.connect(lambda name: flow.analyse_again(task=name))
        self.choosers.omnimodel_chosen.connect(self._choose_omnimodel)
        self.choosers.offline_chosen.connect(lambda on: flow.analyse_again(offline=on))
        self.layers.toggled.connect(lambda layer, on: self._look(layer, shown=on))
        self.layers.styled.connect(lambda layer, style: self._look(layer, style=style))
        self.layers.faded.connect(lambda layer, value: self._look(layer, opacity=value))
        self.scores.reader_chosen.connect(flow.use_reader)
        self.frames.moved.connect(flow.show_frame)
        self.canvas.hovered.connect(self.readout.show_values)
        self.canvas.zoomed.connect(self.readout.show_zoom)
        self.canvas.window_dragged.connect(self._drag_window)
        self.canvas.marked.connect(flow.prompting.add)
        self.canvas.unmarked.connect(flow.prompting.remove)
        self.notice.dismissed.connect(lambda: self.session.update(notice=None))
        self.notice.acted.connect(self._act)
        self.models.acted.connect(self._act_on_badge)
        slots: dict[str, Callable[[], Any]] = {
            "open": self._opening.ask_images,
            "folder": self._opening.ask_folder,
            "truth": self._opening.ask_truth,
            "save": self._opening.ask_save,
            "copy": self._copy,
            "quit": self.close,
            "next": lambda: self._step_case(1),
            "previous": lambda: self._step_case(-1),
            "next_frame": lambda: self._step_frame(1),
            "previous_frame": lambda: self._step_frame(-1),
            "again": flow.analyse_again,
            "stop": self._stop,
            "filter": self._focus_filter,
            "prompt": flow.prompting.toggle,
            "undo": flow.prompting.undo,
            "redo": flow.prompting.redo,
            "clear_prompts": flow.prompting.clear,
            "fit": self.canvas.fit,
            "actual": self.canvas.actual_size,
            "zoom_in": self.canvas.zoom,
            "zoom_out": lambda: self.canvas.zoom(0.8),
            "next_doubt": lambda: self.touring.step(1),
            "previous_doubt": lambda: self.touring.step(-1),
            "reset_window": lambda: flow.windowing.change(None),
            "stretch_window": flow.windowing.stretch,
            "legend": self._toggle_legend,
            "cases": lambda: self.cases.setVisible(not self.cases.isVisible()),
            "results": lambda: self.results.setVisible(not self.results.isVisible()),
            "score": self.batches.open,
            "settings": self.settings.open,
            "permit": lambda: self._consents.ask(explain=True),
            "preview": self._consents.preview,
            "finetune": self.finetunes.open,
            "withdraw": self._consents.withdraw,
            "keys": lambda: KeysBox(self).open(),
            "about": lambda: AboutBox(self).open(),
        }
        for name, slot in slots.items():
            do.on(name, slot)
        do.sample_chosen.connect(self.open_sample)
        do.layer_chosen.connect(self._toggle)

    def _apply(self, old: Snapshot, new: Snapshot) -> None:
        for panel in (
            self.canvas,
            self.cases,
            self.choosers,
            self.layers,
            self.scores,
            self.quality,
            self.models,
            self.frames,
            self.readout,
            self.status,
            self.legend,
            self.notice,
            self.actions_,
        ):
            panel.apply(old, new)
        if new.image is not old.image:
            self.setWindowTitle("OmniView" if new.image is None else f"{new.image.name} · OmniView")

    def _look(self, layer: Layer, **changes: Any) -> None:
        self.session.update(view=self.session.now.view.changed(layer, **changes))

    def _toggle(self, layer: Layer) -> None:
        self._look(layer, shown=not self.session.now.view.layers[layer].shown)

    def _hold(self, layer: Layer | None) -> None:
        self.session.update(view=replace(self.session.now.view, solo=layer))

    def _toggle_legend(self) -> None:
        view = self.session.now.view
        self.session.update(view=replace(view, legend=not view.legend))

    def _drag_window(self, right: float, down: float) -> None:
        now = self.session.now
        if now.image is not None:
            whole = whole_window(now.image)
            centre, width = now.view.window or whole
            wider = max(width + right * whole[1], whole[1] / 256)
            self.workflow.windowing.change((centre - down * whole[1], wider))

    def _step_case(self, step: int) -> None:
        now = self.session.now
        row = self.cases.neighbour(now.current if now.opening is None else now.opening, step)
        if row is not None:
            self.workflow.select(row)

    def _step_frame(self, step: int) -> None:
        now = self.session.now
        if 0 <= now.position + step < len(now.series):
            self.workflow.show_frame(now.position + step)

    def _stop(self) -> None:
        if self.session.now.prompting:
            self.workflow.prompting.leave()
        elif self.session.now.notice is not None:
            self.session.update(notice=None)
        else:
            self.workflow.cancel()

    def _focus_filter(self) -> None:
        self.cases.show()
        self.cases.focus_filter()

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setPixmap(self.picture())
            self.session.update(
                notice=Notice("A picture of the window is on the clipboard.", level=Level.GOOD)
            )

    def _act_on_badge(self, badge: Badge) -> None:
        """Take the badge's next step; where there is none, explain."""
        if badge.action is Action.NONE:
            self.session.update(notice=Notice(badge.explanation, level=badge.level))
        else:
            self._act(badge.action)

    def _act(self, action: Action) -> None:
        """Carry out the next step that a message offered."""
        deeds: dict[Action, Callable[[], Any]] = {
            Action.AGAIN: self.workflow.analyse_again,
            Action.ASK: self.workflow.ask_anyway,
            Action.GO_ONLINE: lambda: self.workflow.analyse_again(offline=False),
            Action.PERMIT: lambda: self._consents.ask(explain=True),
            Action.CHOOSE_TASK: self.choosers.ask_task,
            Action.CHOOSE_TRUTH: self._opening.ask_truth,
            Action.OPEN: self._opening.ask_images,
        }
        if action in deeds:
            deeds[action]()

    def _begin_anew(self, **changes: Any) -> None:
        """Let image and folder be analysed with other settings, models or consents than before."""
        self.workflow.analyse_again(**changes)
        self.batches.look_again()

    def _choose_omnimodel(self, name: str) -> None:
        self.workflow.analyse_again(omnimodel=name)
        if not self.session.now.offline:
            self._consents.ask()

    def _complain(self, error: BaseException) -> None:
        _log.error("defect", exc_info=error)
        self.session.update(
            notice=Notice(
                f"A defect in OmniView ({type(error).__name__}).", "See the log, and report it.", Level.ERROR
            )
        )
