"""A mask taken apart into prompts."""

from __future__ import annotations

import numpy as np

from omniview.omnimodel.sam_prompts import MOST_OBJECTS, innermost, objects_of


def test_each_object_becomes_box_point_and_mask() -> None:
    """Largest first; the box by its edges, the point in the middle, the map of that object alone."""
    probability = np.zeros((40, 60), np.float32)
    probability[2:9, 3:10] = 0.8
    probability[20:31, 30:51] = 0.9
    probability[35, 5] = 0.5  # at the edge itself: not in the mask
    prompts, left_out = objects_of(probability)
    assert left_out == 0
    first, second = list(prompts)
    np.testing.assert_array_equal([first.box, second.box], [(20, 30, 31, 51), (2, 3, 9, 10)])
    np.testing.assert_array_equal(second.positive, [(5, 6)])
    assert first.prior is not None
    np.testing.assert_array_equal(first.prior > 0, probability == np.float32(0.9))
    assert first.negative == ()


def test_the_largest_objects_are_kept() -> None:
    """What is beyond the bound is counted; the largest is not among it."""
    probability = np.zeros((200, 200), np.float32)
    probability[::4, ::4] = 1
    probability[102:140, 102:140] = 1
    prompts, left_out = objects_of(probability)
    boxes = [shown.box for shown in prompts]
    assert len(boxes) == MOST_OBJECTS
    np.testing.assert_array_equal(boxes[0], (102, 102, 141, 141))  # a dot touches its corner
    dots_inside = 10 * 10
    assert left_out == 50 * 50 - dots_inside + 1 - MOST_OBJECTS


def test_an_empty_mask_has_no_objects() -> None:
    """And nothing is left out of it."""
    prompts, left_out = objects_of(np.full((5, 6), 0.5, np.float32))
    assert (list(prompts), left_out) == ([], 0)


def test_two_lobes_get_a_point_each() -> None:
    """A dumbbell's bar gets none, nor does a lobe's rim; a mask that touches the border has edges there."""
    mask = np.zeros((30, 80), bool)
    mask[5:26, 3:24] = True
    mask[5:26, 50:71] = True
    mask[14:17, 24:50] = True
    assert sorted(innermost(mask)) == [(15, 13), (15, 60)]
    assert innermost(np.ones((5, 5), bool)) == ((2, 2),)


def test_a_single_pixel_is_its_own_middle() -> None:
    """Nothing is too small for a point."""
    mask = np.zeros((4, 4), bool)
    mask[3, 0] = True
    assert innermost(mask) == ((3, 0),)
