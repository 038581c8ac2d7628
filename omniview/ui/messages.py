"""The words for a person: notices, badges and what really ran, each with the next step. Pure, no widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from omniview.core.case import Case, Failure
from omniview.core.prediction import Prediction, Role
from omniview.errors import OmniViewError

__all__ = [
    "DISCLAIMER",
    "Action",
    "Badge",
    "Level",
    "Notice",
    "badge",
    "notice_of",
    "number",
    "ran",
    "seconds",
    "shown",
]

DISCLAIMER = "Not a medical device: for research and education only"


class Level(StrEnum):
    """How much a message weighs."""

    INFO = "info"
    GOOD = "good"
    BUSY = "busy"
    WARNING = "warning"
    ERROR = "error"


class Action(StrEnum):
    """What a click on a message does; the window carries it out."""

    NONE = ""
    AGAIN = "Analyse again"
    ASK = "Ask anyway"
    GO_ONLINE = "Go online"
    PERMIT = "Key and consent…"
    CHOOSE_TASK = "Choose a task"
    CHOOSE_TRUTH = "Choose another mask…"
    OPEN = "Open another file…"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message above the image: what happened and what to do about it."""

    text: str
    next_step: str = ""
    level: Level = Level.WARNING
    action: Action = Action.NONE


@dataclass(frozen=True, slots=True)
class Badge:
    """The state of one model in a word or two, explained by the tooltip; a click is the next step."""

    word: str
    level: Level
    explanation: str
    action: Action = Action.NONE


_KINDS: Mapping[str, tuple[str, Level, Action]] = MappingProxyType(
    {
        "UnusableAnswer": ("unusable answer", Level.WARNING, Action.AGAIN),
        "NotAllowed": ("refused", Level.WARNING, Action.PERMIT),
        "MissingKey": ("no key", Level.WARNING, Action.PERMIT),
        "Unreachable": ("unreachable", Level.ERROR, Action.AGAIN),
        "Blocked": ("declined", Level.WARNING, Action.NONE),
        "NotAsked": ("not asked", Level.INFO, Action.ASK),
        "OverBudget": ("over budget", Level.WARNING, Action.NONE),
        "OmnimodelError": ("nothing shown", Level.WARNING, Action.NONE),
        "WeightsError": ("no weights", Level.ERROR, Action.NONE),
        "CardError": ("no model", Level.ERROR, Action.NONE),
    }
)
"""Kind of failure (class in errors.py) to its word, weight and the click's meaning."""


def notice_of(error: OmniViewError, action: Action = Action.NONE) -> Notice:
    """The message for an error."""
    return Notice(error.message, error.next_step, Level.ERROR, action)


def badge(
    case: Case | None,
    role: Role,
    *,
    offline: bool,
    chosen: bool,
    elapsed_s: float | None = None,
    stopped: bool = False,
) -> Badge:
    """The state of the model in `role`.

    Args:
        case: the case on screen, or None before the analysis begins.
        role: whose state.
        offline: nothing may leave this machine.
        chosen: whether a model is wanted in this role at all.
        elapsed_s: seconds since the analysis began.
        stopped: nothing works on the case any more, although results are missing.
    """
    if not chosen:
        return Badge("off", Level.INFO, "No model is chosen for this opinion.")
    if case is not None:
        if (prediction := case.prediction(role)) is not None:
            return Badge("done", Level.GOOD, ran(prediction))
        if (failure := case.failure(role)) is not None:
            return _failed(failure, offline)
        if role in case.pending and stopped:
            return Badge(
                "stopped",
                Level.INFO,
                f"Stopped before it answered. Click: {Action.AGAIN.value}.",
                Action.AGAIN,
            )
        if role in case.pending:
            time = "" if elapsed_s is None else f" {elapsed_s:.0f} s"
            return Badge(f"running{time}", Level.BUSY, "At work; the other result does not wait for it.")
        if not case.pending:
            return Badge("none", Level.INFO, f"There is no {role} for this task.")
    return Badge("waiting", Level.INFO, "Not started yet.")


def _failed(failure: Failure, offline: bool) -> Badge:
    word, level, action = _KINDS.get(failure.kind, ("failed", Level.ERROR, Action.AGAIN))
    if failure.kind == "NotAllowed" and offline:
        word, action = "offline", Action.GO_ONLINE
    steps = " ".join(s for s in (failure.next_step, f"Click: {action.value}." if action else "") if s)
    return Badge(word, level, f"{failure.model}: {failure.reason} {steps}".strip(), action)


def ran(prediction: Prediction) -> str:
    """What really ran, in one line: model, place, time, tokens, cost, notes."""
    record = prediction.provenance
    if record.prompts:  # asked at each click: what counts is how much it was shown, and how quick it was
        return ", ".join(
            (prediction.model.split(" (")[0], shown(record.prompts), seconds(prediction.seconds))
        )
    version = record.model_version or ""
    named = version if version.startswith(prediction.model) else f"{prediction.model} {version}".strip()
    parts = [named]
    if record.provider:
        parts.append(record.provider.removesuffix("ExecutionProvider"))
    if record.variant:
        parts.append(record.variant)
    parts.append(seconds(prediction.seconds))
    if record.views and record.views > 1:
        parts.append(f"{record.views} views")
    if record.answers_asked and record.answers_used is not None:
        unusable = record.answers_asked - record.answers_used
        parts.append(
            f"{unusable} of {record.answers_asked} answers unusable"
            if unusable
            else f"{record.answers_asked} answers"
        )
    if record.cost is not None:
        parts.append(f"{record.cost:.4f} {record.currency or ''}".strip())
    if record.fallback:
        parts.append(record.fallback)
    return ", ".join((*parts, *record.notes))


def shown(prompts: Sequence[Mapping[str, object]]) -> str:
    """What a person showed, in words: `3 clicks`, `1 click and a box`."""
    clicks = sum(prompt["kind"] != "box" for prompt in prompts)
    parts = [f"{clicks} click{'s' if clicks > 1 else ''}"] if clicks else []
    return " and ".join((*parts, *(["a box"] if clicks < len(prompts) else [])))


def seconds(value: float) -> str:
    """A duration with a unit that suits it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def number(value: float | None, digits: int = 3) -> str:
    """A score as shown: `n/a` where it is not defined for this pair of masks."""
    return "n/a" if value is None else f"{value:.{digits}f}"
