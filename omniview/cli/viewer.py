"""`omniview open`: the window, or its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omniview.cli.options import Ask, Budget, Consent, Offline, Omnimodel, Task, chosen_settings
from omniview.errors import SettingsError

__all__ = ["open_"]


def open_(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGE", show_default=False, readable=False)
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(readable=False, help="ground truth mask of the (first) image")
    ] = None,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    sample: Annotated[
        str | None,
        typer.Option(
            help="open a built-in case instead: polyp-phantom, vessel-phantom, breast-phantom, "
            "nuclei-phantom, fundus, ultrasound"
        ),
    ] = None,
    screenshot: Annotated[Path | None, typer.Option(help="save the analysed window here, and quit")] = None,
    masks: Annotated[Path | None, typer.Option(help="with --screenshot: also write the masks here")] = None,
    ask: Ask = None,
    budget: Budget = None,
    consent: Consent = False,
) -> None:
    """Open the viewer. With --screenshot: wait for the analysis, save the window, quit."""
    for given, lacks, words in (
        (truth is not None, not images, "--truth needs the image that it belongs to."),
        (masks is not None, screenshot is None, "--masks is written together with --screenshot."),
        (sample is not None, bool(images), "--sample opens a built-in case instead of an image."),
    ):
        if given and lacks:
            raise SettingsError(words, "Give both, or leave it out." if sample is None else "Leave one out.")
    settings = chosen_settings(omnimodel, offline, None, None, ask, budget)
    from omniview.app import run

    code = run(
        images or [],
        truth=truth,
        task=task,
        omnimodel=settings.omnimodel,
        offline=settings.offline,
        screenshot=screenshot,
        sample=sample,
        masks=masks,
        settings=settings,
        consent=consent,
    )
    raise typer.Exit(code)
