"""`omniview doctor`: what runs where."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape

__all__ = ["doctor"]


def doctor() -> None:
    """Say what runs where on this machine, and what to install."""
    from rich.table import Table

    from omniview.doctor import report

    rows = report()
    table = Table("what", "state", "detail", "next step")
    for row in rows:
        table.add_row(*(escape(text) for text in (row.what, row.state, row.detail, row.next_step)))
    Console(highlight=False).print(table)
    raise typer.Exit(1 if any(row.state == "missing" for row in rows) else 0)
