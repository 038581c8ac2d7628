"""How much burned-in text the airlock blacks out, on real images whose texts were outlined by eye.

``python -m tests.benchmarks.airlock --data ../shared/data`` prints one row for each set, and every miss by
name. The outlines (tests/omnimodel/burned_in.json) were drawn before the finder was tuned: of every 9th image
of `breast_busi` and every 28th of `polyp_kvasir` those with text, up to 40 and 20. They hold letters, digits
and pieces of them of which half a glyph can be seen; crosses, dotted lines, cursors, squares are no text.

A text is covered where at least 95 % of those pixels of its box that were not black before (above 16 of 255)
are black (at most 8) in the picture that would leave, decoded again. The share of the picture that was
blacked, and of the truth mask, is counted alike. An image that is refused because text remains is counted
apart, its texts nowhere: nothing of it leaves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeAlias

import cv2
import numpy as np
import typer

from omniview.core.image import BoolArray
from omniview.errors import NotAllowed
from omniview.io.read import read
from omniview.omnimodel.airlock import Airlock

OUTLINES = Path(__file__).resolve().parents[1] / "omnimodel" / "burned_in.json"
COVERED = 0.95
_SOMEWHERE = "https://cloud.example.org"
_DARK, _BLACK = 16, 8

Texts: TypeAlias = list[tuple[int, int, int, int, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One image: covered share of each text, blacked share of the picture and of the object (None: none)."""

    name: str
    texts: tuple[tuple[str, float], ...]
    area: float
    harm: float | None
    refused: bool


def outlines() -> dict[str, dict[str, Texts]]:
    """Set to image to texts: x0, y0, x1, y1 (exclusive), and what stands there."""
    found: dict[str, dict[str, Texts]] = json.loads(OUTLINES.read_text("utf-8"))
    return found


def outcome_of(folder: Path, name: str, texts: Texts, airlock: Airlock) -> Outcome:
    """What becomes of one image of a set."""
    image = read(folder / "images" / name)
    before = image.rgb8().max(axis=2)
    mask = cv2.imread(str(folder / "masks" / f"{Path(name).stem}.png"), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    try:
        leaving = airlock.clear(image, _SOMEWHERE, max(image.shape))
    except NotAllowed:
        return Outcome(name, (), 0.0, None, refused=True)
    after = cv2.imdecode(np.frombuffer(leaving.data, np.uint8), cv2.IMREAD_COLOR)
    assert after is not None
    lit = before > _DARK
    blacked = lit & (after.max(axis=2) <= _BLACK)
    covered = tuple((text, _share(blacked, lit, (x0, y0, x1, y1))) for x0, y0, x1, y1, text in texts)
    truth = mask > 0
    harm = float(blacked[truth].mean()) if truth.any() else None
    return Outcome(name, covered, float(blacked.mean()), harm, refused=False)


def _share(blacked: BoolArray, lit: BoolArray, box: tuple[int, int, int, int]) -> float:
    x0, y0, x1, y1 = box
    return float(blacked[y0:y1, x0:x1].sum() / max(1, lit[y0:y1, x0:x1].sum()))


def main(data: Annotated[Path, typer.Option(help="the folder of data sets")]) -> None:
    """Print the table and the misses."""
    typer.echo("| set | images | refused | texts | covered | share | area blacked | object blacked (worst) |")
    typer.echo("|---|---|---|---|---|---|---|---|")
    misses, total = [], []
    with TemporaryDirectory() as home:
        airlock = Airlock(Path(home), offline=False, consent_given=True)
        for name, images in outlines().items():
            outcomes = [outcome_of(data / name, image, texts, airlock) for image, texts in images.items()]
            shares = [(o.name, text, share) for o in outcomes for text, share in o.texts]
            total += [share >= COVERED for *_, share in shares]
            covered = sum(share >= COVERED for *_, share in shares)
            refused = sum(o.refused for o in outcomes)
            harms = [o.harm for o in outcomes if o.harm is not None]
            typer.echo(
                f"| {name} | {len(outcomes)} | {refused} | {len(shares)} | {covered} "
                f"| {covered / len(shares):.1%} | {np.mean([o.area for o in outcomes]):.1%} "
                f"| {np.mean(harms):.1%} ({max(harms):.1%}) |"
            )
            misses += [
                f"{name}/{image}: {text!r} {share:.0%}" for image, text, share in shares if share < COVERED
            ]
            misses += [f"{name}/{o.name}: refused" for o in outcomes if o.refused]
            misses += [
                f"{name}/{o.name}: {o.harm:.0%} of the object blacked"
                for o in outcomes
                if o.harm is not None and o.harm > 0.25
            ]
    typer.echo(f"\nTogether: {sum(total)} of {len(total)} covered, {np.mean(total):.1%}")
    typer.echo("\n".join(["", *misses]))


if __name__ == "__main__":
    typer.run(main)
