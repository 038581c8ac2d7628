"""What may leave, what it looks like, and what a person agreed to."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import cv2
import numpy as np
import pytest

from omniview.core.image import Image
from omniview.errors import NotAllowed, OutputError
from omniview.omnimodel.airlock import Airlock, is_loopback, origin
from omniview.settings import AirlockSettings

CLOUD = "https://cloud.example.org"
HERE = "http://127.0.0.1:8080"


def opened(folder: Path, *, consent_given: bool = False) -> Airlock:
    """An airlock that is not offline."""
    return Airlock(folder, offline=False, consent_given=consent_given)


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


@pytest.mark.parametrize("content", ["{", "[1]", "[null]", '[{"endpoint": 1}]', "7"])
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


def test_the_consent_text_tells_what_matters(tmp_path: Path) -> None:
    """Address, what leaves, burned-in text, no medical device; a warning where nothing is encrypted."""
    text = opened(tmp_path).consent_text(CLOUD)
    for words in ("cloud.example.org", "pixels", "Burned-in text", "not a medical device"):
        assert words in text
    assert "encrypted" not in text
    assert "NOT encrypted" in opened(tmp_path).consent_text("http://10.0.0.3")
    assert "encrypted" not in opened(tmp_path).consent_text(HERE)


def test_the_consent_text_tells_what_leaves_beside_pixels(tmp_path: Path) -> None:
    """The kind of image, a region's outline, and the specialist's findings where they are told."""
    blind, informed = (opened(tmp_path).consent_text(CLOUD, informed=told) for told in (False, True))
    for text in (blind, informed):
        assert "kind of image" in text
        assert "outline is drawn" in text
    assert "masks, results" in blind
    assert "What the specialist found leaves too, in words (boxes, areas, predicted Dice)" in informed
    assert "results" not in informed


@pytest.mark.parametrize(
    ("settings", "here", "words"),
    [
        (AirlockSettings(), False, "OCR is not installed"),
        (AirlockSettings(), True, "blacked out"),
        (AirlockSettings(burned_in_text="keep"), True, "KEPT"),
        (AirlockSettings(burned_in_text="refuse"), True, "is not sent"),
    ],
)
def test_the_consent_text_is_true_of_burned_in_text(
    tmp_path: Path, settings: AirlockSettings, here: bool, words: str
) -> None:
    """What is said is what will be done, by what is set and what is installed."""
    airlock = Airlock(tmp_path, offline=False, settings=settings, detector=lambda: tmp_path if here else None)
    assert words in airlock.consent_text(CLOUD)


def test_without_ocr_nothing_goes_outside_unless_somebody_said_keep(tmp_path: Path) -> None:
    """The next step names the extra and the setting; loopback and "keep" go, and say what was not done."""
    image = Image(np.full((40, 50, 3), 90, np.uint8))
    airlock = Airlock(tmp_path, offline=False, consent_given=True, detector=lambda: None)
    with pytest.raises(NotAllowed, match="OCR") as caught:
        airlock.clear(image, CLOUD, 1024)
    assert "omniview[ocr]" in caught.value.next_step
    assert "pip install" not in caught.value.next_step  # goes into results: no path of this machine
    assert '"keep"' in caught.value.next_step
    assert airlock.clear(image, HERE, 1024).text == ""
    kept = Airlock(
        tmp_path,
        offline=False,
        consent_given=True,
        settings=AirlockSettings(burned_in_text="keep"),
        detector=lambda: None,
    ).clear(image, CLOUD, 1024)
    assert "KEPT" in kept.text
    assert kept.blacked == ()


def test_a_preview_sends_nothing_and_needs_no_consent(tmp_path: Path) -> None:
    """It holds the bytes that would leave, says that OCR is missing, and names no consent."""
    image = Image(np.full((40, 50, 3), 90, np.uint8))
    for offline in (False, True):
        airlock = Airlock(tmp_path, offline=offline, detector=lambda: None)
        preview = airlock.preview(image, CLOUD, 1024)
        assert preview.consent == ""
        assert "OCR is not installed" in preview.text
        assert preview.data == airlock.preview(image, HERE, 1024).data


@pytest.mark.parametrize(
    ("address", "trust"),
    [
        ("http://10.9.8.7:11434", "trusted"),
        ("https://PACS.hospital.local/v1", "trusted"),
        ("http://[fd00::7]:80", "trusted"),
        ("http://11.9.8.7", "outside"),
        ("https://pacs.hospital.local.example.org", "outside"),
        ("https://cloud.example.org", "outside"),
        (HERE, "loopback"),
    ],
)
def test_trust_is_told_by_the_literal_address(tmp_path: Path, address: str, trust: str) -> None:
    """Networks hold literal addresses, names only themselves; nothing is looked up."""
    trusted = AirlockSettings(trusted=("10.0.0.0/8", "pacs.hospital.local", "fd00::/8"))
    assert Airlock(tmp_path, offline=False, settings=trusted).trust(address) == trust


def test_a_trusted_address_wants_a_consent_and_may_keep_text(tmp_path: Path) -> None:
    """Text goes there only if the person said so, and no longer once the address is not trusted."""
    own = "http://10.9.8.7:11434"
    image = Image(np.full((40, 50, 3), 90, np.uint8))
    trusted = AirlockSettings(trusted=("10.0.0.0/8",))
    airlock = Airlock(tmp_path, offline=False, settings=trusted, detector=lambda: None)
    with pytest.raises(NotAllowed, match="agreed"):
        airlock.clear(image, own, 1024)
    airlock.grant(own, "dialog")
    with pytest.raises(NotAllowed, match="OCR"):
        airlock.clear(image, own, 1024)
    airlock.grant(own, "dialog", keep_text=True)
    assert airlock.consents()[0].keep_text
    assert airlock.clear(image, own, 1024).consent.startswith("dialog")
    assert airlock.clear(image, own, 1024).text.startswith("Burned-in text is kept")
    with pytest.raises(NotAllowed, match="OCR"):
        Airlock(tmp_path, offline=False, detector=lambda: None).clear(image, own, 1024)
    with pytest.raises(NotAllowed, match="trusted"):
        airlock.grant(CLOUD, "dialog", keep_text=True)


def test_consents_withdrawn_at_once_are_all_gone(tmp_path: Path) -> None:
    """None comes back because another withdrawal had read the list before."""
    places = [f"https://{n}.example.org" for n in range(8)]
    for _ in range(10):
        for place in places:
            opened(tmp_path).grant(place, "dialog")
        together = Barrier(len(places))

        def withdraw(place: str, together: Barrier = together) -> bool:
            together.wait(10)
            return opened(tmp_path).revoke(place)

        with ThreadPoolExecutor(len(places)) as pool:
            assert all(pool.map(withdraw, places))
        assert opened(tmp_path).consents() == ()


def test_the_file_of_consents_names_nobody(tmp_path: Path) -> None:
    """Endpoint, time and way: nothing about the person."""
    opened(tmp_path).grant(CLOUD, "dialog")
    (entry,) = json.loads((tmp_path / "consents.json").read_text("utf-8"))
    assert set(entry) == {"endpoint", "when", "how"}
