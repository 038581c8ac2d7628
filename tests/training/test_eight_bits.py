"""A network in eight bits is the same network, but for rounding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from omniview.core.image import FloatArray
from omniview.errors import WeightsError
from omniview.inference.session import open_session
from omniview.training.eight_bits import body, to_int8
from tests.networks import write_brightness, write_convolutions

IMAGES = np.random.default_rng(1).random((6, 1, 3, 32, 32), dtype=np.float32)


def _feeds() -> Iterator[Mapping[str, FloatArray]]:
    return ({"image": image} for image in IMAGES)


def test_only_what_lies_between_mixing_convolutions_is_quantised(tmp_path: Path) -> None:
    """A blur of one channel, whatever leads to it, and the last convolution stay as they are."""
    write_convolutions(tmp_path / "m.onnx")
    assert body(onnx.load(tmp_path / "m.onnx").graph) == ["first", "bent", "second"]


def test_the_answer_stays_within_rounding(tmp_path: Path) -> None:
    """Same input, same output, a batch as well; logits of a range of ten differ by less than a fifth."""
    write_convolutions(tmp_path / "m.onnx")
    to_int8(tmp_path / "m.onnx", _feeds, tmp_path / "eight.onnx")
    full, eight = (open_session(tmp_path / n, device="cpu", threads=1) for n in ("m.onnx", "eight.onnx"))
    assert (eight.inputs, list(eight.outputs)) == (full.inputs, list(full.outputs))
    both = np.concatenate([IMAGES[0], IMAGES[1]])
    before, after = full.run({"image": both})[0], eight.run({"image": both})[0]
    assert 0.0 < np.abs(before - after).max() < 0.2


def test_the_file_tells_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    """No path, no note of a tool."""
    write_convolutions(tmp_path / "m.onnx")
    to_int8(tmp_path / "m.onnx", _feeds, tmp_path / "eight.onnx")
    model = onnx.load(tmp_path / "eight.onnx")
    assert {node.op_type for node in model.graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    assert not model.metadata_props
    assert str(tmp_path).encode() not in model.SerializeToString()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["eight.onnx", "m.onnx"]


def test_a_network_without_a_body_is_refused(tmp_path: Path) -> None:
    """One convolution is the last one: nothing is left to quantise."""
    write_brightness(tmp_path / "m.onnx", size=(32, 32))
    with pytest.raises(WeightsError, match="eight bits"):
        to_int8(tmp_path / "m.onnx", _feeds, tmp_path / "eight.onnx")
