"""Only the very file that a card names is run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from omniview.errors import WeightsError
from omniview.inference.weights import other_place, verified


def test_the_right_file_passes_and_a_changed_one_does_not(tmp_path: Path) -> None:
    """A changed byte is found even after the file had been accepted."""
    path = tmp_path / "w.onnx"
    path.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert verified(path, sha256) == path
    path.write_bytes(b"Weights!")
    with pytest.raises(WeightsError, match="not those of their card"):
        verified(path, sha256)


def test_a_missing_file_says_where_to_put_it(tmp_path: Path) -> None:
    """The next step names the folder."""
    with pytest.raises(WeightsError) as caught:
        verified(tmp_path / "absent.onnx", "0" * 64)
    assert str(tmp_path) in caught.value.next_step


def test_a_damaged_file_beside_the_card_gives_way_to_the_fetched_one(tmp_path: Path, own_home: Path) -> None:
    """What was fetched mends a folder that cannot be written; a damaged fetched file replaces nothing."""
    path, fetched = tmp_path / "w.onnx", other_place("w.onnx")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    path.write_bytes(b"damaged")
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"damaged too")
    with pytest.raises(WeightsError, match="not those of their card"):
        verified(path, sha256)
    fetched.write_bytes(b"weights")
    assert verified(path, sha256) == fetched
    path.write_bytes(b"weights")
    assert verified(path, sha256) == path
