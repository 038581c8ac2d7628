"""Asking: what is sent, how several answers vote, what cancelling and offline really do."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from omniview.core.image import BoolArray, Image
from omniview.core.segmenter import Segmenter
from omniview.core.task import TASKS
from omniview.errors import MissingKey, NotAllowed, OutputError, Unreachable, UnusableAnswer
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.answers import decode
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit, verify
from omniview.omnimodel.gemini import gemini_calls
from omniview.omnimodel.prices import PriceTable
from omniview.settings import GeminiSettings
from tests.omnimodel.conftest import Segment
from tests.omnimodel.forms import boxed, entry, png64
from tests.omnimodel.loopback import FAULTS, VERSION, Loopback, Request, Step, answer

POLYP = TASKS["polyp"]


def sent(request: Request) -> np.ndarray[Any, Any]:
    """The picture of a request, (Y,X,3) RGB uint8."""
    _, data = request.picture
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return picture


def bright(request: Request) -> Step:
    """An honest model: it outlines what is bright in the very picture that it was sent."""
    mask = (sent(request)[..., 1] > 120).astype(np.uint8) * 255
    return answer(json.dumps([entry(png64(mask), (0, 0, 1000, 1000))]))


async def audited(folder: Path) -> list[dict[str, Any]]:
    """The audit's records, after checking the chain."""
    path = folder / "audit.jsonl"
    await asyncio.to_thread(verify, path)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def truth(image: Image) -> BoolArray:
    """What is bright in an image."""
    return image.rgb8()[..., 1] > 120


async def test_one_answer_is_the_mask_itself(shared: Path, segmenter: Segment) -> None:
    """With one answer the mask equals the decoded answer pixel for pixel, at the image's own size."""
    text = (shared / "gemini" / "answer_base64_png.txt").read_text("utf-8")
    image = Image(np.random.default_rng(0).integers(0, 255, (1100, 1500, 3), dtype=np.uint8))
    with Loopback([answer(text)]) as server:
        omnimodel = segmenter(server.url)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert len(server.requests) == 1
    np.testing.assert_array_equal(prediction.mask, decode(text, (1100, 1500), POLYP.labels).masks)
    assert prediction.spread is None
    assert prediction.probability.max() < 1
    assert (prediction.provenance.answers_asked, prediction.provenance.answers_used) == (1, 1)


async def test_what_is_sent(segmenter: Segment, image: Image, tmp_path: Path) -> None:
    """The picture as it is, the question for the task, the settings; model, tokens and cost come back."""
    (tmp_path / "prices.toml").write_text(
        'schema = 1\n[[model]]\nmatch = ["gemini-test"]\nin = 2\nout = 10\nas_of = 2026-11-22\n'
    )
    prices = PriceTable.load(tmp_path)
    with Loopback([answer(json.dumps([boxed()]))]) as server:
        omnimodel = segmenter(
            server.url, thinking_budget=0, max_output_tokens=999, api_version="v1", prices=prices
        )
        assert isinstance(omnimodel, Segmenter)
        assert (omnimodel.name, omnimodel.role) == ("gemini-test", "omnimodel")
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
        await omnimodel.close()
    (request,) = server.requests
    assert request.path == "/v1/models/gemini-test:generateContent"
    np.testing.assert_array_equal(sent(request), image.pixels)
    assert POLYP.prompt in request.prompt
    assert '"polyp"' in request.prompt
    asked = request.body["generationConfig"]
    assert asked["maxOutputTokens"] == 999
    assert list(asked["thinkingConfig"].values()) == [0]
    provenance = prediction.provenance
    assert (provenance.provider, provenance.model_id) == ("127.0.0.1", "gemini-test")
    assert provenance.model_version == VERSION
    assert (provenance.tokens_in, provenance.tokens_out) == (300, 250)
    assert provenance.cost == pytest.approx((300 * 2 + 250 * 10) / 1e6)
    assert (provenance.currency, provenance.prompt_version) == ("USD", "2-png")
    first, last = await audited(tmp_path)
    assert (first["event"], first["endpoint"], first["consent"]) == ("sent", server.url, "loopback")
    assert first["bytes"] == len(request.picture[1])
    assert first["sha256"] == hashlib.sha256(request.picture[1]).hexdigest()
    assert (last["outcome"], last["of"], last["tokens_out"]) == ("answered", 1, 250)
    assert last["cost"] == provenance.cost


async def test_thinking_level_is_sent(segmenter: Segment, image: Image) -> None:
    """The other family's way of thinking reaches the wire by its own name."""
    with Loopback([answer(json.dumps([boxed()]))]) as server:
        omnimodel = segmenter(server.url, thinking_level="low")
        await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    thinking = server.requests[0].body["generationConfig"]["thinkingConfig"]
    assert list(thinking.values()) == ["LOW"]


