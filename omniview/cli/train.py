"""`omniview train`: a specialist or the generalist from labelled folders, anew or from one that is there."""

from __future__ import annotations

import signal
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, cast, get_args

import typer
from rich.markup import escape

from omniview.cli.console import console, say
from omniview.cli.finetune import STOPPED, fine_tune
from omniview.cli.options import Out
from omniview.errors import SettingsError

__all__ = ["train"]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]


def _device(name: str) -> Device:
    if name not in get_args(Device):
        raise SettingsError(f"There is no device {name!r}.", f"Use {', '.join(get_args(Device))}.")
    return cast("Device", name)


def _refuse_for_fine_tuning(device: Device, patience: int) -> None:
    if device == "cuda":
        raise SettingsError("With --from training runs on the CPU only.", "Leave --device out.")
    if patience:
        raise SettingsError(
            "With --from it ends early of its own accord, by masks that are held back for that.",
            "Leave --patience out.",
        )


def _refuse_for_training_anew(**given: object) -> None:
    for option, value in given.items():
        if value:
            raise SettingsError(f"{option} goes with --from only.", "Leave it out, or give --from CARD.")


def train(
    data: Annotated[
        list[Path], typer.Option(help="folder with images/, masks/, perhaps split.csv; several may follow")
    ],
    out: Out,
    task: Annotated[
        str | None, typer.Option(help="polyp, vessel, breast, nuclei, generalist, or all")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="CARD", help="fine-tune this specialist instead")
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", show_default=False, help="more of --data")
    ] = None,
    parts: Annotated[str, typer.Option(help="with --from: decoder, adapter, or all")] = "decoder",
    name: Annotated[str, typer.Option(help="with --from: name of the new model")] = "",
    install: Annotated[
        bool, typer.Option("--install", help="with --from: use the new model if it is better")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="instead of the recipe's schedule; with --from: at most")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="a counted schedule instead of minutes")] = None,
    seed: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 1,
    patience: Annotated[
        int, typer.Option(min=0, help="end after so many looks at held-back train cases in vain; 0: never")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Train, calibrate and export; the same command continues a run that was stopped or killed.

    With --from a specialist learns from 5 or more masks of your own; it takes the old one's place only if it
    is better on masks that were held out.
    """
    folders = [*data, *(more or ())]
    if task is None and from_ is None:
        raise SettingsError("Training needs a task, or a specialist to begin with.", "Give --task or --from.")
    if task is not None and from_ is not None:
        raise SettingsError("--from has the task of its card.", "Leave --task out, or --from to train anew.")
    if minutes is not None and not isfinite(minutes):
        raise SettingsError(f"--minutes is {minutes}.", "Give a number of minutes.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if from_ is not None:
        _refuse_for_fine_tuning(_device(device), patience)
        options = {"parts": parts, "name": name, "minutes": minutes, "steps": steps, "threads": threads}
        if seed is not None:
            options["seed"] = seed
        fine_tune(from_, folders, out, options, installed=install, child=child)
        return
    _refuse_for_training_anew(**{"--parts": parts != "decoder", "--name": name, "--install": install})
    from omniview.training.run import TASK_NAMES, default_settings, folders_of
    from omniview.training.run import train as fit

    assert task is not None
    for each in TASK_NAMES if task == "all" else (task,):
        settings = replace(default_settings(each), threads=threads, patience=patience, device=_device(device))
        if minutes is not None or steps is not None:
            settings = replace(settings, minutes=minutes, steps=steps)
        if seed is not None:
            settings = replace(settings, seed=seed)
        own = folders_of(each, folders) if task == "all" and each != "generalist" else folders
        try:
            card = fit(each, own, out, settings=settings, progress=lambda p: console.print(escape(str(p))))
        except KeyboardInterrupt as error:
            console.print("Stopped. The same command goes on from here.")
            raise typer.Exit(STOPPED) from error
        say(card)
