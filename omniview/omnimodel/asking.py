"""A cloud omnimodel as a segmenter: asked once or several times, from several sides, its answers voting.

Nothing here knows a provider: what leaves, what it costs and what is recorded is decided in `calls`, masks
come from `answers` and `painted`, and a provider is what `Calls` was built with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from omniview.core.image import Image
from omniview.core.prediction import Prediction, Role
from omniview.core.task import Task
from omniview.errors import OmniViewError, UnusableAnswer
from omniview.omnimodel.airlock import Departure
from omniview.omnimodel.answered import OTHER_STYLE, Answer, failure_of, masks_of, provenance_of
from omniview.omnimodel.answers import in_tokens
from omniview.omnimodel.calls import Calls
from omniview.omnimodel.findings import findings
from omniview.omnimodel.prompts import load_prompts
from omniview.omnimodel.sides import SIDES, side_of
from omniview.omnimodel.voting import agreement, vote
from omniview.settings import MaskStyle

__all__ = ["CloudSegmenter"]

AGREED = 0.9
"""IoU above which two answers say the same, so that a third is not worth its price."""


class CloudSegmenter:
    """Asks a cloud omnimodel for masks. Use it within one event loop.

    Two answers are asked for at first, and the others at once if those two do not agree. Answers count in the
    order of their numbers, whichever comes first, so that the result is the same however fast each is.

    Args:
        calls: where questions go.
        answers: how often one image is asked about, 1 to 16. 1: once, the image as it is. More: also
            mirrored, cropped and in other words, and the answers vote.
        style: how masks are asked for; whatever comes is decoded by its content.
        informed: show the model what the specialist found. Its agreement then says nothing about quality.
        agreed: IoU of two answers above which no further one is asked for; None: always ask all.
    """

    role: Role = "omnimodel"
    asks_outside = True

    def __init__(
        self,
        calls: Calls,
        *,
        answers: int,
        style: MaskStyle = "png",
        informed: bool = False,
        agreed: float | None = AGREED,
    ) -> None:
        if not 1 <= answers <= len(SIDES):
            raise ValueError(f"answers must be at least 1 and at most {len(SIDES)}, got {answers}")
        self._calls = calls
        self._answers = answers
        self._style: MaskStyle = style
        self._informed = informed
        self._agreed = agreed

    @property
    def name(self) -> str:
        """The model's id."""
        return self._calls.model

    @property
    def needs_evidence(self) -> bool:
        """Whether it is asked after the specialist, with what that found."""
        return self._informed

    def warm(self) -> None:
        """Load what asking needs, so that the first question does not wait for it: call it in a thread."""
        self._calls.warm()
        load_prompts()

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Probability maps at the image's own size; their spread where several answers were used.

        Args:
            image: the image.
            task: what is looked for.
            evidence: what the specialist found; shown to the model only if it is asked informed.

        Raises:
            NotAllowed: offline, or without consent; no client was built.
            MissingKey: no key, or one that is not accepted.
            OverBudget: a cap is reached.
            Unreachable: refused, cut, timed out, rate-limited, or the server failed.
            Blocked: the provider declined.
            UnusableAnswer: no answer holds a usable mask.
            OutputError: the audit could not be written, so nothing was sent.
        """
        start = perf_counter()
        shown = evidence if self._informed else None
        await self._calls.check()
        answers, started = await self._ask_all(image, task, shown)
        used = [answer for answer in answers if answer.masks is not None]
        if not used:
            raise failure_of(self._calls, answers)
        masks = [answer.masks for answer in used if answer.masks is not None]
        windows = [answer.side.window(image.shape) for answer in used]
        probability, spread = await asyncio.to_thread(vote, masks, windows, image.shape)
        notes = []
        if shown is not None:
            notes.append("informed: not independent of the specialist")
        elif self._informed:
            notes.append("asked blind: there is no specialist's result to show")
        if len(answers) < self._answers:
            notes.append(f"stopped after 2 of {self._answers} answers agreed")
        version = load_prompts().version_of(self._style, shown is not None)
        return Prediction(
            model=self.name,
            role=self.role,
            probability=probability,
            spread=spread,
            seconds=perf_counter() - start,
            provenance=provenance_of(self._calls, answers, started, version, tuple(notes)),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()

    async def _ask_all(self, image: Image, task: Task, shown: Prediction | None) -> tuple[list[Answer], int]:
        """The answers in order up to the one with which two agree, and how many questions were started."""
        early = self._agreed is not None and self._answers > 2
        waves = (range(2), range(2, self._answers)) if early else (range(self._answers),)
        answers: list[Answer] = []
        started = 0
        for wave in waves:
            running = [asyncio.create_task(self._ask(image, task, shown, number)) for number in wave]
            started += len(running)
            try:
                for one in running:
                    answers.append(await one)
                    if early and await asyncio.to_thread(self._settled, answers, image.shape):
                        return answers, started
            finally:
                for one in running:
                    one.cancel()
                await asyncio.gather(*running, return_exceptions=True)
        return answers, started

    def _settled(self, answers: Sequence[Answer], shape: tuple[int, int]) -> bool:
        """Whether the last answer agrees with one before it."""
        assert self._agreed is not None
        last = answers[-1]
        if last.masks is None:
            return False
        for other in answers[:-1]:
            if other.masks is not None:
                windows = other.side.window(shape), last.side.window(shape)
                if agreement(other.masks, last.masks, windows, shape) > self._agreed:
                    return True
        return False

    async def _ask(self, image: Image, task: Task, shown: Prediction | None, number: int) -> Answer:
        """One answer, from its own side and in its own words; in another style if it is unreadable."""
        answer = Answer(side_of(number))
        try:
            told = "" if shown is None else await asyncio.to_thread(findings, shown, task, answer.side)
            rows, columns = answer.side.window(image.shape)
            shape = rows.stop - rows.start, columns.stop - columns.start
            departure = await self._calls.clear(image, answer.side.show)
            if number == 0 and departure.text:
                answer.notes += (departure.text,)
            try:
                await self._ask_once(shape, task, number, self._style, told, departure, answer)
            except UnusableAnswer:
                if not answer.outcomes or not in_tokens(answer.outcomes[-1].reply.text):
                    raise
                other = OTHER_STYLE[self._style]
                answer.notes += (f"answered in <seg> tokens, asked once more for a {other}",)
                await self._ask_once(shape, task, number, other, told, departure, answer)
        except OmniViewError as error:
            answer.error = error
        return answer

    async def _ask_once(
        self,
        shape: tuple[int, int],
        task: Task,
        number: int,
        style: MaskStyle,
        told: str,
        departure: Departure,
        answer: Answer,
    ) -> None:
        question = load_prompts().text(task, style, number, told)
        outcome = await self._calls.send(question, departure)
        answer.outcomes.append(outcome)
        if outcome.reply.problem is not None:
            raise outcome.reply.problem
        decoded = await asyncio.to_thread(masks_of, outcome.reply, departure, shape, task)
        await self._calls.keep(outcome)
        answer.masks = answer.side.inverse(decoded.masks)
        if outcome.cached:
            answer.notes += ("answer from the cache, nothing was sent",)
        if outcome.reply.cut_off:
            answer.notes += ("the answer reached max_output_tokens and was cut off",)
        if decoded.nothing_found:
            answer.notes += ("the answer says that there is nothing to outline",)
        answer.notes += decoded.notes
