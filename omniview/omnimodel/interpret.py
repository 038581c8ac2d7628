"""A cloud omnimodel that answers questions about an image, each statement pointing at what it is about.

Nothing here knows a provider: what leaves, what it costs and what is recorded is decided in `calls`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import lru_cache
from time import perf_counter
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from omniview.core.image import BoolArray, Image
from omniview.core.interpreter import Answer, Finding
from omniview.core.prediction import Provenance
from omniview.errors import InputError, SizeMismatch, UnusableAnswer
from omniview.omnimodel.airlock import origin
from omniview.omnimodel.calls import Calls, Outcome
from omniview.omnimodel.grounding import Spoken, ground
from omniview.omnimodel.prompts import read_prompts
from omniview.omnimodel.spotlight import OUTLINE, Spotlight, spotlight

__all__ = ["CloudInterpreter"]

_Text = Annotated[str, Field(min_length=1)]
MAX_QUESTION = 4000
"""Characters; longer ones are pasted by mistake."""


class _Wording(BaseModel):
    """How a question is put.

    Attributes:
        version: raised with every change of wording.
        question: around a person's own words.
        region: where the question is about a region.
        form: how to answer, appended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    version: _Text
    question: _Text
    region: _Text
    form: _Text

    def text(self, image: Image, question: str, *, region: bool) -> str:
        """What is sent beside the picture; a person's words are put in last, as they may hold braces."""
        about = self.region.replace("{colour}", OUTLINE) if region else ""
        wording = f"{self.question.strip()}\n{self.form.strip()}"
        wording = wording.replace("{modality}", image.modality or "medical").replace("{region}", about)
        return wording.replace("{question}", question)


@lru_cache(maxsize=1)
def _wording() -> _Wording:
    return read_prompts("ask", _Wording)


class CloudInterpreter:
    """Asks a cloud omnimodel in words. Use it within one event loop.

    Args:
        calls: where questions go.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def name(self) -> str:
        """The model's id."""
        return self._calls.model

    async def ask(self, image: Image, question: str, region: BoolArray | None = None) -> Answer:
        """Text and findings, these at the image's own size.

        Raises:
            InputError: an empty or endless question, or an empty region.
            SizeMismatch: the region is not of the image's size.
            NotAllowed: offline, or without consent.
            MissingKey: no key, or one that is not accepted.
            OverBudget: a cap is reached, so nothing was sent.
            Unreachable: refused, cut, timed out, rate-limited, or the server failed.
            Blocked: the provider declined.
            UnusableAnswer: the answer says nothing.
            OutputError: the audit could not be written, so nothing was sent.
        """
        start = perf_counter()
        question = _checked(question, image, region)
        await self._calls.check()
        view = await asyncio.to_thread(spotlight, image, region)
        # text is found on the whole picture: letters that a crop cuts through are not told as such any more
        departure = await self._calls.clear(image, lambda whole: spotlight(whole, region).image)
        wording = _wording()
        outcome = await self._calls.send(wording.text(image, question, region=region is not None), departure)
        if outcome.reply.problem is not None:
            raise outcome.reply.problem
        spoken, findings = await asyncio.to_thread(_read, outcome, view)
        await self._calls.keep(outcome)
        return Answer(
            text=spoken.text,
            findings=findings,
            model=self.name,
            seconds=perf_counter() - start,
            provenance=self._provenance(outcome, wording.version, spoken),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()

    def _provenance(self, outcome: Outcome, version: str, spoken: Spoken) -> Provenance:
        reply, cached = outcome.reply, outcome.cached
        notes = [
            *(("answer from the cache, nothing was sent",) if cached else ()),
            *(("the answer reached max_output_tokens and was cut off",) if reply.cut_off else ()),
            *spoken.notes,
        ]
        return Provenance(
            provider=urlsplit(origin(self._calls.endpoint)).hostname,
            model_id=self.name,
            model_version=reply.version,
            answers_asked=1,
            answers_used=1,
            tokens_in=None if cached else reply.tokens_in,
            tokens_out=None if cached else reply.tokens_out,
            cost=outcome.cost,
            currency=None if outcome.cost is None else self._calls.currency,
            prompt_version=f"ask-{version}",
            notes=tuple(notes),
        )


def _checked(question: str, image: Image, region: BoolArray | None) -> str:
    question = question.strip()
    if not question or len(question) > MAX_QUESTION:
        raise InputError(
            f"The question has {len(question)} characters.", f"Ask with 1 to {MAX_QUESTION} of them."
        )
    if region is not None and region.shape != image.shape:
        raise SizeMismatch(
            f"The region is {region.shape[1]}x{region.shape[0]} pixels, "
            f"the image {image.shape[1]}x{image.shape[0]}.",
            "Choose a mask that was made for this image.",
        )
    if region is not None and not region.any():
        raise InputError("The region is empty.", "Choose a mask that marks something.")
    return question


def _read(outcome: Outcome, view: Spotlight) -> tuple[Spoken, tuple[Finding, ...]]:
    """What the answer says, its findings placed in the whole image."""
    try:
        spoken = ground(outcome.reply.text, view.image.shape)
    except UnusableAnswer as error:
        if not outcome.reply.cut_off:
            raise
        raise UnusableAnswer(
            f"{error.message} It was cut off at max_output_tokens.",
            "Raise max_output_tokens or lower the thinking in the settings.",
        ) from error
    placed = (
        replace(
            one,
            mask=None if one.mask is None else view.mask_back(one.mask),
            box=None if one.box is None else view.box_back(one.box),
        )
        for one in spoken.findings
    )
    return spoken, tuple(placed)
