"""Answers and errors of chat-completions servers, for the loopback server."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tests.omnimodel.loopback import Request, Step

__all__ = ["VERSION", "chat", "fault", "picture", "question", "tokens_named"]

VERSION = "gpt-loopback-2026-11-01"


def chat(content: Any, finish: str | None = "stop", **message: Any) -> Step:
    """A completion as OpenAI writes it; more fields of the message by name."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": None, **message},
        "logprobs": None,
        "finish_reason": finish,
    }
    usage = {
        "prompt_tokens": 300,
        "completion_tokens": 250,
        "total_tokens": 550,
        "completion_tokens_details": {"reasoning_tokens": 50},
    }
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": VERSION}
    return Step(body={**body, "choices": [choice], "usage": usage, "system_fingerprint": "fp_1"})


def fault(
    status: int, message: str, kind: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> Step:
    """An error as OpenAI, llama.cpp and newer vLLM write it."""
    return Step(status, {"error": {"message": message, "type": kind, **more}}, headers or {})


def question(request: Request) -> str:
    """The text of the question."""
    return "".join(part["text"] for part in _content(request) if part["type"] == "text")


def picture(request: Request) -> tuple[str, bytes]:
    """MIME type and bytes of the picture."""
    url = next(part["image_url"]["url"] for part in _content(request) if part["type"] == "image_url")
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data, validate=True)


def tokens_named(request: Request) -> str:
    """Under which name the limit of the answer was sent."""
    (name,) = (name for name in request.body if "max" in name)
    return str(name)


def _content(request: Request) -> list[dict[str, Any]]:
    (message,) = request.body["messages"]
    return list(message["content"])
