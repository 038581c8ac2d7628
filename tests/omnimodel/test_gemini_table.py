"""Named answers and faults through the real SDK: each ends as its row says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from omniview.core.image import Image
from omniview.errors import Blocked, MissingKey, Unreachable, UnusableAnswer
from tests.omnimodel.conftest import CANARY
from tests.omnimodel.forms import boxed, disc, entry, fenced, png64
from tests.omnimodel.loopback import FAULTS, Step, answer, refusal
from tests.omnimodel.table import Row, Segment, play

PNG = answer(fenced([boxed()]))
SQUARE = [[300, 200], [800, 200], [800, 600], [300, 600]]
SOON = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
BAD_KEY = {
    "error": {
        "code": 400,
        "message": f"API key not valid: {CANARY}. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}


def in_body(delay: str) -> Step:
    """A 429 as Google writes it, with the wait among the error's details."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return Step(429, {"error": {"code": 429, "message": "slow down", "details": [7, {}, info]}})


TABLE = [
    # good answers, in every form: `says` is looked for in the notes
    Row("png", [PNG]),
    Row("polygon", [answer(json.dumps([entry(SQUARE)]))]),
    Row("polygon y first", [answer(json.dumps([entry([[y, x] for x, y in SQUARE])]))], says="y first"),
    Row("grid of booleans", [answer(json.dumps([entry([[True] * 4] * 4)]))], says="grid"),
    Row("wrapped", [answer(json.dumps({"masks": [boxed()]}))]),
    Row("prose around", [answer(f"Certainly!\n{fenced([boxed()])}\nNote: not medical advice.")]),
    Row("thoughts first", [answer(fenced([boxed()]), thought="[the polyp is {somewhere}")]),
    Row("box inverted", [answer(json.dumps([boxed(box=(600, 800, 200, 300))]))], says="inverted"),
    Row("box out of range", [answer(json.dumps([boxed(box=(-9, 300, 600, 1020))]))], says="clipped"),
    Row("one of two objects", [answer(json.dumps([boxed(), entry()]))], says="1 object of 2 left out"),
    Row(
        "many objects, wrong coordinates",
        [answer(json.dumps([boxed(), *(entry(SQUARE, (0, i, 9000, i + 1)) for i in range(30))]))],
        says="30 objects of 31 left out: its box lies outside",
    ),
    Row(
        "cut off, one whole",
        [answer(fenced([boxed()])[:-6] + ', {"bo', finish="MAX_TOKENS")],
        says="max_output",
    ),
    Row("endless repetition", [answer("[" + (json.dumps(boxed()) + ",") * 900)], says="repeats itself"),
    Row("unknown finish reason", [answer(fenced([boxed()]), finish="SOMETHING_NEW")]),
    Row("no finish reason", [answer(fenced([boxed()]), finish=None)]),
    Row("nothing found", [answer("[]")], says="nothing to outline", empty=True),
    # good after trouble
    Row("503 once", [FAULTS["503"], PNG], requests=2),
    Row("500 twice", [FAULTS["500"], FAULTS["500"], PNG], requests=3),
    Row("429 with Retry-After 0", [refusal(429, "X", "slow down", {"Retry-After": "0"}), PNG], requests=2),
    Row("429 with a date", [refusal(429, "X", "slow down", {"Retry-After": SOON}), PNG], requests=2),
    Row("429 with nonsense", [refusal(429, "X", "slow down", {"Retry-After": "soon"}), PNG], requests=2),
    Row("reset once", [FAULTS["reset"], PNG], requests=2),
    Row("cut once", [FAULTS["cut"], PNG], requests=2),
    # the server refuses or fails
    Row("400", [FAULTS["400"]], Unreachable, "(400): Request contains an invalid argument"),
    Row("400 bad key", [Step(400, BAD_KEY)], MissingKey, "does not accept the API key (400)"),
    Row("401", [refusal(401, "UNAUTHENTICATED", "No.")], MissingKey, "does not accept the API key (401)"),
    Row("403", [FAULTS["403"]], MissingKey, "does not accept the API key (403)"),
    Row("404", [FAULTS["404"]], Unreachable, "no model gemini-test in version v1beta"),
    Row("413", [refusal(413, "X", "Too large")], Unreachable, "(413): Too large"),
    Row("429", [FAULTS["429"]], Unreachable, "rate limit or quota (429): Quota exceeded. Tried 3", 3),
    Row(
        "429 for too long",
        [refusal(429, "X", "slow down", {"Retry-After": "3600"})],
        Unreachable,
        "asks to wait 3600 s, longer than the deadline",
    ),
    Row("429 that asks in its body", [in_body("1800s")], Unreachable, "asks to wait 1800 s"),
    Row("429 that asks for nonsense", [in_body("soon"), PNG], requests=2),
    Row("429 that asks for a moment", [in_body("0.02s"), PNG], requests=2),
    Row("500", [FAULTS["500"]], Unreachable, "server failed (500)", 3),
    Row("500 in HTML", [Step(500, b"<html>oops</html>")], Unreachable, "server failed (500)", 3),
    Row("503", [FAULTS["503"]], Unreachable, "server failed (503): The model is overloaded. Tried 3", 3),
    Row("500 with the key", [refusal(500, "X", f"key {CANARY} crashed")], Unreachable, "server failed", 3),
    Row("500 with pixels", [refusal(500, "X", png64(disc()) + " crashed")], Unreachable, "crashed", 3),
    Row("redirect", [Step(302, b"", {"Location": "http://127.0.0.1:9/"})], Unreachable, "elsewhere (302)"),
    # the connection fails
    Row("hang", [FAULTS["hang"]], Unreachable, "no answer within 0.3 s", settings={"timeout_s": 0.3}),
    Row(
        "hang in mid body",
        [Step(body=PNG.body, fault="hang_mid_body")],
        Unreachable,
        "no answer within 0.3 s",
        settings={"timeout_s": 0.3},
    ),
    Row("cut", [FAULTS["cut"]], Unreachable, "cut before the answer was complete. Tried 3", 3),
    Row("reset", [FAULTS["reset"]], Unreachable, "cut before the answer was complete. Tried 3", 3),
    # the body is not an answer
    Row("garbage", [FAULTS["garbage"]], UnusableAnswer, "not an answer of the Gemini interface"),
    Row("body of another kind", [Step(body=b"[1, 2]")], UnusableAnswer, ""),
    Row("null body", [Step(body=b"null")], UnusableAnswer, "empty"),
    Row("no body", [Step(body=b"")], UnusableAnswer, ""),
    Row("wrong types", [Step(body={"candidates": [{"content": 7}]})], UnusableAnswer, ""),
    Row("endless body", [Step(fault="endless")], UnusableAnswer, "not an answer of the Gemini interface"),
    Row(
        "false gzip",
        [Step(body=b"not gzip", headers={"Content-Encoding": "gzip"})],
        UnusableAnswer,
        "not an answer of the Gemini interface",
    ),
    # an answer without a mask
    Row("no candidates", [Step(body={"candidates": []})], UnusableAnswer, "empty"),
    Row("no parts", [answer(None)], UnusableAnswer, "empty"),
    Row("empty text", [answer("")], UnusableAnswer, "empty"),
    Row("only thoughts", [answer(None, thought="hm", finish="MAX_TOKENS")], UnusableAnswer, "on thinking"),
    Row("safety", [answer(None, finish="SAFETY")], Blocked, "safety filter was triggered (SAFETY)"),
    Row("safety after a start", [answer("[{", finish="SAFETY")], Blocked, "(SAFETY)"),
    Row("recitation", [answer(None, finish="RECITATION")], Blocked, "(RECITATION)"),
    Row("personal data", [answer(None, finish="SPII")], Blocked, "personal data"),
    Row("finished otherwise", [answer(None, finish="OTHER")], UnusableAnswer, "ended with OTHER"),
    Row(
        "prompt blocked", [Step(body={"promptFeedback": {"blockReason": "SAFETY"}})], Blocked, "the question"
    ),
    Row("prompt blocked anew", [Step(body={"promptFeedback": {"blockReason": "NEW"}})], Blocked, "(NEW)"),
    Row("a picture", [answer(None, picture=True)], UnusableAnswer, "a picture instead of masks"),
    Row("prose", [answer("I cannot help with medical images.")], UnusableAnswer, "prose"),
    Row("babble", [FAULTS["babble"]], UnusableAnswer, "repeats itself"),
    Row("box only", [answer(json.dumps([entry()]))], UnusableAnswer, "a box but no mask"),
    Row("tokens", [answer("<start_of_mask><seg_3><seg_99>")], UnusableAnswer, "<seg> tokens"),
    Row("broken base64", [answer(json.dumps([entry("data:image/png;base64,*")]))], UnusableAnswer, "base64"),
    Row("two points", [answer(json.dumps([entry(SQUARE[:2])]))], UnusableAnswer, "fewer than 3"),
    Row(
        "cut off, none whole",
        [answer(fenced([boxed()])[:200], finish="MAX_TOKENS")],
        UnusableAnswer,
        "cut off at max_output_tokens",
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
async def test_each_answer_and_fault_ends_as_its_row_says(
    row: Row,
    segmenter: Segment,
    image: Image,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The right outcome, after the right number of requests, and the key nowhere else."""
    requests = await play(row, segmenter, image, tmp_path, caplog, capfd)
    assert {request.headers["x-goog-api-key"] for request in requests} == {CANARY}
