"""What a chat-completions server answers: OpenAI's own, and Ollama, vLLM, llama.cpp, each in its own way.

Read from the bare JSON rather than through the SDK's types, which these servers fill only roughly. Pure:
nothing here opens a connection.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from omniview.errors import Blocked, OmnimodelError, UnusableAnswer
from omniview.omnimodel.complaints import NEXT_BLOCKED
from omniview.omnimodel.reply import Reply
from omniview.omnimodel.wire import quoted

__all__ = ["read_completion", "without_thoughts"]

_THOUGHT = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_MOST_TAGS = 1000
"""A model that lost its way can write millions."""
_FILTERED = frozenset({"content_filter", "safety", "sensitive"})
"""`finish_reason` of an answer that was withheld; the last two are other makers' words for it."""


def read_completion(body: Any, who: str, key: str = "") -> Reply | None:
    """The text of a completion, or why there is none; None where it is no completion at all.

    Args:
        body: the answer's JSON.
        who: the server, in a word that a message can begin with.
        key: the API key, which never appears in a message.
    """
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        return None
    choice = body["choices"][0] if body["choices"] else {}
    message = choice.get("message") if isinstance(choice, dict) else None
    if body["choices"] and not isinstance(message, dict):
        return None
    message = message or {}
    written, refusal = _text(message.get("content"))
    if isinstance(message.get("refusal"), str):
        refusal = refusal or message["refusal"]
    text = without_thoughts(written)
    reason = _word(choice.get("finish_reason"))
    cut_off = reason in ("length", "max_tokens")
    thought = text != written or bool(message.get("reasoning_content") or message.get("reasoning"))
    problem: OmnimodelError | None = None
    if reason in _FILTERED:
        problem = Blocked(f"{who} withheld the answer: its content filter was triggered.", NEXT_BLOCKED)
    elif refusal.strip() and not text.strip():
        problem = Blocked(f"{who} declined to answer{quoted(refusal, key)}.", NEXT_BLOCKED)
    elif not text.strip():
        problem = _empty(who, reason, cut_off, thought, bool(message.get("tool_calls")))
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    version = body.get("model")
    return Reply(
        text=text,
        cut_off=cut_off,
        problem=problem,
        version=version if isinstance(version, str) and version else None,
        tokens_in=_count(usage, "prompt_tokens"),
        tokens_out=_count(usage, "completion_tokens"),
    )


def without_thoughts(text: str) -> str:
    """What is left of an answer when its `<think>...</think>` parts are taken out.

    An end without a beginning means that the beginning stood in the server's own prompt: everything before
    it was thought. A beginning without an end was cut off while thinking.
    """
    kept: list[str] = []
    position, thinking = 0, False
    for tag in islice(_THOUGHT.finditer(text), _MOST_TAGS):
        if not thinking:
            kept.append(text[position : tag.start()])
        if tag.group(1):
            if not thinking:
                kept.clear()
            thinking = False
        else:
            thinking = True
        position = tag.end()
    if not thinking:
        kept.append(text[position:])
    return "".join(kept)


def _text(content: Any) -> tuple[str, str]:
    """Text and refusal of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    texts, refusals = [], []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            texts.append(_word(part.get("text")))
            refusals.append(_word(part.get("refusal")))
    return "".join(texts), "".join(refusals)


def _empty(who: str, reason: str, cut_off: bool, thought: bool, called: bool) -> UnusableAnswer:
    if cut_off:
        what = "on thinking " if thought else ""
        return UnusableAnswer(
            f"{who} spent all of max_output_tokens {what}and gave no answer.",
            "Raise max_output_tokens or lower reasoning_effort in the settings.",
        )
    if called:
        return UnusableAnswer(f"{who} called a tool instead of answering.", "Choose another model.")
    ending = f" (it ended with {reason[:40]})" if reason not in ("", "stop") else ""
    what = "holds only thoughts" if thought else "is empty"
    return UnusableAnswer(f"The answer of {who} {what}{ending}.", "Ask again, or choose another model.")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and value >= 0 else None
