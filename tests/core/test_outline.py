"""Contours lie on the edges of their masks, and dashes along contours."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.outline import FIXED_BITS, dashes, fixed_point, trace


def test_outline_lies_on_the_edge_of_the_mask() -> None:
    """A traced square differs from its pixel edges by no more than a quarter of a pixel."""
    mask = np.zeros((1, 40, 50), bool)
    mask[:, 10:30, 15:35] = True
    outline = trace(mask)
    assert len(outline.starts) == 2
    np.testing.assert_allclose(outline.boxes, [[15, 10, 35, 30]], atol=0.25)


def test_holes_and_labels_have_contours_of_their_own() -> None:
    """A ring has two contours; a second label that overlaps adds its own."""
    mask = np.zeros((2, 60, 60), bool)
    mask[0, 10:50, 10:50] = True
    mask[0, 20:40, 20:40] = False
    mask[1, 15:30, 15:30] = True
    assert len(trace(mask).starts) == 4


def test_empty_mask_has_no_contour() -> None:
    """Nothing found is nothing drawn, not an error."""
    outline = trace(np.zeros((1, 5, 5), bool))
    assert len(outline.points) == len(outline.boxes) == 0


def test_a_coarse_trace_stays_at_the_pixels() -> None:
    """Where no enlargement is wanted, contours run through pixel centres."""
    mask = np.zeros((1, 40, 50), bool)
    mask[:, 10:30, 15:35] = True
    np.testing.assert_allclose(trace(mask, finest=1).boxes, [[15.5, 10.5, 34.5, 29.5]])


def test_dashes_fill_the_contour_evenly() -> None:
    """On a square of side 30, dashes of 7 and gaps of 5 pixels: ten periods of 12 pixels each."""
    square = np.array([[0, 0], [30, 0], [30, 30], [0, 30]], np.float32)
    pieces = dashes(square, 7.0, 5.0)
    lengths = [np.hypot(*np.diff(piece, axis=0).T).sum() for piece in pieces]
    np.testing.assert_allclose(lengths, 7.0, atol=1e-4)
    assert len(pieces) == 10


def test_dashes_out_of_sight_are_left_out() -> None:
    """Only those that begin within the given edges are returned, and they are the same ones."""
    square = np.array([[0, 0], [30, 0], [30, 30], [0, 30]], np.float32)
    every = dashes(square, 7.0, 5.0)
    seen = dashes(square, 7.0, 5.0, within=(20.0, -1.0, 31.0, 31.0))
    expected = [piece for piece in every if piece[0, 0] >= 20.0]
    assert 0 < len(seen) < len(every)
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_short_contour_is_one_dash() -> None:
    """What is shorter than a dash and a gap is drawn whole, and closed."""
    (whole,) = dashes(np.array([[0, 0], [1, 0], [1, 1]], np.float32), 7.0, 5.0)
    np.testing.assert_array_equal(whole[0], whole[-1])


def test_fixed_point_does_not_overflow() -> None:
    """Coordinates are scaled by the fractional bits, and those far outside stay in 32 bits."""
    points = np.array([[1.5, -2.0], [1e12, -1e12]], np.float32)
    np.testing.assert_array_equal(fixed_point(points)[0], np.array([1.5, -2.0]) * 2**FIXED_BITS)
    assert np.abs(fixed_point(points)[1]).max() == 2**26


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3000, 2)])
def test_any_size_is_traced(shape: tuple[int, int, int]) -> None:
    """A full mask of one pixel, or longer than is enlarged, has one contour."""
    assert len(trace(np.ones(shape, bool)).starts) == 2
