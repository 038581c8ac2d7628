"""`omniview segment --omnimodel openai` and `omniview ask` against a loopback chat-completions server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.settings import OpenAiSettings, Settings
from tests.networks import write_specialist
from tests.omnimodel.chat_answers import chat, fault, picture, question
from tests.omnimodel.forms import entry
from tests.omnimodel.loopback import Loopback, Step
from tests.test_cli import omniview, read_mask

KEY = "sk-CANARY-key_0123456789abcdefghijklm"
SQUARE = [[300, 200], [800, 200], [800, 600], [300, 600]]
OUTLINE = chat(json.dumps([entry(SQUARE)]))
WORDS = chat(
    json.dumps(
        {
            "text": "There is one polyp.",
            "findings": [
                {"text": "A polyp.", "label": "polyp", "box_2d": [200, 300, 600, 800], "polygon": SQUARE},
                {"text": "It may bleed.", "label": "blood"},
            ],
        }
    )
)


@pytest.fixture
def ramp(tmp_path: Path, own_home: Path) -> Path:
    """A grey image, a specialist for it, and settings with a short deadline."""
    write_specialist(own_home / "models", "own", input={"geometry": "stretch", "size": [64, 64]})
    Settings(openai=OpenAiSettings(model="llava", timeout_s=3)).save()
    pixels = np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1))
    cv2.imwrite(str(tmp_path / "ramp.png"), pixels)
    return tmp_path / "ramp.png"


def run(server: Loopback, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command with the server as OPENAI_BASE_URL."""
    return omniview(*arguments, OPENAI_BASE_URL=f"{server.url}/v1", **environment)


def test_an_outline_becomes_the_omnimodels_mask(ramp: Path, own_home: Path, tmp_path: Path) -> None:
    """At the image's own size, without a key, and the audit can be verified."""
    out = tmp_path / "out"
    with Loopback([OUTLINE]) as server:
        done = run(
            server,
            *("segment", ramp, "--out", out, "--task", "polyp"),
            *("--omnimodel", "openai", "--answers", "1"),
        )
        (request,) = server.requests
    assert done.returncode == 0, done.stderr
    mask = read_mask(out / "ramp.omnimodel.png") > 0
    expected = np.zeros((240, 320), np.bool_)
    expected[48:144, 96:256] = True
    assert (mask == expected).mean() > 0.99
    record = json.loads((out / "ramp.json").read_text("utf-8"))
    assert record["failures"] == []
    assert record["models"]["omnimodel"]["provenance"]["model_id"] == "llava"
    assert picture(request)[0] == "image/png"
    assert omniview("audit", "verify").returncode == 0


@pytest.mark.parametrize(
    "step", [fault(500, "down"), Step(fault="hang"), chat("No."), fault(401, f"bad key {KEY}")]
)
def test_a_failing_server_leaves_the_specialists_mask(
    ramp: Path, own_home: Path, tmp_path: Path, step: Step
) -> None:
    """The JSON says why, and the key is nowhere."""
    out = tmp_path / "out"
    with Loopback([step]) as server:
        done = run(
            server,
            *("segment", ramp, "--out", out, "--task", "polyp"),
            *("--omnimodel", "openai", "--answers", "1"),
            OPENAI_API_KEY=KEY,
        )
    assert done.returncode == 0, done.stderr
    assert not (out / "ramp.omnimodel.png").exists()
    (failure,) = json.loads((out / "ramp.json").read_text("utf-8"))["failures"]
    assert failure["reason"]
    assert failure["next_step"]
    written = "".join(path.read_text("utf-8", "replace") for path in own_home.rglob("*") if path.is_file())
    assert "CANARY" not in done.stderr + done.stdout + written + json.dumps(failure)


def test_a_question_is_answered_in_words(ramp: Path) -> None:
    """Text and findings on stdout, those that point nowhere marked."""
    with Loopback([WORDS]) as server:
        done = run(server, "ask", ramp, "Is there a polyp?", "--omnimodel", "openai")
        assert "Is there a polyp?" in question(server.requests[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "There is one polyp.",
        "- A polyp. [polyp, mask]",
        "- It may bleed. [blood, not grounded]",
    ]


def test_an_answer_is_written_as_json_and_masks(ramp: Path, tmp_path: Path) -> None:
    """What is printed is what is written, and a mask lies at the image's own size."""
    out = tmp_path / "out"
    with Loopback([WORDS]) as server:
        done = run(server, "ask", ramp, "Is there a polyp?", "--omnimodel", "openai", "--json", "--out", out)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record == json.loads((out / "ramp.answer.json").read_text("utf-8"))
    first, second = record["findings"]
    assert (first["grounded"], first["box"], first["mask"]) == (
        "mask",
        [48, 96, 144, 256],
        "ramp.finding1.png",
    )
    assert (second["grounded"], second["mask"]) == ("not grounded", None)
    mask = read_mask(out / "ramp.finding1.png") > 0
    assert mask.shape == (240, 320)
    assert mask.mean() == pytest.approx(first["area"], abs=1e-6)
    assert not (out / "ramp.finding2.png").exists()


def test_a_region_is_shown_outlined(ramp: Path, tmp_path: Path) -> None:
    """What is sent is its surroundings, and what is found there lies in the whole image."""
    region = np.zeros((240, 320), np.uint8)
    region[100:120, 200:230] = 255
    cv2.imwrite(str(tmp_path / "region.png"), region)
    with Loopback([WORDS]) as server:
        done = run(
            server,
            *("ask", ramp, "What is this?", "--region", tmp_path / "region.png"),
            *("--omnimodel", "openai", "--json"),
        )
        (request,) = server.requests
    assert done.returncode == 0, done.stderr
    assert "cyan outline" in question(request)
    sent = cv2.imdecode(np.frombuffer(picture(request)[1], np.uint8), cv2.IMREAD_COLOR)
    assert sent is not None
    assert sent.shape == (90, 90, 3)
    assert (sent == (255, 255, 0)).all(axis=2).any()
    top, left, bottom, right = json.loads(done.stdout)["findings"][0]["box"]
    assert 65 <= top < bottom <= 155
    assert 170 <= left < right <= 260


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--omnimodel", "builtin"), "cannot talk"),
        (("--omnimodel", "none"), "cannot talk"),
        (("--omnimodel", "openai", "--offline"), "offline"),
    ],
)
def test_who_cannot_be_asked_says_so(ramp: Path, arguments: tuple[str, ...], says: str) -> None:
    """As bad usage, with what to do instead, and nothing is sent."""
    with Loopback([WORDS]) as server:
        done = run(server, "ask", ramp, "Is there a polyp?", *arguments)
        assert server.requests == []
    assert done.returncode == 2
    assert says in done.stderr


def test_the_doctor_tests_connections_only_when_asked(ramp: Path, own_home: Path) -> None:
    """By default nothing is opened; online, one list of models is asked for, and the audit says so."""
    with Loopback([Step(body={"data": [{"id": "llava"}]})]) as server:
        assert "OpenAI" in run(server, "doctor").stdout
        assert server.requests == []
        done = run(server, "doctor", "--online")
        assert [request.path for request in server.requests] == ["/v1/models"]
    assert "llava is there" in " ".join(done.stdout.split())
    assert json.loads((own_home / "audit.jsonl").read_text("utf-8"))["event"] == "test"
