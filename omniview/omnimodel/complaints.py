"""Why a chat-completions server refused, in words and with what to do about it.

OpenAI, Ollama, vLLM, llama.cpp and the gateways before them write errors in a dozen shapes and use the same
number for quite different things, so the words decide where the number does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omniview.errors import Blocked, MissingKey, OmnimodelError, Unreachable
from omniview.omnimodel.patience import Outage
from omniview.omnimodel.wire import quoted, refusal, retry_after_s

__all__ = ["NEXT_BLOCKED", "Refused", "complaint", "failure"]

NEXT_BLOCKED = "Try another model, or go on with the specialist alone."
_POLICY = ("content_policy", "content_filter", "content management policy", "moderation", "safety system")
_BLIND = (
    "image input is not supported",
    "does not support image",
    "no image support",
    "not a multimodal model",
    "missing data required for image input",
    "image_url is only supported",
    "mmproj",
)
_TOO_LONG = ("context_length", "context length", "exceed_context_size", "context size", "context window")
_NO_MODEL = ("model", "deployment")


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is an error.

    Attributes:
        code: HTTP state.
        body: its JSON, or its text.
        headers: lower-case names to values.
    """

    code: int
    body: Any
    headers: Mapping[str, str]


def complaint(body: Any) -> tuple[str, str]:
    """What an error says, and its machine-readable kinds, out of any server's way to write one.

    OpenAI, llama.cpp and newer vLLM: `{"error": {"message", "type", "code", "param"}}`; Ollama also
    `{"error": "..."}`; older vLLM `{"object": "error", "message", "type", "code"}`; FastAPI
    `{"detail": "..."}` or `{"detail": [{"loc", "msg"}]}`; some gateways a list of one of these.

    Returns:
        The message, empty if there is none, and type, code and parameter in one lower-case string.
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return "", ""
    error = body.get("error") or body.get("detail") or body
    if isinstance(error, list):
        error = error[0] if error else {}
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return "", ""
    message = error.get("message") or error.get("msg") or error.get("detail")
    kinds = " ".join(str(error[name]) for name in ("type", "code", "param", "loc") if error.get(name))
    return message if isinstance(message, str) else "", kinds.lower()


def failure(refused: Refused, *, who: str, model: str, key: str | None) -> OmnimodelError | Outage:
    """An error in words: an Outage where the server itself has failed or asks to wait.

    Args:
        refused: what came back.
        who: the server, in a word that a message can begin with.
        model: the model's id.
        key: the API key, which never appears in a message, or None if none was sent.
    """
    code = refused.code
    message, kinds = complaint(refused.body)
    said, words = quoted(message, key or ""), f"{message} {kinds}".lower()

    if code in (401, 403):
        return _key_refused(who, code, said, key)
    if any(word in words for word in _POLICY):
        return Blocked(f"{who} declined the question{said}.", NEXT_BLOCKED)
    if any(word in words for word in _BLIND):
        return Unreachable(
            f"The model {model} at {who} cannot see pictures ({code}){said}.",
            "Choose a vision model; llama.cpp also needs its projector (--mmproj).",
        )
    if any(word in words for word in _TOO_LONG):
        return Unreachable(
            f"Picture, question and answer are too long for {model} at {who} ({code}){said}.",
            "Lower max_side or max_output_tokens in the settings, or give the server a longer context.",
        )
    if code == 404:
        return _not_found(who, model, said, words)
    if code == 429 and ("insufficient_quota" in words or "billing" in words):
        return Unreachable(
            f"The account at {who} has no credit left (429){said}.", "Look at the account's billing."
        )
    if "reasoning" in words and code < 429:
        return Unreachable(
            f"{who} refused the request ({code}){said}.",
            "Leave reasoning_effort out of the settings, or choose a model that takes it.",
        )
    return refusal(who, code, said, retry_after_s(refused.headers))


def _key_refused(who: str, code: int, said: str, key: str | None) -> MissingKey:
    if key is None:
        return MissingKey(f"{who} wants an API key ({code}){said}.", "Set OPENAI_API_KEY, or enter a key.")
    return MissingKey(
        f"{who} does not accept the API key ({code}){said}.",
        "Check OPENAI_API_KEY, and that the key may use this model.",
    )


def _not_found(who: str, model: str, said: str, words: str) -> Unreachable:
    if any(word in words for word in _NO_MODEL):
        return Unreachable(
            f"There is no model {model} at {who} (404){said}.",
            "Set another model in the settings; with Ollama, pull it first.",
        )
    return Unreachable(
        f"{who} has no chat-completions interface at this address (404){said}.",
        "Correct base_url in the settings or OPENAI_BASE_URL: it usually ends in /v1.",
    )
