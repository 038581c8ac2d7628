"""Questions in words to Gemini and to chat-completions servers, through the real SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from omniview.core.image import Image, Modality
from omniview.core.interpreter import Interpreter
from omniview.errors import Blocked, InputError, NotAllowed, SizeMismatch, Unreachable, UnusableAnswer
from omniview.omnimodel.airlock import Airlock, Trust
from omniview.omnimodel.audit import Audit, verify
from omniview.omnimodel.burned_in import installed_detector
from omniview.omnimodel.cache import AnswerCache
from omniview.omnimodel.calls import Calls
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.gemini import gemini_calls
from omniview.omnimodel.interpret import MAX_QUESTION, CloudInterpreter
from omniview.omnimodel.openai import openai_calls
from omniview.settings import GeminiSettings, OpenAiSettings
from tests.omnimodel.chat_answers import chat, fault, picture
from tests.omnimodel.loopback import Loopback, Request, Step, answer

SQUARE = [[300, 200], [800, 200], [800, 600], [300, 600]]
WORDS = json.dumps(
    {
        "text": "There is one polyp.",
        "findings": [
            {"text": "A polyp.", "label": "polyp", "box_2d": [200, 300, 600, 800], "polygon": SQUARE},
            {"text": "Its border.", "label": "border", "box_2d": [200, 300, 600, 800]},
            {"text": "It may bleed.", "label": "blood"},
        ],
    }
)


def _gemini(url: str, **more: Any) -> Calls:
    settings = GeminiSettings(model="gemini-test", base_url=url, timeout_s=5)
    return gemini_calls(settings, lambda: "AIzaCANARY", circuit=Circuit(), first_pause_s=0.01, **more)


def _openai(url: str, **more: Any) -> Calls:
    settings = OpenAiSettings(model="chat-test", base_url=f"{url}/v1", timeout_s=5)
    return openai_calls(settings, lambda: None, circuit=Circuit(), first_pause_s=0.01, **more)


def _gemini_question(request: Request) -> str:
    return request.prompt


def _chat_question(request: Request) -> str:
    return "".join(part.get("text", "") for part in request.body["messages"][0]["content"])


PROVIDERS = pytest.mark.parametrize(
    ("calls", "said", "question"),
    [(_gemini, answer, _gemini_question), (_openai, chat, _chat_question)],
    ids=["gemini", "openai"],
)


def talking(calls: Callable[..., Calls], url: str, home: Path, **more: Any) -> CloudInterpreter:
    """An interpreter with a home of its own."""
    return CloudInterpreter(calls(url, airlock=Airlock(home, offline=False), audit=Audit(home), **more))


@PROVIDERS
async def test_an_answer_points_at_what_it_says(
    calls: Callable[..., Calls],
    said: Callable[[str], Step],
    question: Callable[[Request], str],
    image: Image,
    tmp_path: Path,
) -> None:
    """Text, a mask, a box, and a statement that is marked as not grounded; what ran is recorded."""
    with Loopback([said(WORDS)]) as server:
        model = talking(calls, server.url, tmp_path)
        assert isinstance(model, Interpreter)
        found = await model.ask(image, "  Is there {braces} a polyp? ")
        await model.close()
        (request,) = server.requests
    assert found.text == "There is one polyp."
    assert [finding.place for finding in found.findings] == ["mask", "box", "not grounded"]
    mask = found.findings[0].mask
    assert mask is not None
    assert mask.shape == image.shape
    assert found.findings[0].box == (40, 90, 120, 240)
    assert found.model == model.name
    assert found.provenance.prompt_version == "ask-1"
    assert found.provenance.tokens_in == 300
    assert "Question: Is there {braces} a polyp?" in question(request)
    assert "medical image" in question(request)
    assert "outline;" not in question(request)
    assert "CANARY^PATIENT" not in json.dumps(request.body)
    assert verify(tmp_path / "audit.jsonl") == 2


@PROVIDERS
async def test_a_region_is_asked_about_close_up(
    calls: Callable[..., Calls],
    said: Callable[[str], Step],
    question: Callable[[Request], str],
    tmp_path: Path,
) -> None:
    """The question names the outline, and findings lie where they belong in the whole image."""
    image = Image(np.full((400, 600, 3), 90, np.uint8), modality=Modality.ENDOSCOPY)
    region = np.zeros((400, 600), np.bool_)
    region[100:150, 200:250] = True
    with Loopback([said(WORDS)]) as server:
        model = talking(calls, server.url, tmp_path)
        found = await model.ask(image, "What is it?", region)
        await model.close()
        (request,) = server.requests
    assert "This is a endoscopy image. The question is about the region inside the cyan" in question(request)
    mask = found.findings[0].mask
    assert mask is not None
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (80, 140, 195, 270)
    assert found.findings[0].box == (80, 195, 140, 270)


class _Elsewhere(Airlock):
    """Counts every address as outside, this machine's too."""

    def trust(self, endpoint: str) -> Trust:
        return "outside"


