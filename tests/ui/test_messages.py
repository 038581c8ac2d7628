"""Words for a person."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.core.case import Case, Failure
from omniview.core.image import Image
from omniview.core.prediction import Prediction, Provenance
from omniview.core.task import TASKS
from omniview.ui.messages import Action, Level, badge, number, ran, seconds

_IMAGE = Image(np.zeros((2, 2, 1), np.uint8))


def _failed(kind: str) -> Case:
    failure = Failure("cloud", "omnimodel", "It went wrong.", "Do this.", kind)
    return Case(_IMAGE, TASKS["polyp"], failures=(failure,))


@pytest.mark.parametrize(
    ("kind", "offline", "word", "action"),
    [
        ("UnusableAnswer", False, "unusable answer", Action.AGAIN),
        ("NotAllowed", False, "refused", Action.PERMIT),
        ("NotAllowed", True, "offline", Action.GO_ONLINE),
        ("MissingKey", False, "no key", Action.PERMIT),
        ("Unreachable", False, "unreachable", Action.AGAIN),
        ("Blocked", False, "declined", Action.NONE),
        ("NotAsked", False, "not asked", Action.ASK),
        ("OverBudget", False, "over budget", Action.NONE),
        ("InferenceError", False, "failed", Action.AGAIN),
        ("", False, "failed", Action.AGAIN),
    ],
)
def test_every_failure_has_a_badge_that_explains_itself(
    kind: str, offline: bool, word: str, action: Action
) -> None:
    """The badge has a word of its own; its explanation holds model, cause and next step."""
    shown = badge(_failed(kind), "omnimodel", offline=offline, chosen=True)
    assert (shown.word, shown.action) == (word, action)
    for part in ("cloud", "It went wrong.", "Do this."):
        assert part in shown.explanation


def test_badges_of_work_under_way() -> None:
    """Waiting, running with its time, and switched off look different."""
    case = Case(_IMAGE, TASKS["polyp"], pending=("omnimodel",))
    words = [
        badge(None, "omnimodel", offline=False, chosen=True).word,
        badge(case, "omnimodel", offline=False, chosen=True, elapsed_s=3.2).word,
        badge(case, "omnimodel", offline=False, chosen=False).word,
        badge(Case(_IMAGE, TASKS["polyp"]), "omnimodel", offline=False, chosen=True).word,
    ]
    assert words == ["waiting", "running 3 s", "off", "none"]


def test_what_ran_names_place_time_answers_and_cost() -> None:
    """Everything that a person would ask about a result is in the line, and nothing that does not apply."""
    probability = np.zeros((1, 2, 2), np.float32)
    local = Prediction("net", "specialist", probability, seconds=0.0123)
    record = Provenance(
        provider="example.org",
        model_version="gen-3.1",
        answers_asked=3,
        answers_used=2,
        cost=0.0021,
        currency="USD",
        notes=("1 box was clipped",),
    )
    cloud = Prediction("gen", "omnimodel", probability, seconds=3.14, provenance=record)
    case = Case(_IMAGE, TASKS["polyp"], (local,))
    assert ran(local) == "net, 12 ms"
    assert ran(cloud) == "gen-3.1, example.org, 3.1 s, 1 of 3 answers unusable, 0.0021 USD, 1 box was clipped"
    assert badge(case, "specialist", offline=True, chosen=True).level is Level.GOOD


def test_what_ran_names_a_variant() -> None:
    """Eight bits are said beside where they ran."""
    about = Provenance(provider="CPUExecutionProvider", variant="int8", variant_of="aa")
    shown = ran(Prediction("polyp", "specialist", np.zeros((1, 2, 2), np.float32), provenance=about))
    assert "CPU, int8," in shown


def test_numbers_and_durations_have_suitable_digits() -> None:
    """Undefined scores say so."""
    assert (number(None), number(0.91234), number(3.24, 1)) == ("n/a", "0.912", "3.2")
    assert (seconds(0.25), seconds(61.26)) == ("250 ms", "61.3 s")
