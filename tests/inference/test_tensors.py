"""Images become network inputs as the card says, and maps come back where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.inference.card import InputSpec
from omniview.inference.tensors import prepare, to_nchw


def _picture(shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize(
    ("spec", "inputs"),
    [
        (InputSpec(geometry="stretch", size=(64, 64)), (1, 64, 64, 3)),
        (InputSpec(geometry="letterbox", size=(64, 64)), (1, 64, 64, 3)),
        (InputSpec(geometry="tile", size=(64, 64), overlap=16), (6, 64, 64, 3)),
        (InputSpec(geometry="tile", size=(64, 64), long_side=60), (1, 64, 64, 3)),
    ],
)
def test_maps_come_back_at_the_images_size(spec: InputSpec, inputs: tuple[int, ...]) -> None:
    """A map that is 1 on the left half of what the network saw is 1 on the left half of the image."""
    rgb = np.zeros((100, 120, 3), np.uint8)
    rgb[:, :60] = 255
    prepared = prepare(rgb, spec)
    assert prepared.inputs.shape == inputs
    maps = to_nchw(prepared.inputs, spec)[:, :1]
    back = prepared.restore(maps)
    assert back.shape == (1, 100, 120)
    assert back.dtype == np.float32
    assert np.abs(back[0, :, :57] - 1).max() < 0.05
    assert np.abs(back[0, :, 63:]).max() < 0.05


def test_normalisation_is_that_of_the_card() -> None:
    """(x / 255 - mean) / std for each channel, channels first."""
    spec = InputSpec(geometry="stretch", size=(16, 16), mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    pixels = _picture((16, 16))[None]
    expected = (pixels / 255.0 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(to_nchw(pixels, spec), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_one_channel_is_the_luma() -> None:
    """A grey network sees ITU-R BT.601 luma."""
    spec = InputSpec(geometry="stretch", size=(16, 16), channels=1, mean=(0.0,), std=(1.0,))
    pixels = _picture((16, 16))[None]
    got = to_nchw(pixels, spec)
    assert got.shape == (1, 1, 16, 16)
    luma = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(got[:, 0], luma, atol=1 / 255)


@pytest.mark.parametrize("geometry", ["stretch", "letterbox", "tile"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_normalised_by_its_own_pixels(geometry: str, channels: int) -> None:
    """With normalise = "image" the picture has mean 0 and deviation 1, whatever frame or tiles it lies in."""
    spec = InputSpec.model_validate(
        {
            "geometry": geometry,
            "size": (64, 64),
            "channels": channels,
            "mean": (0.0,) * channels,
            "std": (1.0,) * channels,
            "normalise": "image",
        }
    )
    rgb = _picture((64, 128)) // 3 + 40
    prepared = prepare(rgb, spec)
    planes = to_nchw(prepared.inputs, prepared.spec)
    if geometry == "letterbox":
        planes = planes[:, :, 16:48]
    for channel in range(channels):
        assert planes[:, channel].mean() == pytest.approx(0, abs=1e-3)
        assert planes[:, channel].std() == pytest.approx(1, abs=1e-3)


def test_a_flat_image_stays_flat() -> None:
    """An image without contrast is not blown up into noise."""
    spec = InputSpec(geometry="stretch", size=(16, 16), normalise="image")
    prepared = prepare(np.full((20, 20, 3), 77, np.uint8), spec)
    assert np.abs(to_nchw(prepared.inputs, prepared.spec)).max() < 1e-3


def test_an_image_s_own_mean_has_to_be_known() -> None:
    """Tiles alone do not tell the mean of their image: a spec that leaves it open is refused."""
    spec = InputSpec(geometry="stretch", size=(16, 16), normalise="image")
    with pytest.raises(ValueError, match="mean of its own"):
        to_nchw(_picture((16, 16))[None], spec)
    with pytest.raises(ValueError, match="each image"):
        InputSpec(geometry="stretch", size=(16, 16), normalise="image", mean=(0.5, 0.5, 0.5))
