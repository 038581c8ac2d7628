"""Text in pixels: found, blacked out, looked for again."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.core.image import Array, Image
from omniview.errors import NotAllowed
from omniview.omnimodel.airlock import Airlock
from omniview.omnimodel.burned_in import TextFinder, installed_detector
from omniview.omnimodel.sides import side_of
from omniview.settings import AirlockSettings
from tests.benchmarks.airlock import COVERED, outcome_of, outlines

CLOUD = "https://cloud.example.org"


@pytest.fixture(scope="module")
def finder() -> TextFinder:
    """The installed one, loaded once."""
    model = installed_detector()
    if model is None:
        pytest.skip("the extra ocr is not installed")
    return TextFinder(model, threads=1)


def speckled(shape: tuple[int, int] = (240, 320)) -> Array:
    """Blurred noise, as ultrasound has it: (Y,X,3) uint8."""
    noise = np.random.default_rng(3).normal(70, 60, shape).astype(np.float32)
    grey = np.clip(cv2.GaussianBlur(noise, (0, 0), 2.5) * 1.2, 0, 160).astype(np.uint8)
    return np.asarray(cv2.merge([grey] * 3), np.uint8)


@pytest.mark.parametrize("size", [0.35, 0.5, 1.0])
@pytest.mark.parametrize("light", [150, 255])
def test_a_name_is_blacked_out_and_the_rest_is_kept(finder: TextFinder, size: float, light: int) -> None:
    """Small or large, grey or white: its pixels are black, and most of the picture is as it was."""
    before = speckled()
    written = before.copy()
    cv2.putText(written, "DOE JANE", (90, 120), cv2.FONT_HERSHEY_SIMPLEX, size, (light,) * 3, 1, cv2.LINE_AA)
    letters = np.abs(written.astype(int) - before).max(axis=2) > 40
    done = finder.blacken(written)
    assert done.clean
    assert done.boxes
    assert done.pixels[letters].max() == 0
    assert (done.pixels == written).all(axis=2).mean() > 0.85


def test_ordinary_letters_in_a_low_strip_are_blacked_out(finder: TextFinder) -> None:
    """A strip hardly higher than its text hides it as a large picture would."""
    strip = np.full((90, 800, 3), 20, np.uint8)
    place, font = (200, 50), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, "SMITH JOHN 1961-02-03", place, font, 0.55, (255,) * 3, 1, cv2.LINE_AA)
    done = finder.blacken(strip)
    assert done.clean
    assert done.pixels.max() <= 60


def test_upright_text_is_found_on_a_turned_picture(finder: TextFinder) -> None:
    """A picture that lies on its side still hides its text."""
    written = speckled()
    cv2.putText(written, "DOE 1961-02-03", (60, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 1)
    turned = np.ascontiguousarray(np.rot90(written))
    done = finder.blacken(turned)
    assert (done.pixels.max(axis=2) >= 255).mean() < 0.1 * (turned.max(axis=2) >= 255).mean()


def test_a_picture_without_text_stays_nearly_as_it_is(finder: TextFinder) -> None:
    """Speckle may be taken for letters here and there, but nearly all of it stays."""
    for pixels in (speckled(), np.zeros((200, 300, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        done = finder.blacken(pixels)
        assert done.clean
        assert (done.pixels == pixels).mean() > 0.94


def test_the_same_picture_is_looked_at_once(finder: TextFinder) -> None:
    """All questions about one image share what was found; another image is another matter."""
    first = finder.blacken(speckled())
    assert finder.blacken(speckled()) is first
    assert finder.blacken(speckled()[:-1]) is not first


def test_text_is_gone_from_every_side_that_is_sent(finder: TextFinder, tmp_path: Path) -> None:
    """Mirrored and cropped pictures show the same black boxes, found where the text stood upright."""
    written = speckled()
    cv2.putText(written, "DOE JANE", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,) * 3, 2)
    airlock = Airlock(tmp_path, offline=False, consent_given=True)
    plain = airlock.clear(Image(written), CLOUD, 1024)
    assert plain.text.endswith("blacked out")
    for number in range(4):
        sent = airlock.clear(Image(written), CLOUD, 1024, show=side_of(number).show)
        picture = cv2.imdecode(np.frombuffer(sent.data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        assert picture.max() < 200
        assert sent.blacked == plain.blacked


def test_nothing_leaves_finer_than_text_was_looked_for(tmp_path: Path, finder: TextFinder) -> None:
    """Neither a large picture nor a crop of one; where text may stay, max_side alone counts."""
    large = Image(np.zeros((300, 4096, 3), np.uint8))
    airlock = Airlock(tmp_path, offline=False, consent_given=True)
    assert airlock.clear(large, CLOUD, 4096).placement.size == (150, 2048)

    def cropped(whole: Image) -> Image:
        return Image(whole.pixels[:, :1000])

    assert airlock.clear(large, CLOUD, 4096, show=cropped).placement.size == (150, 500)
    assert airlock.clear(large, CLOUD, 256, show=cropped).placement.size == (77, 256)
    assert airlock.clear(large, "http://127.0.0.1:1", 4096).placement.size == (300, 4096)


def test_refuse_sends_only_pictures_without_text(finder: TextFinder, tmp_path: Path) -> None:
    """One with a name is refused; one without goes."""
    airlock = Airlock(
        tmp_path, offline=False, consent_given=True, settings=AirlockSettings(burned_in_text="refuse")
    )
    plain = np.zeros((200, 300, 3), np.uint8)
    airlock.clear(Image(plain), CLOUD, 1024)
    written = plain.copy()
    cv2.putText(written, "DOE JANE", (50, 100), cv2.FONT_HERSHEY_SIMPLEX, 1, (255,) * 3, 2)
    with pytest.raises(NotAllowed, match="burned-in text"):
        airlock.clear(Image(written), CLOUD, 1024)


def test_the_ocr_package_is_never_run(finder: TextFinder, caplog: pytest.LogCaptureFixture) -> None:
    """Only its network's file is used, so that nothing of it can open a socket or write a log."""
    code = (
        "import sys; from omniview.omnimodel.burned_in import TextFinder, installed_detector;"
        "import numpy as np; TextFinder(installed_detector(), threads=1)"
        ".blacken(np.zeros((64, 64, 3), np.uint8));"
        "print(sorted({'rapidocr', 'requests', 'omegaconf', 'shapely'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
    with caplog.at_level(logging.DEBUG):
        finder.blacken(np.full((50, 60, 3), 9, np.uint8))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("breast_busi", "benign_001.png"),
        ("breast_busi", "benign_236.png"),
        ("breast_busi", "malignant_205.png"),
        ("polyp_kvasir", "cju2syxa93yw40799x2iuwabz.jpg"),
        ("polyp_kvasir", "cju358pwtdby20878cg7nm0np.jpg"),
    ],
)
def test_texts_of_real_pictures_are_covered(
    finder: TextFinder, shared: Path, tmp_path: Path, folder: str, name: str
) -> None:
    """Four in five of the outlined texts at least; all of them are counted by tests.benchmarks.airlock."""
    airlock = Airlock(tmp_path, offline=False, consent_given=True)
    outcome = outcome_of(shared / "data" / folder, name, outlines()[folder][name], airlock)
    assert not outcome.refused
    covered = [share >= COVERED for _, share in outcome.texts]
    assert sum(covered) >= 0.8 * len(covered), outcome
