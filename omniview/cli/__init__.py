"""The `omniview` command: the same engine as the viewer, without a window.

Exit status: 0 done, 1 some cases failed, 2 bad usage, 130 after Ctrl-C. A case whose omnimodel gave no answer
has not failed: it has the specialist's mask, and says why on stderr. Data goes to stdout or into files,
messages to stderr.
"""

from __future__ import annotations

import inspect
import io
import os
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

import omniview
from omniview.cli.ask import ask
from omniview.cli.audit import audit_verify
from omniview.cli.cache import cache_clear, cache_info
from omniview.cli.calibrate import calibrate
from omniview.cli.console import complain, say
from omniview.cli.doctor import doctor
from omniview.cli.metrics import metrics
from omniview.cli.models import models_list, models_show, models_use, models_verify
from omniview.cli.models_add import models_add
from omniview.cli.models_fetch import models_fetch
from omniview.cli.score import ScoreCommand, score
from omniview.cli.segment import segment
from omniview.cli.train import train
from omniview.cli.viewer import open_
from omniview.errors import OmniViewError, SettingsError

__all__ = ["app", "main"]

_OPEN = "open"

app = typer.Typer(
    help="Segment medical images with a local specialist and an omnimodel. Not a medical device.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks print local variables: pixels, keys
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _told(command: Callable[..., Any]) -> str:
    """Its docstring with each paragraph in one line: typer breaks it where the source does, and again."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


app.command(_OPEN, help=_told(open_))(open_)
app.command(cls=ScoreCommand, help=_told(score))(score)
for command in (segment, ask, metrics, train, calibrate, doctor):
    app.command(help=_told(command))(command)

models_app = typer.Typer(help="Model cards: what is installed, and whether it is intact.")
models_app.command("list")(models_list)
models_app.command("verify")(models_verify)
models_app.command("show")(models_show)
models_app.command("use")(models_use)
models_app.command("add")(models_add)
models_app.command("fetch")(models_fetch)
app.add_typer(models_app, name="models")

audit_app = typer.Typer(help="The record of every departure of pixels from this machine.")
audit_app.command("verify")(audit_verify)
app.add_typer(audit_app, name="audit")

cache_app = typer.Typer(help="Answers of cloud omnimodels, kept so that nothing is paid for twice.")
cache_app.command("info")(cache_info)
cache_app.command("clear")(cache_clear)
app.add_typer(cache_app, name="cache")


def main() -> None:
    """Run the command; `omniview IMAGE` is `omniview open IMAGE`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a name that the terminal's encoding lacks must not end a command that has done its work
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    names = typer.main.get_group(app).commands
    try:
        if not arguments or arguments[0] not in {*names, "-h", "--help", "--version"}:
            _refuse_mistyped(arguments[:1], list(names))
            arguments = [_OPEN, *arguments]
        app(arguments)
    except OmniViewError as error:
        complain(error)
        sys.exit(2)


def _refuse_mistyped(first: list[str], commands: list[str]) -> None:
    """A word that is neither a command nor a file, nor looks like one, is no image to open."""
    for word in first:
        if word.startswith("-") or Path(word).name != word or Path(word).suffix or os.path.lexists(word):
            return
        likely = get_close_matches(word, commands, 1)
        raise SettingsError(
            f"There is no command {word!r}, and no file of that name.",
            f"Did you mean {likely[0]}?" if likely else f"The commands are {', '.join(commands)}.",
        )


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    if version:
        say(f"omniview {omniview.__version__}")
        raise typer.Exit
