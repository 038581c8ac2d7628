"""What of the evidence on fusion needs no data: rival rules, simulated and hostile omnimodels, subsets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.core import phantom
from omniview.core.case import Truth
from omniview.core.fusion import SAFE_DEFAULT, fuse
from omniview.core.image import BoolArray, Image
from omniview.core.prediction import Prediction, Quality, Role
from omniview.omnimodel.voting import soft_edge
from omniview.training.calibrate import dice
from tests.benchmarks.evidence.hostile import HOSTILE, hostile
from tests.benchmarks.evidence.measures import better_single, gains, gap_closed, groups
from tests.benchmarks.evidence.predictions import Answered, restored, stored
from tests.benchmarks.evidence.rivals import RIVALS, entropy_gating, higher_quality, plain_average, staple
from tests.benchmarks.evidence.scores import FUSED, OMNIMODEL, ORACLE, SPECIALIST, Scores, judge
from tests.benchmarks.evidence.simulate import Simulated, simulated, targets, with_dice
from tests.benchmarks.evidence.subsets import subsets, tenth
from tests.benchmarks.evidence.tables import Table, write

SIZE = 96, 112
Scene = Callable[..., tuple[Image, Truth]]
SCENES: dict[str, Scene] = {
    "polyp": phantom.endoscopy,
    "breast": phantom.ultrasound,
    "vessel": phantom.fundus,
    "nuclei": phantom.nuclei,
}


def opinion(probability: list[float], role: Role = "specialist", quality: float | None = None) -> Prediction:
    """One row of pixels with these probabilities."""
    known = None if quality is None else Quality(quality, 0.0, 1.0)
    return Prediction(role, role, np.array([[probability]], np.float32), None, known)


def disc(radius: float, shift: float = 0.0) -> BoolArray:
    """A disc in the middle of an image, or beside it."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside: BoolArray = np.hypot(y - SIZE[0] / 2, x - SIZE[1] / 2 - shift) < radius
    return inside


def of_mask(mask: BoolArray, role: Role = "specialist", quality: float | None = None) -> Prediction:
    """A drawn mask with a soft edge."""
    known = None if quality is None else Quality(quality, 0.0, 1.0)
    return Prediction(role, role, soft_edge(mask[None]), None, known)


def case(name: str, truth: BoolArray, own: Prediction | None) -> Answered:
    """A case with the specialist's answer alone."""
    return Answered(name, truth[None], None, name, {SPECIALIST: own})


def scored(dices: dict[str, list[float]]) -> Scores:
    """Scores of cases of which nothing but the Dice matters."""
    n = len(next(iter(dices.values())))
    quality = {m: np.full((n, 3), np.nan) for m in (SPECIALIST, OMNIMODEL, FUSED)}
    no = np.zeros(n, np.bool_)
    columns = {m: np.array(v, np.float64) for m, v in dices.items()}
    return Scores(
        tuple(f"set/{k}" for k in range(n)), columns, quality, np.full((n, 2), np.nan), no, no, no, np.ones(n)
    )


def test_average() -> None:
    """The average is above one half where the mean of both probabilities is."""
    mask = plain_average(opinion([0.9, 0.4, 0.2]), opinion([0.2, 0.7, 0.7], "omnimodel"))
    assert mask.tolist() == [[[True, True, False]]]


def test_entropy_gating() -> None:
    """The surer model decides each pixel, the specialist where both are equally sure."""
    mask = entropy_gating(opinion([0.9, 0.4, 0.7]), opinion([0.2, 0.99, 0.3], "omnimodel"))
    assert mask.tolist() == [[[True, True, True]]]


@pytest.mark.parametrize(
    ("own", "other", "taken"),
    [(0.5, 0.9, "omnimodel"), (0.9, 0.5, "specialist"), (0.7, 0.7, "specialist"), (None, None, "specialist")],
)
def test_higher_quality(own: float | None, other: float | None, taken: str) -> None:
    """The mask of higher predicted quality is taken whole, the specialist's where both are equal."""
    specialist, omnimodel = opinion([0.9], quality=own), opinion([0.1], "omnimodel", other)
    assert higher_quality(specialist, omnimodel).item() is (taken == "specialist")


