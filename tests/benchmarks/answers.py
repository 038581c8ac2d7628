"""How long, and in how much memory, the worst answers are decoded: ten megabytes of whatever hurts most.

``python -m tests.benchmarks.answers [--repeat 3]``. Each answer of `tests.omnimodel.hostile` is decoded for
an image of 1000 x 1200 pixels, in the time of the fastest of some runs and the peak that tracemalloc sees in
another one, without the answer itself. The bars are 200 ms and 50 MB on a quiet core.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import Annotated

import typer

from omniview.errors import UnusableAnswer
from omniview.omnimodel.answers import decode
from tests.omnimodel.hostile import HOSTILE

SHAPE = (1000, 1200)
BAR_S = 0.2
BAR_BYTES = 50_000_000


def attempt(text: str) -> str:
    """What decoding says, in a few words."""
    try:
        decoded = decode(text, SHAPE, ("polyp",))
    except UnusableAnswer as error:
        return error.message[:60]
    return f"{decoded.objects} objects, {len(decoded.notes)} notes"


def main(
    repeat: Annotated[int, typer.Option(help="runs of which the fastest counts")] = 3,
    only: Annotated[str, typer.Option(help="part of a name")] = "",
) -> None:
    """Print the table, the slowest first."""
    rows = []
    for name, make in HOSTILE.items():
        if only not in name:
            continue
        text = make()
        times = []
        for _ in range(repeat):
            start = time.process_time()
            said = attempt(text)
            times.append(time.process_time() - start)
        tracemalloc.start()
        attempt(text)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append((min(times), peak, name, len(text), said))
    typer.echo("| answer | MB | ms | peak MB | ends |\n|---|---|---|---|---|")
    for seconds, peak, name, size, said in sorted(rows, reverse=True):
        typer.echo(f"| {name} | {size / 1e6:.1f} | {seconds * 1e3:.0f} | {peak / 1e6:.1f} | {said} |")
    over = [name for seconds, peak, name, *_ in rows if seconds > BAR_S or peak > BAR_BYTES]
    typer.echo(f"{len(rows)} answers, over a bar: {', '.join(over) or 'none'}")


if __name__ == "__main__":
    typer.run(main)
