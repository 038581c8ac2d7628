"""Contours have the length that geometry gives them, and distances run between their elements."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from omniview.core.image import BoolArray
from omniview.core.surface_elements import SurfaceElements, nsd_weighted, surface_elements

SPACINGS = st.sampled_from([(1.0, 1.0), (0.1, 0.1), (0.5, 2.0), (1.3, 0.7)])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[BoolArray, BoolArray]:
    """Two masks of one shape that are not empty."""
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    a, b = (draw(arrays(np.bool_, shape).filter(np.any)) for _ in range(2))
    return a, b


def plain_contour(mask: BoolArray, spacing: tuple[float, float]) -> dict[tuple[int, int], float]:
    """Corner to length, corner by corner: an edge between two pixels is met in its middle."""
    framed = np.pad(mask, 1)
    found = {}
    for y in range(framed.shape[0] - 1):
        for x in range(framed.shape[1] - 1):
            (a, b), (c, d) = framed[y : y + 2, x : x + 2]
            inside = int(a) + int(b) + int(c) + int(d)
            diagonal = math.hypot(*spacing) / 2
            if inside in (1, 3):
                found[y, x] = diagonal
            elif inside == 2:
                found[y, x] = spacing[1] if a == b else spacing[0] if a == c else 2 * diagonal
    return found


def value(found: SurfaceElements) -> tuple[float, ...]:
    """Everything that is reduced from the elements."""
    return (found.nsd(1.0), found.hausdorff(), found.hausdorff(95), *found.averages())


@given(masks=pairs(), spacing=SPACINGS)
def test_elements_are_those_of_the_definition(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float]
) -> None:
    """Lengths by the four pixels around a corner, distances to the nearest corner of the other contour."""
    found = surface_elements(*masks, spacing)
    a, b = (plain_contour(mask, spacing) for mask in masks)
    table = cdist(np.array(list(a)) * spacing, np.array(list(b)) * spacing)
    np.testing.assert_allclose(found.a_length, list(a.values()), rtol=1e-12)
    np.testing.assert_allclose(found.b_length, list(b.values()), rtol=1e-12)
    np.testing.assert_allclose(found.a_to_b, table.min(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.b_to_a, table.min(axis=0), rtol=1e-12, atol=1e-12)


def test_a_square_is_as_long_as_its_sides_with_its_corners_cut() -> None:
    """Four straight sides and four half diagonals."""
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:6] = True
    length = surface_elements(mask, mask, (2.0, 1.0)).a_length.sum()
    assert length == pytest.approx(2 * 4 * 2.0 + 2 * 3 * 1.0 + 4 * math.hypot(2.0, 1.0) / 2)


@given(masks=pairs(), spacing=SPACINGS, factor=st.floats(0.01, 100))
def test_values_are_symmetric_mirrored_and_scaled(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float], factor: float
) -> None:
    """Order and direction do not matter; distances grow with the spacing, and no share leaves [0,1]."""
    a, b = masks
    one = surface_elements(a, b, spacing)
    assert value(surface_elements(a[:, ::-1], b[:, ::-1], spacing)) == pytest.approx(value(one))
    other = surface_elements(b, a, (spacing[0] * factor, spacing[1] * factor))
    assert other.hausdorff() == pytest.approx(one.hausdorff() * factor)
    assert other.averages()[::-1] == pytest.approx([mean * factor for mean in one.averages()])
    assert other.nsd(factor * 1.05) == pytest.approx(one.nsd(1.05))
    assert 0.0 <= one.nsd(0.0) <= one.nsd(1.0) <= one.nsd(2.0) <= 1.0 + 1e-12
    assert one.hausdorff(95) <= one.hausdorff()


@given(masks=pairs(), spacing=SPACINGS, up=st.integers(0, 9), left=st.integers(0, 70))
def test_what_surrounds_the_masks_does_not_matter(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float], up: int, left: int
) -> None:
    """A larger image around the same masks gives the same values: cropping loses nothing."""
    small = surface_elements(*masks, spacing)
    a, b = (np.pad(mask, ((up, 3), (left, 1))) for mask in masks)
    assert value(surface_elements(a, b, spacing)) == value(small)


def test_empty_masks_have_a_share_but_no_elements() -> None:
    """Both empty is perfect, one empty is nothing; distances to nothing are refused, so are two shapes."""
    one, none = np.ones((3, 3), bool), np.zeros((3, 3), bool)
    assert nsd_weighted(none, none, 1.0) == 1.0
    assert nsd_weighted(one, none, 1.0) == nsd_weighted(none, one, 1.0) == 0.0
    assert nsd_weighted(one, one, 0.0) == 1.0
    with pytest.raises(ValueError, match="empty"):
        surface_elements(one, none)
    with pytest.raises(ValueError, match="shape"):
        surface_elements(one, one[:2])
