"""`omniview models fetch`: weights that did not come with their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from omniview.cli.console import complain, console, say
from omniview.cli.options import Offline
from omniview.errors import OmniViewError, SettingsError

if TYPE_CHECKING:
    from omniview.inference.fetch import Wanted
    from omniview.settings import FetchSettings

__all__ = ["models_fetch"]


def models_fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="default: all")] = None,
    mirror: Annotated[str | None, typer.Option(help="an address or a folder instead of the hosts")] = None,
    where: Annotated[bool, typer.Option("--where", help="only say where files are put by hand")] = False,
    offline: Offline = False,
) -> None:
    """Fetch missing weights; what was cut goes on where it was. Nothing is sent but the request."""
    from omniview.cli.options import chosen_settings
    from omniview.compose import model_folders
    from omniview.inference.card import find_cards
    from omniview.inference.fetch import by_hand, wanted

    settings = chosen_settings(None, offline, None, None)
    if mirror is not None:
        settings = settings.changed(fetch={**settings.fetch.model_dump(), "mirror": mirror})
    cards = {card.name: card for card in find_cards(model_folders()).cards}
    if unknown := [name for name in names or () if name not in cards]:
        raise SettingsError(f"No card is named {unknown[0]}.", "See omniview models list.")
    missing = [file for name in names or cards for file in wanted(cards[name])]
    if not missing:
        console.print("Nothing is missing.")
    failed = False
    for file in missing:
        if where:
            say(f"{file.model}: {by_hand(file)}")
            for url in file.urls:
                say(f"  {url}")
            continue
        try:
            _fetch(file, settings.fetch, offline=settings.offline)
        except OmniViewError as error:
            failed = True
            complain(error, file.model)
    raise typer.Exit(1 if failed else 0)


def _fetch(file: Wanted, settings: FetchSettings, *, offline: bool) -> None:
    from omniview.inference.fetch import fetch

    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(escape(file.path.name), *columns, console=console) as progress:
        bar = progress.add_task("", total=file.size)
        path = fetch(
            file,
            settings,
            offline=offline,
            on_bytes=lambda done, total: progress.update(bar, completed=done, total=total or None),
        )
    say(path)