def test_staple() -> None:
    """STAPLE of two equal masks is that mask, and of two empty ones nothing."""
    mask = disc(20)
    assert np.array_equal(staple(of_mask(mask), of_mask(mask, "omnimodel"))[0], mask)
    nothing = np.zeros(SIZE, np.bool_)
    assert not staple(of_mask(nothing), of_mask(nothing, "omnimodel")).any()


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("wanted", [0.3, 0.6, 0.8, 0.95])
def test_simulated_dice(scene: str, wanted: float) -> None:
    """A simulated mask has the Dice that was asked for, whatever the structure."""
    truth = SCENES[scene](3, (128, 128))[1].mask[0]
    for seed in range(3):
        mask = with_dice(truth, wanted, np.random.default_rng(seed))
        assert dice(mask, truth) == pytest.approx(wanted, abs=0.05)


def test_simulated_strength() -> None:
    """The simulated omnimodel reaches its mean Dice and its share of silence."""
    names = [f"case {k}" for k in range(800)]
    wanted = targets(names, Simulated(mean=0.77, silent=0.25))
    spoken = [one for one in wanted if one is not None]
    assert np.mean(spoken) == pytest.approx(0.77, abs=0.02)
    assert 1 - len(spoken) / len(names) == pytest.approx(0.25, abs=0.04)


def test_linked() -> None:
    """Its errors follow the specialist's only where they are linked, at the same mean Dice."""
    names = [f"case {k}" for k in range(1000)]
    own = {name: k / 1000 for k, name in enumerate(names)}
    for linked, least, most in ((False, -0.1, 0.1), (True, 0.45, 0.7)):
        wanted = targets(names, Simulated(silent=0.0, linked=linked), own)
        assert np.mean([w for w in wanted if w is not None]) == pytest.approx(0.77, abs=0.02)
        r = np.corrcoef([w if w is not None else 0.0 for w in wanted], list(own.values()))[0, 1]
        assert least < r < most
    with pytest.raises(ValueError, match="specialist must be given"):
        targets(names, Simulated(linked=True))


def test_repeatable() -> None:
    """One case and seed give the same answers each time, another seed gives others."""
    truth = disc(22)[None]
    first, again, other = (simulated("a", truth, 0.7, Simulated(seed=s)) for s in (0, 0, 1))
    assert np.array_equal(first.probability, again.probability)
    assert not np.array_equal(first.probability, other.probability)
    assert first.spread is not None
    assert first.spread.max() > 0.1  # answers flicker


def test_simulated_on_normals() -> None:
    """Where nothing is to be found it invents something as often as one less its mean Dice."""
    nothing = np.zeros((1, *SIZE), np.bool_)
    found = [simulated(f"case {k}", nothing, 0.5, Simulated(mean=0.7)).mask.any() for k in range(200)]
    assert np.mean(found) == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("scene", SCENES)
def test_useless_omnimodels(scene: str) -> None:
    """A useless omnimodel, of whatever kind, costs a good specialist hardly anything."""
    for kind in HOSTILE:
        change = []
        for seed in range(2):
            truth, other = (SCENES[scene](s, (128, 128))[1].mask for s in (seed, seed + 10))
            own = with_dice(truth[0], 0.85, np.random.default_rng(seed))
            # sure of itself but for one pixel along the outline, as the networks are
            sure = cv2.blur(np.where(own, 0.97, 0.03), (3, 3))[None].astype(np.float32)
            specialist = Prediction("s", "specialist", sure, None, Quality(0.85, 0.7, 1.0))
            said = hostile(kind, f"{scene} {seed}", truth, other[0])
            fused = fuse([specialist, said], SAFE_DEFAULT)
            change.append(dice(fused.mask, truth) - dice(specialist.mask, truth))
        assert np.mean(change) >= -0.005, kind


def test_silence() -> None:
    """Every rule falls back on the specialist where the omnimodel is silent."""
    truth, own = disc(20), of_mask(disc(18))
    scores = judge([case("set/a", truth, own)], lambda _: None, lambda _: SAFE_DEFAULT)
    expected = dice(disc(18), truth)
    assert scores.silent.tolist() == [True]
    assert scores.dice[OMNIMODEL].tolist() == [0.0]
    for model in (SPECIALIST, FUSED, ORACLE, *RIVALS):
        assert scores.dice[model].tolist() == [expected]


