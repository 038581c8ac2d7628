"""`omniview models`: a network of one's own is added, shown, chosen; weights that are missing are fetched."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from omniview.cli import app
from omniview.compose import Composer
from omniview.core.task import TASKS
from omniview.errors import CardError, OmniViewError
from omniview.inference.card import SpecialistCard, read_card
from omniview.settings import Settings
from omniview.specialists.onnx_specialist import OnnxSpecialist
from tests.inference.exports import write_export
from tests.inference.file_server import FileServer
from tests.networks import write_card, write_specialist


def _omniview(*arguments: str | Path) -> str:
    """What it prints, or the error that it raises."""
    done = CliRunner().invoke(app, ["models", *map(str, arguments)], catch_exceptions=True)
    if isinstance(done.exception, OmniViewError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def _card(home: Path, name: str) -> SpecialistCard:
    card = read_card(home / "models" / f"{name}.toml")
    assert isinstance(card, SpecialistCard)
    return card


@pytest.mark.parametrize("external", [None, "more.data"])
def test_a_network_is_added_shown_and_chosen(tmp_path: Path, own_home: Path, external: str | None) -> None:
    """It becomes the specialist of its task with one command, its terms and doubts written down."""
    file = write_export(tmp_path / "my net.onnx", classes=2, size=(64, 64), external=external)
    said = _omniview(
        "add", file, "--task", "polyp", "--preset", "monai", "--licence", "MIT", "--data", "ours"
    )
    assert "models use my-net" in said
    card = _card(own_home, "my-net")
    assert (card.licence, card.output.activation, card.output.channels) == ("MIT", "softmax", (1,))
    assert hashlib.sha256((own_home / "models" / card.weights).read_bytes()).hexdigest() == card.sha256
    assert sorted(path.name for path in (own_home / "models").iterdir()) == ["my-net.onnx", "my-net.toml"]
    shown = _omniview("show", "my-net")
    for text in ("MIT", "ours", card.sha256, "has not been measured"):
        assert text in shown
    _omniview("use", "my-net")
    assert Settings.load().specialists == {"polyp": "my-net"}


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal made of a pseudo-terminal")
def test_ctrl_c_at_a_question_ends_it_like_any_other_command(tmp_path: Path, own_home: Path) -> None:
    """Status 130, no word of Python, and nothing was added."""
    import pty

    file = write_export(tmp_path / "net.onnx", classes=2, size=(64, 64))
    command = [sys.executable, "-m", "omniview", "models", "add", str(file), "--task", "polyp"]
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as asking:
            assert asking.stdout is not None
            shown = b""
            while b"Trained with" not in shown:
                read = os.read(asking.stdout.fileno(), 1024)
                assert read, "it ended before it asked"
                shown += read
            asking.send_signal(signal.SIGINT)
            _, said = asking.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert asking.returncode == 130
    assert b"Aborted" not in said
    assert b"Traceback" not in said
    assert not list((own_home / "models").glob("*.toml"))


async def test_the_chosen_one_is_asked(own_home: Path) -> None:
    """Of several cards of a task the named one leads; a name that is not there is said, not passed over."""
    for name in ("a", "b"):
        write_specialist(own_home / "models", name)
    for chosen, expected in (({}, "b"), ({"polyp": "a"}, "a"), ({"polyp": "polyp-lite0"}, "polyp-lite0")):
        composer = Composer(Settings(specialists=chosen))
        (specialist,) = composer.segmenters(TASKS["polyp"], "none", offline=True)
        assert isinstance(specialist, OnnxSpecialist)
        assert specialist.name == expected
        await composer.close()
    composer = Composer(Settings(specialists={"polyp": "gone"}))
    (missing,) = composer.segmenters(TASKS["polyp"], "none", offline=True)
    assert "gone" in str(getattr(missing, "error", ""))
    await composer.close()


def test_a_name_is_taken_once(tmp_path: Path, own_home: Path) -> None:
    """Nothing is overwritten unless that was asked for; names of shipped models are taken too."""
    file = write_export(tmp_path / "own.onnx", size=(64, 64))
    _omniview("add", file, "--task", "polyp")
    for name in ("own", "polyp-lite0"):
        with pytest.raises(CardError, match="already"):
            _omniview("add", file, "--task", "polyp", "--name", name)
    _omniview("add", file, "--task", "polyp", "--replace", "--threshold", "0.3")
    assert _card(own_home, "own").output.threshold == 0.3
    with pytest.raises(CardError, match="name"):
        _omniview("add", file, "--task", "polyp", "--name", "../up")


@pytest.mark.parametrize(
    "wrong", [("--size", "big"), ("--size", "1,2,3"), ("--mean", "a"), ("--preset", "magic"), ("--task", "x")]
)
def test_wrong_words_are_said(tmp_path: Path, own_home: Path, wrong: tuple[str, str]) -> None:
    """An option that cannot be understood is named, and nothing is installed."""
    file = write_export(tmp_path / "own.onnx", size=(64, 64))
    with pytest.raises(OmniViewError, match=wrong[1] if wrong[0] == "--task" else wrong[0]):
        _omniview("add", file, "--task", "polyp", *wrong)
    assert not (own_home / "models").exists()


def test_missing_weights_are_fetched_with_one_command(own_home: Path) -> None:
    """The command fetches them, and says where they belong if it may not."""
    content = write_export(own_home / "net.onnx", size=(32, 32)).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    (own_home / "models").mkdir()
    with FileServer(content) as server:
        origin = {"far.onnx": {"url": f"{server.address}/far.onnx", "size": len(content)}}
        write_card(own_home / "models", "far", sha256=sha256, fetch=origin)
        place = own_home / "models" / "far.onnx"
        by_hand = _omniview("fetch", "far", "--where")
        assert str(place) in by_hand
        assert sha256 in by_hand
        offline = CliRunner().invoke(app, ["models", "fetch", "far", "--offline"])
        assert offline.exit_code == 1
        assert server.asked == []
        _omniview("fetch", "far")
    assert place.read_bytes() == content
    assert "Nothing is missing" in _omniview("fetch", "far")


def test_the_list_shows_terms_and_figures() -> None:
    """Whoever chooses a model sees under which terms it stands and how it did."""
    said = "".join(_omniview("list").split())
    assert "polyp-lite0" in said
    assert "Terms" in said
