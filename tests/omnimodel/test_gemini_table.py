"""Named answers and faults through the real SDK: each ends as its row says."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.core.image import Image
from omniview.errors import Blocked, MissingKey, Unreachable, UnusableAnswer
from tests.omnimodel.conftest import CANARY
from tests.omnimodel.forms import BOMB, boxed, disc, encoded, entry, fenced, png64
from tests.omnimodel.loopback import FAULTS, Step, answer, refusal
from tests.omnimodel.table import Row, Segment, play

PNG = answer(fenced([boxed()]))
SQUARE = [[300, 200], [800, 200], [800, 600], [300, 600]]
OUTLINE = answer(json.dumps([entry(SQUARE)]))
TOKENS = answer("<start_of_mask><seg_3><seg_99>")
PAINT = {"mask_style": "picture"}
BLACK = np.zeros((200, 300), np.uint8)
ELLIPSE = np.asarray(cv2.ellipse(BLACK.copy(), (110, 60), (60, 30), 10, 0, 360, 255, -1), np.uint8)
RED = np.asarray(cv2.resize(np.dstack([ELLIPSE, BLACK, BLACK]), (1200, 800)), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
# the fixture's picture as a model would colour it in
OVERLAID = np.full((200, 300, 3), 90, np.uint8)
OVERLAID[20:80, 30:120] = (255, 60, 60)
LATER = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
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
    Row("reset in mid body once", [Step(body=PNG.body, fault="reset_mid_body"), PNG], requests=2),
    Row("nonsense for HTTP once", [Step(fault="nonsense"), PNG], requests=2),
    Row("gzip", [Step(body=gzip.compress(PNG.encoded()), headers={"Content-Encoding": "gzip"})]),
    Row("called plain text", [Step(body=PNG.body, headers={"Content-Type": "text/plain; charset=latin-1"})]),
    Row("called a picture", [Step(body=PNG.body, headers={"Content-Type": "image/png"})]),
    Row("no content type", [Step(body=PNG.body, headers={"Content-Type": ""})]),
    Row("a success that is not 200", [Step(status=203, body=PNG.body)], Unreachable, "(203)"),
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
    Row("408 once", [refusal(408, "X", "Took too long"), PNG], requests=2),
    Row("502 in HTML", [Step(502, b"<html>bad gateway</html>")], Unreachable, "server failed (502)", 3),
    Row("504", [refusal(504, "DEADLINE_EXCEEDED", "Deadline")], Unreachable, "server failed (504)", 3),
    Row("501", [refusal(501, "UNIMPLEMENTED", "Not here")], Unreachable, "refused the request (501)"),
    Row(
        "429 until a date", [refusal(429, "X", "slow", {"Retry-After": LATER})], Unreachable, "asks to wait 3"
    ),
    Row(
        "503 until a date",
        [refusal(503, "X", "maintenance", {"Retry-After": LATER})],
        Unreachable,
        "longer than the deadline",
    ),
    Row("301", [Step(301, b"", {"Location": "https://example.invalid/"})], Unreachable, "elsewhere (301)"),
    Row("307", [Step(307, b"", {"Location": "/v1beta/other"})], Unreachable, "elsewhere (307)"),
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
    Row("nonsense for HTTP", [Step(fault="nonsense")], Unreachable, "cut before the answer", 3),
    Row(
        "byte by byte",
        [Step(body=PNG.body, fault="drip")],
        Unreachable,
        "no answer within 0.5 s",
        settings={"timeout_s": 0.5},
    ),
    Row(
        "TLS to a plain port",
        [PNG],
        Unreachable,
        "no connection. Tried 3",
        requests=0,
        departures=3,
        scheme="https",
    ),
    # the body is not an answer
    Row("garbage", [FAULTS["garbage"]], UnusableAnswer, "not an answer of the Gemini interface"),
    Row("body of another kind", [Step(body=b"[1, 2]")], UnusableAnswer, ""),
    Row("null body", [Step(body=b"null")], UnusableAnswer, "empty"),
    Row("no body", [Step(body=b"")], UnusableAnswer, ""),
    Row("wrong types", [Step(body={"candidates": [{"content": 7}]})], UnusableAnswer, ""),
    Row("endless body", [Step(fault="endless")], UnusableAnswer, "not an answer of the Gemini interface"),
    Row(
        "gzip bomb",
        [Step(body=gzip.compress(bytes(100_000_000), 1), headers={"Content-Encoding": "gzip"})],
        UnusableAnswer,
        "not an answer of the Gemini interface",
    ),
    Row(
        "half a gzip",
        [Step(body=gzip.compress(PNG.encoded())[:-60], headers={"Content-Encoding": "gzip"})],
        UnusableAnswer,
        "not an answer of the Gemini interface",
    ),
    Row(
        "packed otherwise",
        [Step(body=bytes(range(256)), headers={"Content-Encoding": "br"})],
        UnusableAnswer,
        "",
    ),
    Row("deep nesting", [Step(body=b"[" * 200_000)], UnusableAnswer, ""),
    Row("a number of a million digits", [Step(body=b"9" * 1_000_000)], UnusableAnswer, ""),
    Row("half of UTF-8", [Step(body=b'{"candidates": "\xc3')], UnusableAnswer, ""),
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
    # a picture in place of text
    Row("painted", [answer(None, picture=encoded(ELLIPSE))], says="painted as a picture", settings=PAINT),
    Row("painted, unasked", [answer("Here it is!", picture=encoded(ELLIPSE))], says="painted as a picture"),
    Row("painted as JPEG", [answer(None, picture=encoded(ELLIPSE, ".jpg"))], says="painted", settings=PAINT),
    Row(
        "painted in red, large",
        [answer(None, picture=encoded(RED))],
        says="painted as a picture",
        settings=PAINT,
    ),
    Row(
        "painted all black",
        [answer(None, picture=encoded(BLACK))],
        says="nothing to outline",
        settings=PAINT,
        empty=True,
    ),
    Row(
        "painted over",
        [answer(None, picture=encoded(OVERLAID))],
        says="painted over the picture",
        settings=PAINT,
    ),
    Row("masks in words beside a picture", [answer(fenced([boxed()]), picture=encoded(OVERLAID))]),
    Row(
        "painted all white",
        [answer(None, picture=encoded(~BLACK))],
        UnusableAnswer,
        "one colour all over",
        settings=PAINT,
    ),
    Row(
        "painted square",
        [answer(None, picture=encoded(disc(256)))],
        UnusableAnswer,
        "256x256 pixels does not fit a picture of 300x200",
        settings=PAINT,
    ),
    Row(
        "another picture",
        [answer(None, picture=encoded(NOISE))],
        UnusableAnswer,
        "neither a mask nor our picture",
        settings=PAINT,
    ),
    Row("half a picture", [answer(None, picture=encoded(ELLIPSE)[:200])], UnusableAnswer, "cut off or dam"),
    Row("a picture of 9 bytes", [answer(None, picture=bytes(9))], UnusableAnswer, "unknown kind"),
    Row("a picture that is a bomb", [answer(None, picture=b64decode(BOMB))], UnusableAnswer, "60000x60000"),
    Row("prose", [answer("I cannot help with medical images.")], UnusableAnswer, "prose"),
    Row("babble", [FAULTS["babble"]], UnusableAnswer, "repeats itself"),
    Row("box only", [answer(json.dumps([entry()]))], UnusableAnswer, "a box but no mask"),
    Row("tokens", [TOKENS], UnusableAnswer, "<seg> tokens", requests=2, calls=2),
    Row(
        "tokens, then a polygon", [TOKENS, OUTLINE], says="asked once more for a polygon", requests=2, calls=2
    ),
    Row(
        "tokens for a polygon, then PNG",
        [answer(json.dumps([entry("<start_of_mask><seg_3>")])), PNG],
        says="asked once more for a png",
        requests=2,
        calls=2,
        settings={"mask_style": "polygon"},
    ),
    Row(
        "tokens, then 503",
        [TOKENS, *[FAULTS["503"]] * 3],
        Unreachable,
        "(503)",
        requests=4,
        calls=2,
    ),
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
    assert {request.headers["x-goog-api-key"] for request in requests} <= {CANARY}
