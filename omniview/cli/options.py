"""The options that several commands share, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from omniview import log
from omniview.errors import SettingsError
from omniview.settings import Settings, home

__all__ = [
    "Answers",
    "Ask",
    "Budget",
    "Consent",
    "Offline",
    "Omnimodel",
    "Out",
    "Task",
    "Views",
    "chosen_settings",
    "composer_of",
    "question_of",
]

Task = Annotated[str, typer.Option(help="auto, polyp, vessel, breast, nuclei")]
Omnimodel = Annotated[
    str | None, typer.Option(help="none, builtin, sam, gemini, openai; default: the settings' choice")
]
Offline = Annotated[bool, typer.Option("--offline", help="open no socket at all")]
Consent = Annotated[bool, typer.Option("--consent", help="let pixels leave this machine for this run")]
Answers = Annotated[int | None, typer.Option(min=1, max=16, help="how often a cloud omnimodel is asked")]
Views = Annotated[int | None, typer.Option(min=1, max=8, help="test-time augmentations of the specialist")]
Ask = Annotated[
    str | None, typer.Option(metavar="always|never|below:DICE", help="when a cloud omnimodel is asked")
]
Budget = Annotated[
    float | None,
    typer.Option(min=0, help="what this run may cost at most, in US dollars"),
]
Out = Annotated[Path, typer.Option(help="folder for the results")]


def chosen_settings(
    omnimodel: str | None,
    offline: bool,
    answers: int | None,
    views: int | None,
    ask: str | None = None,
    budget: float | None = None,
) -> Settings:
    """The person's settings with what the command line says on top; starts the log.

    Raises:
        SettingsError: a setting breaks a rule.
    """
    log.start(home())
    settings = Settings.load()
    chosen: dict[str, Any] = {
        "omnimodel": omnimodel,
        "answers": answers,
        "views": views,
        "offline": offline or None,
    }
    if ask is not None:
        from omniview.core.asking import Share, rule_from

        rule = rule_from(ask)
        if isinstance(rule, Share):
            raise SettingsError(f"--ask {ask} needs a whole folder.", "Use omniview score, or below:DICE.")
        chosen["ask"] = {**settings.ask.model_dump(), "when": rule.when, "below": rule.below}
    if budget is not None:
        chosen["budget"] = {**settings.budget.model_dump(), "session": budget}
    given = {name: value for name, value in chosen.items() if value is not None}
    return settings.changed(**given)


def composer_of(settings: Settings, consent: bool) -> Any:
    """Where segmenters come from; imported late, with all that it brings."""
    from omniview.compose import Composer

    return Composer(settings, consent=consent)


def question_of(settings: Settings, task: str) -> Any:
    """What every image is asked."""
    from omniview.batch.one import Question
    from omniview.compose import policy_of

    return Question(task, settings.omnimodel, settings.offline, policy_of(settings))
