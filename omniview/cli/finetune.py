"""`omniview train --from CARD`: a person's own masks, for a person to watch or for the window to follow.

With `--child` it is the window's: lines of JSON on standard output, and it ends when its input does, so that
neither a closed window nor a killed one leaves it at work.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from omniview.cli.console import console, say
from omniview.errors import CardError, OmniViewError
from omniview.inference.card import SpecialistCard, find_cards, read_card
from omniview.inference.install import free, install

if TYPE_CHECKING:
    from omniview.training.finetune_wish import Stand
    from omniview.training.finetuned import Outcome

__all__ = ["STOPPED", "fine_tune"]

STOPPED = 130
"""What a shell expects of a command that Ctrl-C ended."""


def fine_tune(
    named: str,
    folders: Sequence[Path],
    out: Path,
    options: Mapping[str, Any],
    *,
    installed: bool,
    child: bool,
) -> None:
    """Fine-tune the card `named` (its name, or its file) and say what came of it; install it if that helps.

    `options` are the fields of :class:`omniview.training.finetune_wish.Wish`.
    """
    chosen = str(options.get("name", ""))
    if installed and chosen:
        free(chosen)  # not first after hours of training
    ended = threading.Event()
    if child:
        threading.Thread(target=_listen, args=(ended,), name="input", daemon=True).start()
    try:
        from omniview.training.finetune import finetune
        from omniview.training.finetune_wish import Wish

        outcome = finetune(
            specialist(named),
            folders,
            out,
            wish=Wish(**options),
            report=_tell_window if child else _tell_person,
            cancelled=ended.is_set,
        )
    except KeyboardInterrupt as error:
        if child:
            _say(event="stopped")
        else:
            console.print("Stopped. The same command goes on from here.")
        raise typer.Exit(STOPPED) from error
    except OmniViewError as error:
        if not child:
            raise
        _say(event="error", message=error.message, next_step=error.next_step)
        raise typer.Exit(2) from error
    if child:
        _say(event="end", **_fields(outcome))
        return
    _show(outcome)
    if outcome.card is not None:
        say(outcome.card)
        if installed:
            path = install(specialist(str(outcome.card)), rename=not chosen)
            console.print(f"Installed as {escape(str(path))}.")
        else:
            console.print("To use it, copy its .toml and .onnx into OmniView's models; --install does so.")


def specialist(named: str) -> SpecialistCard:
    """The specialist's card of that name or in that file.

    Raises:
        CardError: there is none, or it is no specialist's.
    """
    from omniview.compose import model_folders

    if Path(named).suffix == ".toml":
        found = [read_card(Path(named))]
    else:
        found = [card for card in find_cards(model_folders()).cards if card.name == named]
    if not found or not isinstance(found[-1], SpecialistCard):
        raise CardError(
            f"There is no specialist {named!r}.", "See `omniview models list`, or name the card's .toml file."
        )
    return found[-1]


def _listen(ended: threading.Event) -> None:
    # not through sys.stdin, whose lock would still be held when the interpreter ends
    while os.read(sys.stdin.fileno(), 1):
        pass
    ended.set()


def _say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _tell_window(stand: Stand) -> None:
    _say(
        event="progress",
        stage=stand.stage,
        fraction=stand.fraction,
        seconds_left=stand.seconds_left,
        step=stand.step,
        loss=stand.loss,
        dice=stand.dice,
    )


def _tell_person(stand: Stand) -> None:
    console.print(escape(str(stand)))


def _fields(outcome: Outcome) -> dict[str, Any]:
    gain = outcome.gain
    return {
        "card": None if outcome.card is None else str(outcome.card),
        "report": str(outcome.report),
        "reason": outcome.reason,
        "words": gain.words(),
        "pairs": [[pair.name, pair.before, pair.after] for pair in gain.pairs],
    }


def _show(outcome: Outcome) -> None:
    for pair in outcome.gain.pairs:
        change = pair.after - pair.before
        console.print(escape(f"{pair.name}: {pair.before:.3f} -> {pair.after:.3f} ({change:+.3f})"))
    for line in (outcome.gain.words(), outcome.reason, f"Report: {outcome.report}"):
        if line:
            console.print(escape(line))
