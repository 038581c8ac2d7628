"""What goes into a network comes back to where it was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniview.core.geometry import (
    VIEWS,
    Placement,
    View,
    letterbox,
    rescale,
    resize,
    resize_maps,
    stretch,
)
from omniview.core.image import Array, FloatArray

SIDES = st.integers(1, 60)
SHAPES = st.tuples(SIDES, SIDES)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> FloatArray:
    """(Y,X,1) float32: a disc with a soft edge of one pixel."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(rows - centre[0], columns - centre[1])
    soft: FloatArray = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    return soft[..., None]


def centroid(plane: Array) -> tuple[float, float]:
    """(row, column) of the centre of mass."""
    rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]]
    return float((rows * plane).sum() / plane.sum()), float((columns * plane).sum() / plane.sum())


def smooth(shape: tuple[int, int]) -> FloatArray:
    """(Y,X) float32 in [0,1] without detail finer than some twenty pixels."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves: FloatArray = (0.5 + 0.25 * np.sin(rows / 11.0) + 0.25 * np.cos(columns / 9.0)).astype(np.float32)
    return waves


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_resize_keeps_type_and_channels(dtype: type, channels: tuple[int, ...]) -> None:
    """Type and number of channels survive, also where OpenCV drops a single one."""
    pixels: Array = np.ones((6, 8, *channels), dtype)
    for size in ((3, 4), (12, 20), (3, 20), (6, 8)):
        out = resize(pixels, size)
        assert out.shape == (*size, *channels)
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, 1)


def test_resize_refuses_an_empty_target() -> None:
    """A size of zero is told by name."""
    with pytest.raises(ValueError, match="size"):
        resize(np.ones((2, 2)), (0, 3))


def test_shrinking_averages_areas() -> None:
    """Halving gives the mean of each 2x2 block, so that nothing aliases."""
    pixels = np.array([[0, 4, 8, 8], [4, 8, 8, 8]], np.float32)
    np.testing.assert_allclose(resize(pixels, (1, 2)), [[4, 8]])


def test_enlarging_is_linear_between_pixel_centres() -> None:
    """Pixel centres lie at half-integers: doubling puts new centres at quarters between the old."""
    np.testing.assert_allclose(resize(np.array([[0, 4]], np.float32), (1, 4)), [[0, 1, 3, 4]])


def test_each_axis_is_treated_for_itself() -> None:
    """Rows that shrink are averaged while columns that grow are interpolated."""
    np.testing.assert_allclose(resize(np.array([[0, 4], [2, 6]], np.float32), (1, 4)), [[1, 2, 4, 5]])


@given(shape=SHAPES, size=SHAPES)
def test_a_placement_returns_maps_of_the_images_size(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Whatever the sizes, inverse maps have the image's size and stay within the values that came in."""
    pixels = np.full((*shape, 2), 0.7, np.float32)
    rng = np.random.default_rng(0)
    for put in (stretch, letterbox):
        array, placement = put(pixels, size)
        assert array.shape == (*size, 2)
        maps = rng.random((3, *size), np.float32)
        out = placement.inverse(maps)
        assert out.shape == (3, *shape)
        assert out.dtype == np.float32
        assert out.min() >= maps.min()
        assert out.max() <= maps.max()
    array, placement = rescale(pixels, max(size))
    assert max(array.shape[:2]) == max(size)
    assert placement.inverse(np.ones((1, *array.shape[:2]), np.float32)).shape == (1, *shape)


