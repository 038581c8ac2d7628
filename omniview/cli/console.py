"""What the commands say: data on stdout, messages for a person on stderr in plain words."""

from __future__ import annotations

import errno
import sys

import typer
from rich.console import Console
from rich.markup import escape

from omniview.errors import OmniViewError, OutputError

__all__ = ["complain", "console", "say"]

console = Console(stderr=True, highlight=False, soft_wrap=True)  # a wrapped path cannot be copied


def complain(error: OmniViewError, about: str = "") -> None:
    """Print cause and next step, after what they are about."""
    console.print(escape(f"{about}: {error}" if about else str(error)))


def say(text: object) -> None:
    """Print data on stdout, unwrapped whatever the terminal's width.

    Raises:
        OutputError: it went to a file on a full disk, or the like. A reader who has gone (`| head -1`) is no
            error: typer ends the command quietly.
    """
    try:
        typer.echo(text)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        sys.stdout = None  # what is left in its buffer would fail once more when the interpreter ends
        raise OutputError(
            f"What was asked for cannot be written to stdout ({error.strerror}).",
            "Make room, or send it elsewhere.",
        ) from error
