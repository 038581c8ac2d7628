"""Keys, consents and previews, as the window asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import keyring
import keyring.backend
import keyring.backends.fail
import numpy as np
import pytest

from omniview.backing.gate import Gate
from omniview.core.image import Image
from omniview.errors import NotAllowed, OutputError
from omniview.omnimodel.burned_in import installed_detector
from omniview.settings import AirlockSettings, GeminiSettings, Settings, api_key


class Pockets(keyring.backend.KeyringBackend):
    """A keyring that lasts as long as the test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring leaves it untyped
        self._kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        """What was put in."""
        return self._kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Put it in."""
        self._kept[service, username] = password


@pytest.fixture(autouse=True)
def same_keyring() -> Iterator[None]:
    """Whatever keyring a test puts in place is gone after it."""
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


def test_gate_wants_key_and_consent_for_the_cloud() -> None:
    """Without both, both are asked for; what is given is remembered, and can be taken back."""
    keyring.set_keyring(Pockets())
    gate = Gate(Settings, given=False)
    assert gate.wanted("builtin") is None
    wanted = gate.wanted("gemini")
    assert wanted is not None
    assert wanted.key
    assert "googleapis.com" in wanted.consent
    gate.give("gemini", "secret")
    assert gate.wanted("gemini") is None
    assert api_key("gemini") == "secret"
    assert gate.withdraw("gemini")
    assert not gate.withdraw("gemini")
    again = gate.wanted("gemini")
    assert again is not None
    assert not again.key


def test_gate_wants_nothing_more_for_a_loopback_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels that stay on this machine need no consent; a key in the environment is a key."""
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    local = Settings(gemini=GeminiSettings(base_url="http://127.0.0.1:9"))
    assert Gate(lambda: local, given=False).wanted("gemini") is None
    assert Gate(Settings, given=True).wanted("gemini") is None


def test_gate_says_that_there_is_no_keyring() -> None:
    """Where the system keeps no keys, the next step is the environment variable."""
    none = keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]  # keyring leaves it untyped
    keyring.set_keyring(none)
    with pytest.raises(OutputError, match="GEMINI_API_KEY"):
        Gate(Settings, given=False).give("gemini", "secret")


def test_consent_of_the_command_line_cannot_be_withdrawn_unnoticed() -> None:
    """Pixels may leave until the end of a run with --consent, and the window says so."""
    gate = Gate(Settings, given=True)
    with pytest.raises(NotAllowed, match="--consent"):
        gate.withdraw("gemini")
    assert not gate.withdraw("builtin")


def test_gate_tells_which_addresses_are_the_institutions_own() -> None:
    """Only there can burned-in text be kept with the consent."""
    own = Settings(
        gemini=GeminiSettings(base_url="http://10.1.2.3:8080"),
        airlock=AirlockSettings(trusted=("10.0.0.0/8",)),
    )
    wanted = Gate(lambda: own, given=False).wanted("gemini")
    assert wanted is not None
    assert wanted.own
    assert "your own institution" in wanted.consent
    outside = Gate(Settings, given=False)
    assert (there := outside.wanted("gemini")) is not None
    assert not there.own
    with pytest.raises(NotAllowed, match="trusted"):
        outside.give("gemini", "", keep_text=True)


def test_gate_shows_the_very_bytes_and_scales_the_boxes() -> None:
    """A large picture with a name in it: reduced, the name black, and its box where the name was."""
    if installed_detector() is None:
        pytest.skip("the extra ocr is not installed")
    pixels = np.zeros((600, 800, 3), np.uint8)
    cv2.putText(pixels, "DOE JANE 1961", (200, 300), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
    settings = Settings(gemini=GeminiSettings(max_side=400))
    gate = Gate(lambda: settings, given=False)
    assert gate.preview("builtin", Image(pixels)) is None
    preview = gate.preview("gemini", Image(pixels))
    assert preview is not None
    picture = cv2.imdecode(np.frombuffer(preview.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (300, 400, 3)
    assert picture.max() == 0
    assert preview.text == "1 burned-in text blacked out"
    ((x0, y0, x1, y1),) = preview.boxes
    assert 80 < x0 < 105 < 200 < x1 < 260
    assert 120 < y0 < 142 < 150 < y1 < 170
