"""Distances between outlines equal those that brute force finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from omniview.core import surface
from omniview.core.image import Array, BoolArray
from omniview.core.surface import Distances, SurfaceDistances, border, surface_distances

SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))
SPACINGS = st.sampled_from([(1.0, 1.0), (0.1, 0.1), (0.5, 2.0), (1.3, 0.7)])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[BoolArray, BoolArray]:
    """Two masks of one shape that are not empty."""
    shape = draw(SHAPES)
    a, b = (draw(arrays(np.bool_, shape).filter(np.any)) for _ in range(2))
    return a, b


def plain_border(mask: BoolArray) -> BoolArray:
    """The border, pixel by pixel from its definition."""
    framed = np.pad(mask, 1)
    inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return mask & ~inner


def brute_force(a: BoolArray, b: BoolArray, spacing: tuple[float, float]) -> tuple[Array, Array]:
    """All distances from every border pixel to every other."""
    table = cdist(np.argwhere(plain_border(a)) * spacing, np.argwhere(plain_border(b)) * spacing)
    return table.min(axis=1), table.min(axis=0)


def check(found: SurfaceDistances, expected: tuple[Array, Array]) -> None:
    """Compare both directions, in order of pixels."""
    np.testing.assert_allclose(found.a_to_b, expected[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.b_to_a, expected[1], rtol=1e-12, atol=1e-12)


@given(masks=pairs())
def test_the_border_is_what_erosion_by_a_cross_takes_away(masks: tuple[BoolArray, BoolArray]) -> None:
    """Four neighbours, and the outside of the image is background."""
    np.testing.assert_array_equal(border(masks[0]), plain_border(masks[0]))


def test_the_border_of_a_full_mask_is_the_frame() -> None:
    """A mask that fills the image ends at the image's edge."""
    expected = np.ones((4, 5), bool)
    expected[1:-1, 1:-1] = False
    np.testing.assert_array_equal(border(np.ones((4, 5), bool)), expected)


@given(masks=pairs(), spacing=SPACINGS)
def test_distances_are_those_of_brute_force(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float]
) -> None:
    """Every border pixel's distance is the smallest of all, however it was found."""
    check(surface_distances(*masks, spacing), brute_force(*masks, spacing))


