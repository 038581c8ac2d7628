"""The fused mask follows whoever can be trusted more, and one model alone is left as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omniview.core.fusion import SAFE_DEFAULT, Calibration, fuse, trust_of
from omniview.core.image import FloatArray
from omniview.core.prediction import Prediction, Quality, Role
from omniview.core.quality import QualityTable
from omniview.core.trust import Margin
from omniview.core.uncertainty import entropy

SHAPE = (2, 3, 4)
MAPS = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
SPREADS = st.none() | arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
QUALITIES = st.none() | st.floats(0, 1).map(lambda q: Quality(q, q / 2, (1 + q) / 2))
GOOD, POOR = Quality(0.95, 0.9, 1.0), Quality(0.2, 0.0, 0.5)
MEASURED = Calibration(kappa=8.0, bias=-1.0, ceiling=1.0)
MARGINS = st.none() | st.builds(Margin, st.floats(0.001, 0.5), st.floats(0.5, 0.999))


def predicted(
    role: Role, p: float | FloatArray, quality: Quality | None = None, spread: FloatArray | None = None
) -> Prediction:
    """A prediction of one probability everywhere, or of a map."""
    maps = np.full(SHAPE, p, np.float32) if isinstance(p, float) else p
    return Prediction(role, role, maps, spread, quality)


@st.composite
def predictions(draw: st.DrawFn, role: Role) -> Prediction:
    """Any prediction of a role."""
    return predicted(role, draw(MAPS), draw(QUALITIES), draw(SPREADS))


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Any calibration."""
    return Calibration(
        kappa=draw(st.floats(0, 100)),
        bias=draw(st.floats(-100, 100)),
        gamma=draw(st.just(0.0) | st.floats(0, 0.999)),
        prior=draw(st.floats(0.001, 0.999)),
        limit=draw(st.floats(0.1, 15)),
        ceiling=draw(st.floats(0, 1)),
        area=draw(st.tuples(st.floats(0, 0.5), st.floats(0.5, 1))),
        margin=draw(MARGINS),
        margin_specialist=draw(MARGINS),
        margin_omnimodel=draw(MARGINS),
    )


