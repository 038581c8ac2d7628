"""Scores that follow a brush are those of scoring anew after every stroke."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniview.core.case import Scores
from omniview.core.image import BoolArray
from omniview.core.live import LIVE, LiveScores
from omniview.core.metrics import METRICS, score

SPACINGS = (None, (0.5, 2.0), (0.1, 0.1), (1.3, 0.7))


def shapes(rng: np.random.Generator, shape: tuple[int, int]) -> BoolArray:
    """Noise, blobs, or nothing."""
    kind = rng.integers(5)
    if kind == 0:
        return np.zeros(shape, bool)
    noise = rng.random(shape).astype(np.float32)
    if kind == 1:
        return np.asarray(noise < rng.random())
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), float(kind) * 2 - 2).reshape(shape) > 0.5)


def check(live: LiveScores, mask: BoolArray, box: tuple[slice, slice] | None, **expected: object) -> None:
    """One update beside the whole computation."""
    same(live.update(mask, box), score(mask, **expected))  # type: ignore[arg-type]


def same(found: Scores, expected: Scores) -> None:
    """Undefined for the same metrics, and equal for the others."""
    assert [name for name in found if found[name] is None] == [n for n in expected if expected[n] is None]
    one, other = ({n: v for n, v in scores.items() if v is not None} for scores in (found, expected))
    assert one == pytest.approx(other, rel=1e-9, abs=1e-12)


def stroke(rng: np.random.Generator, shape: tuple[int, int], largest: int) -> tuple[slice, slice]:
    """A box somewhere in the image."""
    row, column = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
    height, width = (int(side) for side in rng.integers(1, largest, 2))
    return slice(row, min(row + height, shape[0])), slice(column, min(column + width, shape[1]))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_every_stroke_gives_what_scoring_anew_gives(seed: int) -> None:
    """Painted, erased or scribbled, with any spacing, with and without a field of view."""
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 70)), int(rng.integers(1, 70))
    truth, mask = shapes(rng, shape), shapes(rng, shape)
    spacing = SPACINGS[rng.integers(len(SPACINGS))]
    region = shapes(rng, shape) if rng.random() < 0.3 else None
    live = LiveScores(truth, spacing, region)
    expected = {"truth": truth, "spacing_mm": spacing, "region": region, "names": LIVE}
    check(live, mask, None, **expected)
    for _ in range(4):
        box = stroke(rng, shape, 12)
        mask = mask.copy()
        mask[box] = rng.random(mask[box].shape) < rng.choice([0.0, 0.5, 1.0])
        check(live, mask, box, **expected)


def test_far_objects_appear_and_vanish() -> None:
    """Distances to what was far away, to what is gone, and to nothing at all."""
    truth, mask = np.zeros((90, 400), bool), np.zeros((90, 400), bool)
    truth[10:30, 10:30], truth[50:55, 360:390] = True, True
    mask[10:30, 12:32] = True
    for spacing in SPACINGS:
        live = LiveScores(truth, spacing)
        edited = mask.copy()
        expected = {"truth": truth, "spacing_mm": spacing, "names": LIVE}
        check(live, edited, None, **expected)
        for box, value in (
            ((slice(50, 60), slice(370, 395)), True),
            ((slice(14, 16), slice(20, 22)), False),
            ((slice(0, 90), slice(0, 60)), False),
            ((slice(40, 70), slice(300, 400)), False),
            ((slice(0, 2), slice(398, 400)), True),
        ):
            edited[box] = value
            check(live, edited, box, **expected)


def test_fewer_names_and_a_probability_map() -> None:
    """Only what is asked for is computed; what the mask does not change stands beside it."""
    rng = np.random.default_rng(5)
    truth = shapes(rng, (40, 50))
    probability = rng.random((40, 50)).astype(np.float32)
    mask = probability > 0.5
    live = LiveScores(truth, probability=probability, tolerance=1.0, names=("dice", "hd95"))
    found = live.update(mask)
    soft = [name for name, metric in METRICS.items() if metric.needs_probability]
    names = ["dice", "hd95", *soft]
    same(found, score(mask, truth, tolerance=1.0, probability=probability, names=names))


def test_a_stroke_may_leave_the_image() -> None:
    """A box is cut at the image's edge."""
    truth = np.ones((20, 20), bool)
    live = LiveScores(truth)
    mask = np.zeros((20, 20), bool)
    mask[15:, 15:] = True
    check(live, mask, (slice(15, 99), slice(15, 30)), truth=truth, names=LIVE)
    mask[:3] = True
    check(live, mask, (slice(-8, 3), slice(-1, 21)), truth=truth, names=LIVE)
    check(live, mask, (slice(40, 50), slice(-9, -3)), truth=truth, names=LIVE)


def test_what_does_not_fit_is_refused() -> None:
    """The message names the argument."""
    truth = np.ones((4, 4), bool)
    with pytest.raises(ValueError, match="truth"):
        LiveScores(truth[None])
    with pytest.raises(ValueError, match="mask"):
        LiveScores(truth).update(truth[:2])
