"""The coroutines behind each wish of a person: they read, analyse and write, and touch no widget.

All that blocks runs in threads; the session is changed on the event loop's thread alone, and only while the
wish is still the newest. What cannot be opened becomes a notice, and the case on screen stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omniview.analyse import FUSED, analyse
from omniview.batch.one import AUTO
from omniview.core.asking import ALWAYS
from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.core.segmenter import Segmenter, asks_outside
from omniview.core.task import Task
from omniview.errors import OmniViewError
from omniview.io.samples import SAMPLES
from omniview.ui.frame import Frame, Picture, picture, prepare
from omniview.ui.latest import Coalesced, Latest
from omniview.ui.loading import load
from omniview.ui.messages import Action, Level, Notice, notice_of
from omniview.ui.models import Models
from omniview.ui.prompting import Prompting
from omniview.ui.saving import save
from omniview.ui.session import Entry, Session, Stage
from omniview.ui.truths import Truths
from omniview.ui.windowing import Windowing

__all__ = ["Workflow"]

_log = logging.getLogger(__name__)
_REST_S = 0.25  # a person who still turns through frames is not waiting for masks


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A case that wants to be on screen, if it still may."""

    case: Case
    newest: Callable[[], bool]


class Workflow:
    """Carries out wishes, newest first.

    Args:
        session: what the window shows.
        models: where segmenters come from.
    """

    def __init__(self, session: Session, models: Models) -> None:
        self._session = session
        self._models = models
        self._latest = Latest(self._defect)
        self._writing = Latest(self._defect)
        self._drawing = Coalesced(self._draw, self._defect)
        self.windowing = Windowing(session, self._defect)
        self._truths = Truths(session, self._show, self._restart)
        self.prompting = Prompting(session, models, self._show, self._latest.settle, self._defect)
        self._anyway: Image | None = None  # to be asked about whatever the rule says
        self._at: int | None = None  # the entry that the newest work is about

    def open(self, entries: Sequence[Entry], index: int = 0) -> None:
        """Add `entries` to the case list and open the one at `index` of them.

        What is in the list already stays where it is, with the references that come with it now.
        """
        now = self._session.now.entries
        rows = {row.key: row for row in now}
        for row in entries:
            old = rows.get(row.key)
            if old is None:
                rows[row.key] = row
            elif row.reference is not None:
                rows[row.key] = replace(old, truths=row.truths, reader=row.reader, truth=row.truth)
        self._session.update(entries=tuple(rows.values()))
        self.select(list(rows).index(entries[index].key))

    def select(self, index: int) -> None:
        """Open an entry of the case list and analyse it."""
        self._start(index, lambda newest: self._open(index, newest))

    def show_frame(self, position: int) -> None:
        """Show another frame of a clip or volume, and analyse it once the person rests."""
        index = self._session.now.current
        if index is not None and 0 <= position < len(self._session.now.series):
            self._start(index, lambda newest: self._turn(index, position, newest))

    def analyse_again(self, **changes: Any) -> None:
        """Analyse the image on screen, after `changes` of the session (task, omnimodel, offline)."""
        self._session.update(notice=None, **changes)
        self._restart()

    def ask_anyway(self) -> None:
        """Analyse the image on screen again and ask the omnimodel, whatever the person's rule says."""
        self._anyway = self._session.now.image
        self.analyse_again()

    def use_truth(self, path: Path) -> None:
        """Score the case on screen against the mask in `path`."""
        self._writing.start(lambda newest: self._truths.use(newest, truth=path))

    def use_reader(self, reader: int) -> None:
        """Score the case on screen against the mask of another of its readers."""
        self._writing.start(lambda newest: self._truths.use(newest, reader=reader, truth=None))

    def save(self, folder: Path) -> None:
        """Write the masks of the case on screen, and a record of what made them, into `folder`."""
        self._writing.start(lambda _newest: save(self._session, folder))

    def cancel(self) -> None:
        """Stop the analysis, or what works on a click; what has arrived stays."""
        now = self._session.now
        self._latest.cancel()
        if now.asking:
            self.prompting.cancel()
        if now.stage.busy:
            self._session.update(stage=Stage.WAITING, opening=None)

    async def settle(self) -> None:
        """Wait until everything asked for is done and prepared for the screen."""
        for part in (self._latest, self.prompting, self._writing, self._drawing, self.windowing):
            await part.settle()

    async def close(self) -> None:
        """Stop everything. The models are closed by whoever brought them."""
        for part in (self._latest, self.prompting, self._writing, self._drawing, self.windowing):
            await part.close()

    def _restart(self) -> None:
        """Analyse the image on screen, if there is one."""
        now = self._session.now
        if now.image is not None and now.current is not None:
            image, index = now.image, now.current
            self._start(index, lambda newest: self._find(index, image, now.entries[index], newest))

    def _start(self, index: int, make: Callable[[Callable[[], bool]], Coroutine[Any, Any, None]]) -> None:
        """Make the work on an entry the newest; if it is cut short the entry waits to be chosen again."""

        async def work(newest: Callable[[], bool]) -> None:
            ended = Stage.FAILED
            try:
                await make(newest)
            except asyncio.CancelledError:
                ended = Stage.WAITING
                raise
            finally:
                # a model may take its time to let go: by then the entry may belong to newer work
                if newest() or self._at != index or not self._latest.busy:
                    self._leave(index, ended)

        self._at = index
        self._latest.start(work)

    def _leave(self, index: int, ended: Stage) -> None:
        """Let no entry look busy that nothing works on."""
        now = self._session.now
        if now.opening == index:
            self._session.update(opening=None)
        if index < len(now.entries) and now.entries[index].stage.busy:
            self._session.update_entry(index, stage=ended)

    async def _open(self, index: int, newest: Callable[[], bool]) -> None:
        session = self._session
        entry = session.now.entries[index]
        session.update(opening=index, stage=Stage.OPENING, notice=None)
        session.update_entry(index, stage=Stage.OPENING)
        known = session.now.recall(session.now.question(entry, entry.frame))
        try:
            loaded = await asyncio.to_thread(load, entry, known, offline=session.now.offline)
        except OmniViewError as error:
            session.update_entry(index, stage=Stage.FAILED, note=error.message)
            self._keep(error, Action.OPEN)
            return
        image = loaded.image
        self.prompting.forget()
        session.update(
            **_fresh(image, loaded.picture),
            series=loaded.series,
            current=index,
            opening=None,
            truth=loaded.truth,
            recognised=None,
            view=replace(session.now.view, window=None),
        )
        self.windowing.refine(image)
        if known is not None:
            await self._show_again(known, index, newest)
        else:
            await self._find(index, image, entry, newest)

    async def _find(self, index: int, image: Image, entry: Entry, newest: Callable[[], bool]) -> None:
        """Recognise the task, read the reference that belongs to it, and analyse."""
        task = await self._recognise(image, entry)
        if task is None:
            self._session.update_entry(index, stage=Stage.ASKING)
            return
        self.windowing.brighten(image, task)
        if self._session.now.truth is None:
            await self._truths.find(image, task, entry)
        await self._analyse(image, task, index, newest)

    async def _turn(self, index: int, position: int, newest: Callable[[], bool]) -> None:
        now = self._session.now
        known = now.recall(now.question(now.entries[index], position))
        try:
            image = known.image if known else await asyncio.to_thread(now.series.__getitem__, position)
            shown = await asyncio.to_thread(picture, image, now.view.window, True)
        except OmniViewError as error:
            self._keep(error, Action.NONE)
            return
        self.prompting.forget()
        self._session.update(**_fresh(image, shown), truth=None)
        if known is not None:
            await self._show_again(known, index, newest)
            return
        await asyncio.sleep(_REST_S)
        await self._find(index, image, self._session.now.entries[index], newest)

    async def _show_again(self, case: Case, index: int, newest: Callable[[], bool]) -> None:
        """Put a case of late on the screen without asking the models again."""
        recognised = case.task if self._session.now.task == AUTO else None
        self._session.update(truth=case.truth, recognised=recognised)
        self._show(case, newest)
        await self._drawing.settle()
        self._finish(case, index)

    async def _recognise(self, image: Image, entry: Entry) -> Task | None:
        """The task to look for; None after asking the person."""
        session = self._session
        chosen = session.now.task
        if chosen != AUTO:
            session.update(recognised=None)
            return self._models.tasks()[chosen]
        if entry.sample is not None:
            task: Task | None = self._models.tasks()[SAMPLES[entry.sample].task]
        else:
            session.update(stage=Stage.RECOGNISING)
            task = await asyncio.to_thread(self._models.recognise, image)
        session.update(recognised=task)
        if task is None:
            session.update(
                stage=Stage.ASKING,
                notice=Notice(
                    "It is not clear what kind of image this is, so nothing was analysed.",
                    "Choose the task.",
                    Level.WARNING,
                    Action.CHOOSE_TASK,
                ),
            )
        return task

    async def _analyse(self, image: Image, task: Task, index: int, newest: Callable[[], bool]) -> None:
        session = self._session
        now = session.now
        self.prompting.forget()
        session.update(stage=Stage.LOADING, began=time.monotonic())
        session.update_entry(index, stage=Stage.ANALYSING)
        try:
            segmenters = await asyncio.to_thread(self._models.segmenters, task, now.omnimodel, now.offline)
            session.update(stage=Stage.ANALYSING, began=time.monotonic())
            case = await analyse(
                image,
                task,
                segmenters,
                truth=_fitting(now.truth, task),
                ask=ALWAYS if image is self._anyway else self._models.policy(),
                on_update=lambda case: self._show(case, newest),
            )
        except OmniViewError as error:
            session.update(stage=Stage.FAILED, notice=notice_of(error, Action.AGAIN))
            session.update_entry(index, stage=Stage.FAILED, note=error.message)
            return
        await self._drawing.settle()
        await self._count(segmenters)
        self._finish(case, index)
        if not case.failures:
            session.remember(now.question(session.now.entries[index], image.frame or 0), case)

    async def _count(self, segmenters: Sequence[Segmenter]) -> None:
        """Say what omnimodels have cost, if one of these could have cost anything."""
        if any(asks_outside(segmenter) for segmenter in segmenters):
            with contextlib.suppress(OmniViewError):  # whoever asks without that record says so
                spent = await asyncio.to_thread(self._models.spent)
                self._session.update(spent=spent.session)

    def _finish(self, case: Case, index: int) -> None:
        """Say in the status and in the case list how it ended."""
        stage = Stage.DONE if case.predictions else Stage.FAILED
        note = "; ".join(failure.reason for failure in case.failures)
        dice = case.scores.get(FUSED, {}).get("dice")
        self._session.update(stage=stage)
        self._session.update_entry(index, stage=stage, dice=dice, note=note)

    def _show(self, case: Case, newest: Callable[[], bool]) -> None:
        """Put `case` on the screen, if by then it still may be."""
        self._drawing.ask(_Drawn(case, newest))

    async def _draw(self, drawn: _Drawn) -> None:
        """Prepare a case in a thread, then put case and frame on the screen together."""
        now = self._session.now
        if now.frame is None or drawn.case.image is not now.image:
            return
        frame = await asyncio.to_thread(prepare, drawn.case, now.frame)
        now = self._session.now
        if drawn.newest() and drawn.case.image is now.image and now.frame is not None:
            # the picture may have been replaced meanwhile: only the layers are new
            self._session.update(case=drawn.case, frame=replace(frame, picture=now.frame.picture))

    def _keep(self, error: OmniViewError, action: Action) -> None:
        """Say what could not be opened; what is on screen stays."""
        session = self._session
        now = session.now
        on_screen = Stage.WAITING if now.current is None else now.entries[now.current].stage
        session.update(opening=None, stage=on_screen, notice=notice_of(error, action))
        if on_screen.busy or on_screen is Stage.WAITING:
            self._restart()  # opening the other had cut its analysis short

    def _defect(self, error: BaseException) -> None:
        _log.error("defect", exc_info=error)
        self._session.update(
            opening=None,
            stage=Stage.FAILED,
            notice=Notice(
                f"A defect in OmniView ({type(error).__name__}).", "See the log, and report it.", Level.ERROR
            ),
        )


def _fresh(image: Image, shown: Picture) -> dict[str, Any]:
    """What changes in the session when another image comes on screen."""
    return {"image": image, "frame": Frame(shown), "case": None, "tour": None}


def _fitting(truth: Truth | None, task: Task) -> Truth | None:
    """The reference, if it has as many labels as the task."""
    return truth if truth is not None and len(truth.mask) == len(task.labels) else None
