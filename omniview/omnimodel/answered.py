"""What came of asking: the masks in an answer, wherever it holds them, and the record of all answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

import cv2
import numpy as np

from omniview.core.image import BoolArray
from omniview.core.prediction import Provenance
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
from omniview.omnimodel.airlock import Departure, origin
from omniview.omnimodel.answers import Decoded, decode
from omniview.omnimodel.calls import Calls, Outcome
from omniview.omnimodel.painted import painted_masks
from omniview.omnimodel.reply import Reply
from omniview.omnimodel.sides import Side
from omniview.settings import MaskStyle

__all__ = ["OTHER_STYLE", "Answer", "failure_of", "masks_of", "provenance_of"]

OTHER_STYLE: Mapping[MaskStyle, MaskStyle] = MappingProxyType(
    {"png": "polygon", "polygon": "png", "picture": "polygon"}
)
"""What to ask for instead, where a model answers in a form that nobody else can read."""


@dataclass(slots=True, eq=False)
class Answer:
    """What became of one question; filled as it goes, so that a failure keeps what is known.

    Attributes:
        side: from which the image was shown.
        masks: (K,h,w) bool, as they lie in the side's window of the image; None without a usable mask.
        notes: what a person should know of it.
        error: why there is no mask.
        outcomes: the calls that it took.
    """

    side: Side
    masks: BoolArray | None = None
    notes: tuple[str, ...] = ()
    error: OmniViewError | None = None
    outcomes: list[Outcome] = field(default_factory=list)


def masks_of(reply: Reply, departure: Departure, shape: tuple[int, int], task: Task) -> Decoded:
    """The masks in a reply, in its text or else in its picture. Blocks: call it in a thread.

    Args:
        reply: what came back.
        departure: the picture that it was asked about.
        shape: (Y,X) of what was shown.
        task: names the labels.

    Raises:
        UnusableAnswer: there is no mask in it.
    """
    if reply.pictures and not _speaks(reply.text):
        return painted_masks(reply.pictures[0], _sent(departure), shape, len(task.labels))
    try:
        return decode(reply.text, shape, task.labels)
    except UnusableAnswer as error:
        if not reply.cut_off:
            raise
        raise UnusableAnswer(
            f"{error.message} It was cut off at max_output_tokens.",
            "Raise max_output_tokens or lower the thinking in the settings.",
        ) from error


def _speaks(text: str) -> bool:
    """Whether a text beside a picture holds data rather than a few kind words."""
    return any(sign in text for sign in "[{")


def _sent(departure: Departure) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = cv2.imdecode(np.frombuffer(departure.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None, "the airlock encodes pictures that can be read"
    return np.asarray(picture, np.uint8)


def provenance_of(
    calls: Calls, answers: Sequence[Answer], started: int, prompt_version: str, notes: tuple[str, ...]
) -> Provenance:
    """The record of all answers together: tokens and cost are those of calls that were really made."""
    outcomes = [outcome for answer in answers for outcome in answer.outcomes]
    paid = [outcome.reply for outcome in outcomes if not outcome.cached]
    costs = [outcome.cost for outcome in outcomes if outcome.cost is not None]
    used = sum(answer.masks is not None for answer in answers)
    told = list(notes)
    for number, answer in enumerate(answers, 1):
        which = f"answer {number}: " if started > 1 else ""
        told += [which + note for note in answer.notes]
        if answer.error is not None:
            told.append(f"{which}not used: {answer.error.message}")
    return Provenance(
        provider=urlsplit(origin(calls.endpoint)).hostname,
        model_id=calls.model,
        model_version=next((o.reply.version for o in outcomes if o.reply.version), None),
        views=used,
        answers_asked=started,
        answers_used=used,
        tokens_in=_total([reply.tokens_in for reply in paid]),
        tokens_out=_total([reply.tokens_out for reply in paid]),
        cost=sum(costs) if costs else None,
        currency=calls.currency if costs else None,
        prompt_version=prompt_version,
        notes=tuple(told),
    )


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


_TELLING = (MissingKey, NotAllowed, Blocked, UnusableAnswer, OverBudget, OmnimodelError, OmniViewError)
"""What a person can act on comes first; a server that failed for the third answer comes last. An answer that
was got and cannot be used comes before one that was not even asked for."""


def failure_of(calls: Calls, answers: Sequence[Answer]) -> OmniViewError:
    """Why none of the answers, of which there is one at least, gives a mask; with what they cost together."""
    error = _most_telling([answer.error for answer in answers if answer.error is not None])
    costs = [outcome.cost for answer in answers for outcome in answer.outcomes if outcome.cost is not None]
    if isinstance(error, OmnimodelError) and costs:
        error.cost, error.currency = sum(costs), calls.currency
    return error


def _most_telling(errors: list[OmniViewError]) -> OmniViewError:
    first = min(errors, key=lambda e: next(i for i, kind in enumerate(_TELLING) if isinstance(e, kind)))
    if len(errors) == 1:
        return first
    return type(first)(f"None of {len(errors)} answers can be used. {first.message}", first.next_step)
