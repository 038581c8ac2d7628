"""What is fitted of a pair gains where there is something to gain, and is cautious everywhere else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from omniview.core.fusion import fuse
from omniview.core.image import BoolArray, FloatArray
from omniview.core.prediction import ROLES, Prediction, Quality, Role
from omniview.core.trust import SAFE_DEFAULT, Calibration
from omniview.inference.pair_card import PairCard
from omniview.training.fitting import Fit, card_of, fit
from omniview.training.observed import Observed, observe

SIZE = 48
FAR = np.float32(0.97)


def disc(row: float, column: float, radius: float) -> BoolArray:
    """(SIZE,SIZE) bool."""
    y, x = np.mgrid[:SIZE, :SIZE]
    inside: BoolArray = np.hypot(y - row, x - column) <= radius
    return inside


def said(role: Role, mask: BoolArray, quality: float | None) -> Prediction:
    """A soft map around a mask."""
    p = np.where(mask, FAR, 1 - FAR).astype(np.float32)
    judged = None if quality is None else Quality(quality, 0.0, 1.0)
    return Prediction(role, role, p[None], None, judged)


def cases(n: int, *, specialist_fails: float, omnimodel_fails: float, known: bool = True) -> list[Observed]:
    """Discs that each model finds, or looks for at the wrong place and, where `known`, says so."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(n):
        row, column, radius = rng.uniform(14, 34), rng.uniform(14, 34), rng.uniform(5, 9)
        truth, elsewhere = disc(row, column, radius), disc(48 - row, (column + 24) % 48, radius)
        fails = rng.random(2) < (specialist_fails, omnimodel_fails)
        own, other = (
            said(
                role,
                elsewhere if failed else disc(row, column, radius + 0.6),
                (0.3 if failed else 0.9) if known else None,
            )
            for role, failed in zip(ROLES, fails, strict=True)
        )
        found.append(observe(f"case {i}", own, other, truth[None]))
    return found


def dice(mask: BoolArray, truth: BoolArray) -> float:
    """2 |A and B| / (|A| + |B|)."""
    return 2 * int((mask & truth).sum()) / int(mask.sum() + truth.sum())


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_the_histogram_tells_the_dice_of_the_fused_mask(weight: float) -> None:
    """What is kept of a case gives the Dice that fusing its maps gives."""
    rng = np.random.default_rng(1)
    truth = disc(20, 22, 8)

    def map_around(mask: BoolArray) -> FloatArray:
        return (1 / (1 + np.exp(-(mask * 4.0 - 2.0 + rng.normal(0, 1.5, mask.shape))))).astype(np.float32)

    own, other = (
        Prediction(role, role, map_around(mask)[None], None, Quality(0.5, 0.0, 1.0))
        for role, mask in zip(ROLES, (disc(20, 22, 9), disc(24, 20, 8)), strict=True)
    )
    bias = {0.0: -30.0, 1.0: 30.0}.get(weight) or (math.log(weight / (1 - weight)) if weight != 0.5 else 0.0)
    fusion = fuse((own, other), Calibration(bias=bias, gamma=0.0, ceiling=1.0))
    seen = observe("one", own, other, truth[None])
    tolerance = 1e-9 if weight in (0.0, 1.0) else 0.03
    assert seen.dice(weight) == pytest.approx(dice(fusion.mask[0], truth), abs=tolerance)


def test_an_edge_probability_is_outside_of_the_mask() -> None:
    """Exactly 0.5 is background in the histogram as it is everywhere."""
    half = np.full((1, 4, 4), 0.5, np.float32)
    own, other = Prediction("s", "specialist", half), Prediction("o", "omnimodel", half)
    seen = observe("half", own, other, np.zeros((1, 4, 4), np.bool_))
    assert seen.dice(0.0) == seen.dice(1.0) == 1.0


def test_a_pair_that_knows_when_it_fails_is_used() -> None:
    """Fusion follows whoever says that it succeeded, and gains what the specialist lost."""
    found = fit(cases(60, specialist_fails=0.3, omnimodel_fails=0.3))
    assert found.better
    assert found.gain.low > 0.05
    assert found.dice["fused"] > max(found.dice["specialist"], found.dice["omnimodel"])
    assert found.harmed == 0.0
    assert found.calibration.quality is not None


@pytest.mark.parametrize("known", [True, False])
def test_an_omnimodel_that_cannot_help_is_hardly_heard(known: bool) -> None:
    """With a specialist that never fails the safe default stays, and costs nothing."""
    seen = cases(40, specialist_fails=0.0, omnimodel_fails=0.5, known=known)
    found = fit(seen)
    assert not found.better
    assert found.calibration.bias == SAFE_DEFAULT.bias
    fused = np.mean([case.fused(found.calibration) for case in seen])
    assert fused >= found.dice["specialist"] - 0.001


def test_claims_that_are_wrong_are_not_believed() -> None:
    """Where believing the omnimodel's predicted Dice costs something, the safe default stays whole."""
    rng = np.random.default_rng(2)
    seen = []
    for i in range(40):
        truth = disc(20, 20, rng.uniform(6, 9))
        own = said("specialist", truth, 0.5)
        seen.append(observe(str(i), own, said("omnimodel", disc(36, 36, 6), 1.0), truth[None]))
    found = fit(seen)
    assert not found.better
    assert found.calibration.ceiling == SAFE_DEFAULT.ceiling


def test_a_gain_that_rests_on_one_video_is_taken_for_chance() -> None:
    """Rescued frames of nine videos are a finding; nine rescued frames of one video are one lucky video."""
    seen = cases(60, specialist_fails=0.1, omnimodel_fails=0.0, known=True)
    failed = [case.specialist == 0.3 for case in seen]
    assert sum(failed) == 9
    assert fit(seen, groups=[case.name for case in seen]).better
    together = ["the video" if lost else case.name for lost, case in zip(failed, seen, strict=True)]
    assert not fit(seen, groups=together).better