@pytest.mark.parametrize("answers", [1, 2, 3, 5, 16])
async def test_answers_from_every_side_fall_into_place(
    segmenter: Segment, image: Image, answers: int
) -> None:
    """Asked about mirrored and cropped pictures, an honest model's answers all come back onto the image."""
    with Loopback(bright) as server:
        omnimodel = segmenter(server.url, answers=answers)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert len(server.requests) == answers
    np.testing.assert_array_equal(prediction.mask[0], truth(image))
    assert (prediction.spread is None) == (answers == 1)
    # the soft edge of a crop's answer is narrower than that of the whole
    assert prediction.spread is None or prediction.spread.max() < (1e-3 if answers < 4 else 0.05)
    assert prediction.provenance.answers_used == answers
    assert len({request.prompt for request in server.requests}) == min(answers, 3)
    assert len({request.picture[1] for request in server.requests}) == answers
    crops = [request for request in server.requests if sent(request).shape[:2] == (160, 240)]
    assert len(crops) == max(0, min(answers, 15) - 3)


async def test_a_large_image_is_reduced_and_its_mask_is_not(segmenter: Segment) -> None:
    """What leaves is at most max_side long with its aspect kept; the mask has the image's own size."""
    pixels = np.full((900, 1800, 1), 9000, np.uint16)
    pixels[300:600, 500:900] = 60000
    image = Image(pixels, window=(32768, 65536))
    with Loopback(bright) as server:
        omnimodel = segmenter(server.url, max_side=600)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert sent(server.requests[0]).shape == (300, 600, 3)
    assert prediction.mask.shape == (1, 900, 1800)
    assert (prediction.mask[0] != truth(image)).mean() < 0.01


async def test_answers_that_disagree_vote(segmenter: Segment, image: Image) -> None:
    """Two of three win, the spread shows where they differ, and unusable answers are named."""

    def moody(request: Request) -> Step:
        number = len(server.requests)
        return bright(request) if number != 2 else answer("I would rather not.")

    with Loopback(moody) as server:
        omnimodel = segmenter(server.url, answers=3)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    np.testing.assert_array_equal(prediction.mask[0], truth(image))
    assert (prediction.provenance.answers_asked, prediction.provenance.answers_used) == (3, 2)
    assert "not used: The answer is prose" in " ".join(prediction.provenance.notes)
    assert prediction.provenance.tokens_in == 900

    def contrary(request: Request) -> Step:
        return bright(request) if len(server.requests) > 1 else answer("[]")

    with Loopback(contrary) as server:
        omnimodel = segmenter(server.url, answers=3)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    np.testing.assert_array_equal(prediction.mask[0], truth(image))
    assert prediction.spread is not None
    assert prediction.spread[0][truth(image)].mean() > 0.2


async def test_of_many_failures_the_most_telling_is_raised(segmenter: Segment, image: Image) -> None:
    """What a person can act on is not hidden behind a server that also failed."""
    with Loopback([answer("prose"), FAULTS["400"], FAULTS["400"]]) as server:
        omnimodel = segmenter(server.url, answers=3)
        with pytest.raises(UnusableAnswer, match=r"None of 3 answers can be used\. .* prose"):
            await omnimodel.segment(image, POLYP)
        await omnimodel.close()


async def test_cancelling_closes_the_socket(segmenter: Segment, image: Image, tmp_path: Path) -> None:
    """The server sees the connection close, and the audit says that the call was cancelled."""
    with Loopback([FAULTS["hang"]]) as server:
        omnimodel = segmenter(server.url)
        task = asyncio.create_task(omnimodel.segment(image, POLYP))
        assert await asyncio.to_thread(server.hanging.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.closed_by_client.wait, 20)
        await omnimodel.close()
    assert [r.get("outcome") for r in await audited(tmp_path)] == [None, "cancelled"]


async def test_a_call_after_a_cancelled_one_works(segmenter: Segment, image: Image) -> None:
    """A cancelled call leaves the client usable."""
    with Loopback([FAULTS["hang"], answer(json.dumps([boxed()]))]) as server:
        omnimodel = segmenter(server.url)
        task = asyncio.create_task(omnimodel.segment(image, POLYP))
        assert await asyncio.to_thread(server.hanging.wait, 20)
        task.cancel()
        await asyncio.wait([task])
        assert (await omnimodel.segment(image, POLYP)).mask.any()
        await omnimodel.close()


async def test_closing_ends_a_call_in_words(segmenter: Segment, image: Image) -> None:
    """A window that closes while Gemini is asked gets an error of ours, not a defect."""
    with Loopback([FAULTS["hang"]]) as server:
        omnimodel = segmenter(server.url)
        task = asyncio.create_task(omnimodel.segment(image, POLYP))
        assert await asyncio.to_thread(server.hanging.wait, 20)
        await omnimodel.close()
        with pytest.raises(Unreachable):
            await task


async def test_a_port_where_nobody_listens(segmenter: Segment, image: Image) -> None:
    """Refused connections are tried again, then said in words."""
    with Loopback([FAULTS["500"]]) as server:
        url = server.url
    omnimodel = segmenter(url)
    with pytest.raises(Unreachable, match=r"cannot be reached: no connection\. Tried 3 times"):
        await omnimodel.segment(image, POLYP)
    await omnimodel.close()


