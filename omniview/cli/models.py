"""`omniview models`: cards and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from omniview.cli.console import complain, console
from omniview.errors import OmniViewError, SettingsError

if TYPE_CHECKING:
    from omniview.inference.card import Card

__all__ = ["models_list", "models_show", "models_use", "models_verify"]

Name = Annotated[str, typer.Argument(metavar="NAME")]


def models_list() -> None:
    """List the installed model cards: terms of their training data, and how they did on test splits."""
    from rich.table import Table

    from omniview.compose import model_folders
    from omniview.inference.card import SpecialistCard, find_cards

    table = Table()
    for title in ("name", "kind", "task", "parameters", "version", "terms", "Dice on test splits"):
        table.add_column(title, overflow="fold", no_wrap=title == "name")
    found = find_cards(model_folders())
    for problem in found.problems:
        complain(problem)
    for card in found.cards:
        task = card.task if isinstance(card, SpecialistCard) else ", ".join(card.tasks)
        figures = "; ".join(_figures(card, short=True)) or "not measured"
        terms = "; ".join(_terms(card)) or "not stated"
        table.add_row(card.name, card.kind, task, f"{card.parameters:,}", card.version, terms, figures)
    Console(highlight=False).print(table)


def models_show(name: Name) -> None:
    """Show a card: data and terms, figures with n and intervals, known failures, files and hashes."""
    card = _named(name)
    typer.echo(f"{card.name}, version {card.version}: {card.kind}, {card.parameters:,} weights")
    for title, lines in (
        ("Terms", _terms(card)),
        ("Data", (_row(row, ("name", "split", "n", "source", "licence")) for row in _rows(card, "data"))),
        ("Figures", _figures(card, short=False)),
        ("Known failures", map(str, getattr(card, "limits", {}).get("known", ()))),
        ("Files", (f"{file} SHA-256 {sha256}" for file, sha256 in card.files())),
    ):
        typer.echo(f"{title}:")
        for line in list(lines) or ["not stated"]:
            typer.echo(f"  {line}")


def models_use(name: Name) -> None:
    """Make a model the specialist of its task."""
    from omniview.inference.card import SpecialistCard
    from omniview.settings import Settings

    card = _named(name)
    if not isinstance(card, SpecialistCard):
        raise SettingsError(f"{name} is no specialist.", "Choose an omnimodel in the settings.")
    settings = Settings.load(environment=False)
    settings.changed(specialists={**settings.specialists, card.task: card.name}).save()
    console.print(f"{card.name} is the specialist of {card.task} from now on.")


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


def _named(name: str) -> Card:
    from omniview.compose import model_folders
    from omniview.inference.card import find_cards

    cards = find_cards(model_folders()).cards
    for card in cards:
        if card.name == name:
            return card
    raise SettingsError(f"No card is named {name}.", f"There are {', '.join(c.name for c in cards)}.")


def _rows(card: Card, field: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(getattr(card, field, ()))


def _row(row: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    return ", ".join(str(row[field]) for field in fields if row.get(field, "") != "")


def _terms(card: Card) -> list[str]:
    """Licences of the weights and of the data, each once."""
    said = [card.licence, *(str(row.get("licence", "")) for row in _rows(card, "data"))]
    return [text for text in dict.fromkeys(said) if text]


def _figures(card: Card, *, short: bool) -> Iterator[str]:
    for row in _rows(card, "figures"):
        if short and (row.get("metric") != "dice" or row.get("split") != "test"):
            continue
        interval = f"{row.get('mean')} ({row.get('low')} to {row.get('high')}, n {row.get('n')})"
        if short:
            yield f"{row.get('set')} {interval}"
        else:
            about = _row(row, ("set", "split", "metric"))
            yield f"{about}: {interval} {row.get('note', '')}".strip()
