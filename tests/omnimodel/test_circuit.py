"""The circuit: opens after failures in a row, refuses at once, probes, closes; and keeps calls in a queue."""

from __future__ import annotations

import asyncio

import pytest

from omniview.errors import NotAllowed, Unreachable
from omniview.omnimodel.circuit import Circuit, circuit_of


async def attempt(circuit: Circuit, works: bool, wait_s: float | None = None) -> None:
    """One call that ends as it is told."""
    async with circuit.turn("Gemini"):
        if works:
            circuit.passed()
        else:
            circuit.failed("It burns.", wait_s)


async def test_failures_in_a_row_open_it_and_say_so() -> None:
    """The third of three opens it; then the message has the count, the last reason and the wait."""
    circuit = Circuit(failures=3, pause_s=60)
    for _ in range(3):
        await attempt(circuit, works=False)
    with pytest.raises(Unreachable, match=r"Gemini failed 3 times in a row .* Last: It burns\.") as caught:
        await attempt(circuit, works=True)
    assert "next try is possible in 60 s" in caught.value.next_step


async def test_a_success_in_between_starts_the_count_anew() -> None:
    """Only failures in a row count."""
    circuit = Circuit(failures=2, pause_s=60)
    for works in (False, True, False, True, False):
        await attempt(circuit, works)
    await attempt(circuit, works=True)


async def test_a_probe_closes_it_or_opens_it_for_longer() -> None:
    """After the pause one call is let through, and it decides; others are refused meanwhile."""
    circuit = Circuit(failures=1, pause_s=0.05)
    await attempt(circuit, works=False)
    await asyncio.sleep(0.06)
    async with circuit.turn("Gemini"):
        with pytest.raises(Unreachable) as caught:
            await attempt(circuit, works=True)
        assert "just being tried" in caught.value.next_step
        circuit.failed("Still.")
    with pytest.raises(Unreachable, match="2 times in a row"):
        await attempt(circuit, works=True)
    await asyncio.sleep(0.11)
    await attempt(circuit, works=True)
    await attempt(circuit, works=True)


async def test_a_cancelled_probe_leaves_room_for_the_next() -> None:
    """A person who cancels the probe does not keep the circuit open for ever."""
    circuit = Circuit(failures=1, pause_s=0.01)
    await attempt(circuit, works=False)
    await asyncio.sleep(0.02)

    async def probe() -> None:
        async with circuit.turn("Gemini"):
            await asyncio.Event().wait()

    task = asyncio.create_task(probe())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await attempt(circuit, works=True)


async def test_what_the_server_asks_for_is_honoured() -> None:
    """A longer Retry-After keeps it open for so long, within reason."""
    circuit = Circuit(failures=1, pause_s=1)
    await attempt(circuit, works=False, wait_s=120)
    with pytest.raises(Unreachable) as caught:
        await attempt(circuit, works=True)
    assert "in 120 s" in caught.value.next_step
    circuit = Circuit(failures=1, pause_s=1)
    await attempt(circuit, works=False, wait_s=1e6)
    with pytest.raises(Unreachable) as caught:
        await attempt(circuit, works=True)
    assert "in 300 s" in caught.value.next_step


async def test_late_failures_of_calls_under_way_change_nothing() -> None:
    """Calls that began before it opened and fail after do not lengthen the pause."""
    circuit = Circuit(failures=1, pause_s=60, at_once=3)
    async with circuit.turn("Gemini"), circuit.turn("Gemini"):
        circuit.failed("one")
        circuit.failed("two")
    with pytest.raises(Unreachable) as caught:
        await attempt(circuit, works=True)
    assert "in 60 s" in caught.value.next_step


async def test_so_many_at_once_and_no_more() -> None:
    """Further calls wait for their turn; a circuit that opens meanwhile refuses them."""
    circuit = Circuit(failures=1, pause_s=60, at_once=2)
    running, most, gate = 0, 0, asyncio.Event()

    async def call() -> None:
        nonlocal running, most
        async with circuit.turn("Gemini"):
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1

    tasks = [asyncio.create_task(call()) for _ in range(6)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert running == 2
    circuit.failed("It burns.")
    gate.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 2
    assert [type(one) for one in ended] == [type(None)] * 2 + [Unreachable] * 4


def test_each_event_loop_has_its_own_queue() -> None:
    """The same circuit serves one loop after the other, as batches and windows have theirs."""
    circuit = Circuit(at_once=1)

    async def two() -> None:
        await asyncio.gather(attempt(circuit, works=True), attempt(circuit, works=True))

    asyncio.run(two())
    asyncio.run(two())


def test_one_circuit_for_each_endpoint() -> None:
    """However the address is written; and what is no address has none."""
    assert circuit_of("https://Example.org/v1") is circuit_of("https://example.org:443/other")
    assert circuit_of("https://example.org") is not circuit_of("http://example.org")
    with pytest.raises(NotAllowed):
        circuit_of("ftp://example.org")
