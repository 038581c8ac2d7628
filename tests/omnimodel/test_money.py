"""What a call costs is what it used up, through the real SDK: all that it might have where nobody knows."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest

from omniview.core.asking import BECAUSE
from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import OmnimodelError, OverBudget, Unreachable
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.budget import Budget, Caps
from omniview.omnimodel.cache import AnswerCache
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.outlook import Outlook, outlook
from omniview.omnimodel.prices import PriceTable
from omniview.omnimodel.reply import Estimate
from omniview.settings import BudgetSettings, Settings
from tests.omnimodel.conftest import Segment
from tests.omnimodel.forms import boxed
from tests.omnimodel.loopback import FAULTS, Loopback, Step, answer

POLYP = TASKS["polyp"]
MODEL = "gemini-3-flash-preview"
GOOD = answer(json.dumps([boxed()]), tokens=(300, 200, 50))
PAID = (300 * 0.5 + 250 * 3.0) / 1e6


@pytest.fixture
def budget(tmp_path: Path) -> Budget:
    """Without a cap."""
    return Budget(tmp_path)


def _omnimodel(
    segmenter: Segment, url: str, budget: Budget, home: Path, *, answers: int = 1
) -> CloudSegmenter:
    return segmenter(
        url,
        model=MODEL,
        answers=answers,
        agreed=None,
        max_output_tokens=8192,
        prices=PriceTable.load(home),
        purse=budget,
        circuit=Circuit(failures=100),
    )


@pytest.mark.parametrize(
    ("step", "paid"),
    [
        (GOOD, PAID),
        (answer("I see nothing that I could outline.", tokens=(300, 200, 50)), PAID),
        (FAULTS["429"], 0.0),
        (FAULTS["503"], 0.0),
        (FAULTS["400"], 0.0),
    ],
    ids=["answered", "unusable", "rate limit", "overloaded", "refused"],
)
async def test_a_call_costs_what_it_used_up(
    segmenter: Segment, image: Image, budget: Budget, tmp_path: Path, step: Step, paid: float
) -> None:
    """An answer that cannot be used was paid for all the same; a refusal was not."""
    with Loopback([step] * 5) as server:
        omnimodel = _omnimodel(segmenter, server.url, budget, tmp_path)
        if step is GOOD:
            prediction = await omnimodel.segment(image, POLYP)
            assert prediction.provenance.cost == pytest.approx(paid)
        else:
            with pytest.raises(OmnimodelError) as caught:
                await omnimodel.segment(image, POLYP)
            assert caught.value.cost == pytest.approx(paid)
            assert caught.value.currency == "USD"
        await omnimodel.close()
    assert budget.spent().session == pytest.approx(paid)


async def test_where_nobody_listens_nothing_is_paid(
    segmenter: Segment, image: Image, budget: Budget, tmp_path: Path
) -> None:
    """A machine without a network does not use up its day's cap."""
    omnimodel = _omnimodel(segmenter, "http://127.0.0.1:9", budget, tmp_path)
    with pytest.raises(Unreachable):
        await omnimodel.segment(image, POLYP)
    await omnimodel.close()
    assert budget.spent().session == 0.0


