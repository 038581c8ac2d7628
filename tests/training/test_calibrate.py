from __future__ import annotations

import numpy as np
import pytest

from omniview.inference.card import InputSpec
from omniview.training.calibrate import (
    Floats,
    calibrate,
    conformal_curve,
    dice,
    expected_when_empty,
    field_of_view,
    fit_temperature,
    half_width,
    quality_curve,
    see,
)
from omniview.training.dataset import Example

SPEC = InputSpec(geometry="letterbox", size=(64, 64))


def overconfident(rng: np.random.Generator, factor: float) -> tuple[Floats, np.ndarray]:
    """Logits ``factor`` times too large for truths drawn from their own probabilities."""
    z = rng.normal(0, 1.5, 4000)
    truth = rng.random(4000) < 1 / (1 + np.exp(-z))
    return (factor * z)[None].astype(np.float32), truth


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(factor: float) -> None:
    """Logits scaled by a factor need that factor as temperature."""
    rng = np.random.default_rng(0)
    bands = [overconfident(rng, factor) for _ in range(5)]
    assert fit_temperature(bands) == pytest.approx(factor, rel=0.08)


def test_nothing_to_fit_leaves_the_temperature_alone() -> None:
    """Without pixels near a structure the temperature is 1."""
    assert fit_temperature([(np.zeros((1, 0), np.float32), np.zeros(0, bool))]) == 1.0
    assert calibrate([]).threshold == 0.5


def test_the_quality_curve_never_falls_and_follows_the_scores() -> None:
    """Noisy scores that rise with confidence give a rising curve through them."""
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.4, 1.0, 200)
    scores = np.clip(confidence - 0.1 + rng.normal(0, 0.05, 200), 0, 1)
    knots, values = quality_curve(confidence, scores)
    assert (np.diff(knots) > 0).all()
    assert (np.diff(values) >= 0).all()
    assert np.interp(0.8, knots, values) == pytest.approx(0.7, abs=0.04)


def test_the_interval_covers_nine_in_ten_new_cases() -> None:
    """The conformal half width keeps its promise on fresh cases of the same kind."""
    rng = np.random.default_rng(2)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = rng.uniform(0.4, 1.0, n)
        return confidence, np.clip(confidence - 0.1 + rng.normal(0, 0.08, n), 0, 1)

    confidence, scores = draw(150)
    knots, values = quality_curve(confidence, scores)
    width = half_width(confidence, scores)
    fresh, truth = draw(2000)
    covered = np.abs(truth - np.interp(fresh, knots, values)) <= width
    assert 0.84 < covered.mean() < 0.96


def test_too_few_cases_promise_nothing() -> None:
    """With nine cases the interval is the whole range."""
    assert half_width(np.linspace(0, 1, 9), np.linspace(0, 1, 9)) == 1.0
    knots, _ = quality_curve(np.zeros(2), np.array([0.5, 0.7]))
    assert len(knots) == 2


def test_calibration_finds_the_threshold_of_a_timid_network() -> None:
    """A network whose logits are all 1.5 too low gets a low threshold, and then a good Dice."""
    y, x = np.mgrid[:64, :64]
    cases = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        distance = 14 - np.hypot(y - rng.uniform(24, 40), x - rng.uniform(24, 40))
        mask = np.where(distance > 0, 255, 0).astype(np.uint8)
        image = np.clip(128 + 8 * distance, 0, 255).astype(np.uint8)
        cases.append(Example(str(seed), "made", np.repeat(image[..., None], 3, 2), mask, None))

    def timid(inputs: Floats) -> Floats:
        return ((inputs[:, :1] * 255 - 128) / 8 - 1.5).astype(np.float32)

    seen = [see(case, SPEC, ("identity", "hflip"), timid) for case in cases]
    found = calibrate(seen)
    assert found.threshold < 0.4
    assert found.mean_dice > 0.97
    assert found.cases == 12


def test_fundus_scores_count_inside_the_field_of_view() -> None:
    """The black frame is outside, a dark spot in the retina is inside."""
    image = np.zeros((100, 120, 3), np.uint8)
    y, x = np.mgrid[:100, :120]
    image[np.hypot(y - 50, x - 60) < 40] = (150, 60, 20)
    image[45:55, 55:65] = 0
    inside = field_of_view(image)
    assert inside[50, 60]
    assert not inside[5, 5]
    assert field_of_view(np.zeros((8, 8, 3), np.uint8)).all()


def test_dice_of_two_empty_masks_is_one() -> None:
    """Nothing there, nothing found: right."""
    empty = np.zeros((4, 4), bool)
    full = np.ones((4, 4), bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == 0
    assert dice(full, full) == 1


def test_an_empty_mask_is_expected_to_be_right_as_often_as_it_was() -> None:
    """Measured where there are enough empty masks, else the share of normal cases: none for polyps."""
    scores = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.8, 0.9, 0.7])
    blank = np.array([True] * 5 + [False] * 3)
    assert expected_when_empty(scores, blank, np.zeros(8, bool)) == 0.8
    few = np.array([True] + [False] * 7)
    assert expected_when_empty(scores, few, np.zeros(8, bool)) == 0.0
    assert expected_when_empty(scores, few, np.array([True, True] + [False] * 6)) == 0.25


def test_an_interval_is_as_wide_as_the_harder_set_needs() -> None:
    """Half of the cases are of an easy set: pooled, the hard one is covered too rarely; told, it is not."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        score = rng.uniform(0.3, 0.9, n)
        sets = np.where(np.arange(n) % 2 == 0, "easy", "hard")
        return score, np.clip(score + rng.normal(0, np.where(sets == "easy", 0.01, 0.08)), 0, 1), sets

    score, scores, sets = draw(160)
    fold = np.arange(160) % 10
    fresh, truth, kind = draw(2000)
    hard = kind == "hard"
    covered = []
    for told in (None, sets):
        curve = conformal_curve(score, scores, fold, sets=told)
        off = np.abs(truth - np.interp(fresh, curve.knots, curve.dice))
        covered.append((off <= np.interp(fresh, curve.knots, curve.half_widths))[hard].mean())
    assert covered[0] < 0.86
    assert covered[1] > 0.86
