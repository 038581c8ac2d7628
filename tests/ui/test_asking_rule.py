"""A case that a person's own rule spares a question is no failure, and the question can be asked anyway."""

from __future__ import annotations

from pathlib import Path

from omniview.core.asking import AskPolicy
from omniview.errors import OverBudget
from omniview.ui.messages import Action, Level
from omniview.ui.session import Stage
from tests.ui.conftest import Run
from tests.ui.parts import Desk


def test_a_question_that_is_spared_is_no_failure(run: Run, desk: Desk, blob: Path) -> None:
    """The badge is calm and offers to ask anyway; a click asks, for this image alone, and shows the cost."""
    desk.models.parts[1].asks_outside = True
    desk.models.rule = AskPolicy("doubtful", 0.75)
    other = blob.with_name("other.png")
    other.write_bytes(blob.read_bytes())

    async def work() -> None:
        await desk.open(blob)
        badge = desk.window.models.badges()["omnimodel"]
        assert badge is not None
        assert (badge.word, badge.level, badge.action) == ("not asked", Level.INFO, Action.ASK)
        assert "0.88 is not below 0.75" in badge.explanation
        assert desk.now.stage is Stage.DONE
        assert desk.case.fusion is not None
        assert not desk.models.parts[1].asked
        desk.models.cost = 0.0123
        desk.window.models.click("omnimodel")
        await desk.window.settle()
        assert desk.models.parts[1].asked == [blob.name]
        assert desk.case.failures == ()
        assert "this session: 0.0123 USD" in desk.window.status.text()
        await desk.open(other)
        assert desk.models.parts[1].asked == [blob.name]

    run(work())


def test_a_reached_cap_says_what_to_do(run: Run, desk: Desk, blob: Path) -> None:
    """The badge has the figures and the next step; the case is done."""
    desk.models.parts[1].asks_outside = True
    desk.models.parts[1].error = OverBudget("0.0096 of 0.01 USD are spent.", "Raise budget.session.")

    async def work() -> None:
        await desk.open(blob)
        badge = desk.window.models.badges()["omnimodel"]
        assert badge is not None
        assert badge.word == "over budget"
        assert "Raise budget.session" in badge.explanation
        assert desk.now.stage is Stage.DONE

    run(work())
