"""The `omniview` command: the same engine as the viewer, without a window.

Exit status: 0 done, 1 some cases failed, 2 bad usage. A case whose omnimodel gave no answer has not failed:
it has the specialist's mask, and says why on stderr. Data goes to stdout or into files, messages to stderr.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import omniview
from omniview import log
from omniview.errors import OmniViewError, SettingsError
from omniview.settings import Settings, home

__all__ = ["app", "main"]

app = typer.Typer(
    help="Segment medical images with a local specialist and an omnimodel. Not a medical device.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks print local variables: pixels, keys
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Model cards: what is installed, and whether it is intact.")
app.add_typer(models_app, name="models")
audit_app = typer.Typer(help="The record of every departure of pixels from this machine.")
app.add_typer(audit_app, name="audit")

_OPEN = "open"
_say = Console(stderr=True, highlight=False, soft_wrap=True)  # a wrapped path cannot be copied

Task = Annotated[str, typer.Option(help="auto, polyp, vessel, breast, nuclei")]
Omnimodel = Annotated[str | None, typer.Option(help="none, builtin, gemini; default: the settings' choice")]
Offline = Annotated[bool, typer.Option("--offline", help="open no socket at all")]
Consent = Annotated[bool, typer.Option("--consent", help="let pixels leave this machine for this run")]
Answers = Annotated[int | None, typer.Option(min=1, max=16, help="how often a cloud omnimodel is asked")]
Views = Annotated[int | None, typer.Option(min=1, max=8, help="test-time augmentations of the specialist")]
Out = Annotated[Path, typer.Option(help="folder for the results")]


def main() -> None:
    """Run the command; `omniview IMAGE` is `omniview open IMAGE`."""
    arguments = sys.argv[1:]
    group = typer.main.get_group(app)
    if not arguments or arguments[0] not in {*group.commands, "-h", "--help", "--version"}:
        arguments = [_OPEN, *arguments]
    try:
        app(arguments)
    except OmniViewError as error:
        _complain(error)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    if version:
        typer.echo(f"omniview {omniview.__version__}")
        raise typer.Exit


@app.command(_OPEN)
def open_(
    images: Annotated[list[Path] | None, typer.Argument(metavar="[IMAGE]", show_default=False)] = None,
    truth: Annotated[Path | None, typer.Option(help="ground truth mask of the (first) image")] = None,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    sample: Annotated[str | None, typer.Option(help="open a built-in sample case instead")] = None,
    screenshot: Annotated[Path | None, typer.Option(help="save the analysed window here, and quit")] = None,
    masks: Annotated[Path | None, typer.Option(help="with --screenshot: also write the masks here")] = None,
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
    settings = _settings(omnimodel, offline, None, None)
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


@app.command()
def segment(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE")],
    out: Out,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    answers: Answers = None,
    views: Views = None,
    frame: Annotated[int, typer.Option(min=0, help="which frame of a clip or volume")] = 0,
    consent: Consent = False,
) -> None:
    """Write masks, uncertainty and a JSON record for each image."""
    from omniview.batch.one import analyse_file
    from omniview.batch.results import unique_stems, write_case

    settings = _settings(omnimodel, offline, answers, views)

    async def work() -> bool:
        composer, question = _composer(settings, consent), _question(settings, task)
        question.chosen(composer)
        clean = True
        try:
            for image, stem in zip(images, unique_stems(images), strict=True):
                try:
                    case = await analyse_file(image, composer, question, frame=frame)
                    await asyncio.to_thread(write_case, case, out, stem)
                except OmniViewError as error:
                    _complain(error, image.name)
                    clean = False
                    continue
                for failure in case.failures:
                    _say.print(escape(f"{image.name}: {failure.model}: {failure.reason} {failure.next_step}"))
                clean = clean and case.fusion is not None
        finally:
            await composer.close()
        return clean

    raise typer.Exit(0 if asyncio.run(work()) else 1)


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="images/ + masks/, or masks beside the images")],
    out: Out,
    truth: Annotated[Path | None, typer.Option(help="folder of the masks, if elsewhere")] = None,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    answers: Answers = None,
    views: Views = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many images")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="also write every mask")] = False,
    consent: Consent = False,
) -> None:
    """Score a whole folder: cases.csv and summary.json."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from omniview.batch.run import Row, Totals, score_pairs
    from omniview.io.pair import pair_folder

    settings = _settings(omnimodel, offline, answers, views)
    pairing = pair_folder(folder, truth)
    for left in pairing.unpaired:
        _say.print(escape(f"not paired: {left.path.name}: {left.reason}"))
    pairs = pairing.pairs[:limit]
    if not pairs:
        raise OmniViewError(
            f"No images were found in {folder}.", "It needs images/ and masks/, or both side by side."
        )

    async def work() -> Totals:
        composer = _composer(settings, consent)
        bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=_say)
        step = bar.add_task("score", total=len(pairs))

        def advance(_index: int, rows: list[Row]) -> None:
            bar.advance(step)
            for row in rows:
                if row.status != "ok":
                    _say.print(
                        escape(f"{row.image}: {row.model}: {row.status}. {row.values.get('reason', '')}")
                    )

        try:
            with bar:
                return await score_pairs(
                    pairs, composer, _question(settings, task), out, masks=masks, on_case=advance
                )
        finally:
            await composer.close()

    totals = asyncio.run(work())
    for name, one in totals.summary["models"].items():
        dice = one["metrics"]["dice"]
        if dice["n"]:
            _say.print(f"{name}: mean Dice {dice['mean']:.3f} (n {dice['n']}, failed {one['failed']})")
    raise typer.Exit(1 if totals.failed else 0)


