"""The sides from which an image is shown to an omnimodel that is asked several times, with the way back.

Answers to the same picture repeat the same mistakes; mirrored, or without its margin, an object is seen anew.
No side knows where anything was found before: a crop is one of four corners, so that it stays blind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from omniview.core.geometry import VIEWS
from omniview.core.image import BoolArray, Image

__all__ = ["SIDES", "Side", "Window", "side_of"]

Window: TypeAlias = tuple[slice, slice]
"""Rows and columns of an image."""

_CROP = 0.8
"""A crop's share of each of the image's sides. An object of up to 0.6 of a side fits into one of the four."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way to show an image.

    Attributes:
        turn: name of a view that keeps the picture's shape.
        corner: (down, across), each 0 or 1: in which corner the crop lies; None for the whole image.
    """

    turn: str
    corner: tuple[int, int] | None = None

    def window(self, shape: tuple[int, int]) -> Window:
        """What of an image of `shape` (Y,X) is shown."""
        if self.corner is None:
            return slice(0, shape[0]), slice(0, shape[1])
        spans = []
        for length, end in zip(shape, self.corner, strict=True):
            kept = max(1, round(length * _CROP))
            start = (length - kept) * end
            spans.append(slice(start, start + kept))
        return spans[0], spans[1]

    def show(self, image: Image) -> Image:
        """The image as seen from this side: 8-bit RGB as displayed, but for the plain image itself."""
        if self == SIDES[0]:
            return image
        # as displayed before cropping: a crop must not be windowed by its own darkest and brightest pixel
        pixels = image.rgb8()[self.window(image.shape)]
        return replace(image, pixels=VIEWS[self.turn].apply(pixels), window=None)

    def turned(self, masks: BoolArray) -> BoolArray:
        """Masks (K,Y,X) of the whole image as this side shows them: (K,h,w)."""
        seen = masks[(slice(None), *self.window((masks.shape[1], masks.shape[2])))]
        return np.asarray(VIEWS[self.turn].apply(seen[..., None])[..., 0], np.bool_)

    def inverse(self, masks: BoolArray) -> BoolArray:
        """Masks (K,h,w) of this side as they lie in its window of the image; exact."""
        return np.asarray(VIEWS[self.turn].inverse(masks), np.bool_)


_TURNS = ("identity", "hflip", "vflip", "rot180")
_CORNERS = ((0, 0), (1, 1), (0, 1), (1, 0))
SIDES = (
    *(Side(turn) for turn in _TURNS[:3]),
    *(
        Side(_TURNS[(number + turn) % 4], corner)
        for turn in range(3)
        for number, corner in enumerate(_CORNERS)
    ),
    Side(_TURNS[3]),
)
"""Sixteen sides, all different: first the whole image, then crops, then the whole image upside down."""


def side_of(answer: int) -> Side:
    """The side of an answer by its number from 0."""
    return SIDES[answer % len(SIDES)]
