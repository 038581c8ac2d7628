"""What may leave, what it looks like, and what a person agreed to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.core.image import Image
from omniview.errors import NotAllowed, OutputError
from omniview.omnimodel.airlock import Airlock, consent_text, is_loopback, origin

CLOUD = "https://cloud.example.org"
HERE = "http://127.0.0.1:8080"


def opened(folder: Path, **more: bool) -> Airlock:
    """An airlock that is not offline."""
    return Airlock(folder, offline=False, **more)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:1234/v1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80", True),
        ("http://localhost:11434", True),
        ("HTTP://LocalHost", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://192.168.0.7", False),
        ("http://0.0.0.0", False),
        ("https://generativelanguage.googleapis.com", False),
        ("http://2130706433", False),
    ],
)
def test_loopback_is_told_by_the_literal_address(address: str, local: bool) -> None:
    """Names that only look local, and odd spellings, are somewhere else."""
    assert is_loopback(address) == local


@pytest.mark.parametrize(
    "address",
    [
        "", "cloud.example.org", "ftp://cloud.example.org", "http://", "http://127.0.0.1@evil.example",
        "http://127.0.0.1\\@evil.example", "http://127.0.0.1:99999", "http://a b", "http://a\nb",
        "http://[::1", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_odd_addresses_are_refused(address: str, tmp_path: Path) -> None:
    """What two programs may read differently is not an address for patients' images."""
    with pytest.raises(NotAllowed, match="address"):
        origin(address)
    with pytest.raises(NotAllowed):
        opened(tmp_path, consent_given=True).check(address)


def test_an_endpoint_is_scheme_host_and_port() -> None:
    """Path and spelling do not make another endpoint; port and scheme do."""
    assert origin("HTTPS://Cloud.Example.org/v1/x?y") == origin(CLOUD) == "https://cloud.example.org:443"
    assert len({origin(u) for u in (CLOUD, f"{CLOUD}:8443", "http://cloud.example.org")}) == 3


def test_offline_refuses_everything(tmp_path: Path) -> None:
    """Offline beats loopback, a stored consent and --consent."""
    opened(tmp_path).grant(CLOUD, "dialog")
    airlock = Airlock(tmp_path, offline=True, consent_given=True)
    for address in (CLOUD, HERE):
        with pytest.raises(NotAllowed, match="offline") as caught:
            airlock.check(address)
        assert caught.value.next_step


def test_consent_is_for_one_endpoint_and_can_be_withdrawn(tmp_path: Path) -> None:
    """Granted, remembered by another airlock of the same home, listed, revoked."""
    with pytest.raises(NotAllowed, match="agreed"):
        opened(tmp_path).check(CLOUD)
    consent = opened(tmp_path).grant(f"{CLOUD}/v1beta", "dialog")
    again = opened(tmp_path)
    assert again.check(CLOUD) == f"dialog {consent.when}"
    assert again.consents() == (consent,)
    with pytest.raises(NotAllowed):
        again.check(f"{CLOUD}:8443")
    again.grant(CLOUD, "command line")
    assert [c.how for c in again.consents()] == ["command line"]
    assert again.revoke(CLOUD)
    assert not again.revoke(CLOUD)
    with pytest.raises(NotAllowed):
        again.check(CLOUD)


def test_consent_on_the_command_line_is_for_this_run(tmp_path: Path) -> None:
    """--consent lets pixels leave and is not remembered."""
    assert opened(tmp_path, consent_given=True).check(CLOUD) == "command line, this run"
    assert opened(tmp_path).consents() == ()
    assert opened(tmp_path).check(HERE) == "loopback"


@pytest.mark.parametrize("content", ["{", "[1]", '[{"endpoint": 1}]', "7"])
def test_a_damaged_list_of_consents_allows_nothing(tmp_path: Path, content: str) -> None:
    """What cannot be read is no consent."""
    (tmp_path / "consents.json").write_text(content, "utf-8")
    with pytest.raises(NotAllowed, match=r"consents .* cannot be read"):
        opened(tmp_path).check(CLOUD)


def test_a_consent_that_cannot_be_saved_is_said(tmp_path: Path) -> None:
    """A full or locked home is not taken for a consent."""
    file = tmp_path / "home"
    file.write_text("not a folder", "utf-8")
    with pytest.raises((OutputError, NotAllowed)):
        opened(file).grant(CLOUD, "dialog")


def test_only_pixels_are_encoded(tmp_path: Path) -> None:
    """A small picture leaves as a PNG without any metadata, pixel for pixel."""
    pixels = np.random.default_rng(1).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    image = Image(pixels, name="CANARY", source="CANARY", spacing_mm=(0.1, 0.1))
    departure = opened(tmp_path).clear(image, HERE, 1024)
    assert departure.mime == "image/png"
    assert departure.placement.shape == departure.placement.size == (60, 90)
    assert hashlib.sha256(departure.data).hexdigest() == departure.sha256
    assert b"CANARY" not in departure.data
    kinds, at = [], 8
    while at < len(departure.data):
        length = int.from_bytes(departure.data[at : at + 4])
        kinds.append(departure.data[at + 4 : at + 8])
        at += length + 12
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
    back = cv2.imdecode(np.frombuffer(departure.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(back, pixels)


def test_large_pictures_are_reduced_and_go_as_jpeg(tmp_path: Path) -> None:
    """Noise of 3000 x 2000 leaves as a JPEG of 1024 x 683 with nothing but its own markers."""
    pixels = np.random.default_rng(1).integers(0, 255, (2000, 3000, 3), dtype=np.uint8)
    departure = opened(tmp_path).clear(Image(pixels), HERE, 1024)
    assert departure.mime == "image/jpeg"
    assert departure.placement.shape == (2000, 3000)
    assert departure.placement.size == (683, 1024)
    back = cv2.imdecode(np.frombuffer(departure.data, np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back.shape == (683, 1024, 3)
    for marker in (b"Exif", b"http", b"Photoshop", b"ICC_PROFILE"):
        assert marker not in departure.data


def test_nothing_is_enlarged(tmp_path: Path) -> None:
    """A picture below max_side is sent as it is, to the last column."""
    departure = opened(tmp_path).clear(Image(np.zeros((7, 5, 1), np.uint8)), HERE, 64)
    assert departure.placement.size == (7, 5)


def test_the_consent_text_tells_what_matters() -> None:
    """Address, what leaves, burned-in text, no medical device; a warning where nothing is encrypted."""
    text = consent_text(CLOUD)
    for words in ("cloud.example.org", "pixels", "burned into", "NOT removed", "not a medical device"):
        assert words in text
    assert "encrypted" not in text
    assert "NOT encrypted" in consent_text("http://10.0.0.3")
    assert "encrypted" not in consent_text(HERE)


def test_the_file_of_consents_names_nobody(tmp_path: Path) -> None:
    """Endpoint, time and way: nothing about the person."""
    opened(tmp_path).grant(CLOUD, "dialog")
    (entry,) = json.loads((tmp_path / "consents.json").read_text("utf-8"))
    assert set(entry) == {"endpoint", "when", "how"}
