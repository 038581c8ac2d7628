"""One call: rejected and replaced keys, questions without a picture, warming, closing, cancelling."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from omniview.core.image import Image
from omniview.errors import MissingKey, NotAllowed, Unreachable
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.audit import Audit, verify
from omniview.omnimodel.calls import Calls, plain_key
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.gemini import gemini_calls
from omniview.settings import GeminiSettings
from tests.omnimodel.loopback import FAULTS, Loopback, Request, Step, answer, refusal


def calls_to(
    url: str,
    home: Path,
    key: Callable[[], str | None] = lambda: "right",
    airlock: Airlock | None = None,
) -> Calls:
    """Calls to a loopback server, or to whoever is at `url`."""
    return gemini_calls(
        GeminiSettings(base_url=url, model="m", timeout_s=30),
        key,
        airlock=airlock or Airlock(home, offline=False),
        audit=Audit(home),
        circuit=Circuit(),
        first_pause_s=0.01,
    )


def records(home: Path) -> list[dict[str, object]]:
    """The audit, whole."""
    verify(home / "audit.jsonl")
    return [json.loads(line) for line in (home / "audit.jsonl").read_text("utf-8").splitlines()]


def with_key(request: Request) -> Step:
    """A server that knows one key."""
    right = request.headers["x-goog-api-key"] == "right"
    return answer("[]") if right else refusal(403, "PERMISSION_DENIED", "No.")


async def test_a_rejected_key_can_be_replaced_without_a_restart(tmp_path: Path) -> None:
    """The key is read anew after it was refused, and only then."""
    read: list[str] = []

    def key() -> str:
        read.append("wrong" if not read else "right")
        return read[-1]

    with Loopback(with_key) as server:
        calls = calls_to(server.url, tmp_path, key)
        assert isinstance((await calls.send("?")).reply.problem, MissingKey)
        for _ in range(3):
            assert (await calls.send("?")).reply.text == "[]"
        await calls.close()
    assert read == ["wrong", "right"]


async def test_calls_under_way_survive_a_rejected_key(tmp_path: Path) -> None:
    """Three at once with a wrong key are three refusals, not one and two cut connections."""
    with Loopback(with_key) as server:
        calls = calls_to(server.url, tmp_path, lambda: "wrong")
        outcomes = await asyncio.gather(*(calls.send(f"{n}?") for n in range(3)))
        await calls.close()
    assert all(isinstance(outcome.reply.problem, MissingKey) for outcome in outcomes)


async def test_a_question_without_a_picture_is_audited_too(tmp_path: Path) -> None:
    """Words that leave are a departure like pixels."""
    with Loopback([answer("yes")]) as server:
        calls = calls_to(server.url, tmp_path)
        assert (await calls.send("Is it raining?")).reply.text == "yes"
        await calls.close()
        assert "inlineData" not in json.dumps(server.requests[0].body)
    first, last = await asyncio.to_thread(records, tmp_path)
    assert (first["event"], first["bytes"], first["consent"]) == ("sent", 14, "loopback")
    assert last["outcome"] == "answered"


async def test_without_consent_not_even_words_leave(tmp_path: Path) -> None:
    """The airlock is asked for questions without a picture as well."""
    with pytest.raises(NotAllowed):
        await calls_to("https://example.org", tmp_path).send("?")


class _Asked(Airlock):
    """Wants a consent for this machine, as for an address outside."""

    def check(self, endpoint: str) -> str:
        return super().check("https://example.org")


async def test_a_consent_withdrawn_after_clearing_stops_the_picture(tmp_path: Path, image: Image) -> None:
    """What counts is the moment of sending; then nothing is sent, and nothing recorded as sent."""
    airlock = _Asked(tmp_path, offline=False)
    airlock.grant("https://example.org", "dialog")
    with Loopback([answer("yes")] * 2) as server:
        calls = calls_to(server.url, tmp_path, airlock=airlock)
        departure = await calls.clear(image)
        airlock.revoke("https://example.org")
        with pytest.raises(NotAllowed):
            await calls.send("?", departure)
        await calls.close()
        assert server.requests == []
    assert not (tmp_path / "audit.jsonl").exists()


async def test_a_consent_withdrawn_meanwhile_stops_the_repetition(tmp_path: Path, image: Image) -> None:
    """The first departure stands in the audit with its consent; there is no second."""
    airlock = _Asked(tmp_path, offline=False)
    consent = airlock.grant("https://example.org", "dialog")

    def withdraw(_: Request) -> Step:
        airlock.revoke("https://example.org")
        return FAULTS["503"]

    with Loopback(withdraw) as server:
        calls = calls_to(server.url, tmp_path, airlock=airlock)
        with pytest.raises(NotAllowed):
            await calls.send("?", await calls.clear(image))
        await calls.close()
        assert len(server.requests) == 1
    first, last = await asyncio.to_thread(records, tmp_path)
    assert first["consent"] == f"dialog {consent.when}"
    assert (last["outcome"], last["times_sent"]) == ("NotAllowed", 1)


async def test_warming_builds_once_and_needs_no_key(tmp_path: Path) -> None:
    """Before the first question the client is there; without a key that is said when somebody asks."""
    read: list[int] = []

    def key() -> str | None:
        read.append(threading.get_ident())
        return "right"

    with Loopback([answer("[]")]) as server:
        calls = calls_to(server.url, tmp_path, key)
        await asyncio.gather(*(asyncio.to_thread(calls.warm) for _ in range(4)))
        assert len(read) == 1
        assert server.requests == []
        await calls.send("?")
        await calls.close()
    assert len(read) == 1
    assert read[0] != threading.get_ident()
    lacking = calls_to(server.url, tmp_path, lambda: None)
    await asyncio.to_thread(lacking.warm)
    with pytest.raises(MissingKey, match="is not set"):
        await lacking.send("?")


async def test_cancelled_calls_close_before_the_server_would_answer(tmp_path: Path, image: Image) -> None:
    """Each of twenty hanging calls is closed at the server's side, in order and without an answer."""
    with Loopback([FAULTS["hang"]]) as server:
        calls = calls_to(server.url, tmp_path)
        departure = await calls.clear(image)
        for _ in range(20):
            server.hanging.clear()
            server.closed_by_client.clear()
            task = asyncio.create_task(calls.send("?", departure))
            assert await asyncio.to_thread(server.hanging.wait, 20)
            assert not server.closed_by_client.is_set()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.closed_by_client.wait, 20)
        await calls.close()
    outcomes = [record.get("outcome") for record in await asyncio.to_thread(records, tmp_path)]
    assert outcomes == [None, "cancelled"] * 20


async def test_closing_twice_and_asking_again(tmp_path: Path) -> None:
    """Closed calls open anew when somebody asks; whoever was waiting is told."""
    with Loopback([FAULTS["hang"], answer("[]")]) as server:
        calls = calls_to(server.url, tmp_path)
        task = asyncio.create_task(calls.send("?"))
        assert await asyncio.to_thread(server.hanging.wait, 20)
        await calls.close()
        await calls.close()
        with pytest.raises(Unreachable):
            await task
        assert (await calls.send("?")).reply.text == "[]"
        await calls.close()


@pytest.mark.parametrize("key", ["", "  ", "two words", "clé", "line\nbreak", "tab\tbed"])
def test_a_key_that_cannot_be_one_is_not_shown(key: str) -> None:
    """Pasted rubbish is refused in words without the rubbish."""
    with pytest.raises(MissingKey, match="Example API key is empty or holds") as caught:
        plain_key(key, "Example")
    assert not key.strip() or key not in str(caught.value)
    assert plain_key(" good\n", "Example") == "good"
