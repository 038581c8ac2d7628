"""From a click to a new mask: what a person shows on the image is answered by the omnimodel at once.

The answer takes the omnimodel's place in the case, so that fusion, scores and panels follow. The newest mark
wins: what was asked before it is cancelled. Answers are kept for undo and redo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from omniview.analyse import FUSED, with_prediction, with_truth
from omniview.core.case import Case
from omniview.core.fusion import SAFE_DEFAULT
from omniview.core.image import FloatArray
from omniview.core.prediction import Prediction
from omniview.errors import OmniViewError
from omniview.ui.latest import Latest
from omniview.ui.messages import notice_of
from omniview.ui.models import Models
from omniview.ui.prompts import Mark, Marks, Prompts
from omniview.ui.session import Session, Snapshot, Stage

__all__ = ["Prompting", "why_not"]

_LED = replace(SAFE_DEFAULT, kappa=8.0, bias=1.0, assumed_omnimodel=0.85, ceiling=1.0)
"""Who shows something has looked: the answer to it leads the fusion, unless the specialist promises far
more. Chosen, not fitted."""
_KEPT_PIXELS = 24_000_000  # of answers for undo; one takes some 10 bytes a pixel


def why_not(now: Snapshot, listening: Sequence[str]) -> str:
    """Why nothing can be shown on the image now, in words; empty if it can.

    Args:
        now: what is on screen.
        listening: names of the omnimodels that can be shown something.
    """
    if now.image is None:
        return "Open an image first."
    if now.omnimodel not in listening:
        if now.omnimodel == "none":
            return "There is no omnimodel to show something to: choose the built-in generalist or a SAM pair."
        return (
            "A cloud omnimodel would be sent the image, and be paid for, at every click: "
            "choose the built-in generalist or a SAM pair."
        )
    if now.stage is Stage.ASKING:
        return "Choose a task first."
    if now.case is not None and len(now.case.task.labels) > 1:
        return "This task has several labels, and a click does not say which it means."
    return ""


def _recorded(answer: Prediction, marks: Marks) -> Prediction:
    """The answer with what was shown in its record."""
    record = replace(answer.provenance, prompts=tuple(mark.to_json() for mark in marks))
    return replace(answer, provenance=record)


def _led(case: Case, answer: Prediction) -> Case:
    """The case with what the person's marks led to. Nothing predicts how good that is, fused or not."""
    case = with_prediction(case, answer, _LED)
    assert case.fusion is not None
    return replace(case, fusion=replace(case.fusion, quality=None))


class Prompting:
    """Carries out what a person shows.

    Args:
        session: what the window shows.
        models: where the omnimodel comes from.
        show: puts a case on the screen, unless its work is no longer the newest.
        analysed: waits until no analysis is under way.
        failed: told of a defect.
    """

    def __init__(
        self,
        session: Session,
        models: Models,
        show: Callable[[Case, Callable[[], bool]], None],
        analysed: Callable[[], Awaitable[None]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._session, self._models, self._show, self._analysed = session, models, show, analysed
        self._latest = Latest(failed)
        self._before: Case | None = None  # as it was before anything was shown
        self._answers: dict[Marks, Prediction] = {}

    def toggle(self) -> None:
        """Take up the tool, or put it down; what was shown stays."""
        now = self._session.now
        usable = not why_not(now, self._models.listening())
        self._session.update(prompting=usable and not now.prompting)

    def leave(self) -> None:
        """Put the tool down."""
        self._session.update(prompting=False)

    def add(self, mark: Mark) -> None:
        """Show one more thing."""
        self._change(self._session.now.prompts.added(mark))

    def remove(self, mark: Mark) -> None:
        """Take one thing back."""
        self._change(self._session.now.prompts.without(mark))

    def undo(self) -> None:
        """Take the last change back."""
        self._change(self._session.now.prompts.undone())

    def redo(self) -> None:
        """Take the last undo back."""
        self._change(self._session.now.prompts.redone())

    def clear(self) -> None:
        """Take everything back."""
        self._change(self._session.now.prompts.cleared())

    def cancel(self) -> None:
        """Do not wait for the answer to the last mark; what was shown stays."""
        self._latest.cancel()
        self._session.update(asking=False)

    def forget(self) -> None:
        """Drop what was shown, without an answer: another case, or a new analysis, begins."""
        self._latest.cancel()
        self._before = None
        self._answers.clear()
        now = self._session.now
        usable = not why_not(now, self._models.listening())
        self._session.update(prompts=Prompts(), asking=False, prompting=now.prompting and usable)

    async def settle(self) -> None:
        """Wait until the answer is there."""
        await self._latest.settle()

    async def close(self) -> None:
        """Stop asking."""
        await self._latest.close()

    def _change(self, prompts: Prompts) -> None:
        if prompts is self._session.now.prompts or why_not(self._session.now, self._models.listening()):
            return
        self._session.update(prompts=prompts, asking=True)
        self._latest.start(lambda newest: self._answer(prompts, newest))

    async def _answer(self, prompts: Prompts, newest: Callable[[], bool]) -> None:
        try:
            await self._analysed()  # its last result would take the answer's place
            now = self._session.now
            if now.case is None:
                return
            if self._before is None:
                self._before = now.case
            if not prompts.marks:
                case = await asyncio.to_thread(with_truth, self._before, now.case.truth)
            else:
                answer = self._answers.get(prompts.marks) or await self._ask(now.case, prompts)
                self._keep(prompts.marks, answer)
                case = await asyncio.to_thread(_led, now.case, answer)
        except OmniViewError as error:
            self._session.update(notice=notice_of(error))
            return
        finally:
            if newest():
                self._session.update(asking=False)
        if self._session.now.image is case.image:
            self._show(case, newest)
            if (index := self._session.now.current) is not None:
                self._session.update_entry(index, dice=case.scores.get(FUSED, {}).get("dice"))

    async def _ask(self, case: Case, prompts: Prompts) -> Prediction:
        """The omnimodel's answer, with a record of what it was shown."""
        name = self._session.now.omnimodel
        model = await asyncio.to_thread(self._models.prompted, case.task, name)
        if model is None:
            raise OmniViewError(f"The omnimodel {name} cannot be shown clicks.", "Choose another one.")
        # maps are checked wherever they are handed on, which takes its time for a large image
        guidance = await asyncio.to_thread(prompts.guidance, self._seen(prompts.marks))
        answer = await model.segment_prompted(case.image, case.task, guidance)
        return await asyncio.to_thread(_recorded, answer, prompts.marks)

    def _seen(self, marks: Marks) -> FloatArray | None:
        """(Y,X) probability that the person saw when making the last mark, as far as it is known."""
        for n in range(len(marks) - 1, 0, -1):
            if marks[:n] in self._answers:
                seen: FloatArray = self._answers[marks[:n]].probability[0]
                return seen
        before = None if self._before is None else self._before.prediction("omnimodel")
        return None if before is None else before.probability[0]

    def _keep(self, marks: Marks, answer: Prediction) -> None:
        self._answers.pop(marks, None)
        self._answers[marks] = answer
        room = max(1, _KEPT_PIXELS // answer.probability.size)
        while len(self._answers) > room:
            del self._answers[next(iter(self._answers))]
