"""Windows hold what they should, guidance moves into them, and clicks are obeyed to the pixel."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.guidance import Guidance
from omniview.omnimodel.close_look import Window, close_window, obeyed, within


def disc(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> np.ndarray:
    """A disc of True."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside: np.ndarray = np.hypot(y - centre[0], x - centre[1]) < radius
    return inside


def test_a_window_holds_mask_and_clicks_with_a_margin() -> None:
    """It is a square about both, cut at the image's edge."""
    mask = disc((200, 300), (100, 150), 20)
    window = close_window(mask, Guidance(positive=((100.0, 190.0),)), 1.5)
    assert window is not None
    assert window.height == pytest.approx(window.width, abs=1)
    assert window.width == pytest.approx(1.5 * 60, abs=4)
    rows, columns = window.slices
    assert mask[rows, columns].sum() == mask.sum()
    assert window.left < 130
    assert window.left + window.width > 190
    cut = close_window(disc((200, 300), (5, 5), 20), Guidance(), 2.0)
    assert cut is not None
    assert (cut.top, cut.left) == (0, 0)
    assert cut.height < 60


def test_no_window_where_it_would_show_nothing_new() -> None:
    """Nothing found and nothing shown, or a thing that fills the image."""
    assert close_window(np.zeros((90, 90), bool), Guidance(), 1.5) is None
    assert close_window(disc((90, 90), (45, 45), 35), Guidance(), 1.5) is None
    tiny = close_window(np.zeros((80, 160), bool), Guidance(positive=((40.0, 80.0),)), 1.5)
    assert tiny is not None
    assert tiny.width == 20  # never closer than an eighth of the image
    boxed = close_window(np.zeros((160, 160), bool), Guidance(box=(20, 20, 60, 50)), 1.5)
    assert boxed is not None
    assert boxed.height == 60


def test_guidance_moves_into_the_window() -> None:
    """Clicks and box are counted from its corner; what lies outside is left out; the prior is cut."""
    prior = np.random.default_rng(0).random((50, 60), np.float32)
    shown = Guidance(((12.0, 22.0), (2.0, 2.0)), ((19.0, 29.0),), (5.0, 25.0, 15.0, 90.0), None)
    seen = within(shown, Window(10, 20, 10, 15), prior)
    assert seen.positive == ((2.0, 2.0),)
    assert seen.negative == ((9.0, 9.0),)
    assert seen.box == (0.0, 5.0, 5.0, 15.0)
    np.testing.assert_array_equal(seen.prior, prior[10:20, 20:35])
    assert within(shown, Window(30, 0, 10, 10), prior).box is None


def test_a_followed_click_changes_nothing() -> None:
    """Where the network did as told, its answer stands to the bit; clicks beyond the image are left out."""
    probability = np.where(disc((60, 60), (30, 30), 10), 0.9, 0.1).astype(np.float32)
    shown = Guidance(((30.0, 30.0), (300.0, 1.0)), ((5.0, 5.0), (-3.0, 5.0)))
    assert obeyed(probability, shown, whole=True) is probability


def test_a_denied_part_goes_whole() -> None:
    """A negative click takes the part that it lies on, unless a positive one holds it; others stay."""
    two = disc((80, 80), (20, 20), 9) | disc((80, 80), (60, 60), 9)
    probability = np.where(two, 0.9, 0.1).astype(np.float32)
    out = obeyed(probability, Guidance(negative=((20.0, 20.0),)), whole=True)
    np.testing.assert_array_equal(out > 0.5, disc((80, 80), (60, 60), 9))
    held = obeyed(probability, Guidance(((26.0, 20.0),), ((14.0, 20.0),)), whole=True) > 0.5
    assert held[26, 20]
    assert not held[14, 20]
    assert held[60, 60]
    assert (held != two).sum() < 30
    spot = obeyed(probability, Guidance(negative=((14.0, 20.0),)), whole=False) > 0.5
    np.testing.assert_array_equal(spot, held)


def test_close_clicks_that_disagree_both_stand() -> None:
    """A positive click's disc does not swallow the negative click beside it."""
    out = obeyed(np.full((40, 40), 0.1, np.float32), Guidance(((20.0, 20.0),), ((20.0, 21.0),)), whole=True)
    assert out[20, 20] > 0.5
    assert out[20, 21] < 0.5
