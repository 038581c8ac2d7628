from __future__ import annotations

import numpy as np
import pytest

from omniview.training.artefacts import ARTEFACTS, afflict, depth_gain, highlights, shadow, vignette

GREY = np.full((96, 96, 3), 120, np.uint8)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_each_artefact_keeps_size_type_and_grey(name: str) -> None:
    """(Y,X,3) uint8 in and out, nothing written into the original, the same for the same generator."""
    image = GREY.copy()
    for seed in range(10):
        out = ARTEFACTS[name](np.random.default_rng(seed), image)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert np.array_equal(image, GREY)
        assert np.array_equal(out, ARTEFACTS[name](np.random.default_rng(seed), image))
        assert np.ptp(out.astype(int), axis=2).max() == 0


def test_artefacts_do_what_their_names_say() -> None:
    """Highlights only brighten, few pixels; a vignette and a shadow only darken; gain is even in each row."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        glare = highlights(rng, GREY)[..., 0].astype(int) - 120
        assert glare.min() >= 0
        assert 0 < (glare > 60).mean() < 0.2
        assert vignette(rng, GREY).max() <= 120
        dark = shadow(rng, GREY)[..., 0]
        assert dark.max() <= 120
        assert dark.min() < 100
        assert np.ptp(depth_gain(rng, GREY)[..., 0].astype(int), axis=1).max() == 0


def test_artefacts_befall_some_images_only() -> None:
    """None by default; of a named one a share near that which is promised."""
    assert afflict(np.random.default_rng(0), GREY, ()) is GREY
    rng = np.random.default_rng(0)
    hit = [afflict(rng, GREY, ("vignette",)) is not GREY for _ in range(400)]
    assert 0.1 < np.mean(hit) < 0.2
