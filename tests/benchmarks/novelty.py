"""Who notices a picture that is none of its own.

``python -m tests.benchmarks.novelty --data ../shared/data``: each specialist looks at the test images of its
own task and of all others, at photographs (scikit-image's), at noise and at black, white and grey frames;
counted is the share that its novelty output flags, and for its own the share flagged in vain. Nothing is
chosen here: the limit is the card's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.inference.card import SpecialistCard
from omniview.inference.worker import InferenceThread
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.training.dataset import load, read_image
from omniview.training.run import folders_of
from tests.benchmarks.specialists import specialists_of

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "page.png")
FRAME = (480, 640, 3)

Pictures = Mapping[str, list[NDArray[np.uint8]]]


def main(
    data: Annotated[Path, typer.Option(help="folder of data folders named TASK_SET")],
    models: Annotated[Path, typer.Option(help="folder of cards")] = Path("resources/models"),
    limit: Annotated[int, typer.Option(help="at most so many images of a set")] = 40,
) -> None:
    """Print the share flagged, of each kind of picture by each specialist."""
    pictures = {**_sets(data, limit), **strangers()}
    typer.echo(f"| model | {' | '.join(f'{n} ({len(p)})' for n, p in pictures.items())} |")
    typer.echo(f"|---|{'---|' * len(pictures)}")
    for card in specialists_of(models, None):
        shares = asyncio.run(flagged(card, pictures))
        typer.echo(f"| {card.name} | {' | '.join(f'{share:.0%}' for share in shares.values())} |")


def strangers() -> Pictures:
    """Photographs, noise and blank frames: nobody's."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, FRAME).astype(np.uint8) for _ in range(4)]
    grey = [np.repeat(picture[..., :1], 3, axis=2) for picture in noise]
    blank = [np.full(FRAME, level, np.uint8) for level in (0, 128, 255)]
    return {
        "photographs": [read_image(folder / name) for name in PHOTOGRAPHS],
        "noise": [*noise, *grey],
        "blank": blank,
    }


def _sets(data: Path, limit: int) -> Pictures:
    folders = sorted(data.iterdir())
    return {
        task: [e.image for folder in folders_of(task, folders) for e in load([folder], "test")[:limit]]
        for task in TASKS
    }


async def flagged(card: SpecialistCard, pictures: Pictures) -> dict[str, float]:
    """The share of each kind of picture that the specialist calls strange."""
    thread = InferenceThread()
    specialist = OnnxSpecialist(card, thread, views=1)
    task, shares = TASKS[card.task], {}
    for name, images in pictures.items():
        found = [(await specialist.segment(Image(image), task)).novelty for image in images]
        shares[name] = float(np.mean([value is not None and value > 1.0 for value in found]))
    await specialist.close()
    thread.close()
    return shares


if __name__ == "__main__":
    typer.run(main)
