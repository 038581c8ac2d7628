"""What was shown, with undo and redo: pure."""

from __future__ import annotations

import numpy as np
import pytest

from omniview.ui.messages import shown
from omniview.ui.prompts import Kind, Mark, Prompts

YES, NO = Mark(Kind.POSITIVE, (3, 4)), Mark(Kind.NEGATIVE, (5, 6))
BOX, OTHER = Mark(Kind.BOX, (1, 2, 9, 8)), Mark(Kind.BOX, (0, 0, 4, 4))


def test_undo_and_redo_walk_through_what_was_shown() -> None:
    """Adding, removing and clearing are each one step; a new step forgets what was undone."""
    prompts = Prompts().added(YES).added(NO).without(YES).cleared()
    seen = [prompts.marks]
    while prompts.past:
        prompts = prompts.undone()
        seen.append(prompts.marks)
    assert seen == [(), (NO,), (YES, NO), (YES,), ()]
    assert prompts.undone() is prompts
    again = prompts.redone().redone()
    assert again.marks == (YES, NO)
    assert again.added(BOX).future == ()
    assert again.added(BOX).redone().marks == (YES, NO, BOX)
    assert Prompts().cleared() == Prompts()


def test_there_is_one_box() -> None:
    """A new one takes its place, and undo brings the old one back."""
    prompts = Prompts().added(BOX).added(YES).added(OTHER)
    assert prompts.marks == (YES, OTHER)
    assert prompts.undone().marks == (BOX, YES)


def test_marks_become_guidance() -> None:
    """Clicks in the order in which they were made, the box by its edges, the answer seen before."""
    prior = np.zeros((10, 10), np.float32)
    guidance = Prompts().added(YES).added(NO).added(BOX).added(Mark(Kind.POSITIVE, (7, 7))).guidance(prior)
    assert list(guidance.positive) == [(3, 4), (7, 7)]
    assert list(guidance.negative) == [(5, 6)]
    np.testing.assert_array_equal(guidance.box, (1, 2, 9, 8))
    assert guidance.prior is not None
    assert Prompts().guidance(None).empty


def test_marks_are_told_in_words_and_numbers() -> None:
    """For the status line, and for the record beside saved masks."""
    told = [mark.to_json() for mark in (YES, NO, BOX)]
    assert told[0] == {"kind": "positive", "row": 3, "column": 4}
    assert told[2] == {"kind": "box", "top": 1, "left": 2, "bottom": 9, "right": 8}
    assert shown(told[:1]) == "1 click"
    assert shown(told) == "2 clicks and a box"
    assert shown(told[2:]) == "a box"


def test_a_mark_has_the_numbers_of_its_kind() -> None:
    """A box of two numbers is a mistake in the program."""
    with pytest.raises(ValueError, match=r"Mark\.place"):
        Mark(Kind.BOX, (1, 2))
