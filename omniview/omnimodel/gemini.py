"""Gemini as a segmenter: asked once or several times, from several sides, and its answers put to the vote.

It decides nothing about privacy, formats or money by itself: pixels come from the airlock, masks from
`answers`, and every departure is in the audit before it happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from omniview.core.geometry import VIEWS
from omniview.core.image import BoolArray, Image
from omniview.core.prediction import Prediction, Provenance, Role
from omniview.core.task import Task
from omniview.errors import Blocked, MissingKey, OmnimodelError, OmniViewError, UnusableAnswer
from omniview.omnimodel.airlock import Airlock, Departure, origin
from omniview.omnimodel.answers import Decoded, decode
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.prompts import load_prompts
from omniview.omnimodel.voting import vote
from omniview.settings import GeminiSettings

if TYPE_CHECKING:
    from omniview.omnimodel.gemini_api import GeminiApi, Reply

__all__ = ["GOOGLE", "GeminiSegmenter"]

GOOGLE = "https://generativelanguage.googleapis.com"
"""Where Gemini is unless the settings say otherwise."""
_SIDES = ("identity", "hflip", "vflip")  # none of them changes the picture's shape
_AT_ONCE = 4
_CURRENCY = "USD"


@dataclass(slots=True, eq=False)
class _Answer:
    """What became of one question; filled as it goes, so that a failure keeps what is known."""

    masks: BoolArray | None = None
    notes: tuple[str, ...] = ()
    error: OmniViewError | None = None
    reply: Reply | None = None


class GeminiSegmenter:
    """Asks Gemini for masks. Use it within one event loop.

    Args:
        settings: model, endpoint, deadline, thinking, prices.
        key: the API key.
        answers: how often one image is asked about. 1: once, the image as it is. More: also mirrored and in
            other words, and the answers vote.
        airlock: decides what may leave, and encodes it.
        audit: keeps the record.
        first_pause_s: mean pause before a failed request is repeated.
    """

    role: Role = "omnimodel"

    def __init__(
        self,
        settings: GeminiSettings,
        key: str,
        *,
        answers: int,
        airlock: Airlock,
        audit: Audit,
        first_pause_s: float = 0.5,
    ) -> None:
        if answers < 1:
            raise ValueError(f"answers must be at least 1, got {answers}")
        self._settings = settings
        self._key = key.strip()
        self._answers = answers
        self._airlock = airlock
        self._audit = audit
        self._first_pause_s = first_pause_s
        self._endpoint = settings.base_url or GOOGLE
        self._api: GeminiApi | None = None
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @property
    def name(self) -> str:
        """The model's id."""
        return self._settings.model

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """Probability maps at the image's own size; their spread where several answers were used.

        The question is blind: `evidence` is not shown to the model, so that its agreement means something.

        Raises:
            NotAllowed: offline, or without consent; no client was built.
            MissingKey: no key, or one that is not accepted.
            Unreachable: refused, cut, timed out, rate-limited, or the server failed.
            Blocked: Gemini declined.
            UnusableAnswer: no answer holds a usable mask.
            OutputError: the audit could not be written, so nothing was sent.
        """
        start = perf_counter()
        await asyncio.to_thread(self._airlock.check, self._endpoint)
        api = await self._open()
        asked = [_Answer() for _ in range(self._answers)]
        async with asyncio.TaskGroup() as group:
            for number, answer in enumerate(asked):
                group.create_task(self._ask(api, image, task, number, answer))
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
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    async def _open(self) -> GeminiApi:
        if not self._key.isascii() or not self._key.isprintable() or len(self._key.split()) != 1:
            raise MissingKey(
                "The Gemini API key is empty or holds characters that no key has.", "Set it again."
            )
        async with self._opening:
            if self._api is None:
                self._api = await asyncio.to_thread(self._build)
            return self._api

    def _build(self) -> GeminiApi:
        from omniview.omnimodel.gemini_api import GeminiApi

        return GeminiApi(self._settings, self._endpoint, self._key, self._first_pause_s)

    async def _ask(self, api: GeminiApi, image: Image, task: Task, number: int, answer: _Answer) -> None:
        """One question and its answer, from its own side and in its own words."""
        side = _SIDES[number % len(_SIDES)]
        try:
            async with self._slots:
                departure = await asyncio.to_thread(self._clear, image, side)
                prompt = load_prompts().text(task, number)
                reply = answer.reply = await self._call(api, prompt, departure)
            if reply.problem is not None:
                raise reply.problem
            decoded = await asyncio.to_thread(_decoded, reply, image.shape, task)
            answer.masks = VIEWS[side].inverse(decoded.masks)
            cut_off = ("the answer reached max_output_tokens and was cut off",) if reply.cut_off else ()
            nothing = ("the answer says that there is nothing to outline",) if decoded.nothing_found else ()
            answer.notes = (*cut_off, *nothing, *decoded.notes)
        except OmniViewError as error:
            answer.error = error

    def _clear(self, image: Image, side: str) -> Departure:
        seen = image if side == "identity" else replace(image, pixels=VIEWS[side].apply(image.pixels))
        return self._airlock.clear(seen, self._endpoint, self._settings.max_side)

    async def _call(self, api: GeminiApi, prompt: str, departure: Departure) -> Reply:
        """The reply, with a record before each departure and one of what came of it."""
        sent: list[int] = []

        async def departing() -> None:
            number = await _uncut(
                self._audit,
                event="sent",
                endpoint=departure.endpoint,
                model=self.name,
                sha256=departure.sha256,
                bytes=len(departure.data),
                consent=departure.consent,
            )
            sent.append(number)

        reply: Reply | None = None
        outcome = "cancelled"
        try:
            reply = await api.ask(prompt, departure, departing)
            outcome = "answered" if reply.problem is None else type(reply.problem).__name__
        except OmniViewError as error:
            outcome = type(error).__name__
            raise
        finally:
            if sent:
                await _uncut(
                    self._audit,
                    event="ended",
                    of=sent[-1],
                    times_sent=len(sent),
                    outcome=outcome,
                    model=self.name,
                    **self._spent(reply),
                )
        return reply

    def _spent(self, reply: Reply | None) -> dict[str, str | int | float | None]:
        """What the audit keeps of a reply."""
        if reply is None:
            return {}
        cost = self._cost(reply)
        return {
            "model_version": reply.version,
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
            "cost": cost,
            "currency": None if cost is None else _CURRENCY,
        }

    def _cost(self, reply: Reply) -> float | None:
        """US dollars for one reply, or None where prices or tokens are not known."""
        prices = self._settings.price_in, self._settings.price_out
        if reply.tokens_in is None or prices[0] is None or prices[1] is None:
            return None
        return (reply.tokens_in * prices[0] + (reply.tokens_out or 0) * prices[1]) / 1e6

    def _provenance(self, asked: Sequence[_Answer], used: int, prompt_version: str) -> Provenance:
        replies = [answer.reply for answer in asked if answer.reply is not None]
        costs = [cost for reply in replies if (cost := self._cost(reply)) is not None]
        notes = []
        for number, answer in enumerate(asked, 1):
            which = f"answer {number}: " if len(asked) > 1 else ""
            notes += [which + note for note in answer.notes]
            if answer.error is not None:
                notes.append(f"{which}not used: {answer.error.message}")
        return Provenance(
            provider=urlsplit(origin(self._endpoint)).hostname,
            model_id=self.name,
            model_version=next((reply.version for reply in replies if reply.version), None),
            views=used,
            answers_asked=len(asked),
            answers_used=used,
            tokens_in=_total([reply.tokens_in for reply in replies]),
            tokens_out=_total([reply.tokens_out for reply in replies]),
            cost=sum(costs) if costs else None,
            currency=_CURRENCY if costs else None,
            prompt_version=prompt_version,
            notes=tuple(notes),
        )


async def _uncut(audit: Audit, **record: str | int | float | None) -> int:
    """Write a record to its end in a thread, even if the awaiting task is cancelled meanwhile."""
    return await asyncio.shield(asyncio.create_task(asyncio.to_thread(audit.append, **record)))


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


_TELLING = (MissingKey, Blocked, UnusableAnswer, OmnimodelError, OmniViewError)
"""What a person can act on comes first; a server that failed for the third answer comes last."""


def _most_telling(errors: list[OmniViewError]) -> OmniViewError:
    first = min(errors, key=lambda e: next(i for i, kind in enumerate(_TELLING) if isinstance(e, kind)))
    if len(errors) == 1:
        return first
    return type(first)(f"None of {len(errors)} answers can be used. {first.message}", first.next_step)
