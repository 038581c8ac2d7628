"""A cap stops what it was set to stop: among calls at once, threads and processes, and after a crash."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from omniview.errors import OutputError, OverBudget
from omniview.omnimodel.budget import Budget, Caps, Laid
from omniview.omnimodel.reply import Estimate

SPEND = """
import asyncio, sys
from pathlib import Path
from omniview.errors import OverBudget
from omniview.omnimodel.budget import Budget, Caps
from omniview.omnimodel.reply import Estimate
async def main():
    budget = Budget(Path(sys.argv[1]), Caps(daily=1.0))
    done = 0
    try:
        for _ in range(100):
            laid = await budget.reserve("m", Estimate(0.0, 0.05, 0.05))
            if sys.argv[2] == "die":
                import os; os._exit(9)
            laid.settle(0.05)
            done += 1
    except OverBudget:
        pass
    print(done)
asyncio.run(main())
"""


def _spender(home: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SPEND, str(home), how], stdout=subprocess.PIPE, text=True)


async def test_a_session_stops_at_its_cap(tmp_path: Path) -> None:
    """Calls that each cost 0.3 of 1.0 are three; the message has the figures and says what to do."""
    budget = Budget(tmp_path, Caps(session=1.0))
    for _ in range(3):
        (await budget.reserve("m", Estimate(0.0, 0.3, 0.3))).settle(0.3)
    with pytest.raises(OverBudget) as caught:
        await budget.reserve("m", Estimate(0.0, 0.3, 0.3))
    assert "0.9000 of 1 USD" in caught.value.message
    assert "session" in caught.value.message
    assert "--budget" in caught.value.next_step
    assert budget.spent().session == pytest.approx(0.9)
    another = Budget(tmp_path, Caps(session=1.0))
    (await another.reserve("m", Estimate(0.0, 0.3, 0.3))).settle(0.3)
    assert another.spent().today == pytest.approx(1.2)


async def test_a_day_stops_at_its_cap_over_all_sessions(tmp_path: Path) -> None:
    """What another session spent today counts, and the message names the day's cap."""
    (await Budget(tmp_path).reserve("m", Estimate(0.0, 0.9, 0.9))).settle(0.9)
    budget = Budget(tmp_path, Caps(session=5.0, daily=1.0))
    with pytest.raises(OverBudget, match="today") as caught:
        await budget.reserve("m", Estimate(0.0, 0.2, 0.2))
    assert "budget.daily" in caught.value.next_step
    with closing(sqlite3.connect(tmp_path / "spending.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE calls SET day = '2020-01-01'")
    await budget.reserve("m", Estimate(0.0, 0.2, 0.2))


async def test_calls_at_once_cannot_pass_a_cap_together(tmp_path: Path) -> None:
    """Fifty at once, each of which costs all that it may: what they spend together stays below the cap."""
    budget = Budget(tmp_path, Caps(session=1.0))
    spent: list[float] = []

    async def call() -> None:
        laid = await budget.reserve("m", Estimate(0.0, 0.05, 0.4))
        assert laid.amount is not None
        await asyncio.sleep(0.001)
        spent.append(laid.amount)
        await asyncio.to_thread(laid.settle, laid.amount)

    results = await asyncio.gather(*(call() for _ in range(50)), return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert all(isinstance(error, OverBudget) for error in refused)
    assert len(spent) + len(refused) == 50
    assert 0.6 <= sum(spent) <= 1.0 + 1e-6


async def test_what_turns_out_cheap_is_spent_again(tmp_path: Path) -> None:
    """A call that waits for money gets what the one before it did not need."""
    budget = Budget(tmp_path, Caps(session=1.0))
    first = await budget.reserve("m", Estimate(0.0, 0.9, 0.9))
    second = asyncio.create_task(budget.reserve("m", Estimate(0.0, 0.9, 0.9)))
    await asyncio.sleep(0.02)
    assert not second.done()
    await asyncio.to_thread(first.settle, 0.05)
    laid = await second
    assert laid.amount == pytest.approx(0.9)
    laid.settle(0.1)
    assert budget.spent().session == pytest.approx(0.15)


async def test_a_shorter_answer_is_better_than_none(tmp_path: Path) -> None:
    """Where the longest answer is too dear, as much is laid aside as there is."""
    laid = await Budget(tmp_path, Caps(session=0.1)).reserve("m", Estimate(0.0, 0.05, 3.0))
    assert laid.amount == pytest.approx(0.1)
    free = await Budget(tmp_path).reserve("m", Estimate(0.0, 0.05, 3.0))
    assert free.amount == pytest.approx(3.0)


async def test_what_answers_usually_cost_is_learned(tmp_path: Path) -> None:
    """After three cheap calls a cap is used up more closely than the first guess would allow."""
    budget = Budget(tmp_path, Caps(session=1.0))
    for _ in range(9):
        (await budget.reserve("m", Estimate(0.0, 0.7, 5.0))).settle(0.1)
    assert budget.spent().session == pytest.approx(0.9)
    with pytest.raises(OverBudget):
        await budget.reserve("m", Estimate(0.0, 0.7, 5.0))
    with pytest.raises(OverBudget):  # another model's answers say nothing
        await budget.reserve("other", Estimate(0.0, 0.7, 5.0))


async def test_an_unknown_cost_stands_as_it_was_laid_aside(tmp_path: Path) -> None:
    """A call that broke off may have been charged in full; one that was refused was not."""
    budget = Budget(tmp_path, Caps(session=1.0))
    (await budget.reserve("m", Estimate(0.0, 0.4, 0.4))).settle(None)
    (await budget.reserve("m", Estimate(0.0, 0.4, 0.4))).settle(0.0)
    assert budget.spent().session == pytest.approx(0.4)


async def test_without_a_price_no_cap_can_be_kept(tmp_path: Path) -> None:
    """It says where to add the price; without a cap it asks, and nothing is written."""
    for budget in (Budget(tmp_path, Caps(session=1.0)), Budget(tmp_path, Caps(daily=1.0))):
        with pytest.raises(OverBudget, match="price of unknown-1 is not known") as caught:
            await budget.reserve("unknown-1", None)
        assert "prices.toml" in caught.value.next_step
    laid = await Budget(tmp_path).reserve("unknown-1", None)
    assert laid.amount is None
    laid.settle(None)
    assert not (tmp_path / "spending.sqlite").exists()


async def test_a_free_model_is_asked_under_a_cap_of_nothing(tmp_path: Path) -> None:
    """0 is a price, and a cap of 0 lets free models through."""
    (await Budget(tmp_path, Caps(session=0.0)).reserve("m", Estimate(0.0, 0.0, 0.0))).settle(0.0)
    with pytest.raises(OverBudget):
        await Budget(tmp_path, Caps(session=0.0)).reserve("m", Estimate(0.0, 0.001, 0.001))


async def test_a_cancelled_wait_leaves_nothing_aside(tmp_path: Path) -> None:
    """Whoever gives up waiting for money, or gets it too late, blocks nobody."""
    budget = Budget(tmp_path, Caps(session=1.0))
    first = await budget.reserve("m", Estimate(0.0, 0.9, 0.9))
    waiting = asyncio.create_task(budget.reserve("m", Estimate(0.0, 0.9, 0.9)))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    first.settle(0.0)
    late: asyncio.Task[Laid] = asyncio.create_task(budget.reserve("m", Estimate(0.0, 0.9, 0.9)))
    await asyncio.sleep(0)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert (await budget.reserve("m", Estimate(0.0, 0.9, 0.9))).amount == pytest.approx(0.9)


async def test_who_asks_first_is_served_first(tmp_path: Path) -> None:
    """Of many that wait for money the one that has waited longest gets it."""
    budget = Budget(tmp_path, Caps(session=1.0))
    served: list[int] = []

    async def call(number: int) -> None:
        laid = await budget.reserve("m", Estimate(0.0, 0.6, 0.6))
        served.append(number)
        await asyncio.to_thread(laid.settle, 0.01)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(call(number))
    assert served == list(range(10))


async def test_processes_can_share_a_session(tmp_path: Path) -> None:
    """Workers of one batch spend from one cap, and wait for what another one's call may leave."""
    one, two = (Budget(tmp_path, Caps(session=1.0), session="batch") for _ in range(2))
    first = await one.reserve("m", Estimate(0.0, 0.9, 0.9))
    second = asyncio.create_task(two.reserve("m", Estimate(0.0, 0.9, 0.9)))
    await asyncio.sleep(0.05)
    assert not second.done()
    first.settle(0.02)
    (await second).settle(0.9)
    with pytest.raises(OverBudget):
        await one.reserve("m", Estimate(0.0, 0.9, 0.9))


def test_processes_share_a_day(tmp_path: Path) -> None:
    """Two processes at once spend no more than the day's cap, and all of it."""
    spenders = [_spender(tmp_path, "settle") for _ in range(2)]
    done = [int(spender.communicate()[0]) for spender in spenders]
    assert sum(done) == 20
    assert Budget(tmp_path).spent().today == pytest.approx(1.0)


def test_what_a_dead_process_laid_aside_counts_as_spent(tmp_path: Path) -> None:
    """It may have been charged, and nobody will ever know."""
    spender = _spender(tmp_path, "die")
    spender.communicate()
    assert spender.returncode == 9
    assert Budget(tmp_path).spent().today == pytest.approx(0.05)


async def test_a_damaged_ledger_sends_nothing(tmp_path: Path) -> None:
    """Without a record of what was spent nothing may be, and the message names the file."""
    (tmp_path / "spending.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(OutputError, match="spent") as caught:
        await Budget(tmp_path, Caps(session=1.0)).reserve("m", Estimate(0.0, 0.1, 0.1))
    assert "spending.sqlite" in caught.value.next_step
