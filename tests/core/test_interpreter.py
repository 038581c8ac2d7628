"""What an answer in words is made of."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.interpreter import Answer, Box, Finding
from omniview.core.prediction import Provenance


def test_a_finding_is_grounded_by_a_mask_or_a_box() -> None:
    """Without either it is a statement that nobody can check by looking."""
    mask = np.eye(4, dtype=np.bool_)
    for found, place in (
        (Finding("A polyp.", "polyp", mask, (0, 0, 4, 4)), "mask"),
        (Finding("A polyp.", box=(0, 0, 4, 4)), "box"),
        (Finding("A polyp."), "not grounded"),
    ):
        assert found.place == place
        assert found.grounded == (place != "not grounded")


def test_a_mask_cannot_be_written_to() -> None:
    """As every array that is passed on."""
    found = Finding("A polyp.", mask=np.eye(4, dtype=np.bool_))
    assert found.mask is not None
    with pytest.raises(ValueError, match="read-only"):
        found.mask[0, 0] = False


@pytest.mark.parametrize(
    "mask", [np.zeros((4, 4), np.bool_), np.ones((1, 4, 4), np.bool_), np.ones((4, 4), np.uint8)]
)
def test_a_mask_is_two_dimensional_and_marks_something(mask: np.ndarray) -> None:
    """What marks nothing is no place."""
    with pytest.raises(ValueError, match=r"Finding\.mask"):
        Finding("A polyp.", mask=mask)


@pytest.mark.parametrize("box", [(0, 0, 0, 4), (0, 4, 4, 4), (-1, 0, 4, 4), (0, -1, 4, 4)])
def test_a_box_has_an_area(box: Box) -> None:
    """And lies inside the image, as far as can be seen without it."""
    with pytest.raises(ValueError, match=r"Finding\.box"):
        Finding("A polyp.", box=box)


def test_nothing_is_said_without_words() -> None:
    """Neither by an answer nor by a finding."""
    with pytest.raises(ValueError, match=r"Finding\.text"):
        Finding(" ")
    with pytest.raises(ValueError, match=r"Answer\.text"):
        Answer(" ")
    assert Answer("Yes.").provenance == Provenance()
