"""The desktop app from start to end: in this process offscreen, and as a real window under Xvfb."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from omniview.app import start
from omniview.errors import InputError, OutputError, SettingsError, UnreadableFile
from omniview.ui.window import Window
from tests.ui.parts import OtsuModels, pixels_of

_CHILD = """
import sys
from pathlib import Path
from PyQt6.QtGui import QGuiApplication
from omniview.app import start
from tests.ui.parts import OtsuModels
code = start(OtsuModels(), screenshot=Path(sys.argv[1]), masks=Path(sys.argv[2]), sample="polyp-phantom")
print(QGuiApplication.platformName())
sys.exit(code)
"""


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    """A bright square on dark ground."""
    pixels = np.full((60, 80, 3), 30, np.uint8)
    pixels[20:40, 30:60] = 210
    cv2.imwrite(str(tmp_path / "blob.png"), pixels)
    return tmp_path / "blob.png"


def _colours(path: Path) -> int:
    return len(np.unique(pixels_of(path)[..., :3].reshape(-1, 3), axis=0))


def test_screenshot_run(qapp: QApplication, blob: Path, tmp_path: Path) -> None:
    """With --screenshot the window's picture and the masks are written, and the models are closed."""
    models, picture = OtsuModels(), tmp_path / "new" / "a.png"
    assert start(models, [blob], screenshot=picture, masks=tmp_path / "out") == 0
    assert pixels_of(picture).shape[:2] == (1000, 1600)
    assert _colours(picture) > 100
    mask = pixels_of(tmp_path / "out" / "blob.specialist.png")
    assert mask.shape == (60, 80)
    assert (mask[21:39, 31:59] == 255).all()
    assert models.closed


def test_unreadable_image_is_told_on_stderr(
    qapp: QApplication, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 1 and the message names the file."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    assert start(OtsuModels(), [broken], screenshot=tmp_path / "a.png") == 1
    assert "broken.png" in capsys.readouterr().err


def test_run_without_any_mask_fails(
    qapp: QApplication, blob: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If every model failed the exit status is 1 and each reason is on stderr."""
    models = OtsuModels()
    for part in models.parts:
        part.error = UnreadableFile(f"{part.name} cannot.", "Mend it.")
    assert start(models, [blob], screenshot=tmp_path / "a.png") == 1
    told = capsys.readouterr().err
    assert "otsu-special cannot." in told
    assert "otsu-general cannot." in told


def test_closing_the_window_ends_everything(qapp: QApplication, blob: Path) -> None:
    """Closed in the middle of an analysis, the app stops the models and returns."""
    models = OtsuModels()
    models.parts[1].delay_s = 60

    def close() -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, Window) and models.parts[1].asked:
                widget.close()
                timer.stop()

    timer = QTimer()
    timer.timeout.connect(close)
    timer.start(20)
    assert start(models, [blob]) == 0
    assert models.parts[1].cancelled == 1
    assert models.closed


def test_error_in_a_slot_is_logged_and_the_window_lives(
    qapp: QApplication, blob: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PyQt would end the process; the person would lose the case."""

    def fail() -> None:
        raise RuntimeError("a slot went wrong")

    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(fail)
    timer.start(0)
    assert start(OtsuModels(), [blob], screenshot=tmp_path / "a.png") == 0
    assert "a slot went wrong" in caplog.text


def test_picture_that_cannot_be_written_is_told(qapp: QApplication, blob: Path, tmp_path: Path) -> None:
    """A name that is no picture's is refused in words."""
    with pytest.raises(OutputError, match="could not be written"):
        start(OtsuModels(), [blob], screenshot=tmp_path / "a.nothing")


@pytest.mark.parametrize("chosen", [{"task": "teeth"}, {"sample": "nothing"}])
def test_unknown_names_are_refused_before_a_window_opens(chosen: dict[str, Any]) -> None:
    """The message offers what there is."""
    with pytest.raises(InputError, match="Choose one of") as caught:
        start(OtsuModels(), **chosen)
    assert "polyp" in str(caught.value)


def test_real_window(tmp_path: Path) -> None:
    """Under an X server the window opens on the platform `xcb`, and its picture shows the case."""
    server = shutil.which("xvfb-run")
    if server is None:
        pytest.skip("xvfb-run is not installed (Debian: apt-get install xvfb)")
    environment = {k: v for k, v in os.environ.items() if k not in ("QT_QPA_PLATFORM", "DISPLAY")}
    root = Path(__file__).resolve().parents[1]
    picture = tmp_path / "a.png"
    command = [server, "-a", "-s", "-screen 0 1920x1200x24", sys.executable, "-c", _CHILD]
    done = subprocess.run(
        [*command, str(picture), str(tmp_path / "out")],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("xcb"), done.stdout + done.stderr
    assert _colours(picture) > 1000
    assert len(list((tmp_path / "out").glob("*.fused.png"))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to every process of the console")
def test_ctrl_c_ends_the_window(qapp: QApplication, blob: Path) -> None:
    """Ctrl-C in the terminal stops the models and gives the shell's status, though nobody moves the mouse."""
    models = OtsuModels()
    models.parts[1].delay_s = 60
    late = QTimer()
    late.setSingleShot(True)
    late.timeout.connect(QApplication.closeAllWindows)  # so that a window that does not listen ends the test
    late.start(20_000)
    ctrl_c = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    try:
        assert start(models, [blob]) == 130
    finally:
        ctrl_c.join()
        late.stop()
    assert models.closed
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_truth_that_does_not_fit_fails_a_screenshot_run(
    qapp: QApplication, blob: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The picture is written without scores, the status is 1, and both sizes are told."""
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((7, 9), np.uint8))
    assert start(OtsuModels(), [blob], truth=tmp_path / "other.png", screenshot=tmp_path / "a.png") == 1
    told = capsys.readouterr().err
    assert "9x7" in told
    assert "80x60" in told
    assert _colours(tmp_path / "a.png") > 100


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a screen")
def test_window_without_a_screen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invisible window would wait for ever; the next step is --screenshot."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="--screenshot"):
        start(OtsuModels())