@app.command()
def metrics(
    prediction: Annotated[Path, typer.Argument(help="mask, grey probability map (0-255), or label image")],
    truth: Annotated[Path, typer.Argument(help="mask or label image of the same size")],
    spacing: Annotated[str | None, typer.Option(metavar="ROW,COL", help="millimetres a pixel")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="of NSD, in px or mm")] = 2.0,
    convention: Annotated[
        str, typer.Option(help="omniview, metricsreloaded, monai, deepmind, pysod, nnunet")
    ] = "omniview",
    region: Annotated[Path | None, typer.Option(help="mask of what counts, such as a field of view")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="with definitions, and why values differ")
    ] = False,
    everybody: Annotated[
        bool, typer.Option("--all", help="beside it the values of every convention")
    ] = False,
) -> None:
    """Print every metric of a mask against its ground truth as JSON."""
    from omniview.batch.compare import compare_files

    found = compare_files(
        prediction,
        truth,
        region=region,
        spacing_mm=_spacing(spacing),
        tolerance=tolerance,
        convention=convention,
        explain=explain,
        everybody=everybody,
    )
    for note in found.notes:
        _say.print(escape(f"note: {note}"))
    typer.echo(json.dumps(found.values, indent=2, allow_nan=False))


@app.command()
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


@models_app.command("list")
def models_list() -> None:
    """List the installed model cards."""
    from rich.table import Table

    from omniview.compose import model_folders
    from omniview.inference.card import SpecialistCard, find_cards

    table = Table("name", "kind", "task", "parameters", "version")
    found = find_cards(model_folders())
    for problem in found.problems:
        _complain(problem)
    for card in found.cards:
        task = card.task if isinstance(card, SpecialistCard) else ", ".join(card.tasks)
        table.add_row(card.name, card.kind, task, f"{card.parameters:,}", card.version)
    Console(highlight=False).print(table)


@models_app.command("verify")
def models_verify() -> None:
    """Check every model's weights against the SHA-256 in its card."""
    from omniview.compose import model_folders
    from omniview.inference.card import find_cards
    from omniview.inference.weights import verified

    found = find_cards(model_folders())
    for problem in found.problems:
        _complain(problem)
    broken = len(found.problems)
    for card in found.cards:
        for name, sha256 in card.files():
            try:
                verified(card.folder / name, sha256)
                typer.echo(f"ok  {card.name}: {name}")
            except OmniViewError as error:
                broken += 1
                _complain(error, card.name)
    raise typer.Exit(1 if broken else 0)


@audit_app.command("verify")
def audit_verify() -> None:
    """Check that no record was changed, removed or reordered."""
    from omniview.omnimodel.audit import Audit, verify

    path = Audit(home()).path
    typer.echo(f"{verify(path)} records, unbroken: {path}")


@app.command()
def train(
    task: Annotated[str, typer.Option(help="polyp, vessel, breast, nuclei, generalist, or all")],
    data: Annotated[list[Path], typer.Option(help="folder with images/, masks/, split.csv; repeatable")],
    out: Out,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="instead of the recipe's schedule")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="a counted schedule instead of minutes")] = None,
    seed: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads")] = 1,
) -> None:
    """Train, calibrate and export; the same command continues a run that was killed."""
    from dataclasses import replace

    from omniview.training.run import TASK_NAMES, default_settings, folders_of
    from omniview.training.run import train as fit

    for name in TASK_NAMES if task == "all" else (task,):
        settings = replace(default_settings(name), threads=threads)
        if minutes is not None or steps is not None:
            settings = replace(settings, minutes=minutes, steps=steps)
        if seed is not None:
            settings = replace(settings, seed=seed)
        own = folders_of(name, data) if task == "all" and name != "generalist" else data
        card = fit(name, own, out, settings=settings, progress=lambda p: _say.print(escape(str(p))))
        typer.echo(card)


def _settings(omnimodel: str | None, offline: bool, answers: int | None, views: int | None) -> Settings:
    log.start(home())
    settings = Settings.load()
    chosen = {"omnimodel": omnimodel, "answers": answers, "views": views, "offline": offline or None}
    given = {name: value for name, value in chosen.items() if value is not None}
    return settings.changed(**given)


def _composer(settings: Settings, consent: bool) -> Any:
    from omniview.compose import Composer

    return Composer(settings, consent=consent)


def _question(settings: Settings, task: str) -> Any:
    from omniview.batch.one import Question

    return Question(task, settings.omnimodel, settings.offline)


def _spacing(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        row, column = (float(part) for part in text.split(","))
    except ValueError:
        row = column = 0.0
    if not (row > 0 and column > 0):
        raise OmniViewError(f"--spacing is {text!r}.", "Give two positive numbers: ROW,COL in millimetres.")
    return row, column


def _complain(error: OmniViewError, about: str = "") -> None:
    _say.print(escape(f"{about}: {error}" if about else str(error)))
