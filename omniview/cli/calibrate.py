"""`omniview calibrate`: how far to trust an omnimodel beside the specialist, from labelled cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from omniview.cli.console import console, say
from omniview.cli.options import Answers, Budget, Consent, Offline, Omnimodel, Views, chosen_settings

if TYPE_CHECKING:
    from omniview.calibrating import Skipped

__all__ = ["calibrate"]


def calibrate(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="images/ + masks/, masks beside the images, or a list file"),
    ],
    task: Annotated[str, typer.Option(help="polyp, vessel, breast, nuclei")],
    omnimodel: Omnimodel = None,
    out: Annotated[Path | None, typer.Option(help="file to write; default: where fusion finds it")] = None,
    truth: Annotated[Path | None, typer.Option(help="folder of the masks, if elsewhere")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many images")] = None,
    offline: Offline = False,
    answers: Answers = None,
    views: Views = None,
    budget: Budget = None,
    consent: Consent = False,
) -> None:
    """Fit fusion on your own labelled cases, with your own omnimodel.

    Use cases that the specialist was not trained on, some of them hard, best one of each patient or video:
    each counts for itself, unless FOLDER/split.csv (name,split,group) says which are of one group. Every
    case is asked about; answers of a cloud are kept, so that the same command goes on where it was stopped
    without paying twice.
    """
    from omniview.calibrating import calibrate as fit

    settings = chosen_settings(omnimodel, offline, answers, views, None, budget)

    def tell(done: int, total: int, skipped: Skipped | None) -> None:
        if skipped is not None:
            console.print(escape(f"not used: {skipped.name}: {skipped.reason}"))
        elif done == total or done % 20 == 0:
            console.print(f"{done} of {total}")

    found = fit(
        folder,
        task,
        settings.omnimodel,
        settings=settings,
        truth=truth,
        out=out,
        limit=limit,
        consent=consent,
        on_case=tell,
    )
    if (groups := found.card.data.get("groups")) is not None:
        console.print(f"cases of {groups} groups, by split.csv: those of one are kept together")
    for name, mean in found.fit.dice.items():
        console.print(f"mean Dice, {name}: {mean:.3f}")
    gain = found.fit.gain
    console.print(
        f"gain of fitted fusion over the specialist, cross-validated: {gain.mean:+.4f} "
        f"(95 % interval {gain.low:+.4f} to {gain.high:+.4f}, n {found.fit.n})"
    )
    if not found.fit.better:
        console.print(
            "That is no better than caution: the omnimodel leads only where the specialist expects to fail."
        )
    say(found.path)
