"""A key and a patient's data are put in, and everything that comes out is searched for them.

The whole program runs as a person starts it, on a real ultrasound file out of pydicom's wheel into whose tags
a name, a number and a date were written, against servers on this machine that answer, fail and misbehave.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from omniview.settings import AirlockSettings, GeminiSettings, OpenAiSettings, Settings
from tests.io.dicom_files import packaged
from tests.networks import write_specialist
from tests.omnimodel.chat_answers import chat
from tests.omnimodel.forms import entry
from tests.omnimodel.loopback import FAULTS, Loopback, Request, Step, answer
from tests.test_cli import omniview

KEY = "CANARYkey0123456789abcdefghijklmnopqr"
PATIENT = {
    "PatientName": "Canaryname^Zebedee",
    "PatientID": "CANARY-ID-4711",
    "PatientBirthDate": "19010203",
    "OtherPatientNames": "Canarymaiden^Zoraida",
    "InstitutionName": "Canaryhospital",
    "AccessionNumber": "CANARYACC99",
    "ReferringPhysicianName": "Canarydoctor^Quentin",
    "StudyDescription": "Canarystudy",
}
_TELLING = 10
"""Characters of base64 that do not come about by chance in a picture."""
_MASKS = json.dumps([entry([[300, 200], [800, 200], [800, 600], [300, 600]])])


@dataclass(frozen=True)
class Provider:
    """How one provider is asked and answers on this machine."""

    name: str
    key_variable: str
    url_variable: str
    path: str
    key_header: str
    good: Step


PROVIDERS = (
    Provider("gemini", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "", "x-goog-api-key", answer(_MASKS)),
    Provider("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1", "authorization", chat(_MASKS)),
)


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    """A real file with somebody's data in its tags, also within a sequence and in a private element."""
    dataset = pydicom.dcmread(packaged("examples_rgb_color.dcm"))
    for name, value in PATIENT.items():
        setattr(dataset, name, value)
    inner = Dataset()
    inner.PatientID = PATIENT["PatientID"]
    dataset.ReferencedPatientSequence = [inner]
    dataset.private_block(0x0011, "CANARYPRIVATE", create=True).add_new(1, "LO", PATIENT["PatientName"])
    path = tmp_path / "images" / "scan.dcm"
    path.parent.mkdir()
    dataset.save_as(path)
    return path


@pytest.fixture
def own_network(own_home: Path) -> Path:
    """A small specialist, and an omnimodel that gives up soon."""
    write_specialist(own_home / "models", "own", input={"geometry": "stretch", "size": [64, 64]})
    own = Settings(
        gemini=GeminiSettings(timeout_s=3),
        openai=OpenAiSettings(timeout_s=3),
        airlock=AirlockSettings(burned_in_text="keep"),
        answers=1,
    )
    own.save()
    return own_home


def _spellings(secret: str) -> Iterator[bytes]:
    """The secret as it may stand in a file: plain, in UTF-16, and in base64 at each of three offsets."""
    for part in {secret, *secret.split("^")}:
        yield part.encode()
        yield part.encode("utf-16-le")
        for offset in range(3):
            # without the characters at both ends, which depend on what stands beside it
            raw = base64.b64encode(b"\0" * offset + part.encode())[4 if offset else 0 : -4]
            if len(raw) >= _TELLING:
                yield raw


def _holds(data: bytes, secret: str) -> bool:
    low = data.lower()
    return any(spelling.lower() in low for spelling in _spellings(secret))


def _searched(folders: tuple[Path, ...], but: Path) -> list[tuple[Path, bytes]]:
    """Every file below, with its name, but the one that was put in."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path != but]
    return [(path, str(path).encode() + path.read_bytes()) for path in found]


def _leaks(requests: list[Request], provider: Provider, secrets: tuple[str, ...]) -> list[str]:
    found = []
    for request in requests:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert KEY in headers.pop(provider.key_header)
        sent = request.path + json.dumps(headers) + json.dumps(request.body)
        found += [secret for secret in secrets if _holds(sent.encode(), secret)]
    return found


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)
@pytest.mark.parametrize("fault", ["", "500", "garbage", "cut", "hang"])
def test_key_and_patient_stay_where_they_are(
    dicom: Path, own_network: Path, tmp_path: Path, provider: Provider, fault: str
) -> None:
    """No output, log, audit, kept answer, request, message or name of a file holds them."""
    step = FAULTS[fault] if fault else provider.good
    out = tmp_path / "out"
    texts: list[str] = []
    with Loopback([step] * 40) as server:
        environment = {
            provider.key_variable: KEY,
            provider.url_variable: server.url + provider.path,
            "PYTHONFAULTHANDLER": "1",
        }
        common = ("--task", "breast", "--omnimodel", provider.name)
        write_specialist(own_network / "models", "breast", task="breast", labels=["lesion"])
        runs: tuple[tuple[str | Path, ...], ...] = (("segment", dicom, "--out", out / "segment", *common),)
        if not fault:
            runs += (
                ("open", dicom, "--screenshot", out / "window.png", *common),
                ("score", dicom.parent, "--out", out / "score", "--masks", *common),
                ("audit", "verify"),
            )
        for run in runs:
            done = omniview(*run, **environment)
            texts += [done.stdout, done.stderr]
        requests = list(server.requests)
    assert requests, texts
    secrets = tuple(PATIENT.values())
    assert _leaks(requests, provider, (*secrets,)) == []
    for request in requests:
        assert not _holds(json.dumps(request.body).encode() + request.path.encode(), KEY)
    everything = _searched((own_network, out), dicom)
    everything += [(Path("terminal"), text.encode()) for text in texts]
    assert any("audit" in path.name for path, _ in everything)
    held = [
        (path.name, secret) for path, data in everything for secret in (KEY, *secrets) if _holds(data, secret)
    ]
    assert held == []


def test_a_defects_traceback_holds_no_secret(dicom: Path, own_network: Path, tmp_path: Path) -> None:
    """A file cut in the middle of its pixels, and settings that break a rule: told without the tags."""
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(dicom.read_bytes()[:-20_000])
    told = [omniview("segment", cut, "--out", tmp_path / "out", "--task", "breast", "--omnimodel", "none")]
    (own_network / "settings.toml").write_text("[gemini]\ntimeout_s = -1\n", "utf-8")
    told.append(omniview("segment", dicom, "--out", tmp_path / "out", GEMINI_API_KEY=KEY))
    assert any(done.returncode for done in told)
    logs = [(path, data) for path, data in _searched((own_network, tmp_path), dicom) if path != cut]
    logs += [(Path("terminal"), (done.stdout + done.stderr).encode()) for done in told]
    assert [(path.name, s) for path, data in logs for s in (KEY, *PATIENT.values()) if _holds(data, s)] == []


def test_the_search_finds_what_is_there() -> None:
    """Plain, in other cases, in UTF-16 and within base64: else the searches above would prove nothing."""
    name = PATIENT["PatientName"]
    for text in (name, name.lower(), "x Zebedee y"):
        assert _holds(text.encode(), name)
    assert _holds("Canaryname".encode("utf-16-le"), name)
    for before in (b"", b"a", b"ab", b"abc"):
        assert _holds(base64.b64encode(before + KEY.encode() + b"tail"), KEY)
    assert not _holds(b"nothing of the kind", name)
