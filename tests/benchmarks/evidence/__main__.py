"""Gathers the evidence on fusion and writes tables, figures and a summary.

``python -m tests.benchmarks.evidence --data ../shared/data [--out out]``. Test splits alone are reported; the
calibrate splits serve to calibrate the simulated omnimodel. Predictions are kept under ``out/predictions``,
so that a second run takes minutes and runs no network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from omniview.core.task import TASKS
from omniview.omnimodel.outlook import outlook
from omniview.settings import Settings
from tests.benchmarks.evidence.experiments import Evidence
from tests.benchmarks.evidence.figures import write_figures
from tests.benchmarks.evidence.one_task import evidence_of
from tests.benchmarks.evidence.report import cases_tables, overall, rules, subset_table
from tests.benchmarks.evidence.report_simulated import hostile_table, sweep_table
from tests.benchmarks.evidence.report_trust import asking, trust
from tests.benchmarks.evidence.summary import summary
from tests.benchmarks.evidence.tables import write, write_csv


def main(
    data: Annotated[Path, typer.Option(help="folder of data folders named TASK_SET")],
    out: Annotated[Path, typer.Option(help="gets tables and figures, and keeps predictions")] = Path("out"),
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    second: Annotated[Path | None, typer.Option(help="folder of specialists of another seed")] = None,
    task: Annotated[str | None, typer.Option(help="only this task")] = None,
    limit: Annotated[int | None, typer.Option(help="only so many cases of each set")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="tasks at a time, one thread each")] = 1,
) -> None:
    """Measure, and write evidence.md, summary.md, one CSV a table, and figures."""
    wanted = [name for name in TASKS if task in (None, name)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(evidence_of, name, data, out, models, second, limit) for name in wanted]
        found = [one for part in parts if (one := part.result()) is not None]
    publish(found, out)
    typer.echo(summary(found))


def publish(found: Sequence[Evidence], out: Path) -> None:
    """Write all that is made of the evidence."""
    price, model, times = _price()
    tables = [
        overall(found),
        rules(found),
        subset_table(found),
        sweep_table(found),
        hostile_table(found),
        asking(found, times, price, model),
        trust(found),
    ]
    write(tables, out)
    write_csv(cases_tables(found), out / "cases")
    write_figures(found, out)
    (out / "summary.md").write_text(summary(found), encoding="utf-8")


def _price() -> tuple[float | None, str, int]:
    """What an answer of the usual cloud model costs at most, its name, and how many answers are asked for."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(omnimodel="gemini")
        seen = outlook(settings, 1, Path(home))
    assert seen is not None
    each = None if seen.most is None else seen.most / settings.answers
    return each, settings.gemini.model, settings.answers


if __name__ == "__main__":
    typer.run(main)
