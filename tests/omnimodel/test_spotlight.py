"""How a region is shown, and how what was found there comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.core.image import BoolArray, Image
from omniview.omnimodel.spotlight import spotlight


def region_at(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> BoolArray:
    """A rectangle."""
    region = np.zeros(shape, np.bool_)
    region[top : top + height, left : left + width] = True
    return region


def grey(shape: tuple[int, int]) -> Image:
    """A picture in which every pixel tells where it lies."""
    pixels = np.indices(shape).sum(axis=0) % 200
    return Image(np.repeat(pixels[..., None], 3, axis=2).astype(np.uint8))


def test_without_a_region_the_image_is_shown_as_it_is() -> None:
    """Not even copied."""
    image = grey((60, 80))
    view = spotlight(image, None)
    assert view.image is image
    assert (view.top, view.left) == (0, 0)


def test_a_small_region_is_cropped_with_its_surroundings() -> None:
    """Three times its size, outlined around and not over it."""
    image = grey((900, 1200))
    region = region_at((900, 1200), 300, 500, 100, 60)
    view = spotlight(image, region)
    assert view.image.shape == (300, 300)
    window = (slice(view.top, view.top + 300), slice(view.left, view.left + 300))
    inside = region[window]
    np.testing.assert_array_equal(view.image.pixels[inside], image.pixels[window][inside])
    cyan = (view.image.pixels == (0, 255, 255)).all(axis=2)
    assert cyan.any()
    assert not (cyan & inside).any()


def test_a_large_region_is_shown_in_the_whole_image() -> None:
    """There is nothing to be gained by cropping."""
    view = spotlight(grey((90, 120)), region_at((90, 120), 10, 10, 50, 60))
    assert view.image.shape == (90, 120)


def test_a_wide_image_is_cropped_along_its_longer_side_alone() -> None:
    """Where the view is higher than the image, it shows all rows."""
    view = spotlight(grey((50, 1000)), region_at((50, 1000), 10, 990, 20, 10))
    assert view.image.shape == (50, 64)
    assert (view.top, view.left) == (0, 936)


def test_sixteen_bits_are_shown_as_displayed() -> None:
    """A crop is not windowed by its own darkest and brightest pixel."""
    pixels = np.linspace(0, 60000, 400 * 400).reshape(400, 400, 1).astype(np.uint16)
    image = Image(pixels)
    region = region_at((400, 400), 10, 10, 20, 20)
    view = spotlight(image, region)
    assert view.image.pixels.dtype == np.uint8
    assert view.image.pixels[12, 12, 0] == image.rgb8()[view.top + 12, view.left + 12, 0]


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    size=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_what_is_found_comes_back_to_its_place(
    shape: tuple[int, int], corner: tuple[float, float], size: tuple[float, float]
) -> None:
    """The region itself, cut out of the view, lies in the image where it was; so does its box."""
    top, left = (min(int(c * n), n - 1) for c, n in zip(corner, shape, strict=True))
    height, width = (max(1, int(s * n)) for s, n in zip(size, shape, strict=True))
    region = region_at(shape, top, left, height, width)
    view = spotlight(grey(shape), region)
    y, x = view.image.shape
    assert y <= shape[0]
    assert x <= shape[1]
    part = region[view.top : view.top + y, view.left : view.left + x]
    np.testing.assert_array_equal(view.mask_back(part), region)
    rows, columns = np.nonzero(part)
    box = int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1
    assert view.box_back(box) == (top, left, min(top + height, shape[0]), min(left + width, shape[1]))


@pytest.mark.parametrize("region", [np.zeros((8, 8), np.bool_), np.ones((4, 8), np.bool_)])
def test_a_region_has_to_fit(region: BoolArray) -> None:
    """Empty ones and those of another size are a caller's mistake."""
    with pytest.raises(ValueError, match="region must be"):
        spotlight(grey((8, 8)), region)
