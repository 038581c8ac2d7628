"""`omniview models`: cards and weights."""

from __future__ import annotations

import typer
from rich.console import Console

from omniview.cli.console import complain
from omniview.errors import OmniViewError

__all__ = ["models_list", "models_verify"]


def models_list() -> None:
    """List the installed model cards."""
    from rich.table import Table

    from omniview.compose import model_folders
    from omniview.inference.card import SpecialistCard, find_cards

    table = Table("name", "kind", "task", "parameters", "version")
    found = find_cards(model_folders())
    for problem in found.problems:
        complain(problem)
    for card in found.cards:
        task = card.task if isinstance(card, SpecialistCard) else ", ".join(card.tasks)
        table.add_row(card.name, card.kind, task, f"{card.parameters:,}", card.version)
    Console(highlight=False).print(table)


def models_verify() -> None:
    """Check every model's weights against the SHA-256 in its card."""
    from omniview.compose import model_folders
    from omniview.inference.card import find_cards
    from omniview.inference.weights import verified

    found = find_cards(model_folders())
    for problem in found.problems:
        complain(problem)
    broken = len(found.problems)
    for card in found.cards:
        for name, sha256 in card.files():
            try:
                verified(card.folder / name, sha256)
                typer.echo(f"ok  {card.name}: {name}")
            except OmniViewError as error:
                broken += 1
                complain(error, card.name)
    raise typer.Exit(1 if broken else 0)