@given(shape=SHAPES)
def test_equal_sizes_change_nothing(shape: tuple[int, int]) -> None:
    """Where the input is as large as the image, the way in and the way out are the identity."""
    pixels = np.random.default_rng(1).random((*shape, 3), np.float32)
    for array, placement in (stretch(pixels, shape), letterbox(pixels, shape), rescale(pixels, max(shape))):
        np.testing.assert_array_equal(array, pixels)
        np.testing.assert_array_equal(
            placement.inverse(np.moveaxis(array, -1, 0)), np.moveaxis(pixels, -1, 0)
        )


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (317, 211), (500, 400)])
@pytest.mark.parametrize("put", [stretch, letterbox])
def test_a_mask_does_not_move(put: type, size: tuple[int, int]) -> None:
    """The centroid of a disc moves by less than a tenth of a pixel in and out again."""
    picture = disc((241, 333), (101.3, 200.8), 30.0)
    array, placement = put(picture, size)
    back = placement.inverse(np.moveaxis(array, -1, 0))[0]
    np.testing.assert_allclose(centroid(back), centroid(picture[..., 0]), atol=0.1)
    top, left, height, width = placement.box
    seen = centroid(array[..., 0])
    # the input and the image cover the same rectangle, edge to edge
    expected = [
        (c + 0.5) * n / s for c, n, s in zip((101.3, 200.8), (height, width), (241, 333), strict=True)
    ]
    np.testing.assert_allclose((seen[0] + 0.5 - top, seen[1] + 0.5 - left), expected, atol=0.1)


def test_letterbox_centres_the_image_and_fills_with_zeros() -> None:
    """Aspect is kept; what is left over lies evenly on both sides and is black."""
    array, placement = letterbox(np.ones((10, 20, 1), np.uint8), (40, 40))
    assert placement == Placement((10, 20), (40, 40), (10, 0, 20, 40))
    assert array[10:30].all()
    assert not array[:10].any()
    assert not array[30:].any()


def test_a_line_survives_as_at_least_one_pixel() -> None:
    """An extreme aspect does not vanish."""
    assert letterbox(np.ones((1, 900, 1), np.uint8), (32, 32))[1].box == (15, 0, 1, 32)
    assert rescale(np.ones((1, 900, 1), np.uint8), 32)[0].shape == (1, 32, 1)


def test_wrong_shapes_are_told_by_name() -> None:
    """Pixels, maps and boxes that do not fit are refused."""
    with pytest.raises(ValueError, match="pixels"):
        stretch(np.zeros((4, 4), np.uint8), (2, 2))
    with pytest.raises(ValueError, match="pixels"):
        letterbox(np.zeros((4, 0, 1), np.uint8), (2, 2))
    placement = stretch(np.zeros((4, 4, 1), np.uint8), (2, 2))[1]
    with pytest.raises(ValueError, match="maps"):
        placement.inverse(np.zeros((1, 3, 3), np.float32))
    with pytest.raises(ValueError, match="maps"):
        placement.inverse(np.zeros((2, 2), np.float32))
    for box in ((0, 0, 3, 2), (-1, 0, 2, 2), (0, 0, 0, 2)):
        with pytest.raises(ValueError, match="box"):
            Placement((4, 4), (2, 2), box)


def test_rounding_pushes_no_map_out_of_its_range() -> None:
    """Interpolated probabilities stay probabilities."""
    maps = np.ones((2, 37, 41), np.float32)
    for size in ((100, 97), (11, 13), (37, 41)):
        assert (resize_maps(maps, size) == 1.0).all()


@pytest.mark.parametrize(
    ("dtype", "channels"), [(np.uint8, 3), (np.float32, 3), (np.uint8, 1), (np.int64, 2)]
)
def test_the_eight_views_are_those_of_numpy(dtype: type, channels: int) -> None:
    """Names mean what numpy means by them, for every kind of picture; rot90 turns against the clock."""
    picture: Array = np.arange(12 * channels).astype(dtype).reshape(1, 4, 3, channels)
    here = picture[0]
    expected = {
        "identity": here,
        "hflip": np.fliplr(here),
        "vflip": np.flipud(here),
        "rot90": np.rot90(here),
        "rot180": np.rot90(here, 2),
        "rot270": np.rot90(here, 3),
        "transpose": here.swapaxes(0, 1),
        "antitranspose": np.rot90(here, 2).swapaxes(0, 1),
    }
    assert list(VIEWS) == list(expected)
    for name, seen in expected.items():
        np.testing.assert_array_equal(VIEWS[name].apply(picture)[0], seen)


