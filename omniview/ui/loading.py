"""From a row of the case list to an image that can be shown. Blocks: for threads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.io.read import open_series
from omniview.io.samples import SAMPLES
from omniview.ui.frame import Picture, picture
from omniview.ui.session import Entry

__all__ = ["Loaded", "load"]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An entry that was opened.

    Attributes:
        series: its frames, read when they are asked for.
        image: the first of them.
        picture: it, for the screen, reduced where it is large.
        truth: the reference that a sample brings along, or None.
    """

    series: Sequence[Image]
    image: Image
    picture: Picture
    truth: Truth | None = None


def load(entry: Entry, known: Case | None) -> Loaded:
    """Open `entry`.

    Of a case that is `known` the image itself is taken, so that its maps belong to what is on screen.

    Raises:
        UnreadableFile: it cannot be opened.
    """
    truth: Truth | None = None
    series: Sequence[Image]
    if entry.path is not None:
        series = open_series(entry.path)
        image = series[0] if known is None else known.image
    elif known is not None:
        image, truth, series = known.image, known.truth, (known.image,)
    else:
        assert entry.sample is not None
        image, truth = SAMPLES[entry.sample].load()
        series = (image,)
    return Loaded(series, image, picture(image, None, quick=True), truth)