def test_failed_specialist() -> None:
    """A failed specialist counts as 0, and the omnimodel then stands alone."""
    truth, other = disc(20), of_mask(disc(16), "omnimodel")
    scores = judge([case("set/a", truth, None)], lambda _: other, lambda _: SAFE_DEFAULT)
    assert scores.failed.tolist() == [True]
    assert scores.dice[SPECIALIST].tolist() == [0.0]
    assert scores.dice[FUSED].tolist() == scores.dice[OMNIMODEL].tolist() == [dice(disc(16), truth)]


def test_tenth() -> None:
    """The tenth is rounded up, and leaves out what is not ranked."""
    hardness = np.array([0.5, np.nan, 0.1, 0.9, 0.1, *np.linspace(0.6, 0.8, 8)])
    assert np.flatnonzero(tenth(hardness, "hardest")).tolist() == [2, 4]
    assert np.flatnonzero(tenth(hardness, "easiest")).tolist() == [3, 12]


def test_subsets() -> None:
    """Subsets are chosen by both models, by a third and by size."""
    scores = scored({SPECIALIST: [0.1, *[0.9] * 9], OMNIMODEL: [*[0.9] * 9, 0.1]})
    found = subsets(scores, {"third": np.linspace(1.0, 0.0, 10)})
    hard = {s.chooser: np.flatnonzero(s.rows).tolist() for s in found if s.end == "hardest"}
    assert hard == {SPECIALIST: [0], OMNIMODEL: [9], "third": [9], "size (smallest hardest)": [0]}
    assert found[0].rows.all()


def test_gap_closed() -> None:
    """The share of the oracle's gap is one of means, and there is none without a gap."""
    own, other = [0.5, 0.8] * 10, [0.7, 0.6] * 10
    columns = {SPECIALIST: own, OMNIMODEL: other, FUSED: [0.6, 0.8] * 10, ORACLE: [0.7, 0.8] * 10}
    closed = gap_closed(scored(columns))
    assert closed is not None
    assert closed.value == pytest.approx(0.5)
    assert closed.low is not None
    assert closed.high is not None
    assert closed.low <= closed.value <= closed.high
    assert gap_closed(scored(dict.fromkeys(columns, own))) is None


def test_harm() -> None:
    """Harm is a loss of more than 0.02; the better single model is chosen in hindsight."""
    scores = scored({SPECIALIST: [0.8] * 4, OMNIMODEL: [0.9] * 4, FUSED: [0.9, 0.79, 0.77, 0.8]})
    assert better_single(scores) == OMNIMODEL
    (gain,) = gains(scores, [SPECIALIST])
    assert gain.harmed is not None
    assert gain.harmed.value == 0.25


def test_groups() -> None:
    """Groups are the sets, and all of them together where there are several."""
    scores = scored({SPECIALIST: [1.0, 1.0]})
    assert list(groups("polyp", scores)) == ["set"]
    two = Scores(("a/1", "b/1"), *(getattr(scores, f) for f in list(scores.__dataclass_fields__)[1:]))
    assert list(groups("polyp", two)) == ["a", "b", "polyp, all sets"]


def test_kept_predictions() -> None:
    """A kept prediction comes back with its very mask, quality and novelty."""
    random = np.random.default_rng(0)
    values = random.random((1, 40, 50), np.float32)
    values[0, 0, :3] = 0.5, np.nextafter(np.float32(0.5), np.float32(1.0)), 0.0
    prediction = Prediction("m", "specialist", values, values * 0.5, Quality(0.7, 0.5, 0.9), novelty=1.2)
    back = restored(stored(prediction), "m", "specialist")
    assert np.array_equal(back.mask[0, 1:], prediction.mask[0, 1:])
    assert not back.mask[0, 0, 0]
    assert np.abs(back.probability - values).max() <= 1 / 65535
    assert (back.quality, back.novelty) == (prediction.quality, 1.2)


def test_tables(tmp_path: Path) -> None:
    """Tables are written as Markdown and as CSV."""
    write([Table("t", "Title", ("a", "b"), (("1", "2, 3"),), "Note.")], tmp_path)
    assert (tmp_path / "t.csv").read_text("utf-8") == 'a,b\n1,"2, 3"\n'
    assert "### Title\n\nNote.\n\n| a | b |\n| --- | --- |\n| 1 | 2, 3 |\n" in (
        tmp_path / "evidence.md"
    ).read_text("utf-8")
