"""The engine: results as they come, failures as facts, newest truth, and cancellation that really cancels."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from omniview.analyse import FUSED, analyse, with_prediction, with_truth
from omniview.core.asking import AskPolicy
from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.core.prediction import Quality
from omniview.core.task import TASKS
from omniview.errors import InferenceError, SizeMismatch, Unreachable
from tests.fakes import OtsuSegmenter

POLYP = TASKS["polyp"]


@pytest.fixture
def image() -> Image:
    """A bright square on dark ground."""
    pixels = np.full((60, 80, 3), 20, np.uint8)
    pixels[20:40, 30:60] = 200
    return Image(pixels, name="square")


@pytest.fixture
def truth() -> Truth:
    """The square."""
    mask = np.zeros((1, 60, 80), bool)
    mask[0, 20:40, 30:60] = True
    return Truth(mask, "by hand")


async def test_each_result_makes_a_new_case(image: Image, truth: Truth) -> None:
    """First nothing, then the quick model fused alone, then both; what was handed out never changes."""
    seen: list[Case] = []
    models = [OtsuSegmenter("quick"), OtsuSegmenter("slow", role="omnimodel", delay_s=0.05)]
    case = await analyse(image, POLYP, models, truth=truth, on_update=seen.append)
    assert [c.pending for c in seen] == [("specialist", "omnimodel"), ("omnimodel",), ()]
    assert [len(c.predictions) for c in seen] == [0, 1, 2]
    assert seen[0].fusion is None
    first = seen[1]
    assert first.fusion is not None
    np.testing.assert_array_equal(first.fusion.probability, first.predictions[0].probability)
    assert case is seen[2]
    assert set(case.scores) == {"specialist", "omnimodel", FUSED}
    assert all(case.scores[name]["dice"] == 1.0 for name in case.scores)
    assert all(a is not b for a, b in pairwise(seen))


async def test_a_failure_changes_nothing_but_a_fact(image: Image, truth: Truth) -> None:
    """With the omnimodel dead, the fused mask equals the specialist's, and the case says why."""
    dead = OtsuSegmenter("cloud", role="omnimodel", error=Unreachable("It is down.", "Try later."))
    case = await analyse(image, POLYP, [OtsuSegmenter("own"), dead], truth=truth)
    assert case.fusion is not None
    np.testing.assert_array_equal(case.fusion.mask, case.predictions[0].mask)
    np.testing.assert_array_equal(case.fusion.weight, 0)
    (failure,) = case.failures
    assert (failure.model, failure.role, failure.reason, failure.next_step, failure.kind) == (
        "cloud",
        "omnimodel",
        "It is down.",
        "Try later.",
        "Unreachable",
    )
    assert set(case.scores) == {"specialist", FUSED}


