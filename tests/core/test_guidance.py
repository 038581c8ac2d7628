"""What a person shows: checked where it is made, drawn where the network sees it."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.geometry import letterbox
from omniview.core.guidance import Guidance


def test_a_box_without_area_is_refused() -> None:
    """Guidance is checked where it is made; nothing shown is empty."""
    with pytest.raises(ValueError, match=r"Guidance\.box"):
        Guidance(box=(5, 5, 5, 9))
    with pytest.raises(ValueError, match=r"Guidance\.prior"):
        Guidance(prior=np.full((3, 3), 2, np.float32))
    assert Guidance().empty
    assert not Guidance(negative=((1, 1),)).empty


def test_prompts_are_drawn_on_the_networks_input() -> None:
    """Clicks peak at their pixel's centre, the box covers its edges, the prior its place, padding nothing."""
    _, placement = letterbox(np.zeros((10, 20, 3), np.uint8), (40, 40))  # doubled, 10 rows above and below
    prior = np.zeros((10, 20), np.float32)
    prior[:5] = 1
    shown = Guidance(((2.0, 3.0), (2.0, 3.0)), ((9.0, 19.0),), (1, 2, 4, 30), prior)
    positive, negative, box, drawn = shown.maps(placement, 2.0).transpose(2, 0, 1)
    # pixel 2 covers rows 14 and 15 of the input: its centre lies between them
    assert positive[14, 6] == positive[15, 7] == positive.max()
    assert positive.max() == pytest.approx(np.exp(-0.5 * 2 * (0.5 / 2) ** 2))
    assert np.unravel_index(negative.argmax(), negative.shape) == (28, 38)
    assert box[12:18, 4:40].all()
    assert box.sum() == 6 * 36
    assert drawn[10:19].all()
    assert not drawn[21:].any()
    assert not drawn[:10].any()
    assert not Guidance().maps(placement, 2.0).any()


def test_a_prior_of_another_size_is_refused() -> None:
    """An earlier mask belongs to the very image that is asked about."""
    _, placement = letterbox(np.zeros((10, 20, 3), np.uint8), (40, 40))
    with pytest.raises(ValueError, match=r"Guidance\.prior must be \(10, 20\)"):
        Guidance(prior=np.zeros((9, 20), np.float32)).maps(placement, 2.0)
