"""Gemini on Vertex AI: signed in by Google's credentials, asked in a project and a region.

The sign-in is real, with a service account whose key was made here, at a token server on this machine.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from omniview.core.image import Image
from omniview.core.task import TASKS
from omniview.errors import MissingKey, NotAllowed, OmnimodelError, SettingsError, Unreachable
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.asking import CloudSegmenter
from omniview.omnimodel.audit import Audit
from omniview.omnimodel.circuit import Circuit
from omniview.omnimodel.clouds import key_wanted
from omniview.omnimodel.connection import check_connection
from omniview.omnimodel.gemini import gemini_calls, gemini_endpoint
from omniview.settings import GeminiSettings, Settings
from tests.omnimodel.forms import boxed, fenced
from tests.omnimodel.loopback import Loopback, Request, Step, answer, refusal

GRANTED = "ya29.CANARY-token_0123456789abcdefghijklm"
CLOSE = {"Connection": "close"}
PNG = answer(fenced([boxed()]))


def signed_in(then: Step) -> Callable[[Request], Step]:
    """A server that hands out the token, and answers with `then` to whoever has it."""

    def script(request: Request) -> Step:
        if request.path == "/token":
            return Step(200, {"access_token": GRANTED, "expires_in": 3600}, CLOSE)
        assert {k.lower(): v for k, v in request.headers.items()}["authorization"] == f"Bearer {GRANTED}"
        return then

    return script


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Application default credentials: a service account's file, its token server not yet set."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    return tmp_path / "account.json"


def write_account(path: Path, url: str) -> str:
    """Write the file, for a token server at `url`; the private key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "project_id": "other-project",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "omniview@other-project.iam.gserviceaccount.com",
        "token_uri": f"{url}/token",
    }
    path.write_text(json.dumps(account), "utf-8")
    return pem


def segmenter(url: str, home: Path) -> CloudSegmenter:
    """Gemini in a project of Vertex AI."""
    settings = GeminiSettings(
        model="gemini-test",
        base_url=url,
        vertex_project="my-project",
        vertex_location="europe-west4",
        timeout_s=10,
    )
    calls = gemini_calls(
        settings,
        lambda: pytest.fail("no API key is looked for"),
        airlock=Airlock(home, offline=False),
        audit=Audit(home),
        circuit=Circuit(),
        first_pause_s=0.01,
    )
    return CloudSegmenter(calls, answers=1)


async def test_a_project_is_asked_with_a_token(
    image: Image, tmp_path: Path, account: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One sign-in, one question to the region's path, and neither key nor token anywhere else."""
    caplog.set_level(logging.DEBUG)
    with Loopback(signed_in(PNG)) as server:
        pem = write_account(account, server.url)
        omnimodel = segmenter(server.url, tmp_path)
        found = await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
        token, asked = server.requests
    assert found.mask.any()
    assert token.path == "/token"
    assert asked.path == (
        "/v1beta1/projects/my-project/locations/europe-west4/publishers/google/models/"
        "gemini-test:generateContent"
    )
    written = caplog.text + (tmp_path / "audit.jsonl").read_text("utf-8") + repr(found.provenance)
    assert "CANARY" not in written
    assert pem.splitlines()[1] not in written


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (
            refusal(403, "PERMISSION_DENIED", f"no {GRANTED}"),
            MissingKey,
            "does not accept Google's credentials of this machine (403)",
        ),
        (refusal(404, "NOT_FOUND", "Publisher Model was not found"), Unreachable, "no model gemini-test"),
    ],
)
async def test_a_project_that_refuses_says_why(
    step: Step, error: type[OmnimodelError], says: str, image: Image, tmp_path: Path, account: Path
) -> None:
    """In words, without the token."""
    with Loopback(signed_in(step)) as server:
        write_account(account, server.url)
        omnimodel = segmenter(server.url, tmp_path)
        with pytest.raises(error) as caught:
            await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
    assert says in str(caught.value)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


