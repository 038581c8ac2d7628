"""Asking several times: when it stops, in which order answers count, what an informed question holds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.core.image import BoolArray, Image
from omniview.core.prediction import Prediction, Quality
from omniview.core.segmenter import needs_evidence
from omniview.core.task import TASKS
from omniview.errors import Unreachable, UnusableAnswer
from omniview.omnimodel.asking import AGREED
from omniview.omnimodel.cache import AnswerCache
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.prices import PriceTable
from tests.omnimodel.conftest import Segment
from tests.omnimodel.forms import entry, png64
from tests.omnimodel.loopback import FAULTS, Loopback, Request, Step, answer

POLYP = TASKS["polyp"]


def shown(request: Request) -> BoolArray:
    """What is bright in the picture of a request."""
    picture = cv2.imdecode(np.frombuffer(request.picture[1], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return np.asarray(picture > 120, np.bool_)


def outlined(mask: BoolArray) -> Step:
    """An answer with a mask of the whole picture."""
    return answer(json.dumps([entry(png64(mask.astype(np.uint8) * 255), (0, 0, 1000, 1000))]))


def honest(request: Request) -> Step:
    """Outlines what is bright."""
    return outlined(shown(request))


def side(request: Request) -> str:
    """Which of the first answers a request is: each shows the image's bright square elsewhere."""
    mask = shown(request)
    if mask.shape != (200, 300):
        return "crop"
    row, column = np.argwhere(mask).mean(axis=0)
    return {(True, True): "plain", (True, False): "hflip", (False, True): "vflip"}[row < 100, column < 150]


async def test_two_that_agree_are_enough(segmenter: Segment, image: Image) -> None:
    """Of five, two are asked, and nothing else is ever sent."""
    with Loopback(honest) as server:
        omnimodel = segmenter(server.url, answers=5, agreed=AGREED)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert len(server.requests) == 2
    np.testing.assert_array_equal(prediction.mask[0], image.pixels[..., 0] > 120)
    provenance = prediction.provenance
    assert (provenance.answers_asked, provenance.answers_used) == (2, 2)
    assert "stopped after 2 of 5 answers agreed" in provenance.notes


async def test_the_order_of_arrival_is_nothing(segmenter: Segment, image: Image) -> None:
    """Whichever of the answers is slow, numbers decide which count, and the result is the same."""
    results = []
    for slow in ("plain", "hflip", "vflip", "crop"):

        def server_of(request: Request, slow: str = slow) -> Step:
            which = side(request)
            step = outlined(~shown(request)) if which == "hflip" else honest(request)
            return Step(body=step.body, delay_s=0.3 if which == slow else 0.0)

        with Loopback(server_of) as server:
            omnimodel = segmenter(server.url, answers=5, agreed=AGREED)
            results.append(await omnimodel.segment(image, POLYP))
            await omnimodel.close()
    for result in results:
        # 1 and 2 differ, 3 agrees with 1; 4 and 5 were under way and do not count
        assert result.provenance.answers_asked == 5
        assert result.provenance.answers_used == 3
        assert "stopped after 2 of 5 answers agreed" in result.provenance.notes
        np.testing.assert_array_equal(result.probability, results[0].probability)


async def test_what_is_not_waited_for_is_cancelled(segmenter: Segment, image: Image) -> None:
    """Once two agree, a call that still hangs is closed, not waited for."""

    def moody(request: Request) -> Step:
        which = side(request)
        if which == "hflip":
            return answer("I would rather not.")
        return FAULTS["hang"] if which == "crop" else honest(request)

    with Loopback(moody) as server:
        omnimodel = segmenter(server.url, answers=4, agreed=AGREED, timeout_s=60)
        prediction = await omnimodel.segment(image, POLYP)
        assert await asyncio.to_thread(server.closed_by_client.wait, 20)
        await omnimodel.close()
    assert prediction.provenance.answers_used == 2
    assert "answer 2: not used: The answer is prose" in " ".join(prediction.provenance.notes)


async def test_two_that_find_nothing_agree(segmenter: Segment, image: Image) -> None:
    """Nothing found twice is an answer."""
    with Loopback([answer("[]")]) as server:
        omnimodel = segmenter(server.url, answers=3, agreed=AGREED)
        prediction = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert len(server.requests) == 2
    assert not prediction.mask.any()