def test_of_settings_that_are_as_good_the_gentlest_is_taken() -> None:
    """Where any steepness gives the same masks, predicted Dice is not made more of than it has to be."""
    found = fit(cases(60, specialist_fails=0.3, omnimodel_fails=0.0))
    assert found.better
    assert found.calibration.kappa <= 8.0


def test_a_gain_that_does_not_hold_on_other_folds_is_not_used() -> None:
    """Between two models that differ by chance alone, the best of many settings is luck, and seen as such."""
    rng = np.random.default_rng(5)
    used = 0
    for _ in range(12):
        seen = []
        for i in range(30):
            row, column, radius = rng.uniform(14, 34), rng.uniform(14, 34), rng.uniform(5, 9)
            off = rng.normal(0, 3, (2, 2))
            masks = [disc(row + dy, column + dx, radius) for dy, dx in off]
            own, other = (said(r, m, float(rng.uniform())) for r, m in zip(ROLES, masks, strict=True))
            seen.append(observe(str(i), own, other, disc(row, column, radius)[None]))
        found = fit(seen)
        used += found.better
        assert not found.better or found.gain.mean > 0.0
    assert used <= 3


def test_the_sizes_of_the_omnimodels_masks_are_kept_with_some_room() -> None:
    """They are the omnimodel's, over the whole image wherever scores count, and never round to nothing."""
    seen = []
    truth = disc(24, 24, 8)[None]
    for i in range(12):
        own, other = (
            said("specialist", disc(24, 24, 20), 0.8),
            said("omnimodel", disc(24, 24, 3 + i / 4), 0.8),
        )
        seen.append(observe(str(i), own, other, truth, disc(24, 24, 22)))
    low, high = fit(seen).calibration.area
    small, large = disc(24, 24, 3).mean(), disc(24, 24, 3 + 11 / 4).mean()
    assert low == pytest.approx(small / 2)
    assert high == pytest.approx(1.5 * large)
    tiny = [replace(case, area=2e-5) for case in seen]
    assert fit(tiny).calibration.area == pytest.approx((1e-5, 3e-5))
    vast = [replace(case, area=0.9) for case in seen]
    assert fit(vast).calibration.area[1] == pytest.approx(0.95)


def test_only_what_counts_is_counted() -> None:
    """Outside of the field of view neither mask nor truth matters."""
    truth, inside = disc(24, 24, 8), disc(24, 24, 12)
    own, other = said("specialist", truth | ~inside, 0.9), said("omnimodel", truth, 0.9)
    assert observe("all", own, other, truth[None]).dice(0.0) < 0.5
    assert observe("inside", own, other, truth[None], inside).dice(0.0) == 1.0


def test_margins_keep_their_promise_on_average() -> None:
    """A mask that is too small gets an outer contour that misses a tenth at most."""
    seen = []
    y, x = np.mgrid[:SIZE, :SIZE]
    for i in range(60):
        radius = 6.0 + 4.0 * (i % 10) / 10
        p = (1 / (1 + np.exp(np.hypot(y - 24, x - 24) - radius + 2))).astype(np.float32)[None]
        own, other = Prediction("s", "specialist", p), Prediction("o", "omnimodel", p)
        seen.append(observe(str(i), own, other, disc(24, 24, radius)[None]))
    margin = fit(seen).calibration.margin_specialist
    assert margin is not None
    assert margin.outer < 0.5
    edge = math.log(margin.outer / (1 - margin.outer))
    missed = [
        1 - (np.hypot(y - 24, x - 24) - r + 2 < -edge)[disc(24, 24, r)].mean()
        for r in (6.0 + 0.4 * i for i in range(10))
    ]
    assert np.mean(missed) <= 0.1


def test_without_lesions_no_margin_is_promised() -> None:
    """Normal images say nothing about what a contour misses."""
    empty = said("specialist", disc(0, 0, -1), 0.9), said("omnimodel", disc(0, 0, -1), 0.9)
    seen = [observe(str(i), *empty, np.zeros((1, SIZE, SIZE), np.bool_)) for i in range(12)]
    found = fit(seen)
    assert found.calibration.margin is None
    assert card_of_fit(found).calibration() == found.calibration


def test_groups_stay_together_and_too_few_are_refused() -> None:
    """Frames of one video cannot vouch for each other."""
    seen = cases(12, specialist_fails=0.2, omnimodel_fails=0.2)
    with pytest.raises(ValueError, match="10 or more"):
        fit(seen[:9])
    with pytest.raises(ValueError, match="groups"):
        fit(seen, groups=["one"] * 12)
    assert fit(seen, groups=[str(i % 6) for i in range(12)]).n == 12


def test_a_truth_of_another_shape_is_refused() -> None:
    """Pixels must lie on each other."""
    own, other = said("specialist", disc(9, 9, 3), 0.9), said("omnimodel", disc(9, 9, 3), 0.9)
    with pytest.raises(ValueError, match="truth must be"):
        observe("one", own, other, np.zeros((1, 4, 4), np.bool_))


def card_of_fit(found: Fit) -> PairCard:
    """Its file."""
    return card_of(
        found,
        task="polyp",
        omnimodel="builtin",
        specialist=("s", ("a",)),
        other=("o", ("b",)),
        data={"sha256": "c"},
    )


def test_the_file_holds_what_was_fitted() -> None:
    """Through the card and back, nothing is lost that fusion uses."""
    found = fit(cases(30, specialist_fails=0.3, omnimodel_fails=0.2))
    card = card_of_fit(found)
    assert card.calibration() == found.calibration
    assert card.data["n"] == 30
