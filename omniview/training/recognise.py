"""``python -m omniview.training.recognise``: fits the Gaussians that tell which task an image belongs to.

Own covariance a task, estimated from few images of few devices: each image is therefore also seen brighter,
darker, cropped and under another white balance, outliers are trimmed, and the covariance is shrunk towards
its diagonal. The cutoff comes from the calibrate split, which was not fitted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from omniview.core.image import Image
from omniview.core.recognise import FEATURES, Gaussian, Recogniser, features
from omniview.errors import InputError, OmniViewError
from omniview.io.read import read
from omniview.training.dataset import read_rows

FOLDERS = {
    "polyp": ("polyp_kvasir", "polyp_clinicdb"),
    "vessel": ("vessel_chase", "vessel_hrf"),
    "breast": ("breast_busi",),
    "nuclei": ("nuclei_dsb2018",),
}
VARIANTS = 4
SHRINK = 0.1
FLOOR = 0.02  # a standard deviation below which no feature is believed to be constant
TRIM = 0.1  # share of a task's images that are least like it and do not shape it
TRIM_ROUNDS = 3
QUANTILE = 0.98
# for devices that no data set here has seen: most for the task of which there are fewest
SLACK = {"polyp": 1.15, "vessel": 1.4, "breast": 1.3, "nuclei": 1.3}


def fit(data: Path, seed: int = 0) -> Recogniser:
    """Fit on the train splits under ``data``; cutoffs on the calibrate splits.

    Raises:
        InputError: a data set is missing or holds no such split.
    """
    rng = np.random.default_rng(seed)
    tasks = []
    for task, folders in FOLDERS.items():
        seen = _matrix(
            features(variant) for image in images(data, folders, "train") for variant in _varied(image, rng)
        )
        gaussian = _robust(task, seen)
        held_out = _matrix(features(image) for image in images(data, folders, "calibrate"))
        cutoff = SLACK[task] * float(np.quantile([gaussian.distance(row) for row in held_out], QUANTILE))
        tasks.append(replace(gaussian, cutoff=cutoff))
    return Recogniser(tuple(tasks))


def _robust(task: str, seen: NDArray[np.float64]) -> Gaussian:
    """A Gaussian of ``seen (n,D)``, refitted without the rows that are farthest out."""
    kept = seen
    for _ in range(TRIM_ROUNDS):
        gaussian = _gaussian(task, kept)
        distances = np.array([gaussian.distance(row) for row in seen])
        kept = seen[distances <= np.quantile(distances, 1.0 - TRIM)]
    return _gaussian(task, kept)


def _gaussian(task: str, rows: NDArray[np.float64]) -> Gaussian:
    covariance = np.cov(rows, rowvar=False)
    covariance = (1.0 - SHRINK) * covariance + SHRINK * np.diag(np.diag(covariance))
    covariance += FLOOR**2 * np.eye(len(FEATURES))
    precision = np.linalg.inv(covariance)
    return Gaussian(task, rows.mean(axis=0), (precision + precision.T) / 2, 1.0)


def images(data: Path, folders: tuple[str, ...], split: str) -> Iterator[Image]:
    """Every image of ``split`` in ``folders``, read as the viewer reads it."""
    for folder in folders:
        for row in read_rows(data / folder):
            if row.split == split:
                yield read(row.image)


def confusion(recogniser: Recogniser, data: Path, split: str = "test") -> dict[str, Counter[str]]:
    """Task to how often its images of ``split`` were taken for which task; "none" where it abstained."""
    return {
        task: Counter(recogniser.recognise(image).task or "none" for image in images(data, folders, split))
        for task, folders in FOLDERS.items()
    }


def _matrix(rows: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    found = list(rows)
    if len(found) < 2:
        raise InputError(
            "A data set has fewer than two images in a split.", "Check the folder given as --data."
        )
    return np.stack(found)


def _varied(image: Image, rng: np.random.Generator) -> Iterator[Image]:
    yield image
    for _ in range(VARIANTS):
        pixels = image.pixels
        Y, X = image.shape
        share = rng.uniform(0.8, 1.0, 2)
        height, width = max(1, round(Y * share[0])), max(1, round(X * share[1]))
        top, left = rng.integers(0, Y - height + 1), rng.integers(0, X - width + 1)
        crop = pixels[top : top + height, left : left + width].astype(np.float32) / 255.0
        gain = rng.uniform(0.8, 1.2) * (1.0 if pixels.shape[2] == 1 else rng.uniform(0.93, 1.07, 3))
        varied = np.clip(crop ** rng.uniform(0.75, 1.3) * gain, 0.0, 1.0)
        yield Image(np.rint(varied * 255.0).astype(np.uint8))


def main(
    data: Annotated[Path, typer.Option(help="folder that holds the data sets")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Fit, write, and print what becomes of the test splits."""
    try:
        recogniser = fit(data, seed)
        out.write_text(json.dumps(_rounded(recogniser.to_json())) + "\n", "utf-8")
        columns = (*FOLDERS, "none")
        typer.echo("test split".ljust(12) + "".join(c.rjust(8) for c in columns))
        for task, counts in confusion(Recogniser.from_json(json.loads(out.read_text("utf-8"))), data).items():
            typer.echo(task.ljust(12) + "".join(str(counts[c]).rjust(8) for c in columns))
    except OmniViewError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _rounded(value: object) -> object:
    """Seven significant digits: what the features are worth, in a third of the file."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return {k: _rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    typer.run(main)
