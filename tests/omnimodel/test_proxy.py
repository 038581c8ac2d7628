"""A hospital's proxy: used where this machine is set to, for questions as for the connection test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import Unreachable
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.connection import check_connection
from omniview.omnimodel.openai import openai_calls
from omniview.omnimodel.wire import proxy_of
from omniview.settings import OpenAiSettings, Settings
from tests.omnimodel.chat_answers import chat
from tests.omnimodel.forms import entry
from tests.omnimodel.loopback import Loopback, Step

CLINIC = "http://models.clinic.invalid"
GOOD = chat(json.dumps([entry([[300, 200], [800, 200], [800, 600], [300, 600]])]))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine that runs the tests is set to."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def segmenter(url: str, home: Path) -> CloudSegmenter:
    """A chat-completions server anywhere, with consent."""
    calls = openai_calls(
        OpenAiSettings(base_url=f"{url}/v1", model="chat-test", timeout_s=5),
        lambda: None,
        airlock=Airlock(home, offline=False, consent_given=True),
        audit=Audit(home),
        circuit=Circuit(),
        first_pause_s=0.01,
    )
    return CloudSegmenter(calls, answers=1, style="polygon")


async def test_a_question_goes_through_the_proxy(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that only the proxy knows is reached."""
    with Loopback([GOOD]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        omnimodel = segmenter(CLINIC, tmp_path)
        found = await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
        (request,) = proxy.requests
    assert found.mask.any()
    assert request.path == f"{CLINIC}/v1/chat/completions"


async def test_an_endless_answer_is_bounded_behind_a_proxy_too(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same transport as without one."""
    with Loopback([Step(fault="endless")]) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url.removeprefix("http://"))
        omnimodel = segmenter(CLINIC, tmp_path)
        with pytest.raises(Exception, match="not an answer"):
            await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()


async def test_this_machine_is_reached_without_a_proxy(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the settings say."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Loopback([GOOD]) as server:
        omnimodel = segmenter(server.url, tmp_path)
        assert (await omnimodel.segment(image, TASKS["polyp"])).mask.any()
        await omnimodel.close()


async def test_the_connection_test_asks_the_interface_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and ports are the proxy's business."""
    settings = Settings(openai=OpenAiSettings(base_url=f"{CLINIC}/v1", model="llava"))
    with Loopback([Step(body={"data": [{"id": "llava"}]})]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        done = await check_connection(
            "openai", settings, lambda _: None, audit=Audit(tmp_path), offline=False
        )
    verdicts = {one.what: one.verdict for one in done}
    assert verdicts["Network"] == "unknown"
    assert verdicts["Model"] == "works"
    assert "Name" not in verdicts


@pytest.mark.parametrize("address", ["http://user:hunter2@proxy:port", "gopher://user:hunter2@proxy"])
async def test_a_proxy_that_cannot_be_used_is_told(
    address: str, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its address, which can hold a password."""
    monkeypatch.setenv("HTTP_PROXY", address)
    omnimodel = segmenter(CLINIC, tmp_path)
    with pytest.raises(Unreachable, match="proxy") as caught:
        await omnimodel.segment(image, TASKS["polyp"])
    await omnimodel.close()
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__context__ is None
    settings = Settings(openai=OpenAiSettings(base_url=f"{CLINIC}/v1"))
    done = await check_connection("openai", settings, lambda _: None, audit=Audit(tmp_path), offline=False)
    assert done[-1].verdict == "fails"


def test_exceptions_from_the_proxy_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY by name or domain."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.clinic.invalid:3128")
    monkeypatch.setenv("NO_PROXY", ".clinic.invalid,other")
    assert proxy_of("https://api.openai.com/v1") == "http://proxy.clinic.invalid:3128"
    assert proxy_of("https://models.clinic.invalid/v1") is None
    assert proxy_of("http://models.invalid") is None
    assert proxy_of("https://[::1]:8000") is None
