"""Sides: all different, exact there and back, blind."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.image import Image
from omniview.omnimodel.sides import SIDES, Side, side_of


@pytest.mark.parametrize("shape", [(40, 61), (5, 3), (1, 1)])
@pytest.mark.parametrize("side", SIDES, ids=str)
def test_there_and_back_is_exact(side: Side, shape: tuple[int, int]) -> None:
    """What a side shows of a mask comes back to the very pixels of its window."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = Image(pixels)
    mask = (pixels[..., 0] > 127)[None]
    seen = side.show(image)
    window = side.window(shape)
    np.testing.assert_array_equal(side.turned(mask)[0], seen.pixels[..., 0] > 127)
    np.testing.assert_array_equal(side.inverse(side.turned(mask)), mask[(slice(None), *window)])


def test_all_sides_differ() -> None:
    """Sixteen answers are sixteen different pictures; the seventeenth is the first again."""
    image = Image(np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    assert len({side.show(image).pixels.tobytes() for side in SIDES}) == len(SIDES) == 16
    assert side_of(16) == side_of(0)


def test_the_first_side_is_the_image_itself() -> None:
    """A single answer is asked about exactly what is on screen."""
    image = Image(np.zeros((3, 4, 1), np.uint16))
    assert side_of(0).show(image) is image


def test_crops_reach_every_corner() -> None:
    """Together the four crops see everything, each four fifths of a side."""
    seen = np.zeros((50, 70), int)
    for side in SIDES[3:7]:
        rows, columns = side.window((50, 70))
        assert (rows.stop - rows.start, columns.stop - columns.start) == (40, 56)
        seen[rows, columns] += 1
    assert seen.min() == 1
    assert seen.max() == 4


def test_a_crop_keeps_the_brightness_of_the_whole() -> None:
    """A wide image's crop is windowed like the image, not by its own extremes."""
    pixels = np.linspace(0, 60000, 100 * 50).reshape(100, 50, 1).astype(np.uint16)
    image = Image(pixels)
    side = SIDES[3]
    np.testing.assert_array_equal(
        side.inverse(side.show(image).rgb8()[..., 0][None] > 99)[0],
        image.rgb8()[side.window(image.shape)][..., 0] > 99,
    )