async def test_a_defect_in_one_model_leaves_the_other(image: Image, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that no model should raise becomes a failure and a log entry."""
    broken = OtsuSegmenter("broken", role="omnimodel", error=KeyError("oops"))
    with caplog.at_level(logging.CRITICAL, logger="omniview"):
        case = await analyse(image, POLYP, [OtsuSegmenter("own"), broken])
    assert case.fusion is not None
    assert "KeyError" in case.failures[0].reason


async def test_every_model_may_fail(image: Image) -> None:
    """Without any prediction there is no fusion and there are no scores, and nothing is raised."""
    down = Unreachable("Down.")
    models = [OtsuSegmenter("a", error=down), OtsuSegmenter("b", role="omnimodel", error=down)]
    case = await analyse(image, POLYP, models)
    assert case.fusion is None
    assert not case.scores
    assert len(case.failures) == 2
    assert case.pending == ()


async def test_cancelling_cancels_every_model(image: Image) -> None:
    """Nothing goes on working for a case that nobody waits for."""
    models = [OtsuSegmenter("a", delay_s=30), OtsuSegmenter("b", role="omnimodel", delay_s=30)]
    task = asyncio.create_task(analyse(image, POLYP, models))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [m.cancelled for m in models] == [1, 1]


async def test_two_models_of_one_role_are_refused(image: Image) -> None:
    """A case has one place for each role."""
    with pytest.raises(ValueError, match="one a role"):
        await analyse(image, POLYP, [OtsuSegmenter("a"), OtsuSegmenter("b")])


async def test_a_truth_of_another_size_is_refused_with_both_sizes(image: Image) -> None:
    """The message names both sizes, width first."""
    wrong = Truth(np.zeros((1, 50, 70), bool))
    with pytest.raises(SizeMismatch, match=r"70x50.*80x60"):
        await analyse(image, POLYP, [OtsuSegmenter()], truth=wrong)


async def test_another_truth_rescores_the_same_masks(image: Image, truth: Truth) -> None:
    """A truth that comes later gives the scores that it would have given at once; none takes them away."""
    quality = Quality(0.8, 0.7, 0.9)
    at_once = await analyse(image, POLYP, [OtsuSegmenter(quality=quality)], truth=truth)
    later = with_truth(await analyse(image, POLYP, [OtsuSegmenter(quality=quality)]), truth)
    assert later.scores == at_once.scores
    assert not with_truth(later, None).scores
    with pytest.raises(SizeMismatch):
        with_truth(later, replace(truth, mask=np.zeros((1, 2, 2), bool)))


async def test_a_model_that_needs_evidence_is_asked_after_the_specialist(image: Image) -> None:
    """It gets the specialist's prediction; the specialist's mask does not wait for it."""
    seen: list[Case] = []
    follower = OtsuSegmenter("follower", role="omnimodel", needs_evidence=True)
    models = [follower, OtsuSegmenter("own", delay_s=0.02)]
    case = await analyse(image, POLYP, models, on_update=seen.append)
    assert [[p.role for p in c.predictions] for c in seen] == [
        [],
        ["specialist"],
        ["specialist", "omnimodel"],
    ]
    np.testing.assert_array_equal(case.predictions[1].probability, case.predictions[0].probability)


async def test_a_model_that_needs_evidence_says_that_there_is_none(image: Image) -> None:
    """A specialist that failed, or that nobody asked, does not leave it waiting for ever."""
    follower = OtsuSegmenter("follower", role="omnimodel", needs_evidence=True)
    failed = OtsuSegmenter("own", error=Unreachable("Down."))
    for models in ([failed, follower], [follower]):
        case = await analyse(image, POLYP, models)
        assert case.pending == ()
        failure = case.failure("omnimodel")
        assert failure is not None
        assert failure.reason == "There is no mask to go by."


async def test_cancelling_before_the_specialist_is_done_asks_nobody_else(image: Image) -> None:
    """What waits for evidence is never started."""
    follower = OtsuSegmenter("follower", role="omnimodel", needs_evidence=True)
    task = asyncio.create_task(analyse(image, POLYP, [OtsuSegmenter("own", delay_s=30), follower]))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert follower.asked == []


async def test_another_opinion_takes_its_roles_place(image: Image, truth: Truth) -> None:
    """A new prediction replaces the role's old one or its failure; fusion and scores are those of both."""
    own, other = OtsuSegmenter("own"), OtsuSegmenter("other", role="omnimodel", invert=True)
    both = await analyse(image, POLYP, [own, other], truth=truth)
    better = await OtsuSegmenter("better", role="omnimodel").segment(image, POLYP)
    dead = OtsuSegmenter("dead", role="omnimodel", error=Unreachable("Down."))
    for before in (both, await analyse(image, POLYP, [own, dead], truth=truth)):
        case = with_prediction(before, better)
        assert [p.model for p in case.predictions] == ["own", "better"]
        assert (case.failures, case.pending) == ((), ())
        assert case.scores["omnimodel"]["dice"] == case.scores[FUSED]["dice"] == 1.0
        assert case.fusion is not None
        assert case.fusion is not before.fusion


@pytest.mark.parametrize(("quality", "asked"), [(0.6, True), (0.9, False), (None, True)])
async def test_a_sure_specialist_spares_the_question(
    image: Image, truth: Truth, quality: float | None, asked: bool
) -> None:
    """With "doubtful" the omnimodel outside is asked after the specialist, where that is in doubt."""
    judged = None if quality is None else Quality(quality, 0.0, 1.0)
    specialist = OtsuSegmenter("own", delay_s=0.02, quality=judged)
    omnimodel = OtsuSegmenter("cloud", "omnimodel", asks_outside=True)
    cases: list[Case] = []
    case = await analyse(
        image,
        POLYP,
        (specialist, omnimodel),
        truth=truth,
        ask=AskPolicy("doubtful", 0.75),
        on_update=cases.append,
    )
    assert bool(omnimodel.asked) is asked
    assert cases[0].pending == ("specialist", "omnimodel")
    assert case.pending == ()
    assert case.fusion is not None
    assert (case.prediction("omnimodel") is not None) is asked
    failure = case.failure("omnimodel")
    if asked:
        assert failure is None
        assert omnimodel.because[0]
    else:
        assert failure is not None
        assert failure.left_out
        assert (failure.kind, failure.model) == ("NotAsked", "cloud")
        assert "0.9 is not below 0.75" in failure.reason
        assert failure.next_step
        np.testing.assert_array_equal(case.fusion.mask, case.predictions[0].mask)


async def test_a_failed_specialist_makes_the_question_needed(image: Image) -> None:
    """Where the specialist fails, the omnimodel is asked although a threshold is set."""
    specialist = OtsuSegmenter("own", error=InferenceError("It broke.", "Mend it."))
    omnimodel = OtsuSegmenter("cloud", "omnimodel", asks_outside=True)
    case = await analyse(image, POLYP, (specialist, omnimodel), ask=AskPolicy("doubtful", 0.1))
    assert [p.model for p in case.predictions] == ["cloud"]
    assert omnimodel.because == ["the specialist gave no mask"]
    assert not case.failures[0].left_out


async def test_never_asks_nobody_outside_but_whoever_runs_here(image: Image) -> None:
    """The rule is about money and privacy: a model that runs here is free and is asked all the same."""
    never = AskPolicy("never")
    outside = OtsuSegmenter("cloud", "omnimodel", asks_outside=True)
    case = await analyse(image, POLYP, (OtsuSegmenter("own", delay_s=0.02), outside), ask=never)
    assert not outside.asked
    assert [f.kind for f in case.failures] == ["NotAsked"]
    here = OtsuSegmenter("builtin", "omnimodel")
    case = await analyse(image, POLYP, (OtsuSegmenter("own"), here), ask=never)
    assert here.asked
    assert case.failures == ()
