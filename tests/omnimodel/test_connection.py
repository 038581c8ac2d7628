"""The connection test, against servers that do and do not work."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from omniview.core.check import Check
from omniview.errors import NotAllowed
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.connection import check_connection
from omniview.settings import GeminiSettings, OpenAiSettings, Settings
from tests.omnimodel.chat_answers import fault
from tests.omnimodel.loopback import Loopback, Step, refusal

KEY = "AIzaCANARY-key_0123456789abcdefghijklm"
GEMINI = Step(body={"models": [{"name": "models/gemini-test"}, {"name": "models/gemini-old"}]})
CHAT = Step(body={"object": "list", "data": [{"id": "llava"}]})


def settings_for(url: str, model: str = "") -> Settings:
    """Both providers at one address."""
    return Settings(
        gemini=GeminiSettings(base_url=url, model=model or "gemini-test"),
        openai=OpenAiSettings(base_url=f"{url}/v1", model=model or "llava"),
    )


async def check(
    name: str, settings: Settings, home: Path, key: str | None = KEY
) -> dict[str, tuple[str, str]]:
    """Verdict and detail of each step, the last where a step has two."""
    done = await check_connection(name, settings, lambda _: key, audit=Audit(home), offline=False)
    assert all(isinstance(one, Check) for one in done)
    assert all(one.next_step for one in done if one.verdict == "fails")
    assert "CANARY" not in repr(done)
    return {one.what: (one.verdict, one.detail) for one in done}


@pytest.mark.parametrize(("name", "step"), [("gemini", GEMINI), ("openai", CHAT)])
async def test_a_connection_that_works_works_at_every_step(name: str, step: Step, tmp_path: Path) -> None:
    """One request without a body; the test is in the audit."""
    with Loopback([step]) as server:
        done = await check(name, settings_for(server.url), tmp_path)
        (request,) = server.requests
    assert request.body is None
    assert {what: verdict for what, (verdict, _) in done.items()} == dict.fromkeys(
        ("Address", "Name", "Connection", "API key", "Interface", "Model"), "works"
    )
    (record,) = (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()
    assert json.loads(record)["event"] == "test"
    assert json.loads(record)["endpoint"] == server.url


async def test_offline_nothing_is_tried(tmp_path: Path) -> None:
    """Not even written down."""
    with Loopback([GEMINI]) as server:
        with pytest.raises(NotAllowed):
            await check_connection(
                "gemini", settings_for(server.url), lambda _: KEY, audit=Audit(tmp_path), offline=True
            )
        assert server.requests == []
    assert not (tmp_path / "audit.jsonl").exists()


async def test_an_address_that_is_none_is_not_tried(tmp_path: Path) -> None:
    """The first step says what is wrong."""
    done = await check("gemini", settings_for("ftp://127.0.0.1"), tmp_path)
    assert list(done) == ["Address"]
    assert done["Address"][0] == "fails"


async def test_a_closed_port_is_told_from_an_unknown_name(tmp_path: Path) -> None:
    """So that a person knows where to look."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = await check("gemini", settings_for(f"http://127.0.0.1:{port}"), tmp_path)
    assert done["Connection"][0] == "fails"
    assert "Interface" not in done
    done = await check("gemini", settings_for("http://no-such-host.invalid"), tmp_path)
    assert done["Name"][0] == "fails"
    assert "Connection" not in done


async def test_a_server_without_encryption_is_found_out(tmp_path: Path) -> None:
    """HTTPS to a port that speaks plain http."""
    with Loopback([CHAT]) as server:
        done = await check("openai", settings_for(server.url.replace("http:", "https:")), tmp_path)
    assert done["Connection"][0] == "works"
    assert done["Encryption"][0] == "fails"


@pytest.mark.parametrize("key", [None, "", "two words"])
async def test_without_a_key_the_way_is_tried_all_the_same(tmp_path: Path, key: str | None) -> None:
    """But the interface is not asked."""
    with Loopback([GEMINI]) as server:
        done = await check("gemini", settings_for(server.url), tmp_path, key)
        assert server.requests == []
    assert done["API key"][0] == "fails"
    assert done["Connection"][0] == "works"


async def test_a_server_of_ones_own_needs_no_key(tmp_path: Path) -> None:
    """Which is said, and not called a success."""
    with Loopback([CHAT]) as server:
        done = await check("openai", settings_for(server.url), tmp_path, None)
    assert done["API key"] == ("unknown", "none, none is needed")
    assert done["Model"][0] == "works"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("gemini", refusal(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}")),
        ("gemini", refusal(403, "PERMISSION_DENIED", "no")),
        ("openai", fault(401, f"Incorrect API key provided: {KEY}")),
    ],
)
async def test_a_key_that_is_not_accepted_is_told(name: str, step: Step, tmp_path: Path) -> None:
    """And not shown."""
    with Loopback([step]) as server:
        done = await check(name, settings_for(server.url), tmp_path)
    assert done["API key"][0] == "fails"
    assert "does not accept" in done["API key"][1]


@pytest.mark.parametrize("name", ["gemini", "openai"])
@pytest.mark.parametrize(
    ("step", "says"),
    [
        (Step(404, b"404 page not found"), "(404)"),
        (Step(500, b"oops"), "(500)"),
        (Step(body=b"<html>"), "not an answer"),
        (Step(302, b"", {"Location": "http://127.0.0.1:9/"}), "(302)"),
        (Step(fault="reset"), "cut"),
    ],
)
async def test_another_server_is_found_out(name: str, step: Step, says: str, tmp_path: Path) -> None:
    """After one request: a test does not repeat itself."""
    with Loopback([step]) as server:
        done = await check(name, settings_for(server.url), tmp_path)
        assert len(server.requests) == 1
    assert done["Interface"][0] == "fails"
    assert says in done["Interface"][1]


async def test_a_model_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    """Gemini lists what it has; a server of one's own may answer under another name."""
    with Loopback([GEMINI]) as server:
        done = await check("gemini", settings_for(server.url, "gemini-9"), tmp_path)
    assert done["Model"] == (
        "fails",
        "gemini-9 is not among the models that are listed: gemini-test, gemini-old",
    )
    with Loopback([CHAT]) as server:
        done = await check("openai", settings_for(server.url, "medgemma"), tmp_path)
    assert done["Model"] == ("unknown", "medgemma is not among the models that are listed: llava")