async def test_a_cancelled_call_counts_with_all_it_might_have_cost(
    segmenter: Segment, image: Image, tmp_path: Path
) -> None:
    """The server may have answered and charged: what was laid aside stands as spent."""
    budget = Budget(tmp_path, Caps(session=0.02))
    with Loopback([FAULTS["hang"]]) as server:
        omnimodel = _omnimodel(segmenter, server.url, budget, tmp_path)
        asking = asyncio.create_task(omnimodel.segment(image, POLYP))
        assert await asyncio.to_thread(server.hanging.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await omnimodel.close()
    assert 0.01 < budget.spent().session <= 0.02


def _audited(home: Path) -> object:
    """What the audit says that the last call cost."""
    return json.loads((home / "audit.jsonl").read_text("utf-8").splitlines()[-1]).get("cost")


@pytest.mark.parametrize(
    ("script", "lost", "last"),
    [
        ([FAULTS["reset"], GOOD], 1, PAID),
        ([FAULTS["reset"], FAULTS["503"], GOOD], 1, PAID),
        ([FAULTS["reset"], FAULTS["reset"], FAULTS["503"]], 2, 0.0),
        ([FAULTS["503"], FAULTS["reset"], FAULTS["503"]], 1, 0.0),
    ],
    ids=["cut once", "cut and refused", "cut twice and refused", "cut between refusals"],
)
async def test_what_broke_off_counts_in_full_whatever_comes_after(
    segmenter: Segment,
    image: Image,
    budget: Budget,
    tmp_path: Path,
    script: list[Step],
    lost: int,
    last: float,
) -> None:
    """The server may have charged for each; ledger, audit and whoever asked are told the same sum."""
    with Loopback(script) as server:
        omnimodel = _omnimodel(segmenter, server.url, budget, tmp_path)
        if script[-1] is GOOD:
            cost = (await omnimodel.segment(image, POLYP)).provenance.cost
        else:
            with pytest.raises(Unreachable) as caught:
                await omnimodel.segment(image, POLYP)
            cost = caught.value.cost
        await omnimodel.close()
        assert len(server.requests) == len(script)
    assert cost is not None
    full = (cost - last) / lost
    assert 8192 * 3e-6 < full < 8192 * 3e-6 + 0.01
    assert budget.spent().session == pytest.approx(cost)
    assert _audited(tmp_path) == pytest.approx(cost)


@pytest.mark.parametrize(("cap", "why"), [(0.03, "are spent in this session"), (0.04, "as long an answer")])
async def test_what_broke_off_is_not_repeated_where_the_cap_does_not_pay_for_it(
    segmenter: Segment, image: Image, tmp_path: Path, cap: float, why: str
) -> None:
    """The failure is told with the reason, and the cap holds even if all that was sent is charged."""
    budget = Budget(tmp_path, Caps(session=cap))
    with Loopback([FAULTS["reset"], GOOD]) as server:
        omnimodel = _omnimodel(segmenter, server.url, budget, tmp_path)
        with pytest.raises(Unreachable, match=rf"was cut .* It was not asked again: .*{why}"):
            await omnimodel.segment(image, POLYP)
        await omnimodel.close()
        assert len(server.requests) == 1
    assert 8192 * 3e-6 < budget.spent().session <= cap
    assert _audited(tmp_path) == pytest.approx(budget.spent().session)


async def test_an_answer_of_untold_length_is_not_free(
    segmenter: Segment, image: Image, budget: Budget, tmp_path: Path
) -> None:
    """Where the server does not count what it wrote, the cost is not known and the reservation stands."""
    body = answer(json.dumps([boxed()])).body | {"usageMetadata": {"promptTokenCount": 300}}
    with Loopback([Step(body=body)]) as server:
        omnimodel = _omnimodel(segmenter, server.url, budget, tmp_path)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert prediction.provenance.cost is None
    assert _audited(tmp_path) is None
    assert budget.spent().session > 8192 * 3e-6


async def test_answers_of_one_image_cannot_pass_the_cap_together(
    segmenter: Segment, image: Image, tmp_path: Path
) -> None:
    """Asked five times at once with money for three, three answers vote and two say why they are missing."""
    budget = Budget(tmp_path, Caps(session=0.012))
    budget_of_old = Budget(tmp_path)
    for _ in range(3):
        (await budget_of_old.reserve(MODEL, Estimate(0, 1, 1))).settle(0.003)
    with Loopback([answer(json.dumps([boxed()]), tokens=(300, 900, 50))] * 5) as server:
        omnimodel = _omnimodel(segmenter, server.url, budget, tmp_path, answers=5)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    used = prediction.provenance.answers_used
    assert used == len(server.requests)
    assert 2 <= used < 5
    assert prediction.provenance.cost is not None
    assert prediction.provenance.cost <= 0.012
    assert any("are spent in this session" in note for note in prediction.provenance.notes)
    with pytest.raises(OverBudget):
        await _omnimodel(segmenter, "http://127.0.0.1:9", budget, tmp_path).segment(image, POLYP)


async def test_an_answer_on_disk_is_free_and_the_reason_for_asking_is_kept(
    segmenter: Segment, image: Image, tmp_path: Path
) -> None:
    """The same question again sends nothing; the audit knows why the first was asked."""
    kept = AnswerCache(tmp_path, 1)
    BECAUSE.set("predicted Dice 0.4 is below 0.75")
    with Loopback([GOOD]) as server:
        omnimodel = segmenter(server.url, model=MODEL, prices=PriceTable.load(tmp_path), kept=kept)
        first = await omnimodel.segment(image, POLYP)
        second = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
        assert len(server.requests) == 1
    assert (first.mask == second.mask).all()
    assert first.provenance.cost == pytest.approx(PAID)
    assert second.provenance.cost == 0.0
    sent = json.loads((tmp_path / "audit.jsonl").read_text("utf-8").splitlines()[0])
    assert sent["because"] == "predicted Dice 0.4 is below 0.75"


async def test_an_outlook_has_the_figures(tmp_path: Path) -> None:
    """The most, the usual once answers are known, the cap where it is lower; None where all is free."""
    settings = Settings(omnimodel="gemini", answers=2, budget=BudgetSettings(session=0.5))
    ahead = outlook(settings, 60, tmp_path)
    assert ahead is not None
    assert ahead.most is not None
    assert ahead.most > 120 * 32768 * 3e-6
    assert (ahead.usual, ahead.cap) == (None, 0.5)
    assert "At most 0.5 USD for 60 cases at gemini-3-flash-preview, 2 answers each" in ahead.text()
    assert "prices of 2026-" in ahead.text()
    budget = Budget(tmp_path)
    for cost in (0.001, 0.002, 0.003):
        (await budget.reserve(MODEL, Estimate(0, 1, 1))).settle(cost)
    later = outlook(settings.changed(budget={"session": None, "daily": 0.1}), 60, tmp_path)
    assert later is not None
    assert later.usual == pytest.approx(120 * 0.002)
    assert later.cap == pytest.approx(0.1 - 0.006)
    assert "About 0.24 USD" in later.text()
    for change in ({"offline": True}, {"omnimodel": "builtin"}, {"ask": {"when": "never"}}):
        assert outlook(settings.changed(**change), 60, tmp_path) is None
    unknown = outlook(settings.changed(gemini={"model": "gemini-of-tomorrow"}), 1, tmp_path)
    assert unknown is not None
    assert "no price in prices.toml" in unknown.text()
    assert "No question can be asked" in unknown.text()


def test_an_outlook_of_one_case_without_a_cap() -> None:
    """Large sums have cents, small ones two digits that say something."""
    ahead = Outlook("m", 1, 1, 12.3456, as_of=date(2026, 11, 22))
    words = "At most 12.35 USD for 1 case at m, 1 answer each (prices of 2026-11-22; they may have moved)."
    assert ahead.text() == words
