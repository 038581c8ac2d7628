"""What the values of a mask file mean.

Masks come as 0/1, 0/255, JPEG with a fringe of 1-7 and 248-255, several grey values, class numbers, or one
number an object. Nothing in the file says which, so the rules are here, in one place, and whatever was not
plain black and white is told in `Truth.notes`.
"""

from __future__ import annotations

import cv2
import numpy as np

from omniview.core.case import Truth
from omniview.core.image import Array, BoolArray
from omniview.errors import SizeMismatch, UnreadableFile

__all__ = ["check_mask_size", "truth_from_values"]


def truth_from_values(found: Array, *, labels: int = 1, lossy: bool = False, source: str = "") -> Truth:
    """A Truth from the values of a mask.

    With several labels, value k is label k. With one label, whole numbers that count objects (see
    `_is_counting`) are kept as instances and everything above 0 is in the mask; all others are cut at half
    of their range, whose top is 1 where nothing is larger, 255 where something lies in 128-255, and else
    the largest value. A lossy mask always has the range 0-255.

    Args:
        found: (Y,X) numbers.
        labels: K.
        lossy: from JPEG, where small values are noise.
        source: where it was read from.
    """
    numbers = _distinct(found)
    whole = bool((numbers == np.rint(numbers)).all()) and numbers[0] >= 0
    if labels > 1:
        if not whole:
            raise UnreadableFile(
                "The mask has fractional or negative values, so its labels are unclear.",
                f"Save it with the whole numbers 0 to {labels}.",
            )
        mask = np.stack([found == k for k in range(1, labels + 1)])
        notes = _beyond(numbers, labels)
        return Truth(mask, source, None, notes)
    if not lossy and whole and _is_counting(found, numbers):
        return Truth((found > 0)[None], source, found.astype(np.int32))
    mask, edge = _cut(found, numbers, lossy)
    notes = ()
    if len(numbers) > 2:
        notes = (f"The mask has {len(numbers)} values, not two; everything above {edge:g} was taken.",)
    return Truth(mask[None], source, None, notes)


def check_mask_size(mask: tuple[int, int], image: tuple[int, int], turned: bool) -> None:
    """Raise SizeMismatch unless both (Y,X) sizes are the same.

    Args:
        mask: (Y,X) of the mask.
        image: (Y,X) of the image.
        turned: whether an EXIF mark turns one of the two by a quarter.
    """
    if mask == image:
        return
    sizes = f"The mask is {mask[1]}x{mask[0]}, the image is {image[1]}x{image[0]} (width x height)."
    if mask != image[::-1]:
        raise SizeMismatch(
            sizes, "Use the mask that was drawn on this very image; OmniView does not stretch masks."
        )
    if turned:
        raise SizeMismatch(
            f"{sizes} One of them carries a mark (EXIF) that turns it upright, the other does not.",
            "Turn the one without the mark by a quarter, or save both upright.",
        )
    raise SizeMismatch(
        f"{sizes} Width and height are swapped.", "Turn the mask by a quarter, or transpose it."
    )


def _distinct(found: Array) -> Array:
    """The different values, ascending; where there can be a histogram it is far faster than sorting."""
    if found.dtype not in (np.uint8, np.uint16):
        return np.unique(found)
    bins = 2 ** (8 * found.dtype.itemsize)
    counts = cv2.calcHist([np.ascontiguousarray(found)], [0], None, [bins], [0, bins])
    return np.flatnonzero(counts)


def _beyond(numbers: Array, labels: int) -> tuple[str, ...]:
    beyond = numbers[numbers > labels]
    if not beyond.size:
        return ()
    return (f"The mask has values beyond its {labels} labels, up to {beyond[-1]:g}; they were left out.",)


def _cut(found: Array, numbers: Array, lossy: bool) -> tuple[BoolArray, float]:
    """(Y,X) bool above half of the range, and that half."""
    largest = float(numbers[-1])
    top = 255.0 if lossy or 127 < largest <= 255 else max(largest, 1.0)
    return found > top / 2, top / 2


def _is_counting(found: Array, numbers: Array) -> bool:
    """Whether whole numbers count objects rather than shades of grey.

    Three things must hold, and a grey mask fails at least one:
    1. Apart from 0, the numbers run from 1 to N >= 2 with at most a tenth missing (cropping loses a few).
    2. They lie in patches: of the pixels that are neither 0 nor N, more than half equal their right or lower
       neighbour. The fringe of an anti-aliased or blurred edge does not.
    3. Neighbouring patches are no slope: of the borders between two different non-zero numbers, fewer than
       four fifths are steps of 1, or more than half of the numbers touch 0. A probability map in 8 bits is
       all steps of 1, and only its lowest numbers touch 0.
    """
    objects = numbers[numbers > 0]
    if len(objects) < 2 or objects[0] > max(1, objects[-1] // 10) or len(objects) < 0.9 * objects[-1]:
        return False
    labels = found.astype(np.int32)
    alike = np.zeros(labels.shape, bool)
    touching = np.zeros(int(objects[-1]) + 1, bool)
    borders = slopes = 0
    for near, far, where in (
        (labels[:, :-1], labels[:, 1:], alike[:, :-1]),
        (labels[:-1], labels[1:], alike[:-1]),
    ):
        differ = near != far
        where |= ~differ
        one, other = near[differ], far[differ]
        inside = (one > 0) & (other > 0)
        borders += int(np.count_nonzero(inside))
        slopes += int(np.count_nonzero(np.abs(one[inside] - other[inside]) == 1))
        touching[np.maximum(one, other)[~inside]] = True
    inner = (labels > 0) & (labels < objects[-1])
    in_patches = bool(np.count_nonzero(alike & inner) > 0.5 * np.count_nonzero(inner))
    is_slope = borders > 0 and slopes >= 0.8 * borders
    return in_patches and (not is_slope or int(np.count_nonzero(touching)) > 0.5 * len(objects))
