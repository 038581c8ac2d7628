"""The options that several commands share, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from omniview import log
from omniview.settings import Settings, home

__all__ = [
    "Answers",
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
Omnimodel = Annotated[str | None, typer.Option(help="none, builtin, gemini; default: the settings' choice")]
Offline = Annotated[bool, typer.Option("--offline", help="open no socket at all")]
Consent = Annotated[bool, typer.Option("--consent", help="let pixels leave this machine for this run")]
Answers = Annotated[int | None, typer.Option(min=1, max=16, help="how often a cloud omnimodel is asked")]
Views = Annotated[int | None, typer.Option(min=1, max=8, help="test-time augmentations of the specialist")]
Out = Annotated[Path, typer.Option(help="folder for the results")]


def chosen_settings(omnimodel: str | None, offline: bool, answers: int | None, views: int | None) -> Settings:
    """The person's settings with what the command line says on top; starts the log.

    Raises:
        SettingsError: a setting breaks a rule.
    """
    log.start(home())
    settings = Settings.load()
    chosen = {"omnimodel": omnimodel, "answers": answers, "views": views, "offline": offline or None}
    given = {name: value for name, value in chosen.items() if value is not None}
    return settings.changed(**given)


def composer_of(settings: Settings, consent: bool) -> Any:
    """Where segmenters come from; imported late, with all that it brings."""
    from omniview.compose import Composer

    return Composer(settings, consent=consent)


def question_of(settings: Settings, task: str) -> Any:
    """What every image is asked."""
    from omniview.batch.one import Question

    return Question(task, settings.omnimodel, settings.offline)
