"""Whom to ask is decided by the specialist's predicted quality, and said in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.core.asking import ALWAYS, AskPolicy, Share, rule_from
from omniview.core.case import Failure
from omniview.core.prediction import Prediction, Quality
from omniview.core.quality import threshold_for_share
from omniview.core.segmenter import asks_outside, needs_evidence
from omniview.errors import SettingsError
from tests.fakes import OtsuSegmenter


def _specialist(quality: float | None) -> Prediction:
    judged = None if quality is None else Quality(quality, 0.0, 1.0)
    return Prediction("own", "specialist", np.zeros((1, 2, 2), np.float32), quality=judged)


@pytest.mark.parametrize(
    ("policy", "quality", "asked", "words"),
    [
        (ALWAYS, 0.99, True, "every case"),
        (AskPolicy("never"), 0.01, False, "never asked"),
        (AskPolicy("doubtful", 0.75), 0.61, True, "predicted Dice 0.61 is below 0.75"),
        (AskPolicy("doubtful", 0.75), 0.91, False, "predicted Dice 0.91 is not below 0.75"),
        (AskPolicy("doubtful", 0.75), 0.75, False, "0.75 is not below 0.75, but equal to it."),
        (AskPolicy("doubtful", 0.94512), 0.94538, False, "Dice 0.9454 is not below 0.9451."),
        (AskPolicy("doubtful", 0.94538), 0.94512, True, "Dice 0.9451 is below 0.9454"),
        (
            AskPolicy("doubtful", 0.3),
            0.1 + 0.2,
            False,
            "0.30000000000000004 is not below 0.29999999999999999.",
        ),
        (AskPolicy("doubtful", 0.75), None, True, "quality is not known"),
    ],
)
def test_a_verdict_says_why(policy: AskPolicy, quality: float | None, asked: bool, words: str) -> None:
    """The rule is followed to the letter, and the reason names both figures."""
    verdict = policy.decide(_specialist(quality))
    assert verdict.asked is asked
    assert words in verdict.because


def test_without_a_specialist_the_omnimodel_is_asked() -> None:
    """Where the specialist has no mask the second opinion is the only one."""
    assert AskPolicy("doubtful", 0.0).decide(None).asked
    assert ALWAYS.decide(None).asked
    assert not AskPolicy("never").decide(None).asked


def test_only_doubt_has_to_wait() -> None:
    """Whoever is asked always, or never, need not wait for the specialist."""
    assert [AskPolicy(when).waits for when in ("always", "doubtful", "never")] == [False, True, False]


def test_a_policy_checks_itself() -> None:
    """A threshold beyond [0,1] or another word is named."""
    with pytest.raises(ValueError, match="below"):
        AskPolicy("doubtful", 1.5)
    with pytest.raises(ValueError, match="when"):
        AskPolicy("sometimes")  # type: ignore[arg-type]


def test_the_threshold_of_a_share_by_hand() -> None:
    """Of ten cases the worst two lie below the threshold for 20 %."""
    qualities = [0.9, 0.2, 0.8, 0.7, 0.3, 0.95, 0.85, 0.75, 0.6, 0.65]
    assert threshold_for_share(qualities, 0.2) == 0.6
    assert threshold_for_share(qualities, 0.0) == 0.2
    assert threshold_for_share(qualities, 1.0) == 1.0
    assert threshold_for_share([*qualities[:9], None], 0.2) == 0.3  # the unknown one is asked about anyway
    assert threshold_for_share([], 0.5) == 1.0
    with pytest.raises(ValueError, match="share"):
        threshold_for_share(qualities, 1.1)


@given(st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))), st.floats(0, 1))
def test_never_more_than_the_share_is_asked(qualities: list[float | None], share: float) -> None:
    """Whatever the qualities, equal ones included, at most the share is asked besides the unknown ones."""
    below = threshold_for_share(qualities, share)
    unknown = qualities.count(None)
    asked = unknown + sum(q is not None and q < below for q in qualities)
    assert 0.0 <= below <= 1.0
    assert asked <= max(unknown, share * len(qualities) + 1e-6)


def test_a_rule_can_be_written_in_a_word() -> None:
    """As on the command line; what is no rule is refused with the choices."""
    assert rule_from("always") == ALWAYS
    assert rule_from(" never ") == AskPolicy("never")
    assert rule_from("below:0.6") == AskPolicy("doubtful", 0.6)
    assert rule_from("share:0.2") == Share(0.2)
    for text in ("", "often", "below", "below:x", "below:1.5", "share:-1", "share:nan", "always:1"):
        with pytest.raises(SettingsError, match="when to ask") as caught:
            rule_from(text)
        assert "share:0.2" in caught.value.next_step


def test_whom_the_rule_concerns_says_so_itself() -> None:
    """Whoever has no such attribute runs here, is free, and needs nobody's opinion."""
    cloud = OtsuSegmenter("cloud", "omnimodel", asks_outside=True)
    assert asks_outside(cloud)
    assert not needs_evidence(cloud)
    assert needs_evidence(OtsuSegmenter(needs_evidence=True))
    assert not asks_outside(OtsuSegmenter())


def test_who_is_left_out_has_not_failed() -> None:
    """By the person's own rule or cap; anything else is a failure."""
    kinds = ("NotAsked", "OverBudget", "Unreachable", "")
    left_out = [Failure("cloud", "omnimodel", "Why.", kind=kind).left_out for kind in kinds]
    assert left_out == [True, True, False, False]
