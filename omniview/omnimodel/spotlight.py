"""How an omnimodel is shown a region: its surroundings, with the region outlined.

A small region is cropped with a margin, so that it is not lost when the picture is reduced; the outline lies
around it, so that none of its own pixels are painted over. What comes back is placed in the image again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from omniview.core.image import BoolArray, Image
from omniview.core.interpreter import Box

__all__ = ["OUTLINE", "Spotlight", "spotlight"]

OUTLINE = "cyan"
"""The outline's colour in words; tissue is never of it, neither are blood, dyes in use, or greys."""
_RGB = (0, 255, 255)
_MARGIN = 1.0
"""Margin on each side as a share of the region's own longer side."""
_SMALLEST = 64
"""Pixels; a closer view shows nothing that could be recognised."""
_WHOLE = 0.7
"""A view of this share of the image or more is the whole image."""
_LINES = 256
"""The outline is one part in so many of the view's longer side wide."""


@dataclass(frozen=True, slots=True, eq=False)
class Spotlight:
    """A view of an image and where it lies.

    Attributes:
        image: what is shown.
        top: first row of the view in the image.
        left: first column.
        shape: (Y,X) of the whole image.
    """

    image: Image
    top: int
    left: int
    shape: tuple[int, int]

    def mask_back(self, mask: BoolArray) -> BoolArray:
        """A mask (y,x) of the view as (Y,X) of the image."""
        if mask.shape == self.shape:
            return mask
        out = np.zeros(self.shape, np.bool_)
        out[self.top : self.top + mask.shape[0], self.left : self.left + mask.shape[1]] = mask
        return out

    def box_back(self, box: Box) -> Box:
        """A box in the view as a box in the image."""
        return box[0] + self.top, box[1] + self.left, box[2] + self.top, box[3] + self.left


def spotlight(image: Image, region: BoolArray | None) -> Spotlight:
    """The view of `image` that a question about `region` (Y,X) is asked with.

    Blocks for tens of milliseconds: call it in a thread.

    Args:
        image: the image; without a region it is shown as it is.
        region: (Y,X) bool at the image's size, not empty, or None.

    Raises:
        ValueError: the region is empty or of another size.
    """
    if region is None:
        return Spotlight(image, 0, 0, image.shape)
    if region.shape != image.shape or not region.any():
        raise ValueError(f"region must be {image.shape} bool and not empty, got {region.shape}")
    window = _window(region)
    # as displayed before cropping: a crop must not be windowed by its own darkest and brightest pixel
    pixels = image.rgb8()[window].copy()
    inside = np.ascontiguousarray(region[window]).view(np.uint8)
    width = max(1, round(max(inside.shape) / _LINES))
    grown = cv2.dilate(inside, np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    pixels[grown > inside] = _RGB
    return Spotlight(
        replace(image, pixels=pixels, window=None), window[0].start, window[1].start, image.shape
    )


def _window(region: BoolArray) -> tuple[slice, slice]:
    """Rows and columns around the region, or all of them."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    ends = (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)
    longer = max(high - low for low, high in ends)
    side = max(_SMALLEST, round(longer * (1 + 2 * _MARGIN)))
    if side >= _WHOLE * max(region.shape):
        return slice(0, region.shape[0]), slice(0, region.shape[1])
    spans = []
    for (low, high), length in zip(ends, region.shape, strict=True):
        first = max(0, min((low + high - side) // 2, length - side))
        spans.append(slice(first, min(first + side, length)))
    return spans[0], spans[1]