def evidence(image: Image) -> Prediction:
    """A specialist that found the square."""
    probability = np.where(image.pixels[..., 0] > 120, np.float32(0.9), np.float32(0.1))[None]
    return Prediction("special", "specialist", probability, quality=Quality(0.8, 0.7, 0.9))


async def test_blind_is_blind(segmenter: Segment, image: Image) -> None:
    """What the specialist found is not shown unless the person chose so."""
    with Loopback(honest) as server:
        omnimodel = segmenter(server.url)
        assert not needs_evidence(omnimodel)
        with_, without = [
            (await omnimodel.segment(image, POLYP, e)).provenance for e in (evidence(image), None)
        ]
        await omnimodel.close()
    assert server.requests[0].prompt == server.requests[1].prompt
    assert with_ == without


async def test_informed_holds_the_findings_and_says_so(segmenter: Segment, image: Image) -> None:
    """Each side is told where the object is in its own picture; prompt version and notes tell of it."""
    with Loopback(honest) as server:
        omnimodel = segmenter(server.url, answers=2, informed=True, mask_style="polygon")
        assert needs_evidence(omnimodel)
        prediction = await omnimodel.segment(image, POLYP, evidence(image))
        blind = await omnimodel.segment(image, POLYP, None)
        await omnimodel.close()
    prompts = {side(request): request.prompt for request in server.requests[:2]}
    assert '"polyp" in the box [100, 100, 400, 400], 9 % of the picture' in prompts["plain"]
    assert '"polyp" in the box [100, 600, 400, 900], 9 % of the picture' in prompts["hflip"]
    assert "0.80 (0.70 to 0.90)" in prompts["plain"]
    assert "informed: not independent of the specialist" in prediction.provenance.notes
    assert prediction.provenance.prompt_version == "2-polygon-informed"
    assert "box [" not in server.requests[2].prompt
    assert "asked blind" in " ".join(blind.provenance.notes)
    assert blind.provenance.prompt_version == "2-polygon"


async def test_nothing_is_paid_for_twice(segmenter: Segment, image: Image, tmp_path: Path) -> None:
    """An answer that was used comes from the disk the next time; one that was not is asked for again."""
    with Loopback([answer("prose"), answer("[]")]) as server:
        omnimodel = segmenter(
            server.url,
            model="gemini-3-flash-preview",
            kept=AnswerCache(tmp_path, 1.0),
            prices=PriceTable.load(tmp_path),
        )
        with pytest.raises(UnusableAnswer, match="prose"):
            await omnimodel.segment(image, POLYP)
        paid = await omnimodel.segment(image, POLYP)
        free = await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert len(server.requests) == 2
    assert paid.provenance.cost is not None
    assert paid.provenance.cost > 0
    assert free.provenance.cost == 0
    assert free.provenance.tokens_in is None
    assert "answer from the cache, nothing was sent" in free.provenance.notes
    np.testing.assert_array_equal(paid.probability, free.probability)


async def test_an_open_circuit_asks_nobody(segmenter: Segment, image: Image) -> None:
    """After failures in a row a batch's next case fails at once, and nothing leaves."""
    circuit = Circuit(failures=2, pause_s=60)
    with Loopback([FAULTS["503"]]) as server:
        omnimodel = segmenter(server.url, circuit=circuit)
        for _ in range(2):
            with pytest.raises(Unreachable, match=r"\(503\)"):
                await omnimodel.segment(image, POLYP)
        with pytest.raises(Unreachable, match=r"failed 2 times in a row .* \(503\)") as caught:
            await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert "next try is possible in" in caught.value.next_step
    assert len(server.requests) == 6


async def test_refusals_open_no_circuit(segmenter: Segment, image: Image) -> None:
    """A wrong model's name is no reason to leave the server alone."""
    circuit = Circuit(failures=1, pause_s=60)
    with Loopback([FAULTS["404"]]) as server:
        omnimodel = segmenter(server.url, circuit=circuit)
        for _ in range(3):
            with pytest.raises(Unreachable, match="no model"):
                await omnimodel.segment(image, POLYP)
        await omnimodel.close()
    assert len(server.requests) == 3


@pytest.mark.parametrize("answers", [0, 17])
def test_as_many_answers_as_sides(segmenter: Segment, answers: int) -> None:
    """None, or more than there are sides, is a mistake of the caller's."""
    with pytest.raises(ValueError, match="answers"):
        segmenter("http://127.0.0.1:1", answers=answers)
