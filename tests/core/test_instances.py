"""Touching objects come apart, ragged ones stay together, and every object is measured."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.image import BoolArray
from omniview.core.instances import Labels, count, measure, split

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 16), st.integers(1, 16)))


def discs(shape: tuple[int, int], *circles: tuple[int, int, int]) -> BoolArray:
    """(Y,X) bool: filled circles (row, column, radius)."""
    canvas = np.zeros(shape, np.uint8)
    for row, column, radius in circles:
        cv2.circle(canvas, (column, row), radius, 1, -1)
    return canvas > 0


@pytest.mark.parametrize(("gap", "objects"), [(0, 1), (4, 1), (28, 2), (34, 2), (45, 2)])
def test_round_objects_part_at_the_waist(gap: int, objects: int) -> None:
    """Two discs are one while they overlap almost entirely, and two as soon as there is a waist."""
    mask = discs((64, 120), (32, 30, 16), (32, 30 + gap, 16))
    labels = split(mask)
    assert count(labels) == objects
    np.testing.assert_array_equal(labels > 0, mask)
    if objects == 2:
        one, other = measure(labels)
        assert abs(one.pixels - other.pixels) < 0.1 * one.pixels
        assert one.centroid[1] == pytest.approx(30, abs=2)


def test_a_cluster_comes_apart_into_its_members() -> None:
    """Seven touching discs of different sizes are seven objects."""
    circles = [
        (40, 40, 14),
        (40, 65, 12),
        (62, 52, 13),
        (18, 52, 11),
        (40, 90, 14),
        (100, 40, 20),
        (100, 75, 16),
    ]
    labels = split(discs((140, 120), *circles))
    assert count(labels) == 7
    assert len({int(labels[row, column]) for row, column, _ in circles}) == 7


def test_a_ragged_outline_stays_one_object() -> None:
    """Bumps shallower than the depth do not split; a smaller depth lets them."""
    mask = discs((60, 60), (30, 30, 20)) | discs((60, 60), (30, 48, 4))
    assert count(split(mask, depth=6.0)) == 1
    assert count(split(discs((60, 120), (30, 30, 20), (30, 62, 20)), depth=30.0)) == 1


def test_a_probability_is_cut_at_its_edge() -> None:
    """0.5 is outside, as everywhere."""
    probability = np.full((20, 20), 0.5, np.float32)
    assert count(split(probability)) == 0
    probability[4:9, 4:9] = 0.51
    assert count(split(probability)) == 1


def test_objects_at_the_rim_and_thin_ones_are_kept() -> None:
    """The image's border ends an object; a line has no depth and is one object all the same."""
    mask = np.zeros((30, 40), bool)
    mask[0:6, 0:6] = True
    mask[20, 5:35] = True
    labels = split(mask, depth=2.0)
    assert count(labels) == 2
    np.testing.assert_array_equal(labels > 0, mask)
    assert count(split(np.ones((5, 7), bool))) == 1


def test_specks_are_dropped() -> None:
    """Objects below the smallest size vanish, and numbers have no gap."""
    mask = np.zeros((20, 20), bool)
    mask[1, 1] = mask[10:14, 10:14] = True
    labels = split(mask)
    assert np.unique(labels).tolist() == [0, 1]
    assert count(split(mask, smallest=1)) == 2
    assert count(split(mask, smallest=17)) == 0


@given(mask=MASKS, depth=st.floats(0.1, 5))
def test_every_pixel_belongs_to_one_object(mask: BoolArray, depth: float) -> None:
    """Labels cover the mask and nothing else, are numbered without gaps, and never join two pieces."""
    labels = split(mask, depth, smallest=1)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, mask)
    assert np.unique(labels[mask]).tolist() == list(range(1, count(labels) + 1))
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
    for label in range(1, count(labels) + 1):
        assert len(np.unique(pieces[labels == label])) == 1
    assert count(labels) >= pieces.max()


def test_measures_by_hand() -> None:
    """Pixels, area, centroid and diameter, in pixels or in millimetres."""
    labels = np.zeros((6, 8), np.int32)
    labels[1:3, 2:6] = 1
    labels[5, 7] = 3
    one, three = measure(labels)
    assert (one.label, one.pixels, one.area, one.centroid) == (1, 8, 8.0, (1.5, 3.5))
    assert one.diameter == pytest.approx(2 * math.sqrt(8 / math.pi))
    assert (three.label, three.pixels, three.centroid) == (3, 1, (5.0, 7.0))
    wide = measure(labels, (0.5, 2.0))[0]
    assert wide.area == 8.0
    assert measure(labels, (0.5, 0.5))[0].diameter == pytest.approx(one.diameter / 2)
    assert count(labels) == 2


def test_nothing_is_counted_and_measured_as_nothing() -> None:
    """An empty mask has no objects."""
    labels = split(np.zeros((4, 5), bool))
    assert count(labels) == 0
    assert measure(labels) == ()


def test_what_does_not_fit_is_told_by_name() -> None:
    """Shape, depth and labels are checked."""
    with pytest.raises(ValueError, match="mask"):
        split(np.zeros((1, 4, 4), bool))
    with pytest.raises(ValueError, match="mask"):
        split(np.zeros((0, 4), bool))
    with pytest.raises(ValueError, match="depth"):
        split(np.zeros((4, 4), bool), depth=0.0)
    wrong: list[Labels] = [np.zeros(4, np.int32), np.full((2, 2), -1, np.int32)]
    for labels in wrong:
        with pytest.raises(ValueError, match="labels"):
            count(labels)
        with pytest.raises(ValueError, match="labels"):
            measure(labels)
