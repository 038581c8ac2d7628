"""Cloud segmenters against the loopback server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from omniview.core.image import Image
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.gemini import gemini_calls
from omniview.omnimodel.openai import openai_calls
from omniview.omnimodel.reply import Answers, Prices, Purse
from omniview.settings import GeminiSettings, OpenAiSettings

CANARY = "AIzaCANARY-key_0123456789abcdefghijklm"
OPENAI_CANARY = "CANARY-no-known-form-of-a-key-0123456789"

Segment: TypeAlias = Callable[..., CloudSegmenter]


@pytest.fixture
def segmenter(tmp_path: Path) -> Segment:
    """Builds a segmenter for an address: `segmenter(url, answers=1, agreed=None, **settings)`."""

    def build(
        url: str,
        *,
        answers: int = 1,
        agreed: float | None = None,
        informed: bool = False,
        circuit: Circuit | None = None,
        prices: Prices | None = None,
        purse: Purse | None = None,
        kept: Answers | None = None,
        **settings: Any,
    ) -> CloudSegmenter:
        chosen = GeminiSettings(base_url=url, **{"model": "gemini-test", "timeout_s": 10, **settings})
        calls = gemini_calls(
            chosen,
            lambda: CANARY,
            airlock=Airlock(tmp_path, offline=False),
            audit=Audit(tmp_path),
            prices=prices,
            purse=purse,
            answers=kept,
            circuit=circuit or Circuit(),
            first_pause_s=0.01,
        )
        return CloudSegmenter(
            calls, answers=answers, style=chosen.mask_style, informed=informed, agreed=agreed
        )

    return build


@pytest.fixture
def chat_segmenter(tmp_path: Path) -> Segment:
    """Builds one for a chat-completions server, likewise; `key` is None for a server that wants none."""

    def build(
        url: str, *, answers: int = 1, key: str | None = OPENAI_CANARY, **settings: Any
    ) -> CloudSegmenter:
        chosen = OpenAiSettings(base_url=f"{url}/v1", **{"model": "chat-test", "timeout_s": 10, **settings})
        calls = openai_calls(
            chosen,
            lambda: key,
            airlock=Airlock(tmp_path, offline=False),
            audit=Audit(tmp_path),
            circuit=Circuit(),
            first_pause_s=0.01,
        )
        return CloudSegmenter(calls, answers=answers)

    return build


@pytest.fixture
def image() -> Image:
    """A grey square that lies off the centre both ways, so that every mirroring shows."""
    pixels = np.full((200, 300, 3), 40, np.uint8)
    pixels[20:80, 30:120] = 200
    return Image(pixels, name="CANARY^PATIENT.png", source="/secret/CANARY^PATIENT.png")
