"""`omniview doctor`: what runs where."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

__all__ = ["doctor"]


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="also test the connections to cloud omnimodels; no pixels leave")
    ] = False,
) -> None:
    """Say what runs where on this machine, and what to install."""
    from rich.table import Table

    from omniview.doctor import report

    rows = report(online=online)
    table = Table("what", "state", "detail", "next step")
    for row in rows:
        table.add_row(*(escape(text) for text in (row.what, row.state, row.detail, row.next_step)))
    Console(highlight=False).print(table)
    raise typer.Exit(1 if any(row.state == "missing" for row in rows) else 0)