@given(a=predictions("specialist"), b=predictions("omnimodel"), calibration=calibrations())
def test_fusion_ignores_order(a: Prediction, b: Prediction, calibration: Calibration) -> None:
    """Who answers first changes not a bit."""
    one, other = fuse((a, b), calibration), fuse([b, a], calibration)
    for name in ("probability", "mask", "uncertainty", "weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.quality == other.quality


@given(a=predictions("specialist"), b=predictions("omnimodel"), calibration=calibrations())
def test_fusion_is_always_well_formed(a: Prediction, b: Prediction, calibration: Calibration) -> None:
    """Certain pixels, ties and extreme settings give no nan; the mask is where the probability says."""
    fusion = fuse((a, b), calibration)  # its constructor refuses nan and values outside [0,1]
    np.testing.assert_array_equal(fusion.mask, fusion.probability > 0.5)
    assert (fusion.uncertainty >= entropy(np.array(fusion.probability))).all()
    if fusion.margin is not None:
        inner, outer = fusion.margin
        assert not (inner & ~fusion.mask).any()
        assert not (fusion.mask & ~outer).any()
    else:
        assert calibration.margin is None or fusion.notes


@pytest.mark.parametrize(("role", "share"), [("specialist", 0.0), ("omnimodel", 1.0)])
@given(data=st.data(), calibration=calibrations())
def test_one_prediction_is_returned_bit_for_bit(
    role: Role, share: float, data: st.DataObject, calibration: Calibration
) -> None:
    """Alone, a model's probability and mask are the fused ones, whatever the calibration says."""
    alone = data.draw(predictions(role))
    fusion = fuse((alone,), calibration)
    np.testing.assert_array_equal(fusion.probability, alone.probability)
    np.testing.assert_array_equal(fusion.mask, alone.mask)
    assert (fusion.weight == share).all()
    assert fusion.quality == alone.quality
    assert (fusion.uncertainty >= entropy(alone.probability)).all()


def test_the_formula_by_hand() -> None:
    """The pooled log-odds are l0 + w_S (l_S - l0) + w_G (l_G - l0), doubt being entropy."""
    c = Calibration(kappa=4.0, bias=-0.5, gamma=0.6, prior=0.2, ceiling=1.0)
    a, b = (
        predicted("specialist", 0.9, Quality(0.7, 0.6, 0.8)),
        predicted("omnimodel", 0.3, Quality(0.8, 0.5, 0.9)),
    )
    fusion = fuse((a, b), c)
    trust = 1 / (1 + np.exp(-(4.0 * 0.1 - 0.5)))
    own = (1 - trust) * (1 - 0.6 * 0.4689956)
    prior, first, second = (np.log(p / (1 - p)) for p in (0.2, 0.9, 0.3))
    pooled = prior + own * (first - prior) + trust * (second - prior)
    np.testing.assert_allclose(fusion.probability, 1 / (1 + np.exp(-pooled)), rtol=1e-5)
    np.testing.assert_allclose(fusion.weight, trust / (trust + own), rtol=1e-5)
    assert fusion.quality is not None
    assert fusion.quality.value == pytest.approx(0.7 + trust * 0.1)
    assert fusion.quality.low == pytest.approx(0.6 - trust * 0.1)
    assert fusion.quality.high == pytest.approx(0.8 + trust * 0.1)


def test_a_confidently_wrong_specialist_is_overruled_by_its_quality() -> None:
    """Sure pixels do not help a mask whose predicted quality is poor."""
    a, b = predicted("specialist", 0.001, POOR), predicted("omnimodel", 0.9, GOOD)
    fusion = fuse((a, b), MEASURED)
    assert fusion.mask.all()
    assert fusion.weight.min() > 0.9
    swapped = fuse((replace(a, quality=GOOD), replace(b, quality=POOR)), MEASURED)
    assert not swapped.mask.any()
    assert swapped.weight.max() < 0.1


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_the_share_never_falls_as_the_omnimodel_gets_better(low: float, high: float) -> None:
    """A higher predicted Dice of the omnimodel never lowers its weight."""
    low, high = sorted((low, high))
    a = predicted("specialist", 0.7, Quality(0.5, 0.5, 0.5))
    worse, better = (fuse((a, predicted("omnimodel", 0.4, Quality(q, q, q)))) for q in (low, high))
    assert (worse.weight <= better.weight).all()


def test_the_omnimodel_gets_more_where_the_specialist_doubts() -> None:
    """The share rises with the specialist's own doubt: its spread if known, else its entropy."""
    p = np.full(SHAPE, 0.99, np.float32)
    p[..., 0] = 0.55
    other, c = predicted("omnimodel", 0.5), Calibration(gamma=0.5)
    by_entropy = fuse((predicted("specialist", p), other), c).weight
    assert (by_entropy[..., 0] > by_entropy[..., 1]).all()
    spread = np.zeros(SHAPE, np.float32)
    spread[..., 2] = 0.4
    by_spread = fuse((predicted("specialist", p, spread=spread), other), c).weight
    assert (by_spread[..., 2] > by_spread[..., 0]).all()
    np.testing.assert_array_equal(by_spread[..., 0], by_spread[..., 1])


def test_without_any_quality_the_specialist_leads() -> None:
    """By default an unmeasured omnimodel does not overrule an unmeasured specialist."""
    fusion = fuse((predicted("specialist", 0.8), predicted("omnimodel", 0.0)))
    assert fusion.quality is None
    assert fusion.weight.max() < 0.5
    assert fuse((predicted("specialist", 0.1), predicted("omnimodel", 0.8))).mask.sum() == 0


def test_a_quality_that_is_missing_widens_the_interval() -> None:
    """What is not known of one model is not claimed of both."""
    fusion = fuse((predicted("specialist", 0.8, GOOD), predicted("omnimodel", 0.8)))
    assert fusion.quality is not None
    assert fusion.quality.low < GOOD.low
    assert fusion.quality.high == pytest.approx(1.0)


def test_contradiction_shows_as_uncertainty() -> None:
    """Two sure and equally trusted models that contradict each other leave a coin toss."""
    even = Calibration(bias=0.0, gamma=0.0, ceiling=1.0)
    sure = fuse((predicted("specialist", 0.99, GOOD), predicted("omnimodel", 0.99, GOOD)), even)
    torn = fuse((predicted("specialist", 0.999, GOOD), predicted("omnimodel", 0.4, GOOD)), even)
    assert sure.uncertainty.max() < 0.1
    assert torn.uncertainty.min() > 0.55
    assert torn.probability.min() > 0.9


@pytest.mark.parametrize("role", ["specialist", "omnimodel"])
def test_spread_shows_as_uncertainty(role: Role) -> None:
    """Views that contradict each other are seen, alone and beside the other model."""
    spread = np.full(SHAPE, 0.5, np.float32)
    unsure = predicted(role, 0.999, GOOD, spread)
    assert (fuse((unsure,)).uncertainty == 1.0).all()
    partner = predicted("omnimodel" if role == "specialist" else "specialist", 0.999, GOOD)
    calm = fuse((replace(unsure, spread=None), partner)).uncertainty
    even = Calibration(bias=0.0, gamma=0.0, ceiling=1.0)
    np.testing.assert_allclose(fuse((unsure, partner), even).uncertainty, 0.5, rtol=1e-5)
    assert calm.max() < 0.1


def test_hard_masks_do_not_outvote_everything() -> None:
    """A probability of exactly 0 or 1 counts as the limit of log-odds, not as infinity."""
    a, b = predicted("specialist", 1.0, GOOD), predicted("omnimodel", 0.0, POOR)
    fusion = fuse((a, b))
    assert fusion.mask.all()
    tie = fuse((a, replace(b, quality=GOOD)), Calibration(bias=0.0, gamma=0.0, ceiling=1.0))
    np.testing.assert_allclose(tie.probability, 0.5, atol=1e-5)
    assert (tie.uncertainty > 0.999).all()


@pytest.mark.parametrize("role", ["specialist", "omnimodel"])
def test_margins_are_cuts_of_what_is_shown(role: Role) -> None:
    """Each contour is where its own threshold says, alone with the thresholds of whoever is alone."""
    p = np.linspace(0, 1, 24, dtype=np.float32).reshape(SHAPE)
    mine, other = Margin(0.2, 0.9), Margin(0.4, 0.6)
    own = Calibration(margin=other, margin_specialist=mine)
    if role == "omnimodel":
        own = Calibration(margin=other, margin_omnimodel=mine)
    alone = fuse((predicted(role, p),), own)
    assert alone.margin is not None
    np.testing.assert_array_equal(alone.margin[0], p > 0.9)
    np.testing.assert_array_equal(alone.margin[1], p > 0.2)
    assert alone.promise == mine
    both = fuse((predicted("specialist", p), predicted("omnimodel", p)), Calibration(margin=other))
    assert both.margin is not None
    np.testing.assert_array_equal(both.margin[1], both.probability > 0.4)
    assert both.promise == other
    bare = fuse((predicted(role, p),))
    assert bare.margin is None
    assert bare.promise is None


@pytest.mark.parametrize("claimed", [None, 0.9, 1.0])
def test_an_omnimodel_that_was_never_measured_is_not_believed(claimed: float | None) -> None:
    """By default no claim of quality, however high, gives it more than the least of weights."""
    a = predicted("specialist", 0.9, Quality(0.8, 0.7, 0.9))
    b = predicted("omnimodel", 0.0, None if claimed is None else Quality(claimed, claimed, claimed))
    fusion = fuse((a, b))
    assert fusion.mask.all()
    assert fusion.weight.max() < 0.01
    lost = fuse((replace(a, quality=Quality(0.0, 0.0, 0.4)), b))
    assert lost.weight.min() > 0.8


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_a_mask_of_a_size_never_measured_is_heard_as_one_never_measured(area: float) -> None:
    """An omnimodel that earned trust with lesions does not keep it for a whole image, nor for nothing."""
    own = predicted("specialist", np.linspace(0.2, 0.8, 24, dtype=np.float32).reshape(SHAPE), POOR)
    measured = replace(MEASURED, area=(0.05, 0.6), margin=Margin(0.2, 0.8))
    other = predicted("omnimodel", 0.99 if area else 0.01, GOOD)
    trusted, wary = fuse((own, other), MEASURED), fuse((own, other), measured)
    assert trusted.notes == ()
    assert trusted.weight.min() > 0.9
    assert wary.weight.max() < 0.1
    np.testing.assert_array_equal(wary.probability, fuse((own, other), SAFE_DEFAULT).probability)
    (note,) = wary.notes
    assert f"covers {100 * area:g} %" in note
    assert "5 to 60 %" in note
    assert (wary.margin, wary.promise) == (None, None)
    assert wary.quality is not None
    assert wary.quality.low == 0.0


@given(q=st.floats(0, 1), bias=st.floats(-8, 0), kappa=st.sampled_from((4.0, 8.0, 16.0, 32.0)))
def test_a_mask_of_a_size_never_measured_never_gains_trust(q: float, bias: float, kappa: float) -> None:
    """Not even where the specialist expects to fail and the pair was fitted to hardly listen."""
    own = predicted("specialist", 0.3, Quality(q, 0.0, 1.0))
    whole = predicted("omnimodel", 0.99, GOOD)
    fitted = Calibration(kappa=kappa, bias=bias, ceiling=1.0)
    usual, wary = (fuse((own, whole), replace(fitted, area=area)) for area in ((0.0, 1.0), (0.05, 0.6)))
    assert wary.weight.max() <= usual.weight.max()


def test_trust_follows_the_difference_of_predicted_dice() -> None:
    """The weight is a logistic function of it, and safe against extreme settings."""
    c = Calibration(kappa=10.0, bias=-2.0)
    assert trust_of(0.6, 0.8, c) == pytest.approx(0.5)
    assert trust_of(0.8, 0.6, c) == pytest.approx(1 / (1 + np.exp(4.0)))
    assert 0.0 < trust_of(1.0, 0.0, replace(c, kappa=1e6)) < 1e-9


def test_the_fused_quality_is_what_was_measured() -> None:
    """A table from the mean of both predicted Dice to that of fused masks takes the mean's place."""
    table = QualityTable((0.0, 1.0), (0.2, 0.6), 0.1)
    pair = predicted("specialist", 0.8, GOOD), predicted("omnimodel", 0.8, GOOD)
    fusion = fuse(pair, replace(MEASURED, quality=table))
    assert fusion.quality is not None
    assert fusion.quality.value == pytest.approx(0.2 + 0.4 * 0.95)
    assert fusion.quality.high - fusion.quality.low == pytest.approx(0.2)


def test_inputs_stay_as_they_were() -> None:
    """Working in place stops at the function's door."""
    a = predicted("specialist", 0.8, spread=np.full(SHAPE, 0.1, np.float32))
    b = predicted("omnimodel", 0.3, spread=np.full(SHAPE, 0.2, np.float32))
    fuse((a, b))
    assert a.spread is not None
    assert b.spread is not None
    assert (a.probability == np.float32(0.8)).all()
    assert (b.probability == np.float32(0.3)).all()
    assert (a.spread == np.float32(0.1)).all()
    assert (b.spread == np.float32(0.2)).all()


def test_what_cannot_be_fused_is_refused() -> None:
    """Nothing, two of a role, or two shapes."""
    a = predicted("specialist", 0.5)
    with pytest.raises(ValueError, match="different roles"):
        fuse(())
    with pytest.raises(ValueError, match="different roles"):
        fuse((a, a))
    with pytest.raises(ValueError, match="one shape"):
        fuse((a, predicted("omnimodel", np.zeros((1, 3, 4), np.float32))))


@pytest.mark.parametrize(
    "changes",
    [
        {"kappa": -1.0},
        {"kappa": np.inf},
        {"bias": np.nan},
        {"gamma": 1.0},
        {"prior": 0.0},
        {"limit": 16.0},
        {"assumed_specialist": 1.1},
        {"assumed_omnimodel": np.nan},
        {"ceiling": 1.5},
        {"area": (0.6, 0.5)},
        {"area": (0.0, 1.1)},
    ],
)
def test_calibration_names_the_field_that_breaks_a_rule(changes: dict[str, Any]) -> None:
    """Every broken rule is told with the name of the field."""
    with pytest.raises(ValueError, match=f"Calibration.{next(iter(changes))}"):
        replace(SAFE_DEFAULT, **changes)


def test_nothing_is_promised_of_a_picture_beyond_a_models_training() -> None:
    """The fused interval reaches down to 0 like the specialist's own; within the limit it does not."""
    p = np.full((1, 4, 4), 0.8, np.float32)
    calibration = Calibration(quality=QualityTable((0.0, 1.0), (0.2, 0.9), 0.1))
    other = predicted("omnimodel", p)
    lows = []
    for novelty in (0.9, 1.1):
        own = replace(predicted("specialist", p), quality=Quality(0.8, 0.7, 0.9), novelty=novelty)
        fused = fuse((own, other), calibration)
        assert fused.quality is not None
        lows.append(fused.quality.low)
    assert lows[0] > 0.3
    assert lows[1] == 0.0