@given(
    names=st.lists(st.sampled_from(list(VIEWS)), min_size=1, max_size=3),
    shape=SHAPES,
    leading=st.sampled_from([(), (1,), (2, 3)]),
)
def test_turns_come_back_bit_for_bit(
    names: list[str], shape: tuple[int, int], leading: tuple[int, ...]
) -> None:
    """Any chain of mirrorings and turns is undone exactly, in any number of leading axes."""
    view = View.parse("+".join(names))
    pixels = np.random.default_rng(2).random((*leading, *shape, 3), np.float32)
    seen = view.apply(pixels)
    assert seen.flags.c_contiguous
    maps = view.inverse(np.moveaxis(seen, -1, 0))
    assert maps.flags.c_contiguous
    np.testing.assert_array_equal(maps, np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize("name", ["scale0.5", "scale0.85", "scale1.0", "hflip+scale0.7+rot90"])
def test_a_shrinking_view_comes_back_up_to_interpolation(name: str) -> None:
    """A smooth map that was seen smaller returns to its place everywhere."""
    view, plane = View.parse(name), smooth((96, 120))
    back = view.inverse(view.apply(plane[..., None])[..., 0])
    assert back.shape == plane.shape
    np.testing.assert_allclose(back, plane, atol=0.02)


@pytest.mark.parametrize("name", ["scale1.15", "scale1.6", "vflip+scale1.3"])
def test_an_enlarging_view_comes_back_where_it_looked(name: str) -> None:
    """The middle returns to its place, and what was cropped away repeats the nearest value seen."""
    view, plane = View.parse(name), smooth((96, 120))
    back = view.inverse(view.apply(plane[..., None])[..., 0])
    assert back.shape == plane.shape
    np.testing.assert_allclose(back[24:72, 30:90], plane[24:72, 30:90], atol=0.02)
    np.testing.assert_array_equal(back[0], back[1])
    np.testing.assert_array_equal(back[:, -1], back[:, -2])


def test_a_zoom_is_about_the_centre_and_mirrors_beyond_the_border() -> None:
    """A disc in the middle stays there, its radius follows the factor, and no black border appears."""
    picture = disc((101, 101), (50.0, 50.0), 20.0)
    for factor in (0.8, 1.25):
        seen = View.parse(f"scale{factor}").apply(picture)[..., 0]
        np.testing.assert_allclose(centroid(seen), (50, 50), atol=1e-2)
        assert np.sqrt(seen.sum() / np.pi) == pytest.approx(20.0 * factor, rel=0.02)
    assert View.parse("scale0.6").apply(np.ones((30, 30, 1), np.uint8)).all()


def test_a_zoom_of_a_single_pixel_is_possible() -> None:
    """The smallest arrays keep their size under any scale."""
    for shape in ((1, 1), (2, 2), (1, 7)):
        for name in ("scale0.25", "scale4"):
            view = View.parse(name)
            assert view.apply(np.ones((*shape, 3), np.uint8)).shape == (*shape, 3)
            assert view.inverse(np.ones((2, *shape), np.float32)).shape == (2, *shape)


@pytest.mark.parametrize(
    "name", ["", "spin", "scale", "scale0.1", "scale9", "scalenan", "0.85", "hflip+", "+hflip"]
)
def test_an_unknown_view_is_refused_with_those_that_exist(name: str) -> None:
    """The message lists what is possible."""
    with pytest.raises(ValueError, match="hflip"):
        View.parse(name)


def test_a_view_needs_both_image_axes() -> None:
    """Too few axes are told by name."""
    with pytest.raises(ValueError, match="batch"):
        VIEWS["hflip"].apply(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="maps"):
        VIEWS["hflip"].inverse(np.zeros(4))


@settings(max_examples=25)
@given(factor=st.floats(0.1, 3.0))
def test_area_is_kept_in_and_out(factor: float) -> None:
    """The area under a map stays the same share of the image, whatever the input's size."""
    picture = disc((120, 150), (60.0, 70.0), 25.0)
    size = (max(8, round(120 * factor)), max(8, round(150 * factor)))
    array, placement = stretch(picture, size)
    assert cv2.mean(array[..., 0])[0] == pytest.approx(picture.mean(), rel=0.02)
    assert placement.inverse(array[None, ..., 0]).mean() == pytest.approx(picture.mean(), rel=0.02)
