"""Boundary IoU counts what iterated erosion takes away, as its paper has it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion

from omniview.core.boundary import band, boundary_iou, boundary_width
from omniview.core.image import BoolArray

RATIOS = st.sampled_from([0.02, 0.1, 0.3, 0.7])


def plain_band(mask: BoolArray, width: int) -> BoolArray:
    """What erosion by a small square, `width` times, takes away; outside is background."""
    return mask & ~binary_erosion(mask, np.ones((3, 3), bool), iterations=width)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[BoolArray, BoolArray]:
    """Two masks of one shape, in blocks so that some pixels are far from the outline."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    size = draw(st.integers(1, 9))
    a, b = (np.kron(draw(arrays(np.bool_, shape)), np.ones((size, size), bool)) for _ in range(2))
    return a, b


@given(masks=pairs(), ratio=RATIOS)
def test_the_bands_are_those_of_the_definition(masks: tuple[BoolArray, BoolArray], ratio: float) -> None:
    """IoU of both bands; symmetric, and the same for mirrored images."""
    width = boundary_width((masks[0].shape[0], masks[0].shape[1]), ratio)
    near = [plain_band(mask, width) for mask in masks]
    union = np.count_nonzero(near[0] | near[1])
    expected = np.count_nonzero(near[0] & near[1]) / union if union else 1.0
    assert boundary_iou(*masks, ratio) == pytest.approx(expected)
    assert boundary_iou(masks[1], masks[0], ratio) == pytest.approx(expected)
    assert boundary_iou(masks[0][::-1], masks[1][::-1], ratio) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(60, 90), (90, 33)])
def test_wide_bands_of_thick_and_of_thin_shapes(shape: tuple[int, int]) -> None:
    """The short way for shapes with no filled square finds what erosion finds."""
    thick, thin = np.zeros(shape, bool), np.zeros(shape, bool)
    thick[3:58, 2:31], thin[4:50:9] = True, True
    for mask in (thick, thin, np.ones(shape, bool)):
        for width in (1, 7, 8, 13, 16, 40):
            np.testing.assert_array_equal(band(mask, width), plain_band(mask, width))


def test_the_width_is_a_share_of_the_diagonal() -> None:
    """2 % of 1000 pixels are 20; no band is thinner than a pixel."""
    assert boundary_width((600, 800)) == 20
    assert boundary_width((600, 800), 0.005) == 5
    assert boundary_width((10, 10)) == 1


def test_empty_masks_and_bad_arguments() -> None:
    """Both empty is perfect, one empty is nothing; two shapes or no width are refused."""
    one, none = np.ones((3, 3), bool), np.zeros((3, 3), bool)
    assert boundary_iou(none, none) == boundary_iou(one, one) == 1.0
    assert boundary_iou(one, none) == boundary_iou(none, one) == 0.0
    with pytest.raises(ValueError, match="shape"):
        boundary_iou(one, one[:2])
    with pytest.raises(ValueError, match="ratio"):
        boundary_iou(one, one, 0.0)
