"""What must hold of every pair of masks, whatever they show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.image import BoolArray, FloatArray
from omniview.core.metrics import CONVENTIONS, METRICS, score

MASKS = arrays(np.bool_, (7, 9))
SOME = MASKS.filter(np.any)
MAPS = arrays(np.float32, (7, 9), elements=st.floats(0, 1, width=32))
DISTANCES = ("hd", "hd95", "assd", "masd")


@given(a=SOME, b=SOME, scale=st.floats(0.01, 100.0), spacing=st.tuples(*[st.floats(0.1, 10.0)] * 2))
def test_distances_scale_with_spacing(
    a: BoolArray, b: BoolArray, scale: float, spacing: tuple[float, float]
) -> None:
    """Twice the millimetres a pixel, twice the distance; surface Dice follows if its tolerance does."""
    one = score(a, b, spacing, tolerance=1.3 * spacing[0], names=METRICS)
    other = score(
        a, b, (spacing[0] * scale, spacing[1] * scale), tolerance=1.3 * spacing[0] * scale, names=METRICS
    )
    for name in DISTANCES:
        assert other[name] == pytest.approx((one[name] or 0.0) * scale)
    for name in set(one) - set(DISTANCES) - {"nsd", "nsd_weighted"}:
        assert other[name] == one[name]


@given(a=SOME, b=SOME, tolerances=st.tuples(st.floats(0, 12), st.floats(0, 12)))
def test_more_tolerance_is_never_worse(a: BoolArray, b: BoolArray, tolerances: tuple[float, float]) -> None:
    """Surface Dice grows with its tolerance, and is 1 at the Hausdorff distance."""
    low, high = sorted(tolerances)
    strict, loose = (score(a, b, tolerance=t, names=METRICS) for t in (low, high))
    for name in ("nsd", "nsd_weighted"):
        assert (strict[name] or 0.0) <= (loose[name] or 0.0)
    assert score(a, b, tolerance=loose["hd"])["nsd"] == 1.0


@given(a=SOME, b=SOME)
def test_distances_are_ordered(a: BoolArray, b: BoolArray) -> None:
    """No percentile and no mean exceeds the largest distance."""
    found = score(a, b)
    assert max(found[name] or 0.0 for name in ("hd95", "assd", "masd")) <= (found["hd"] or 0.0) + 1e-12


@given(a=MASKS, b=MASKS, frame=st.integers(1, 4))
def test_more_background_changes_only_what_counts_it(a: BoolArray, b: BoolArray, frame: int) -> None:
    """Cropped to what is in them or within a wide frame, overlaps and distances of two masks are the same."""
    names = (
        "dice",
        "iou",
        "sensitivity",
        "precision",
        "volumetric_similarity",
        "nsd",
        "nsd_weighted",
        *DISTANCES,
    )
    framed = score(np.pad(a, frame), np.pad(b, frame), names=names)
    assert framed == pytest.approx(score(a, b, names=names))


@given(a=MASKS, b=MASKS, p=MAPS, region=MASKS)
def test_a_region_is_honoured_by_all(a: BoolArray, b: BoolArray, p: FloatArray, region: BoolArray) -> None:
    """What lies outside may be anything, for every metric and convention."""
    other, noise = a ^ ~region, np.where(region, p, np.float32(1.0) - p).astype(np.float32)
    for convention in CONVENTIONS:
        here, there = (
            score(mask, b, region=region, probability=soft, names=METRICS, convention=convention)
            for mask, soft in ((a, p), (other, noise))
        )
        assert here == pytest.approx(there, nan_ok=True)


@given(p=MAPS, truth=MASKS)
def test_an_order_of_probabilities_is_all_that_auc_sees(p: FloatArray, truth: BoolArray) -> None:
    """A map squeezed in the middle ranks as before; turned round it ranks the other way."""
    steps = (np.round(p * 8) / 8).astype(np.float32)
    names = ("auc",)
    found = score(truth, truth, probability=steps, names=names)["auc"]
    squeezed = score(truth, truth, probability=(steps / 4 + 0.25).astype(np.float32), names=names)["auc"]
    turned = score(truth, truth, probability=(1 - steps).astype(np.float32), names=names)["auc"]
    assert squeezed == found
    assert turned == (None if found is None else pytest.approx(1.0 - found))
