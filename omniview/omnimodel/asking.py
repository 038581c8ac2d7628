"""A cloud omnimodel as a segmenter: asked once or several times, from several sides, its answers voting.

Nothing here knows a provider: what leaves, what it costs and what is recorded is decided in `calls`, masks
come from `answers`, and a provider is what `Calls` was built with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from urllib.parse import urlsplit

from omniview.core.geometry import VIEWS
from omniview.core.image import BoolArray, Image
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.errors import (
    Blocked,
    MissingKey,
    NotAllowed,
    OmnimodelError,
    OmniViewError,
    OverBudget,
    UnusableAnswer,
)
from omniview.omnimodel.airlock import origin
from omniview.omnimodel.answers import Decoded, decode
from omniview.omnimodel.calls import Calls, Outcome
from omniview.omnimodel.prompts import load_prompts
from omniview.omnimodel.reply import Reply
from omniview.omnimodel.voting import vote

__all__ = ["CloudSegmenter"]

_SIDES = ("identity", "hflip", "vflip")  # none of them changes the picture's shape


@dataclass(slots=True, eq=False)
class _Answer:
    """What became of one question; filled as it goes, so that a failure keeps what is known."""

    masks: BoolArray | None = None
    notes: tuple[str, ...] = ()
    error: OmniViewError | None = None
    outcome: Outcome | None = None


class CloudSegmenter:
    """Asks a cloud omnimodel for masks. Use it within one event loop.

    Args:
        calls: where questions go.
        answers: how often one image is asked about. 1: once, the image as it is. More: also mirrored and in
            other words, and the answers vote.
    """

    role: Role = "omnimodel"

    def __init__(self, calls: Calls, *, answers: int) -> None:
        if answers < 1:
            raise ValueError(f"answers must be at least 1, got {answers}")
        self._calls = calls
        self._answers = answers

    @property
    def name(self) -> str:
        """The model's id."""
        return self._calls.model

    def warm(self) -> None:
        """Load what asking needs, so that the first question does not wait for it: call it in a thread."""
        self._calls.warm()

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Probability maps at the image's own size; their spread where several answers were used.

        The question is blind: `evidence` is not shown to the model, so that its agreement means something.

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
        await self._calls.check()
        asked = [_Answer() for _ in range(self._answers)]
        async with asyncio.TaskGroup() as group:
            for number, answer in enumerate(asked):
                group.create_task(self._ask(image, task, number, answer))
        masks = [answer.masks for answer in asked if answer.masks is not None]
        if not masks:
            raise _most_telling([answer.error for answer in asked if answer.error is not None])
        probability, spread = await asyncio.to_thread(vote, masks)
        return Prediction(
            model=self.name,
            role=self.role,
            probability=probability,
            spread=spread,
            seconds=perf_counter() - start,
            provenance=self._provenance(asked, len(masks), load_prompts().version),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()

    async def _ask(self, image: Image, task: Task, number: int, answer: _Answer) -> None:
        """One question and its answer, from its own side and in its own words."""
        side = _SIDES[number % len(_SIDES)]
        try:
            seen = image if side == "identity" else replace(image, pixels=VIEWS[side].apply(image.pixels))
            departure = await self._calls.clear(seen)
            outcome = answer.outcome = await self._calls.send(load_prompts().text(task, number), departure)
            if outcome.reply.problem is not None:
                raise outcome.reply.problem
            decoded = await asyncio.to_thread(_decoded, outcome.reply, image.shape, task)
            await self._calls.keep(outcome)
            answer.masks = VIEWS[side].inverse(decoded.masks)
            answer.notes = _notes(outcome, decoded)
        except OmniViewError as error:
            answer.error = error

    def _provenance(self, asked: Sequence[_Answer], used: int, prompt_version: str) -> Provenance:
        outcomes = [answer.outcome for answer in asked if answer.outcome is not None]
        paid = [outcome.reply for outcome in outcomes if not outcome.cached]
        costs = [outcome.cost for outcome in outcomes if outcome.cost is not None]
        notes = []
        for number, answer in enumerate(asked, 1):
            which = f"answer {number}: " if len(asked) > 1 else ""
            notes += [which + note for note in answer.notes]
            if answer.error is not None:
                notes.append(f"{which}not used: {answer.error.message}")
        return Provenance(
            provider=urlsplit(origin(self._calls.endpoint)).hostname,
            model_id=self.name,
            model_version=next((o.reply.version for o in outcomes if o.reply.version), None),
            views=used,
            answers_asked=len(asked),
            answers_used=used,
            tokens_in=_total([reply.tokens_in for reply in paid]),
            tokens_out=_total([reply.tokens_out for reply in paid]),
            cost=sum(costs) if costs else None,
            currency=self._calls.currency if costs else None,
            prompt_version=prompt_version,
            notes=tuple(notes),
        )


def _notes(outcome: Outcome, decoded: Decoded) -> tuple[str, ...]:
    """What a person should know of an answer."""
    return (
        *(("answer from the cache, nothing was sent",) if outcome.cached else ()),
        *(("the answer reached max_output_tokens and was cut off",) if outcome.reply.cut_off else ()),
        *(("the answer says that there is nothing to outline",) if decoded.nothing_found else ()),
        *decoded.notes,
    )


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _decoded(reply: Reply, shape: tuple[int, int], task: Task) -> Decoded:
    try:
        return decode(reply.text, shape, task.labels)
    except UnusableAnswer as error:
        if not reply.cut_off:
            raise
        raise UnusableAnswer(
            f"{error.message} It was cut off at max_output_tokens.",
            "Raise max_output_tokens or lower the thinking in the settings.",
        ) from error


_TELLING = (MissingKey, NotAllowed, OverBudget, Blocked, UnusableAnswer, OmnimodelError, OmniViewError)
"""What a person can act on comes first; a server that failed for the third answer comes last."""


def _most_telling(errors: list[OmniViewError]) -> OmniViewError:
    first = min(errors, key=lambda e: next(i for i, kind in enumerate(_TELLING) if isinstance(e, kind)))
    if len(errors) == 1:
        return first
    return type(first)(f"None of {len(errors)} answers can be used. {first.message}", first.next_step)
