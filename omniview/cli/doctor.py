"""`omniview doctor`: what runs where."""

from __future__ import annotations

from typing import Annotated

import typer

from omniview.cli.console import say

__all__ = ["doctor"]


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="also test the connections to cloud omnimodels; no pixels leave")
    ] = False,
) -> None:
    """Say what runs where on this machine, and what to install."""
    from omniview.doctor import report

    rows = report(online=online)
    for row in rows:
        say(f"{row.state:<8} {row.what}: {row.detail}")
        if row.next_step:
            say(f"{'':<8} {row.next_step}")  # a line of its own, so that a command can be copied
    raise typer.Exit(1 if any(row.state == "missing" for row in rows) else 0)
