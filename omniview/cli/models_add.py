"""`omniview models add`: a network from elsewhere becomes a specialist; a terminal is asked questions."""

from __future__ import annotations

import sys
from dataclasses import replace as changed
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from omniview.cli.console import console, say
from omniview.errors import SettingsError

__all__ = ["models_add"]


def models_add(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx")],
    task: Annotated[str, typer.Option(help="polyp, vessel, breast, nuclei")],
    name: Annotated[str | None, typer.Option(help="the model's name; default: the file's")] = None,
    preset: Annotated[str | None, typer.Option(help="smp, nnunet, monai: how it was trained")] = None,
    geometry: Annotated[str | None, typer.Option(help="stretch, letterbox, tile")] = None,
    size: Annotated[str | None, typer.Option(metavar="H,W", help="where its input is free")] = None,
    mean: Annotated[str | None, typer.Option(metavar="M,...", help="per channel, pixels in [0,1]")] = None,
    std: Annotated[str | None, typer.Option(metavar="S,...", help="per channel")] = None,
    activation: Annotated[str | None, typer.Option(help="logits, probability, softmax, classes")] = None,
    threshold: Annotated[float | None, typer.Option(help="probability at which its mask is best")] = None,
    labels: Annotated[str | None, typer.Option(metavar="L,...", help="the output's channels")] = None,
    licence: Annotated[str | None, typer.Option(help="terms of the weights")] = None,
    data: Annotated[str | None, typer.Option(help="what it was trained on, and its terms")] = None,
    sha256: Annotated[str | None, typer.Option(help="refuse any other file")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="a model of the same name")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing")] = False,
) -> None:
    """Add a single-input ONNX segmenter (nnU-Net, SMP, MONAI exports) with a card of its own."""
    from omniview.compose import model_folders
    from omniview.core.task import TASKS
    from omniview.inference.card import find_cards
    from omniview.inference.guided import Wishes, propose
    from omniview.inference.network_file import look_into
    from omniview.specialists.adding import About, add, name_for, picture_for

    if task not in TASKS:
        raise SettingsError(f"There is no task {task!r}.", f"Use one of {', '.join(TASKS)}.")
    wishes: Any = Wishes(
        preset=preset,  # type: ignore[arg-type]  # checked there
        geometry=geometry,  # type: ignore[arg-type]
        size=_size(size),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        activation=activation,  # type: ignore[arg-type]
        threshold=threshold,
        labels=tuple(part.strip() for part in labels.split(",")) if labels else (),
    )
    network = look_into(file, sha256)
    found = "free" if network.size is None else "{}x{}".format(*network.size)
    console.print(
        f"Input {found}, {network.channels} channel(s); opset {network.opset}; "
        f"{network.parameters:,} weights; ends in {network.last or 'nothing known'}."
    )
    picture = picture_for(TASKS[task])
    about = About(name or name_for(file), licence or "", data or "")
    if sys.stdin.isatty() and not yes:
        wishes = _asked(wishes, network.channels, free=network.size is None)
        proposal = propose(network, TASKS[task], wishes, picture)
        about = About(
            _said("Name", about.name),
            _said("Licence of the weights", about.licence or "not known"),
            _said("Trained on (and its terms)", about.data or "not known"),
        )
        if wishes.activation is None:
            said = _said("Its output is", proposal.output.activation)
            proposal = propose(network, TASKS[task], changed(wishes, activation=said), picture)
    else:
        proposal = propose(network, TASKS[task], wishes, picture)
    cards = find_cards(model_folders()).cards
    done = add(network, TASKS[task], about, proposal, taken={card.name for card in cards}, replace=replace)
    for note in proposal.notes:
        console.print(escape(f"note: {note}"))
    console.print(
        f"It marked {done.share:.1%} of a phantom (Dice {done.dice:.2f}: shows that it runs, not what it is "
        "worth)."
    )
    console.print(escape(f"Choose it: omniview models use {done.card.name}"))
    say(done.path)


def _asked(wishes: Any, channels: int, *, free: bool) -> Any:
    """What the person says at the terminal about what the file leaves open."""
    if wishes.preset is None and not wishes.mean:
        usual = "smp" if channels == 3 else "monai"
        wishes = changed(wishes, preset=_said("Trained with (smp, nnunet, monai)", usual))
    if free and wishes.size is None:
        wishes = changed(wishes, size=_size(_said("Input size, height,width", "512,512")))
    return wishes


def _said(question: str, default: str) -> str:
    """The answer.

    Raises:
        KeyboardInterrupt: Ctrl-C, which ends this command as it ends every other one.
        typer.Abort: the input has ended.
    """
    try:
        return str(typer.prompt(question, default))
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    values = _numbers("--size", text)
    if len(values) != 2 or any(value != int(value) for value in values):
        raise SettingsError(f"--size is {text!r}.", "Give height and width in pixels, such as 256,256.")
    return int(values[0]), int(values[1])


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise SettingsError(f"{option} is {text!r}.", "Give numbers with commas between them.") from error
