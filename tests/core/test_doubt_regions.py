"""The places worth a second look: real doubt, no rims, the weightiest first."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from omniview.core.doubt_regions import Claim, DoubtRegion, doubt_regions
from omniview.core.fusion import Fusion, fuse
from omniview.core.image import FloatArray
from omniview.core.prediction import Prediction


def _flat(value: float = 0.02, shape: tuple[int, int] = (300, 400)) -> FloatArray:
    return np.full((1, *shape), value, np.float32)


def _pair(specialist: FloatArray, omnimodel: FloatArray) -> tuple[DoubtRegion, ...]:
    predictions = (Prediction("a", "specialist", specialist), Prediction("b", "omnimodel", omnimodel))
    return doubt_regions(fuse(predictions), predictions[::-1])


def _alone(probability: FloatArray) -> tuple[DoubtRegion, ...]:
    prediction = Prediction("a", "specialist", probability)
    return doubt_regions(fuse((prediction,)), (prediction,))


def _near(found: tuple[int, int, int, int], expected: tuple[int, int, int, int], by: int = 3) -> None:
    np.testing.assert_allclose(found, expected, atol=by)


def test_what_one_model_alone_marks_is_its_own() -> None:
    """A blob of each model is found, the larger first, each with its box, share and owner."""
    first, second = _flat(), _flat()
    first[:, 100:160, 50:110] = 0.98
    second[:, 200:230, 300:330] = 0.98
    regions = _pair(first, second)
    assert [region.claim for region in regions] == [Claim.SPECIALIST, Claim.OMNIMODEL]
    _near(regions[0].box, (100, 50, 160, 110))
    _near(regions[1].box, (200, 300, 230, 330))
    assert regions[0].share == pytest.approx(3600 / 120_000, rel=0.1)
    assert regions[0].doubt == pytest.approx(0.96, abs=0.01)


def test_what_both_are_unsure_of_is_nobodys() -> None:
    """A coin toss is a region without an owner, also where only one model was asked."""
    unsure = _flat()
    unsure[:, 100:160, 50:110] = 0.55
    for regions in (_alone(unsure), _pair(unsure, unsure)):
        (region,) = regions
        assert region.claim is Claim.NOBODY
        _near(region.box, (100, 50, 160, 110))


def test_rank_is_doubt_times_area() -> None:
    """A slightly smaller region that is a coin toss goes before a larger one that is half certain."""
    unsure = _flat()
    unsure[:, 20:80, 20:80] = 0.2
    unsure[:, 150:206, 150:206] = 0.5
    assert [region.box[0] > 100 for region in _alone(unsure)] == [True, False]


def test_rims_are_left_out() -> None:
    """A disc with a soft edge has no doubtful region; a soft patch on its edge is one."""
    rows, columns = np.mgrid[:300, :400]
    edge = 60 - np.hypot(rows - 150, columns - 200)
    soft = (1 / (1 + np.exp(-edge[None] / 2))).astype(np.float32)
    assert _alone(soft) == ()
    soft[:, 130:170, 240:280] = 0.5
    (region,) = _alone(soft)
    _near(region.box, (130, 240, 170, 280), by=6)


def test_thin_structures_keep_their_doubt() -> None:
    """A vessel that only one model marks is found although it is as thin as a rim elsewhere."""
    first, second = _flat(), _flat()
    for y in range(30, 300, 40):
        first[:, y : y + 3] = second[:, y : y + 3] = 0.98
    second[:, 50:53, 40:120] = 0.98
    (region,) = _pair(first, second)
    assert region.claim is Claim.OMNIMODEL
    _near(region.box, (50, 40, 53, 120))


def test_doubt_that_spreads_thinly_is_cut_up() -> None:
    """A doubtful net over the whole image is not one region: there are several, none wider than a quarter."""
    net = _flat()
    net[:, ::20] = 0.5
    net[:, :, ::20] = 0.5
    regions = _alone(net)
    assert len(regions) == 9
    assert all(max(b - t, r - l) <= 101 for t, l, b, r in (region.box for region in regions))  # noqa: E741


def test_whole_image_in_doubt_is_one_region() -> None:
    """Where nothing is certain the region is the image, and its contour runs along the image's edge."""
    (region,) = _alone(_flat(0.5))
    assert region.box == (0, 0, 300, 400)
    assert region.share == 1.0
    (contour,) = region.contours
    np.testing.assert_allclose(contour.min(axis=0), [0, 0], atol=0.5)
    np.testing.assert_allclose(contour.max(axis=0), [400, 300], atol=0.5)


def test_certainty_has_no_regions() -> None:
    """Two models that agree and are sure leave nothing to look at."""
    assert _pair(_flat(), _flat()) == ()


@pytest.mark.parametrize("factor", [3, 5])
def test_large_images_have_the_same_regions(factor: int) -> None:
    """What is found in a large image is found where it lies, in the large image's pixels."""
    first, second = _flat(), _flat()
    first[:, 100:160, 50:110] = 0.98
    large = [np.stack([cv2.resize(m[0], None, fx=factor, fy=factor)]) for m in (first, second)]
    (region,) = _pair(*large)
    _near(region.box, tuple(factor * n for n in (100, 50, 160, 110)), by=3 * factor)  # type: ignore[arg-type]
    assert region.share == pytest.approx(3600 / 120_000, rel=0.1)
    inside = np.zeros((300 * factor, 400 * factor), np.uint8)
    cv2.fillPoly(inside, [np.rint(contour).astype(np.int32) for contour in region.contours], 1)
    assert inside.mean() == pytest.approx(region.share, rel=0.05)


def test_doubt_of_any_label_counts() -> None:
    """With two labels a region of either is found."""
    maps = np.full((2, 300, 400), 0.02, np.float32)
    maps[0, 20:80, 20:80] = 0.5
    maps[1, 200:240, 200:240] = 0.5
    assert len(_alone(maps)) == 2


def test_at_most_so_many() -> None:
    """Of many regions the weightiest are returned; those of a few pixels never are."""
    maps = _flat()
    for n in range(12):
        maps[:, 20:30, 30 * n : 30 * n + 5 + n] = 0.5
    maps[:, 100:102, 100:102] = 0.5
    prediction = Prediction("a", "specialist", maps)
    found = doubt_regions(fuse((prediction,)), (prediction,), most=20)
    assert len(found) == 12
    widths = [right - left for _, left, _, right in (region.box for region in found)]
    assert widths == sorted(widths, reverse=True)
    assert len(doubt_regions(fuse((prediction,)), (prediction,), most=3)) == 3


def test_shapes_must_match() -> None:
    """Predictions of another image are refused."""
    fusion: Fusion = fuse((Prediction("a", "specialist", _flat()),))
    with pytest.raises(ValueError, match="must be"):
        doubt_regions(fusion, (Prediction("b", "omnimodel", _flat(shape=(4, 5))),))
