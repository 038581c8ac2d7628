"""What the chat-completions provider sends, and how it behaves around a call."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import MissingKey, Unreachable, UnusableAnswer
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.chat import read_completion, without_thoughts
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.complaints import Refused, complaint, failure
from omniview.omnimodel.openai import OPENAI, openai_calls
from omniview.omnimodel.openai_api import OpenAiApi
from omniview.omnimodel.patience import Outage
from omniview.settings import OpenAiSettings
from tests.omnimodel.chat_answers import VERSION, chat, fault, picture, question, tokens_named
from tests.omnimodel.conftest import OPENAI_CANARY, Segment
from tests.omnimodel.forms import entry
from tests.omnimodel.loopback import Loopback, Step

FIELDS = (
    *("choices", "message", "content", "finish_reason", "refusal", "usage", "model", "text", "type"),
    *("error", "detail", "code", "param", "loc", "msg", "prompt_tokens", "completion_tokens", "tool_calls"),
)
GOOD = chat(json.dumps([entry([[300, 200], [800, 200], [800, 600], [300, 600]])]))


def api(url: str, key: str | None = None) -> OpenAiApi:
    """The provider alone."""
    settings = OpenAiSettings(model="llava", base_url=f"{url}/v1", timeout_s=5)
    return OpenAiApi(settings, f"{url}/v1", key, Circuit(), 0.01)


async def test_the_request_holds_the_picture_and_nothing_else(
    chat_segmenter: Segment, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The departure that is in the audit, the question, the limit; no name, no organisation, no effort."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    with Loopback([GOOD]) as server:
        omnimodel = chat_segmenter(server.url)
        found = await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
        (request,) = server.requests
    assert set(request.body) == {"model", "messages", "max_tokens"}
    assert request.body["model"] == "chat-test"
    assert question(request).startswith("Give the segmentation masks of every polyp")
    mime, data = picture(request)
    sent = Airlock(tmp_path, offline=False).clear(image, server.url, 1024)
    assert (mime, data) == (sent.mime, sent.data)
    assert sent.sha256 in (tmp_path / "audit.jsonl").read_text("utf-8")
    assert "secret" not in str(request.headers)
    assert found.provenance.model_version == VERSION
    assert (found.provenance.tokens_in, found.provenance.tokens_out) == (300, 250)


async def test_a_server_without_keys_gets_a_placeholder(chat_segmenter: Segment, image: Image) -> None:
    """The SDK insists on a key; what is sent then is none."""
    with Loopback([GOOD]) as server:
        omnimodel = chat_segmenter(server.url, key=None)
        await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
    assert server.requests[0].headers["authorization"] == "Bearer not-needed"


async def test_a_keyless_call_that_is_refused_asks_for_a_key(chat_segmenter: Segment, image: Image) -> None:
    """A server that wants a key says so, and is believed."""
    with Loopback([fault(401, "Unauthorized")]) as server:
        omnimodel = chat_segmenter(server.url, key=None)
        with pytest.raises(MissingKey, match="wants an API key"):
            await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()


@pytest.mark.parametrize("key", [None, "", "two words"])
async def test_openai_itself_is_not_asked_without_a_key(
    tmp_path: Path, image: Image, key: str | None
) -> None:
    """Without a key that can be one nothing is opened, even where consent was given."""
    airlock = Airlock(tmp_path, offline=False, consent_given=True)
    calls = openai_calls(OpenAiSettings(), lambda: key, airlock=airlock, audit=Audit(tmp_path))
    assert calls.endpoint == OPENAI
    with pytest.raises(MissingKey):
        await calls.send("?", await calls.clear(image))
    assert not (tmp_path / "audit.jsonl").exists()


async def test_the_name_of_the_limit_is_learnt(chat_segmenter: Segment, image: Image) -> None:
    """A server that knows only one name of the token limit is asked wrongly once and not again."""
    forbidden = fault(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    with Loopback([forbidden, GOOD]) as server:
        omnimodel = chat_segmenter(server.url)
        for _ in range(2):
            await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
    assert [tokens_named(request) for request in server.requests] == [
        "max_tokens",
        "max_completion_tokens",
        "max_completion_tokens",
    ]


async def test_the_effort_is_sent_where_it_is_set(chat_segmenter: Segment, image: Image) -> None:
    """Under the interface's own name."""
    with Loopback([GOOD]) as server:
        omnimodel = chat_segmenter(server.url, reasoning_effort="low")
        await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
    assert server.requests[0].body["reasoning_effort"] == "low"


