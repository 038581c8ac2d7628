from __future__ import annotations

import numpy as np
import pytest

from omniview.training.artefacts import spoil
from omniview.training.augment import Augmentation, placement, random_view, recolour
from omniview.training.dataset import Example

PLAIN = Augmentation(colour=0.0, spoil=0.0, reflect=False)


def disc(shape: tuple[int, int] = (90, 120)) -> Example:
    """A white disc on black: the image is its own mask."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    mask = np.where(np.hypot(y - 40, x - 70) < 18, 255, 0).astype(np.uint8)
    return Example("disc", "made", np.repeat(mask[..., None], 3, axis=2), mask, mask)


@pytest.mark.parametrize("geometry", ["stretch", "letterbox", "tile"])
def test_image_mask_and_border_stay_registered(geometry: str) -> None:
    """Whatever the turn, scale, flip and shift, the mask lies on what it outlines."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        image, mask, border = random_view(rng, disc(), 64, geometry, PLAIN)
        assert border is not None
        assert np.array_equal(image[..., 0] > 127, mask > 0)
        assert np.array_equal(border > 127, mask > 0)


def test_a_soft_mask_keeps_what_is_thinner_than_a_pixel() -> None:
    """Without binarisation the mask is exactly the warped image."""
    image, mask, _ = random_view(np.random.default_rng(1), disc(), 64, "letterbox", PLAIN, soft=True)
    assert np.array_equal(image[..., 1], mask)


def test_the_same_generator_gives_the_same_view() -> None:
    """All chance comes from the generator that is handed in."""
    how = Augmentation(spoil=1.0)
    first = random_view(np.random.default_rng(4), disc(), 64, "stretch", how)
    second = random_view(np.random.default_rng(4), disc(), 64, "stretch", how)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_letterbox_keeps_the_aspect_and_stretch_fills() -> None:
    """The corners of the image land where the geometry says."""
    corners = np.array([[-0.5, -0.5, 1], [199.5, 99.5, 1]]).T
    assert np.allclose(placement((100, 200), 64, "stretch") @ corners, [[-0.5, 63.5], [-0.5, 63.5]])
    assert np.allclose(placement((100, 200), 64, "letterbox") @ corners, [[-0.5, 63.5], [15.5, 47.5]])
    assert np.allclose(placement((100, 200), 64, "tile") @ corners, [[-68.5, 131.5], [-18.5, 81.5]])
    with pytest.raises(ValueError, match="geometry must be"):
        placement((100, 200), 64, "fold")


def test_colour_without_tint_leaves_grey_grey_and_black_black() -> None:
    """Fluorescence keeps its black ground and its missing colour."""
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    how = Augmentation(colour=1.5, brightness=0.0, pivot=0.0, tint=0.0)
    for seed in range(10):
        out = recolour(np.random.default_rng(seed), grey, how)
        assert np.ptp(out, axis=2).max() == 0
        assert out[0, 0, 0] == 0


def test_spoiling_keeps_shape_and_type() -> None:
    """Each of the five ways gives an image of the same kind back."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for seed in range(25):
        out = spoil(np.random.default_rng(seed), image)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
