"""`omniview score`: a whole folder against its ground truth."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from typer.core import TyperCommand

from omniview.cli.console import complain, console
from omniview.cli.options import (
    Answers,
    Budget,
    Consent,
    Offline,
    Omnimodel,
    Out,
    Task,
    Views,
    chosen_settings,
)
from omniview.errors import OutputError

if TYPE_CHECKING:
    from omniview.batch.run import Progress
    from omniview.scoring import Plan

__all__ = ["ScoreCommand", "score"]

_TOLD = 20
"""Files that could not be paired are named up to this many; the report names them all."""
_STOPPED = 130  # what a shell expects of a command that Ctrl-C ended


class ScoreCommand(TyperCommand):
    """`--resume` may be given with a value or without."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Read the arguments, a bare --resume as --resume=yes."""
        return super().parse_args(ctx, ["--resume=yes" if one == "--resume" else one for one in args])


def score(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="images/ + masks/, masks beside the images, a list file, or the address of one of them",
        ),
    ],
    out: Out,
    truth: Annotated[Path | None, typer.Option(help="folder of the masks, if elsewhere")] = None,
    task: Task = "auto",
    omnimodel: Omnimodel = None,
    offline: Offline = False,
    answers: Answers = None,
    views: Views = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first so many images")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="also write every mask")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="worker processes")] = 1,
    scheduler: Annotated[
        str,
        typer.Option(metavar="ADDRESS|local|slurm|...", help="work on a Dask cluster, with --jobs workers"),
    ] = "",
    resume: Annotated[
        Literal["no", "yes", "anyway"],
        typer.Option(
            metavar="[=anyway]", help="go on with the run in OUT; =anyway: even if something changed"
        ),
    ] = "no",
    ask: Annotated[
        str | None,
        typer.Option(metavar="always|never|below:DICE|share:PART", help="when a cloud omnimodel is asked"),
    ] = None,
    budget: Budget = None,
    against: Annotated[
        Path | None, typer.Option(help="results of another run: say which cases moved, and why")
    ] = None,
    consent: Consent = False,
) -> None:
    """Score a whole folder: cases.csv, summary.json and report.html."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from omniview.scoring import score as score_folder

    settings = chosen_settings(omnimodel, offline, answers, views)
    if against is not None:
        from omniview.batch.against import other_run

        other_run(out, against)  # not first after hours of scoring
    bar = Bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)
    step = bar.add_task("score", total=None)
    running = ExitStack()

    def advance(progress: Progress) -> None:
        bar.update(step, completed=progress.totals.finished, total=progress.total)
        if not bar.live.is_started:  # not before: a run that is refused has nothing to show
            running.enter_context(bar)
        for row in progress.record.rows if progress.record is not None else ():
            if row.status != "ok":
                reason = row.values.get("reason", "")
                console.print(escape(f"{row.image}: {row.model}: {row.status}. {reason}"))

    try:
        with running:
            result = score_folder(
                folder,
                out,
                truth=truth,
                task=task,
                limit=limit,
                masks=masks,
                jobs=jobs,
                scheduler=scheduler,
                resume=resume,
                consent=consent,
                ask=ask,
                budget=budget,
                settings=settings,
                on_plan=lambda plan: _tell(plan, scheduler),
                on_progress=advance,
            )
    except OutputError as error:
        complain(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        console.print(f"Stopped. What is finished is in {escape(str(out))}; go on with --resume.")
        raise typer.Exit(_STOPPED) from error
    for name, one in result.summary["models"].items():
        dice = one["metrics"].get("dice", {"n": 0})  # of no row at all there is no metric either
        what = f"mean Dice {dice['mean']:.3f}" if dice["n"] else "no Dice"
        console.print(f"{name}: {what} (n {dice['n']}, failed {one['failed']})")
    if against is not None:
        from omniview.batch.against import compare_runs

        for line in compare_runs(out, against).lines():
            console.print(escape(line))
    raise typer.Exit(1 if result.totals.failed else 0)


def _tell(plan: Plan, scheduler: str) -> None:
    left = plan.pairing.unpaired
    for one in left[:_TOLD]:
        console.print(escape(f"not paired: {one.name}: {one.reason}"))
    if len(left) > _TOLD:
        console.print(f"not paired: {len(left) - _TOLD} more")
    if (outlook := plan.outlook()) is not None:
        console.print(escape(outlook.text()))
    if scheduler not in ("", "local"):  # a queue may take hours, and a cluster may have none yet
        console.print(escape(f"Cases go to {scheduler} as soon as there is a worker. Ctrl-C stops waiting."))
