"""How soon a cancelled call frees its socket, as the server sees it, and what asking costs beside the model.

``python -m tests.benchmarks.calls [--repeat 20]``. A loopback server receives the picture and stays silent;
the call is cancelled, and the server notes when the connection ends. The bar is 100 ms for the slowest.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.calls import Calls
from omniview.omnimodel.gemini import gemini_calls
from omniview.settings import GeminiSettings
from tests.omnimodel.forms import boxed
from tests.omnimodel.loopback import FAULTS, Loopback, answer

BAR_MS = 100.0


def _calls(url: str, home: Path) -> Calls:
    return gemini_calls(
        GeminiSettings(base_url=url, model="m"),
        lambda: "key",
        airlock=Airlock(home, offline=False),
        audit=Audit(home),
    )


async def cancelling(repeat: int, home: Path, image: Image) -> list[float]:
    """Milliseconds from cancelling to the end of the connection at the server, for each of `repeat` calls."""
    times = []
    with Loopback([FAULTS["hang"]]) as server:
        calls = _calls(server.url, home)
        departure = await calls.clear(image)
        for _ in range(repeat):
            server.hanging.clear()
            server.closed_by_client.clear()
            task = asyncio.create_task(calls.send("?", departure))
            await asyncio.to_thread(server.hanging.wait)
            seen = asyncio.create_task(asyncio.to_thread(_when, server))
            await asyncio.sleep(0.02)  # the thread waits before the clock starts
            start = time.perf_counter()
            task.cancel()
            await asyncio.wait([task])
            times.append((await seen - start) * 1e3)
        await calls.close()
    return times


def _when(server: Loopback) -> float:
    server.closed_by_client.wait()
    return time.perf_counter()


async def overhead(repeat: int, home: Path, image: Image) -> list[float]:
    """Milliseconds of one whole question to a server that answers at once."""
    times = []
    with Loopback([answer(json.dumps([boxed()]))]) as server:
        calls = _calls(server.url, home)
        await asyncio.to_thread(calls.warm)
        omnimodel = CloudSegmenter(calls, answers=1)
        for _ in range(repeat):
            start = time.perf_counter()
            await omnimodel.segment(image, TASKS["polyp"])
            times.append((time.perf_counter() - start) * 1e3)
        await omnimodel.close()
    return times


def main(repeat: Annotated[int, typer.Option(help="calls of each kind")] = 20) -> None:
    """Print the table."""
    image = Image(np.random.default_rng(0).integers(0, 256, (1000, 1200, 3), dtype=np.uint8))
    typer.echo("| what | median ms | slowest ms |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        cancelled = asyncio.run(cancelling(repeat, Path(folder), image))
        asked = asyncio.run(overhead(repeat, Path(folder), image))
    for name, times in {"cancelled to closed": cancelled, "asked to answered, 1000 x 1200": asked}.items():
        typer.echo(f"| {name} | {statistics.median(times):.1f} | {max(times):.1f} |")
    verdict = "within" if max(cancelled) <= BAR_MS else "OVER"
    typer.echo(f"the slowest of {repeat} cancelled calls is {verdict} {BAR_MS:.0f} ms")


if __name__ == "__main__":
    typer.run(main)
