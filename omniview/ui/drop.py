"""What dropped or chosen paths mean: cases to open, or a ground truth for the case on screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omniview.core.image import Image
from omniview.errors import OmniViewError, UnreadableFile
from omniview.io.decoding import decoding
from omniview.io.pair import pair_folder
from omniview.io.read import is_image, open_series
from omniview.ui.session import Entry

__all__ = ["Dropped", "entries_of", "sort_out"]

_MASK_VALUES = 3  # a drawn mask has two values; antialiasing by another program may leave one more


@dataclass(frozen=True, slots=True)
class Dropped:
    """Either a mask for the case on screen, or entries to open.

    Attributes:
        truth: the mask, or None.
        entries: cases, each with the truth that was found for it.
        unpaired: masks of folders that belong to no image, with the reason.
    """

    truth: Path | None = None
    entries: tuple[Entry, ...] = ()
    unpaired: tuple[str, ...] = ()


def entries_of(paths: Sequence[Path]) -> Dropped:
    """The cases in files and folders. Blocks: call it in a thread.

    Raises:
        UnreadableFile: there is nothing to open in them.
    """
    entries: list[Entry] = []
    unpaired: list[str] = []
    for path in paths:
        if _is_folder(path):
            pairing = pair_folder(path)
            entries += [Entry(pair.name, pair.image, truths=pair.truths) for pair in pairing.pairs]
            unpaired += [f"{one.path.name}: {one.reason}" for one in pairing.unpaired]
        else:
            entries.append(Entry(path.name, path))
    if not entries:
        names = ", ".join(path.name for path in paths)
        raise UnreadableFile(f"There is no image in {names}.", "Choose images or a folder of images.")
    return Dropped(entries=tuple(entries), unpaired=tuple(unpaired))


def sort_out(paths: Sequence[Path], image: Image | None) -> Dropped:
    """What dropped paths mean while `image` is on screen. Blocks: call it in a thread.

    A single file of the image's own size with hardly any grey values is its ground truth; so is one whose
    name says that it is a mask. All else is opened.

    Raises:
        UnreadableFile: there is nothing to open in them.
    """
    if len(paths) == 1 and image is not None and is_image(paths[0]) and _is_mask(paths[0], image):
        return Dropped(truth=paths[0])
    return entries_of(paths)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a folder above may not be looked into; anything else is a defect
        with decoding(path, "a file"):
            raise error


def _is_mask(path: Path, image: Image) -> bool:
    import numpy as np

    if image.source and Path(image.source) == path:
        return False
    words = path.stem.lower().replace("-", "_").split("_")
    if any(word in {"mask", "masks", "segmentation", "truth", "gt", "label", "labels"} for word in words):
        return True
    try:
        found = open_series(path)[0]
    except OmniViewError:  # opening it will tell why
        return False
    grey = (found.pixels == found.pixels[..., :1]).all()
    return bool(found.shape == image.shape and grey and len(np.unique(found.pixels)) <= _MASK_VALUES)
