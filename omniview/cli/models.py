"""`omniview models`: cards and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omniview.cli.console import complain, console, say
from omniview.errors import OmniViewError, SettingsError

if TYPE_CHECKING:
    from omniview.inference.card import Card

__all__ = ["models_list", "models_show", "models_use", "models_verify"]

Name = Annotated[str, typer.Argument(metavar="NAME")]


def models_list() -> None:
    """List the installed model cards: terms of their training data, and how they did on test splits."""
    from omniview.compose import model_folders
    from omniview.inference.card import SpecialistCard, find_cards

    found = find_cards(model_folders())
    for problem in found.problems:
        complain(problem)
    for card in found.cards:
        task = card.task if isinstance(card, SpecialistCard) else ", ".join(card.tasks)
        say(f"{card.name}: {card.kind} for {task}, version {card.version}, {card.parameters:,} weights")
        _say_lines("  ", {"Terms": _terms(card), "Dice on test splits": _test_dice(card)})


def models_show(name: Name) -> None:
    """Show a card: data and terms, figures with n and intervals, known failures, files and hashes."""
    card = _named(name)
    say(f"{card.name}, version {card.version}: {card.kind}, {card.parameters:,} weights")
    fields = ("name", "split", "n", "source", "licence")
    parts = {
        "Terms": _terms(card),
        "Data": [_row(row, fields) for row in _rows(card, "data")],
        "Figures": list(_figures(card)),
        "Known failures": [str(one) for one in getattr(card, "limits", {}).get("known", ())],
        "Files": [f"{file} SHA-256 {sha256}" for file, sha256 in card.files()],
    }
    _say_lines("", parts)


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
                say(f"ok  {card.name}: {name}")
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


def _say_lines(margin: str, parts: Mapping[str, Sequence[str]]) -> None:
    """Each part's title, and below it line for line what is known."""
    for title, lines in parts.items():
        say(f"{margin}{title}:")
        for line in lines or ("not stated",):
            say(f"{margin}  {line}")


def _rows(card: Card, field: str) -> tuple[Mapping[str, Any], ...]:
    return tuple(getattr(card, field, ()))


def _row(row: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    return ", ".join(str(row[field]) for field in fields if row.get(field, "") != "")


def _terms(card: Card) -> list[str]:
    """Licences of the weights and of the data, each once."""
    said = [card.licence, *(str(row.get("licence", "")) for row in _rows(card, "data"))]
    return [text for text in dict.fromkeys(said) if text]


def _test_dice(card: Card) -> list[str]:
    """The first Dice of each test set: of a generalist that is what it reaches before any click."""
    found: dict[str, str] = {}
    for row in _rows(card, "figures"):
        if (row.get("metric"), row.get("split")) == ("dice", "test"):
            found.setdefault(str(row.get("set")), _interval(row))
    return [f"{name} {interval}" for name, interval in found.items()]


def _figures(card: Card) -> Iterator[str]:
    for row in _rows(card, "figures"):
        about = _row(row, ("set", "split", "metric"))
        yield f"{about}: {_interval(row)} {row.get('note', '')}".strip()


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row.get('mean')} ({row.get('low')} to {row.get('high')}, n {row.get('n')})"