@pytest.mark.parametrize("look", [0, surface.LOOK, 10**9])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0), (0.1, 3.0)])
@pytest.mark.parametrize("share", [0, 10**9])
def test_neighbourhood_tree_and_transform_find_the_same(
    share: int, spacing: tuple[float, float], look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speed decides which of the three is used, never the result."""
    monkeypatch.setattr(surface, "LOOK", look)
    monkeypatch.setattr(surface, "SPARSE_ISOTROPIC", share)
    monkeypatch.setattr(surface, "SPARSE_ANISOTROPIC", share)
    rng = np.random.default_rng(3)
    for density in (0.1, 0.003):
        a, b = rng.random((2, 40, 60)) < density
        check(surface_distances(a, b, spacing), brute_force(a, b, spacing))


def test_long_distances_keep_their_digits() -> None:
    """Beyond the range of exact squares the error stays below 1e-7 of the distance."""
    a, b = np.zeros((3, 2000), bool), np.zeros((3, 2000), bool)
    a[0, :40], b[2, 1300:] = True, True  # dense enough for the transform
    found, expected = surface_distances(a, b), brute_force(a, b, (1.0, 1.0))
    assert found.b_to_a.min() < surface.SNAP < found.b_to_a.max()
    np.testing.assert_allclose(found.a_to_b, expected[0], rtol=1e-12)
    np.testing.assert_allclose(found.b_to_a, expected[1], rtol=1e-7)


@given(masks=pairs(), spacing=SPACINGS, factor=st.floats(0.01, 100))
def test_distances_scale_with_the_spacing(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float], factor: float
) -> None:
    """Twice the spacing, twice every distance."""
    one = surface_distances(*masks, spacing)
    other = surface_distances(*masks, (spacing[0] * factor, spacing[1] * factor))
    for reduce in (SurfaceDistances.hausdorff, SurfaceDistances.assd, SurfaceDistances.masd):
        assert reduce(other) == pytest.approx(reduce(one) * factor, rel=1e-9)


@given(masks=pairs(), spacing=SPACINGS)
def test_reducers_are_symmetric_and_ordered(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float]
) -> None:
    """Order of the masks does not matter; no percentile is beyond the Hausdorff distance."""
    a, b = masks
    one, other = surface_distances(a, b, spacing), surface_distances(b, a, spacing)
    assert one.hausdorff() == pytest.approx(other.hausdorff())
    assert one.hausdorff(95) == pytest.approx(other.hausdorff(95))
    assert one.assd() == pytest.approx(other.assd())
    assert one.masd() == pytest.approx(other.masd())
    assert one.nsd(1.0) == pytest.approx(other.nsd(1.0))
    assert one.hausdorff(95) <= one.hausdorff() + 1e-12
    assert max(one.assd(), one.masd()) <= one.hausdorff() + 1e-12


@given(masks=pairs(), spacing=SPACINGS, up=st.integers(0, 9), left=st.integers(0, 70))
def test_what_surrounds_the_masks_does_not_matter(
    masks: tuple[BoolArray, BoolArray], spacing: tuple[float, float], up: int, left: int
) -> None:
    """A larger image around the same masks gives the same distances; a mirrored one the same values."""
    small = surface_distances(*masks, spacing)
    a, b = (np.pad(mask, ((up, 3), (left, 1))) for mask in masks)
    large = surface_distances(a, b, spacing)
    np.testing.assert_array_equal(large.a_to_b, small.a_to_b)
    np.testing.assert_array_equal(large.b_to_a, small.b_to_a)
    mirrored = surface_distances(masks[0][::-1], masks[1][::-1], spacing)
    np.testing.assert_allclose(np.sort(mirrored.a_to_b), np.sort(small.a_to_b), rtol=1e-12)


@given(masks=pairs(), low=st.floats(0, 20), high=st.floats(0, 20))
def test_surface_dice_never_falls_with_the_tolerance(
    masks: tuple[BoolArray, BoolArray], low: float, high: float
) -> None:
    """More forgiveness is never a worse score, and enough of it is a perfect one."""
    distances = surface_distances(*masks)
    low, high = sorted((low, high))
    assert 0.0 <= distances.nsd(low) <= distances.nsd(high) <= distances.nsd(distances.hausdorff()) == 1.0


def test_reducers_by_hand() -> None:
    """Two pixels against one: directed distances (0, 3) and (0)."""
    a, b = np.zeros((1, 5), bool), np.zeros((1, 5), bool)
    a[0, 0], a[0, 3], b[0, 0] = True, True, True
    found = surface_distances(a, b)
    assert found.a_to_b.tolist() == [0.0, 3.0]
    assert found.b_to_a.tolist() == [0.0]
    assert found.hausdorff() == 3.0
    assert found.hausdorff(95) == pytest.approx(2.85)  # interpolated, larger of the two directions
    assert found.pooled(50) == 0.0
    assert found.pooled(95) == pytest.approx(2.7)  # of 0, 0, 3 together
    assert found.assd() == pytest.approx(1.0)
    assert found.masd() == pytest.approx(0.75)
    assert found.nsd(2.999) == pytest.approx(2 / 3)
    assert found.nsd(3.0) == 1.0


def test_tolerance_forgives_the_rounding_of_the_spacing() -> None:
    """Three pixels of 0.1 mm are within a tolerance of 0.3 mm."""
    a, b = np.zeros((1, 9), bool), np.zeros((1, 9), bool)
    a[0, 1], b[0, 4] = True, True
    assert surface_distances(a, b, (0.1, 0.1)).nsd(0.3) == 1.0


def test_distances_to_nothing_are_refused() -> None:
    """An empty mask is an error here, not a number; so are two shapes."""
    one, none = np.ones((3, 3), bool), np.zeros((3, 3), bool)
    for a, b in ((one, none), (none, one), (none, none)):
        with pytest.raises(ValueError, match="empty"):
            surface_distances(a, b)
    with pytest.raises(ValueError, match="shape"):
        surface_distances(one, one[:2])
    with pytest.raises(ValueError, match="shape"):
        surface_distances(one[None], one[None])


@given(
    both=st.tuples(*[arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e4)) for _ in range(2)]),
    percentile=st.sampled_from([0.0, 5.0, 50.0, 95.0, 99.0, 100.0]),
)
def test_percentiles_are_those_of_numpy_to_the_last_bit(
    both: tuple[Distances, Distances], percentile: float
) -> None:
    """Of each direction, of which the larger counts, and of both in one list."""
    found = SurfaceDistances(*both)
    assert found.hausdorff(percentile) == max(np.percentile(one, percentile) for one in both)
    assert found.pooled(percentile) == np.percentile(np.concatenate(both), percentile)
