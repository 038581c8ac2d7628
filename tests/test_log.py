from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniview import log

SECRET = "AIza" + "B7" * 18  # the shape of a Google key, made up


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Whatever a test opens is closed again."""
    yield
    log.stop()


def text_of(home: Path) -> str:
    """What the log of this home says."""
    return (home / "logs" / "omniview.log").read_text("utf-8")


def test_only_omniview_is_written(tmp_path: Path) -> None:
    """Other libraries' lines may hold addresses and DICOM elements; ours carry level and name."""
    assert log.start(tmp_path) == tmp_path / "logs" / "omniview.log"
    logging.getLogger("omniview.io").info("read %d frames", 3)
    logging.getLogger("omniview.io").debug("too fine")
    logging.getLogger("pydicom").info("PatientName: Doe")
    assert "INFO omniview.io: read 3 frames" in text_of(tmp_path)
    assert len(text_of(tmp_path).splitlines()) == 1


def test_verbose_writes_more_and_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `verbose` debug lines are written, on stderr too, and never on stdout."""
    log.start(tmp_path, verbose=True)
    logging.getLogger("omniview.x").debug("fine")
    said = capsys.readouterr()
    assert "DEBUG omniview.x: fine" in said.err
    assert said.out == ""
    assert "fine" in text_of(tmp_path)


def test_tracebacks_are_blanked_too(tmp_path: Path) -> None:
    """A key in an argument, an exception or a header never reaches the file."""
    log.start(tmp_path)
    try:
        raise ValueError(f"refused {SECRET}")
    except ValueError:
        logging.getLogger("omniview.x").info("%r", {"x-goog-api-key": SECRET}, exc_info=True)
    assert "ValueError: refused [redacted]" in text_of(tmp_path)
    assert SECRET not in text_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"https://host/v1?key={SECRET}&x=1", SECRET),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("bearer abcdefgh12345678", "abcdefgh12345678"),
        ("api_key='short'", "short"),
        ('{"x-goog-api-key": "short"}', "short"),
        ("sk-proj-0123456789abcdefghij", "0123456789abcdefghij"),
        ("data:image/png;base64,iVBORw0KGgo=", "iVBORw0KGgo"),
        ("mask " + "Qk1" * 100, "Qk1Qk1"),
        ("the key is hunter2-hunter2 here", "hunter2"),
    ],
)
def test_secrets_and_pixels_go(text: str, secret: str) -> None:
    """Keys by name, by shape, by being in the environment; pixels by being long base64."""
    redacted = log.redact(text, {"GEMINI_API_KEY": "hunter2-hunter2"})
    assert secret not in redacted
    assert "[redacted]" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "polyp-lite0 on CPUExecutionProvider, 12 ms",
        "No API key is set.",
        "sha256 " + "0123456789abcdef" * 4,
        "/data/images/case_0001/masks/overlay.png",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    """What a person needs to understand a failure is left alone."""
    assert log.redact(text, {"GEMINI_API_KEY": "on"}) == text


def test_the_file_rotates(tmp_path: Path) -> None:
    """No file of the log grows beyond a megabyte."""
    log.start(tmp_path)
    for _ in range(14):
        logging.getLogger("omniview.x").info("word " * 20_000)
    files = list((tmp_path / "logs").iterdir())
    assert len(files) == 2
    assert max(file.stat().st_size for file in files) <= 1_000_000


def test_starting_again_replaces(tmp_path: Path) -> None:
    """A second start moves the log; nothing is written twice, and stopping twice is harmless."""
    log.start(tmp_path / "a")
    log.start(tmp_path / "b")
    logging.getLogger("omniview.x").info("once")
    log.stop()
    log.stop()
    logging.getLogger("omniview.x").info("after")
    assert text_of(tmp_path / "a") == ""
    assert len(text_of(tmp_path / "b").splitlines()) == 1


def test_no_log_file_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the file cannot be opened, that is said once and work goes on."""
    (tmp_path / "logs").write_text("a file where the folder should be")
    assert log.start(tmp_path) is None
    assert "No log file" in caplog.text


def test_another_librarys_logger_is_quiet_only_meanwhile() -> None:
    """Nothing of it is heard inside, and its level is what it was afterwards, an exception or not."""
    logger = logging.getLogger("someone.else")
    logger.setLevel(logging.INFO)
    with log.quieted("someone.else"):
        assert not logger.isEnabledFor(logging.ERROR)
    assert logger.level == logging.INFO
    with pytest.raises(ZeroDivisionError), log.quieted("someone.else"):
        _ = 1 // 0
    assert logger.level == logging.INFO
