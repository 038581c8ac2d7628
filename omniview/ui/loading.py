"""From a row of the case list to an image that can be shown. Blocks: for threads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.errors import UnreadableFile
from omniview.io.read import open_series, read
from omniview.io.remote import fetched, is_remote, refuse_offline
from omniview.io.samples import SAMPLES
from omniview.ui.frame import Picture, picture
from omniview.ui.session import Entry

__all__ = ["Loaded", "load"]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An entry that was opened.

    Attributes:
        series: its frames, read when they are asked for; of a file that lies elsewhere the one image alone.
        image: the one that is to be shown.
        picture: it, for the screen, reduced where it is large.
        truth: the reference that a sample brings along, or None.
    """

    series: Sequence[Image]
    image: Image
    picture: Picture
    truth: Truth | None = None


def load(entry: Entry, known: Case | None, *, offline: bool = False) -> Loaded:
    """Open `entry`.

    Of a case that is `known` the image itself is taken, so that its maps belong to what is on screen.

    Raises:
        UnreadableFile: it cannot be opened.
        NotAllowed: it lies elsewhere, and no socket may be opened.
    """
    truth: Truth | None = None
    series: Sequence[Image]
    if entry.path is not None and is_remote(entry.path):
        image = _fetch(entry.path, entry.frame, offline) if known is None else known.image
        series = (image,)
    elif entry.path is not None:
        series = open_series(entry.path)
        if entry.frame >= len(series):
            raise UnreadableFile(
                f"{entry.path.name} has no frame {entry.frame} any more.", "List its folder anew."
            )
        image = series[entry.frame] if known is None else known.image
    elif known is not None:
        image, truth, series = known.image, known.truth, (known.image,)
    else:
        assert entry.sample is not None
        image, truth = SAMPLES[entry.sample].load()
        series = (image,)
    return Loaded(series, image, picture(image, None, quick=True), truth)


def _fetch(path: Path, frame: int, offline: bool) -> Image:
    """An image that lies elsewhere, whole: the copy it is read from is gone afterwards."""
    if offline:
        refuse_offline(path)
    with fetched(path) as here:
        return read(here, frame)
