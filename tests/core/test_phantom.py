"""Phantoms are what they say they are: exact, repeatable, and of the task that they name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from omniview.core import phantom
from omniview.core.case import Truth
from omniview.core.image import Image, Modality

Maker = Callable[[int, tuple[int, int]], tuple[Image, Truth]]
MAKERS: tuple[Maker, ...] = (phantom.endoscopy, phantom.fundus, phantom.ultrasound, phantom.nuclei)
every = pytest.mark.parametrize("make", MAKERS)


@every
def test_same_seed_same_pixels(make: Maker) -> None:
    """A seed decides every pixel of image and truth."""
    one, two = make(7, (128, 160)), make(7, (128, 160))
    assert np.array_equal(one[0].pixels, two[0].pixels)
    assert np.array_equal(one[1].mask, two[1].mask)


@every
def test_other_seed_other_picture(make: Maker) -> None:
    """Two seeds differ in image and in truth."""
    one, two = make(1, (128, 128)), make(2, (128, 128))
    assert not np.array_equal(one[0].pixels, two[0].pixels)
    assert not np.array_equal(one[1].mask, two[1].mask)


@every
@pytest.mark.parametrize("size", [(64, 64), (97, 211), (300, 180)])
def test_any_size(make: Maker, size: tuple[int, int]) -> None:
    """Image and truth have the size that was asked for, one label, and an object of sensible size."""
    for seed in range(4):
        image, truth = make(seed, size)
        assert image.shape == size
        assert image.pixels.dtype == np.uint8
        assert truth.mask.shape == (1, *size)
        assert 0.004 < truth.mask.mean() < 0.5


@every
def test_too_small_is_refused(make: Maker) -> None:
    """Below 64 pixels there is no room for a scene."""
    with pytest.raises(ValueError, match="at least 64"):
        make(0, (63, 200))


@every
def test_truth_is_seen_in_the_picture(make: Maker) -> None:
    """Most pixels of the truth are darker, or most are lighter, than those around it."""
    from scipy import ndimage

    image, truth = make(3, (256, 256))
    mask = truth.mask[0]
    ring = ndimage.binary_dilation(mask, iterations=6) & ~ndimage.binary_dilation(mask, iterations=1)
    green = image.rgb8()[..., 1].astype(float)
    darker = (green[mask] < np.median(green[ring])).mean()
    assert max(darker, 1 - darker) > 0.75


def test_truth_is_exact_to_the_pixel() -> None:
    """The edge of the truth is where the picture is half object: a disc has its formula's area."""
    random = np.random.default_rng(0)
    inside, _ = phantom._blob(random, (201, 201), (100.0, 100.0), 60.0, flat=1.0, rough=0.0)
    y, x = np.mgrid[:201, :201]
    assert np.array_equal(inside > 0, np.hypot(y - 100, x - 100) < 60)
    assert phantom._cover(inside).sum() == pytest.approx(np.pi * 60**2, rel=1e-3)
    assert np.array_equal(phantom._cover(inside) > 0.5, inside > 0)


def test_endoscopy_has_a_black_frame_and_one_polyp() -> None:
    """Corners are black as behind an endoscope's octagon, and the polyp is one red piece in the lit field."""
    from scipy import ndimage

    image, truth = phantom.endoscopy(0)
    assert image.modality is Modality.ENDOSCOPY
    assert image.rgb8()[:20, :20].max() < 30
    assert ndimage.label(truth.mask[0])[1] == 1
    red, green, _ = (float(image.pixels[..., c][truth.mask[0]].mean()) for c in range(3))
    assert red > 1.3 * green


def test_fundus_vessels_taper_from_the_disc() -> None:
    """Vessels lie in the field of view only, and are wider near the optic disc than far from it."""
    from scipy import ndimage

    image, truth = phantom.fundus(0)
    assert image.modality is Modality.FUNDUS
    mask = truth.mask[0]
    y, x = np.mgrid[:512, :512]
    assert not mask[np.hypot(y - 256, x - 256) > 0.48 * 512].any()
    width = ndimage.distance_transform_edt(mask)
    rows, columns = np.nonzero(width == width.max())
    far = np.hypot(y - rows[0], x - columns[0])
    assert width[far < 60].max() > 1.5 * width[(far > 200)].max()


def test_ultrasound_has_speckle_and_enhancement() -> None:
    """The lesion is darker than the tissue around it, and the tissue below it is brighter than beside it."""
    image, truth = phantom.ultrasound(0)
    assert image.modality is Modality.ULTRASOUND
    grey, mask = image.grey(), truth.mask[0]
    rows, columns = np.nonzero(mask)
    below = slice(rows.max() + 5, rows.max() + 40)
    middle = slice(int(columns.mean()) - 20, int(columns.mean()) + 20)
    beside = slice(columns.max() + 30, columns.max() + 70)
    assert grey[mask].mean() < 0.5 * grey[~mask].mean()
    assert grey[below, middle].mean() > grey[below, beside].mean() + 5
    assert grey[~mask].std() > 15


def test_nuclei_are_numbered_and_some_touch() -> None:
    """Instances cover the mask, run from 1 to N, each in sight, and some of them share a border."""
    image, truth = phantom.nuclei(0)
    assert image.modality is Modality.MICROSCOPY
    instances = truth.instances
    assert instances is not None
    assert np.array_equal(instances > 0, truth.mask[0])
    numbers = np.unique(instances)
    assert np.array_equal(numbers, np.arange(len(numbers)))
    assert len(numbers) > 30
    left, right = instances[:, :-1], instances[:, 1:]
    assert ((left != right) & (left > 0) & (right > 0)).any()


def test_instances_without_background_are_numbered_from_one() -> None:
    """Renumbering never gives an object the number 0, which means background."""
    crowded = np.array([[5, 5], [9, 9]], np.int32)
    assert phantom._renumbered(crowded).tolist() == [[1, 1], [2, 2]]