@pytest.mark.parametrize("address", ["http://no..where", "http://☃.x"])
async def test_an_address_that_nobody_can_have(image: Image, tmp_path: Path, address: str) -> None:
    """An impossible host name is said in words, whoever notices it."""
    airlock = Airlock(tmp_path, offline=False, consent_given=True)
    settings = GeminiSettings(base_url=address)
    omnimodel = CloudSegmenter(
        gemini_calls(settings, lambda: "key", airlock=airlock, audit=Audit(tmp_path), first_pause_s=0.01),
        answers=1,
    )
    with pytest.raises(Unreachable):
        await omnimodel.segment(image, POLYP)
    await omnimodel.close()


async def test_a_proxy_never_sees_what_is_for_this_machine(
    segmenter: Segment, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy variables do not redirect pixels that go to a loopback address."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Loopback([answer(json.dumps([boxed()]))]) as server:
        omnimodel = segmenter(server.url)
        assert (await omnimodel.segment(image, POLYP)).mask.any()
        await omnimodel.close()


async def test_without_consent_nothing_is_built(image: Image, tmp_path: Path) -> None:
    """An address elsewhere without consent is refused before there is a client, with the way out in words."""
    settings = GeminiSettings()
    omnimodel = CloudSegmenter(
        gemini_calls(
            settings, lambda: "key", airlock=Airlock(tmp_path, offline=False), audit=Audit(tmp_path)
        ),
        answers=1,
    )
    with pytest.raises(NotAllowed, match=r"generativelanguage\.googleapis\.com") as caught:
        await omnimodel.segment(image, POLYP)
    assert "--consent" in caught.value.next_step
    assert not (tmp_path / "audit.jsonl").exists()


@pytest.mark.parametrize("key", ["", "  ", "two words", "clé", "line\nbreak", "tab\tbed"])
async def test_a_key_that_cannot_be_one(image: Image, tmp_path: Path, key: str) -> None:
    """A missing or mangled key is said without being shown, and nothing is sent."""
    airlock = Airlock(tmp_path, offline=False)
    with Loopback([FAULTS["500"]]) as server:
        settings = GeminiSettings(base_url=server.url)
        omnimodel = CloudSegmenter(
            gemini_calls(settings, lambda: key, airlock=airlock, audit=Audit(tmp_path)), answers=1
        )
        with pytest.raises(MissingKey) as caught:
            await omnimodel.segment(image, POLYP)
    assert not key.strip() or key not in str(caught.value)
    assert server.requests == []


async def test_without_an_audit_nothing_is_sent(segmenter: Segment, image: Image, tmp_path: Path) -> None:
    """If the record cannot be written, the pixels stay."""
    (tmp_path / "audit.jsonl").mkdir()
    with Loopback([answer(json.dumps([boxed()]))]) as server:
        omnimodel = segmenter(server.url)
        with pytest.raises(OutputError, match="audit"):
            await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert server.requests == []


OFFLINE = """
import asyncio, socket, sys
from pathlib import Path
import numpy as np
from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import NotAllowed
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.gemini import gemini_calls
from omniview.settings import GeminiSettings

def watch(event, args):
    if event == "socket.__new__" and args[1] in (socket.AF_INET, socket.AF_INET6):
        raise SystemExit("an internet socket was opened")
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(event)

sys.addaudithook(watch)
home = Path(sys.argv[1])
settings = GeminiSettings(base_url="http://127.0.0.1:9")
airlock = Airlock(home, offline=True)
calls = gemini_calls(settings, lambda: "key", airlock=airlock, audit=Audit(home))
omnimodel = CloudSegmenter(calls, answers=3)
try:
    asyncio.run(omnimodel.segment(Image(np.zeros((9, 9, 3), np.uint8)), TASKS["polyp"]))
except NotAllowed as error:
    assert not {"google.genai", "httpx2"} & set(sys.modules), "a client was loaded"
    print(error)
"""


def test_offline_opens_no_socket(tmp_path: Path) -> None:
    """Offline, even a loopback address is refused, before the SDK is loaded or any socket exists."""
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "offline" in done.stdout
    assert not (tmp_path / "audit.jsonl").exists()


def test_the_server_runs_as_a_program(tmp_path: Path) -> None:
    """It prints where it listens and answers there, so that the command line can be tried by hand."""
    import urllib.request

    file = tmp_path / "answer.txt"
    file.write_text("[]", "utf-8")
    command = [sys.executable, "-m", "tests.omnimodel.loopback", "--answer", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        body = json.dumps({"contents": []}).encode()
        with urllib.request.urlopen(f"{url}/v1beta/models/m:generateContent", body, timeout=20) as got:  # noqa: S310 - loopback
            assert json.load(got)["candidates"][0]["content"]["parts"] == [{"text": "[]"}]
        server.terminate()