async def test_cancelling_frees_the_socket(chat_segmenter: Segment, image: Image) -> None:
    """The server sees the connection end, although it never answered."""
    with Loopback([Step(fault="hang")]) as server:
        omnimodel = chat_segmenter(server.url)
        asking = asyncio.create_task(omnimodel.segment(image, TASKS["polyp"]))
        await asyncio.to_thread(server.hanging.wait, 10)
        start = time.perf_counter()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(server.closed_by_client.wait, 10), time.perf_counter() - start
        await omnimodel.close()


async def test_a_question_needs_no_picture() -> None:
    """Then only the text is sent."""
    sent = []

    async def departing(broke_off: bool) -> None:
        sent.append(1)

    with Loopback([chat("Hello.")]) as server:
        asked = api(server.url)
        reply = await asked.ask("Hello?", None, departing, 512)
        await asked.close()
    assert (reply.text, reply.problem, len(sent)) == ("Hello.", None, 1)
    assert server.requests[0].body["max_tokens"] == 512
    assert [part["type"] for part in server.requests[0].body["messages"][0]["content"]] == ["text"]


async def test_models_are_listed_without_a_picture() -> None:
    """One GET, whose answer is read as far as it makes sense."""
    listed = {"object": "list", "data": [{"id": "llava", "object": "model"}, {"id": 7}, "x"]}
    with Loopback([Step(body=listed)]) as server:
        asked = api(server.url, OPENAI_CANARY)
        assert await asked.models() == ("llava",)
        await asked.close()
    (request,) = server.requests
    assert (request.path, request.body) == ("/v1/models", None)


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (fault(401, f"No {OPENAI_CANARY}"), MissingKey, "does not accept"),
        (Step(404, b"404 page not found"), Unreachable, "no chat-completions"),
        (Step(503, {"error": "busy"}), Unreachable, "busy"),
        (Step(body={"data": 7}), UnusableAnswer, "not an answer"),
        (Step(fault="reset"), Unreachable, "cut"),
    ],
)
async def test_a_list_that_fails_is_told_in_words(step: Step, error: type[Exception], says: str) -> None:
    """With the same words as a question, and once."""
    with Loopback([step]) as server:
        asked = api(server.url, OPENAI_CANARY)
        with pytest.raises(error, match=says) as caught:
            await asked.models()
        await asked.close()
    assert len(server.requests) == 1
    assert "CANARY" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_a_closed_client_says_so() -> None:
    """Instead of raising what the HTTP client does."""
    asked = api("http://127.0.0.1:9")
    await asked.close()
    await asked.close()
    with pytest.raises(Unreachable, match="closed meanwhile"):
        await asked.models()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain", "plain"),
        ("<think>a</think>b", "b"),
        ("<THINK>a</Think>b<thinking>c</thinking>d", "bd"),
        ("a</think>b", "b"),
        ("a<think>b", "a"),
        ("<think>a<think>b</think>c", "c"),
        ("</think></think>", ""),
        ("a < b, <thin", "a < b, <thin"),
    ],
)
def test_thoughts_are_left_out(text: str, left: str) -> None:
    """With either end missing, and whatever the tag's spelling."""
    assert without_thoughts(text) == left


@pytest.mark.parametrize(
    ("body", "message", "kinds"),
    [
        ({"error": {"message": "m", "type": "T", "code": "c", "param": None}}, "m", "t c"),
        ({"error": "m"}, "m", ""),
        ({"object": "error", "message": "m", "type": "T"}, "m", "t"),
        ({"detail": "m"}, "m", ""),
        ({"detail": [{"loc": ["body", "x"], "msg": "m"}]}, "m", "['body', 'x']"),
        ([{"error": {"message": "m"}}], "m", ""),
        ({"error": {"message": 7}}, "", ""),
        ({"error": []}, "", ""),
        ({"detail": [7]}, "", ""),
        (None, "", ""),
        ("<html>", "", ""),
    ],
)
def test_a_complaint_is_read_in_every_shape(body: object, message: str, kinds: str) -> None:
    """OpenAI's, Ollama's, vLLM's, FastAPI's, a gateway's; anything else is nothing."""
    assert complaint(body) == (message, kinds)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_completion_or_none(body: object) -> None:
    """Whatever a server puts where, reading it raises nothing; without text it has a problem."""
    reply = read_completion(body, "server")
    assert reply is None or reply.text.strip() or reply.problem is not None


@given(st.integers(300, 599), JSON)
def test_any_refusal_is_told_in_words(code: int, body: object) -> None:
    """Whatever a server says, there is a message and a next step."""
    found = failure(Refused(code, body, {}), who="server", model="m", key=None)
    error = found.failure if isinstance(found, Outage) else found
    assert error.message
    assert error.next_step
