from __future__ import annotations

import math

import numpy as np
import pytest

from omniview.core.image import FloatArray
from omniview.core.quality import QualityTable
from omniview.core.quality_head import SIGNS, QualityHead, judge, signs

TABLE = QualityTable((0.0, 0.5, 1.0), (0.1, 0.5, 0.9), (0.4, 0.2, 0.05))


def disc(radius: float = 20.0, softness: float = 1.0, side: int = 96) -> FloatArray:
    """A probability map (1,side,side) of a disc with a soft edge."""
    y, x = np.mgrid[:side, :side]
    distance = radius - np.hypot(y - side / 2, x - side / 2)
    return np.asarray(1 / (1 + np.exp(-distance / softness)), np.float32)[None]


def named(
    probability: FloatArray, spread: FloatArray | None = None, novelty: float | None = None
) -> dict[str, float]:
    """The signs by name."""
    return dict(zip(SIGNS, signs(probability, spread, novelty).tolist(), strict=True))


def test_a_blurred_answer_looks_less_sure_than_a_sharp_one() -> None:
    """Confidence and steadiness fall, doubt rises; the area hardly moves."""
    sharp, blurred = named(disc(softness=0.5)), named(disc(softness=6.0))
    assert sharp["confidence"] > blurred["confidence"]
    assert sharp["steadiness"] > blurred["steadiness"]
    assert sharp["doubt"] < blurred["doubt"]
    assert sharp["area"] == pytest.approx(blurred["area"], abs=0.05)
    assert sharp["area"] == pytest.approx(math.log(math.pi * 400 / 96**2), abs=0.02)


def test_parts_spread_and_novelty_are_told() -> None:
    """Two equal discs are half whole; spread and strangeness pass through."""
    two = np.maximum(np.roll(disc(10), 24, axis=2), np.roll(disc(10), -24, axis=2))
    looks = named(two, np.full_like(two, 0.1), math.e)
    assert looks["wholeness"] == pytest.approx(0.5, abs=0.01)
    assert looks["novelty"] == pytest.approx(1.0)
    assert looks["disagreement"] > 0
    assert looks["nothing"] == 0
    unknown = named(two)
    assert math.isnan(unknown["disagreement"])
    assert math.isnan(unknown["novelty"])


def test_an_empty_mask_says_so() -> None:
    """Nothing found: every sign is finite, and one of them says why."""
    looks = signs(np.full((1, 40, 40), 0.2, np.float32), None, None)
    assert np.isnan(looks).sum() == 2
    assert looks[SIGNS.index("nothing")] == 1
    black = np.zeros((2, 8, 8), np.float32)
    assert np.isfinite(signs(black, black, 0.0)).all()


def test_signs_do_not_depend_on_the_size_of_the_picture() -> None:
    """The same answer at four times the pixels looks much the same."""
    still = np.zeros_like
    small, large = (signs(m, still(m), 1.0) for m in (disc(20, 2, 96), disc(160, 16, 768)))
    assert np.abs(small - large).max() < 0.15


def test_the_head_weighs_and_the_table_says_what_that_is_worth() -> None:
    """A hand-made head: its score is the logistic of the weighted signs, its interval that of the knot."""
    head = QualityHead(("confidence", "nothing"), (1.0, -2.0), 0.5, (0.0, 0.0))
    sharp = disc(softness=0.5)
    score = 1 / (1 + math.exp(-(named(sharp)["confidence"] + 0.5)))
    assert head.score(signs(sharp, None, None)) == pytest.approx(score)
    said = judge(TABLE, head, sharp, None, None)
    assert said == TABLE.predict(score)
    assert said.high - said.low < 0.5
    doubled = QualityHead(("novelty",), (2.0,), 0.0, (0.3,))
    assert doubled.score(signs(sharp, None, None)) == pytest.approx(1 / (1 + math.exp(-0.6)))
    assert judge(TABLE, None, sharp, None, 0.5) == TABLE.judge(sharp)


def test_beyond_the_training_nothing_is_promised() -> None:
    """At twice the limit the predicted Dice is a quarter and its interval reaches down to 0."""
    known, strange = (judge(TABLE, None, disc(), None, novelty) for novelty in (1.0, 2.0))
    assert strange.value == pytest.approx(known.value / 4)
    assert strange.low == 0
    assert strange.high == known.high


@pytest.mark.parametrize(
    ("names", "weights", "bias"),
    [
        ((), (), 0.0),
        (("colour",), (1.0,), 0.0),
        (("area", "area"), (1.0, 1.0), 0.0),
        (("area",), (), 0.0),
        (("area",), (math.nan,), 0.0),
        (("area",), (1.0,), math.inf),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(
    names: tuple[str, ...], weights: tuple[float, ...], bias: float
) -> None:
    """Unknown, doubled or missing signs, and numbers that are none."""
    with pytest.raises(ValueError, match=r"(names|weights|bias).* must"):
        QualityHead(names, weights, bias, tuple(0.0 for _ in weights))


def test_maps_of_another_shape_are_refused() -> None:
    """(Y,X) alone, and a spread that is not the map's."""
    with pytest.raises(ValueError, match="probability must"):
        signs(disc()[0], None, None)
    with pytest.raises(ValueError, match="spread must"):
        signs(disc(), disc()[:, :-1], None)
