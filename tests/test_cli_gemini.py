"""`omniview segment --omnimodel gemini` against a loopback server that speaks Gemini's REST protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest

from omniview.omnimodel.answers import decode
from omniview.settings import GeminiSettings, Settings
from tests.networks import write_specialist
from tests.omnimodel.loopback import FAULTS, Loopback, Step, answer
from tests.test_cli import omniview, read_mask

Masks: TypeAlias = dict[str, np.ndarray | None]
KEY = "AIzaCANARY-key_0123456789abcdefghijklm"


def _segment(tmp_path: Path, home: Path, step: Step) -> tuple[Masks, dict[str, Any]]:
    """Masks and record of one grey image, asked once."""
    write_specialist(home / "models", "own", input={"geometry": "stretch", "size": [64, 64]})
    Settings(gemini=GeminiSettings(timeout_s=3)).save()
    pixels = np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1))
    cv2.imwrite(str(tmp_path / "ramp.png"), pixels)
    out = tmp_path / "out"
    with Loopback([step] * 9) as server:
        done = omniview(
            *("segment", tmp_path / "ramp.png", "--out", out, "--task", "polyp"),
            *("--omnimodel", "gemini", "--answers", "1"),
            GEMINI_API_KEY=KEY,
            GOOGLE_GEMINI_BASE_URL=server.url,
        )
    assert done.returncode == 0, done.stderr
    written = "".join(path.read_text("utf-8", "replace") for path in home.rglob("*") if path.is_file())
    assert KEY not in done.stderr + done.stdout + written
    found = {kind: out / f"ramp.{kind}.png" for kind in ("fused", "specialist", "omnimodel")}
    masks = {kind: read_mask(path) if path.exists() else None for kind, path in found.items()}
    return masks, json.loads((out / "ramp.json").read_text("utf-8"))


def test_the_recorded_answer_becomes_the_omnimodels_mask(
    tmp_path: Path, own_home: Path, shared: Path
) -> None:
    """The written mask is the union of the answer's 15 masks, at the image's own size."""
    text = (shared / "gemini" / "answer_base64_png.txt").read_text("utf-8")
    masks, record = _segment(tmp_path, own_home, answer(text))
    expected = decode(text, (240, 320), ("polyp",)).masks[0]
    assert expected.any()
    assert masks["omnimodel"] is not None
    np.testing.assert_array_equal(masks["omnimodel"] > 0, expected)
    assert record["failures"] == []
    done = omniview("audit", "verify")
    assert (done.returncode, done.stdout.split()[0]) == (0, "2"), done.stderr  # sent, and what came of it
    audit = own_home / "audit.jsonl"
    audit.write_text(audit.read_text("utf-8").replace("gemini", "gemino", 1), "utf-8")
    assert omniview("audit", "verify").returncode == 2


@pytest.mark.parametrize("fault", ["500", "hang", "cut", "garbage", "babble", "safety", "empty"])
def test_a_failing_cloud_leaves_the_specialists_mask(tmp_path: Path, own_home: Path, fault: str) -> None:
    """The fused mask equals the specialist's, no omnimodel mask is written, and the JSON says why."""
    masks, record = _segment(tmp_path, own_home, FAULTS[fault])
    assert masks["omnimodel"] is None
    assert masks["fused"] is not None
    np.testing.assert_array_equal(masks["fused"], masks["specialist"])
    (failure,) = record["failures"]
    assert failure["reason"]
    assert failure["next_step"]