async def test_a_region_is_cropped_after_its_text_was_blacked_out(tmp_path: Path) -> None:
    """A name that the crop would cut through leaves in no part, as it is found on the whole picture."""
    if installed_detector() is None:
        pytest.skip("the extra ocr is not installed")
    pixels = np.full((400, 600, 3), 90, np.uint8)
    for row, size in ((150, 1.0), (185, 1.0)):
        cv2.putText(pixels, "SMITH JOHN", (200, row), cv2.FONT_HERSHEY_SIMPLEX, size, (255,) * 3, 2)
    region = np.zeros((400, 600), np.bool_)
    region[150:180, 230:260] = True
    with Loopback([chat(WORDS)]) as server:
        calls = _openai(
            server.url, airlock=_Elsewhere(tmp_path, offline=False, consent_given=True), audit=Audit(tmp_path)
        )
        await CloudInterpreter(calls).ask(Image(pixels), "What is it?", region)
        await calls.close()
        _, data = picture(server.requests[0])
    sent = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert sent is not None
    assert sent[..., 2].max() <= 90, "red: of the letters, not of the cyan outline"


async def test_an_answer_is_not_paid_for_twice(image: Image, tmp_path: Path) -> None:
    """The same question about the same pixels is answered from disk; another one is not."""
    with Loopback([chat(WORDS)]) as server:
        model = talking(_openai, server.url, tmp_path, answers=AnswerCache(tmp_path, 1))
        first = await model.ask(image, "What is it?")
        again = await model.ask(image, "What is it?")
        await model.ask(image, "Where is it?")
        await model.close()
        assert len(server.requests) == 2
    assert again.text == first.text
    assert again.provenance.notes == ("answer from the cache, nothing was sent",)
    assert again.provenance.tokens_in is None


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (chat("", finish="content_filter"), Blocked, "content filter"),
        (fault(500, "down"), Unreachable, "down"),
        (chat("I see it. " * 2000), UnusableAnswer, "repeats itself"),
        (chat('{"findings": [', finish="length"), UnusableAnswer, "cut off at max_output_tokens"),
        (chat('{"findings": []}'), UnusableAnswer, "says nothing"),
    ],
)
async def test_no_answer_says_why(
    step: Step, error: type[Exception], says: str, image: Image, tmp_path: Path
) -> None:
    """As for masks, with the same errors."""
    with Loopback([step]) as server:
        model = talking(_openai, server.url, tmp_path)
        with pytest.raises(error, match=says):
            await model.ask(image, "What is it?")
        await model.close()


async def test_a_cut_off_answer_is_used_as_far_as_it_goes(image: Image, tmp_path: Path) -> None:
    """And says that it was cut off."""
    with Loopback([chat(WORDS[:-110], finish="length")]) as server:
        model = talking(_openai, server.url, tmp_path)
        found = await model.ask(image, "What is it?")
        await model.close()
    assert found.text == "There is one polyp."
    assert len(found.findings) == 1
    assert "cut off" in found.provenance.notes[0]


@pytest.mark.parametrize(
    ("question", "region", "error"),
    [
        (" ", None, InputError),
        ("?" * (MAX_QUESTION + 1), None, InputError),
        ("What?", np.ones((3, 4), np.bool_), SizeMismatch),
        ("What?", np.zeros((200, 300), np.bool_), InputError),
    ],
)
async def test_what_makes_no_sense_is_not_sent(
    question: str, region: Any, error: type[Exception], image: Image, tmp_path: Path
) -> None:
    """Nothing is opened for it."""
    model = talking(_openai, "http://127.0.0.1:9", tmp_path)
    with pytest.raises(error):
        await model.ask(image, question, region)
    await model.close()
    assert not (tmp_path / "audit.jsonl").exists()


async def test_nothing_is_asked_without_consent(image: Image, tmp_path: Path) -> None:
    """A question in words lets pixels leave as any other does."""
    model = talking(_openai, "http://192.0.2.1", tmp_path)
    with pytest.raises(NotAllowed):
        await model.ask(image, "What is it?")
    await model.close()