async def test_a_sign_in_that_is_refused_says_what_to_do(image: Image, tmp_path: Path, account: Path) -> None:
    """The credentials are named, and nothing of theirs is in the message."""
    with Loopback([Step(400, {"error": "invalid_grant", "error_description": GRANTED}, CLOSE)]) as server:
        write_account(account, server.url)
        omnimodel = segmenter(server.url, tmp_path)
        with pytest.raises(MissingKey, match="credentials for Vertex AI") as caught:
            await omnimodel.segment(image, TASKS["polyp"])
        await omnimodel.close()
        assert {request.path for request in server.requests} == {"/token"}
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


async def test_missing_credentials_say_what_to_do(image: Image, tmp_path: Path, account: Path) -> None:
    """The file that the environment names is not there."""
    omnimodel = segmenter("http://127.0.0.1:9", tmp_path)
    with pytest.raises(MissingKey, match="credentials for Vertex AI"):
        await omnimodel.segment(image, TASKS["polyp"])
    await omnimodel.close()


async def test_a_sign_in_that_cannot_be_reached_is_an_outage(
    image: Image, tmp_path: Path, account: Path
) -> None:
    """Not a matter of credentials."""
    write_account(account, "http://127.0.0.1:9")
    omnimodel = segmenter("http://127.0.0.1:9", tmp_path)
    with pytest.raises(Unreachable, match="sign-in cannot be reached"):
        await omnimodel.segment(image, TASKS["polyp"])
    await omnimodel.close()


async def test_the_connection_test_signs_in_too(tmp_path: Path, account: Path) -> None:
    """Without an API key, and lists the models that Google publishes."""
    listed = Step(body={"publisherModels": [{"name": "publishers/google/models/gemini-test"}]})
    with Loopback(signed_in(listed)) as server:
        write_account(account, server.url)
        settings = Settings(
            gemini=GeminiSettings(model="gemini-test", base_url=server.url, vertex_project="my-project")
        )
        done = await check_connection(
            "gemini", settings, lambda _: None, audit=Audit(tmp_path), offline=False
        )
    steps = {one.what: one.verdict for one in done}
    assert steps == {
        **dict.fromkeys(("Address", "Name", "Connection", "Interface", "Model"), "works"),
        "API key": "unknown",
    }


@pytest.mark.parametrize(
    ("project", "location", "endpoint"),
    [
        (None, None, "https://generativelanguage.googleapis.com"),
        ("p", None, "https://aiplatform.googleapis.com"),
        ("p", "global", "https://aiplatform.googleapis.com"),
        ("p", "europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ("p", "eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_a_consent_is_for_the_region(
    project: str | None, location: str | None, endpoint: str, tmp_path: Path
) -> None:
    """Who agreed to Frankfurt has not agreed to the rest of the world."""
    settings = GeminiSettings(vertex_project=project, vertex_location=location)
    assert gemini_endpoint(settings) == endpoint
    airlock = Airlock(tmp_path, offline=False)
    airlock.grant(endpoint, "dialog")
    airlock.check(endpoint)
    with pytest.raises(NotAllowed):
        airlock.check("https://us-central1-aiplatform.googleapis.com")


@pytest.mark.parametrize(
    "values",
    [
        {"vertex_location": "eu"},
        {"vertex_project": "p", "vertex_location": "evil.example/"},
        {"vertex_project": "../../other"},
    ],
)
def test_what_ends_up_in_an_address_is_checked(values: dict[str, str]) -> None:
    """A region cannot lead elsewhere, and none is silently left out."""
    with pytest.raises(SettingsError, match="vertex"):
        Settings().changed(gemini=values)


def test_vertex_wants_no_key() -> None:
    """Credentials of the machine take its place."""
    assert key_wanted("gemini", Settings(gemini=GeminiSettings(vertex_project="p"))) is None
    assert key_wanted("gemini", Settings()) is not None
