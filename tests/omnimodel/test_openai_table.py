"""Answers and faults of OpenAI, Ollama, vLLM, llama.cpp through the real SDK: each ends as its row says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omniview.core.image import Image
from omniview.errors import Blocked, MissingKey, Unreachable, UnusableAnswer
from tests.omnimodel.chat_answers import VERSION, chat, fault
from tests.omnimodel.conftest import OPENAI_CANARY
from tests.omnimodel.forms import boxed, disc, entry, fenced, png64
from tests.omnimodel.loopback import Step
from tests.omnimodel.table import Row, Segment, play

SQUARE = [[300, 200], [800, 200], [800, 600], [300, 600]]
OUTLINE = json.dumps([entry(SQUARE)])
GOOD = chat(OUTLINE)
UNFINISHED = {"model": VERSION, "choices": [{"message": {"content": "x" * 500}}]}
SPENT = "spent all of max_output_tokens on thinking"

OPENAI = [
    Row("polygon", [GOOD]),
    Row("png in a fence", [chat(fenced([boxed()]))]),
    Row(
        "content in parts",
        [chat([{"type": "text", "text": OUTLINE[:9]}, {"type": "text", "text": OUTLINE[9:]}])],
    ),
    Row("nothing found", [chat("[]")], says="nothing to outline", empty=True),
    Row("cut off, one whole", [chat(OUTLINE[:-1] + ', {"bo', finish="length")], says="max_output_tokens"),
    Row(
        "cut off while thinking",
        [chat("", finish="length")],
        UnusableAnswer,
        "spent all of max_output_tokens",
    ),
    Row("content null", [chat(None)], UnusableAnswer, "is empty"),
    Row("content filter", [chat("", finish="content_filter")], Blocked, "its content filter was triggered"),
    Row("filtered after a start", [chat("[{", finish="content_filter")], Blocked, "content filter"),
    Row(
        "refusal",
        [chat(None, refusal="I can't help with that.")],
        Blocked,
        "declined to answer: I can't help",
    ),
    Row(
        "refusal in parts", [chat([{"type": "refusal", "refusal": "No."}])], Blocked, "declined to answer: No"
    ),
    Row(
        "tool call",
        [chat(None, finish="tool_calls", tool_calls=[{"id": "1"}])],
        UnusableAnswer,
        "called a tool",
    ),
    Row("no choices", [Step(body={"choices": [], "model": VERSION})], UnusableAnswer, "is empty"),
    Row(
        "bad key",
        [fault(401, f"Incorrect API key provided: {OPENAI_CANARY}.", code="invalid_api_key")],
        MissingKey,
        "does not accept the API key (401)",
    ),
    Row("no right", [fault(403, "Country not supported", code="unsupported_country")], MissingKey, "(403)"),
    Row(
        "unknown model",
        [fault(404, "The model `gpt-9` does not exist", code="model_not_found")],
        Unreachable,
        "no model chat-test",
    ),
    Row(
        "no credit",
        [fault(429, "You exceeded your current quota", code="insufficient_quota")],
        Unreachable,
        "no credit left",
    ),
    Row(
        "rate limit once", [fault(429, "Rate limit reached", headers={"Retry-After": "0"}), GOOD], requests=2
    ),
    Row(
        "rate limit for an hour",
        [fault(429, "Rate limit reached", headers={"Retry-After": "3600"})],
        Unreachable,
        "asks to wait 3600 s",
    ),
    Row(
        "unsupported max_tokens",
        [
            fault(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                code="unsupported_parameter",
                param="max_tokens",
            ),
            GOOD,
        ],
        requests=2,
    ),
    Row(
        "too large max_tokens",
        [
            fault(
                400,
                "max_tokens is too large: 16384. This model supports at most 4096 completion tokens.",
                param="max_tokens",
            )
        ],
        Unreachable,
        "max_tokens is too large",
    ),
    Row(
        "no reasoning",
        [fault(400, "Unrecognized request argument supplied: reasoning_effort")],
        Unreachable,
        "reasoning_effort",
        settings={"reasoning_effort": "low"},
    ),
    Row(
        "content policy",
        [fault(400, "Your request was rejected by our safety system.", code="content_policy_violation")],
        Blocked,
        "declined the question",
    ),
    Row(
        "too long",
        [fault(400, "Your input exceeds the context window of this model.", code="context_length_exceeded")],
        Unreachable,
        "too long for chat-test",
    ),
    Row("500 with the key", [fault(500, f"key {OPENAI_CANARY} crashed")], Unreachable, "server failed", 3),
    Row("500 with pixels", [fault(500, png64(disc()) + " crashed")], Unreachable, "crashed", 3),
    Row("502 in HTML once", [Step(502, b"<html>bad gateway</html>"), GOOD], requests=2),
]
OLLAMA = [
    Row("reasoning beside", [chat(OUTLINE, reasoning="[the polyp is {somewhere}")]),
    Row("thoughts within", [chat(f"<think>[the polyp is {{somewhere}}</think>\n{OUTLINE}")]),
    Row(
        "model not pulled",
        [
            Step(
                404,
                {
                    "error": {
                        "message": 'model "llava" not found, try pulling it first',
                        "type": "not_found_error",
                        "param": None,
                        "code": None,
                    }
                },
            )
        ],
        Unreachable,
        "no model chat-test",
    ),
    Row(
        "error as text", [Step(404, {"error": "model 'llava' not found"})], Unreachable, "no model chat-test"
    ),
    Row(
        "blind model",
        [fault(500, "Failed to create new sequence: this model is missing data required for image input")],
        Unreachable,
        "cannot see pictures",
    ),
    Row(
        "runner died",
        [fault(500, "llama runner process has terminated: exit status 2", "api_error")],
        Unreachable,
        "server failed (500): llama runner",
        3,
    ),
    Row(
        "not the v1 address", [Step(404, b"404 page not found")], Unreachable, "no chat-completions interface"
    ),
    Row(
        "nothing but a greeting",
        [Step(200, b"Ollama is running", {"Content-Type": "text/plain"})],
        UnusableAnswer,
        "not an answer of the chat-completions interface",
    ),
]
VLLM = [
    Row("reasoning_content", [chat(OUTLINE, reasoning_content="let me see")]),
    Row(
        "only reasoning", [chat(None, finish="length", reasoning_content="let me see")], UnusableAnswer, SPENT
    ),
    Row("thoughts without their beginning", [chat(f"[the polyp]</think>{OUTLINE}")]),
    Row("thoughts without their end", [chat(f"<think>it {OUTLINE}", finish="length")], UnusableAnswer, SPENT),
    Row(
        "older error",
        [
            Step(
                404,
                {
                    "object": "error",
                    "message": "The model `x` does not exist.",
                    "type": "NotFoundError",
                    "param": None,
                    "code": 404,
                },
            )
        ],
        Unreachable,
        "no model chat-test",
    ),
    Row(
        "context length",
        [
            Step(
                400,
                {
                    "object": "error",
                    "message": "This model's maximum context length is 4096 tokens, you requested 17000.",
                    "type": "BadRequestError",
                    "code": 400,
                },
            )
        ],
        Unreachable,
        "too long for chat-test",
    ),
    Row(
        "text model",
        [fault(400, "x is not a multimodal model", "BadRequestError", code=400)],
        Unreachable,
        "cannot see pictures",
    ),
    Row(
        "field forbidden",
        [
            Step(
                422,
                {
                    "detail": [
                        {
                            "loc": ["body", "max_tokens"],
                            "msg": "Extra inputs are not permitted",
                            "type": "extra_forbidden",
                        }
                    ]
                },
            ),
            GOOD,
        ],
        requests=2,
    ),
    Row(
        "both names forbidden",
        [fault(400, "Unknown field max_tokens"), fault(400, "Unknown field max_completion_tokens")],
        Unreachable,
        "max_completion_tokens",
        2,
    ),
    Row("engine dead", [Step(500, b"Internal Server Error")], Unreachable, "server failed (500)", 3),
    Row(
        "error in an answer",
        [Step(200, {"error": {"message": "Upstream is busy", "code": 503}}), GOOD],
        requests=2,
    ),
]
LLAMA_CPP = [
    Row("no finish reason", [chat(OUTLINE, finish=None)]),
    Row("no usage, no model", [Step(body={"choices": [{"message": {"content": OUTLINE}}]})]),
    Row("loading once", [fault(503, "Loading model", "unavailable_error", code=503), GOOD], requests=2),
    Row(
        "no projector",
        [
            fault(
                500,
                "image input is not supported - hint: you may need to provide the mmproj",
                "server_error",
                code=500,
            )
        ],
        Unreachable,
        "cannot see pictures",
    ),
    Row(
        "context size",
        [fault(400, "the request exceeds the available context size", "exceed_context_size_error", code=400)],
        Unreachable,
        "too long",
    ),
    Row(
        "wants a key",
        [fault(401, "Invalid API Key", "authentication_error", code=401)],
        MissingKey,
        "does not accept",
    ),
    Row(
        "no such path",
        [fault(404, "File Not Found", "not_found_error", code=404)],
        Unreachable,
        "no chat-completions",
    ),
]
ANYBODY = [
    Row("hang", [Step(fault="hang")], Unreachable, "no answer within 0.3 s", settings={"timeout_s": 0.3}),
    Row(
        "hang in mid body",
        [Step(body=UNFINISHED, fault="hang_mid_body")],
        Unreachable,
        "no answer within 0.3 s",
        settings={"timeout_s": 0.3},
    ),
    Row(
        "cut",
        [Step(body=UNFINISHED, fault="cut")],
        Unreachable,
        "cut before the answer was complete. Tried 3",
        3,
    ),
    Row("reset once", [Step(fault="reset"), GOOD], requests=2),
    Row("redirect", [Step(302, b"", {"Location": "http://127.0.0.1:9/"})], Unreachable, "elsewhere (302)"),
    Row("endless body", [Step(fault="endless")], UnusableAnswer, "not an answer of"),
    Row(
        "false gzip",
        [Step(body=b"no gzip", headers={"Content-Encoding": "gzip"})],
        UnusableAnswer,
        "not an answer of",
    ),
    Row("garbage", [Step(body=b"<html>\x00\xff")], UnusableAnswer, "not an answer of"),
    Row("no body", [Step(body=b"")], UnusableAnswer, "not an answer of"),
    Row("null body", [Step(body=b"null")], UnusableAnswer, "not an answer of"),
    Row("deep body", [Step(body=b"[" * 100_000)], UnusableAnswer, "not an answer of"),
    Row("another interface", [Step(body={"candidates": []})], UnusableAnswer, "not an answer of"),
    Row("wrong types", [Step(body={"choices": [{"message": 7}]})], UnusableAnswer, "not an answer of"),
    Row(
        "wrong types within",
        [Step(body={"choices": [{"message": {"content": 7}, "finish_reason": 3}], "usage": 4, "model": []})],
        UnusableAnswer,
        "is empty",
    ),
    Row("prose", [chat("I cannot help with medical images.")], UnusableAnswer, "prose"),
    Row("tokens", [chat("<start_of_mask><seg_3><seg_99>")], UnusableAnswer, "<seg> tokens", 2, calls=2),
]
TABLE = [
    (maker, row)
    for maker, rows in (
        ("openai", OPENAI),
        ("ollama", OLLAMA),
        ("vllm", VLLM),
        ("llama.cpp", LLAMA_CPP),
        ("anybody", ANYBODY),
    )
    for row in rows
]


@pytest.mark.parametrize(
    "row", [row for _, row in TABLE], ids=[f"{maker}: {row.name}" for maker, row in TABLE]
)
async def test_each_answer_and_fault_ends_as_its_row_says(
    row: Row,
    chat_segmenter: Segment,
    image: Image,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The right outcome, after the right number of requests, and the key nowhere else."""
    requests = await play(row, chat_segmenter, image, tmp_path, caplog, capfd)
    assert {request.headers["authorization"] for request in requests} == {f"Bearer {OPENAI_CANARY}"}
    assert {request.path for request in requests} == {"/v1/chat/completions"}
