"""Tiny real ONNX networks with real cards, written where a test wants them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tomli_w
from onnx import TensorProto, helper, numpy_helper

__all__ = ["write_brightness", "write_card", "write_convolutions", "write_endless", "write_specialist"]

_OPSET = [helper.make_opsetid("", 18)]


def write_brightness(path: Path, *, size: tuple[int, int] | None = None, gain: float = 20.0) -> None:
    """A 1x1 convolution: logits = gain * (mean of the channels - 0.5), for inputs scaled to [0,1].

    Args:
        path: where to write it.
        size: fixed (h,w), or None for free ones.
        gain: steepness.
    """
    height, width = size or ("h", "w")
    weight = numpy_helper.from_array(np.full((1, 3, 1, 1), gain / 3, np.float32), "weight")
    bias = numpy_helper.from_array(np.array([-gain / 2], np.float32), "bias")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, height, width])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1, height, width])
    node = helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])
    _save(path, helper.make_graph([node], "brightness", [image], [logits], [weight, bias]))


def write_convolutions(path: Path, *, gain: float = 20.0) -> None:
    """The brightness network in three convolutions that mix channels, behind a blur that mixes none.

    The nodes' names are those in the code. Logits as of `write_brightness`, but for the blur of 3x3 pixels.
    """
    random = np.random.default_rng(0)
    spread = random.uniform(0.2, 1.0, (8, 1, 1, 1)).astype(np.float32)
    constants = {
        "box": np.full((1, 1, 3, 3), 1 / 9, np.float32),
        "first": spread,
        "second": np.eye(8, dtype=np.float32)[:, :, None, None],
        "last": (gain / 8 / spread).reshape(1, 8, 1, 1),
        "offset": np.array([-gain / 2], np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"], "mean", keepdims=1),
        helper.make_node("Conv", ["grey", "box"], ["blurred"], "blur", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["blurred", "first"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["b"], "bent"),
        helper.make_node("Conv", ["b", "second"], ["c"], "second"),
        helper.make_node("Conv", ["c", "last", "offset"], ["logits"], "last"),
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 32, 32])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1, 32, 32])
    _save(path, helper.make_graph(nodes, "convolutions", [image], [logits], weights))


def write_endless(path: Path) -> None:
    """The brightness network behind a loop that takes minutes: only stopping it ends it early."""
    body_in = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
    ]
    body_out = [
        helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
        helper.make_tensor_value_info("x_out", TensorProto.FLOAT, None),
    ]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_out"]), helper.make_node("Tanh", ["x"], ["x_out"])],
        "body",
        body_in,
        body_out,
    )
    constants = [
        numpy_helper.from_array(np.array(10**9, np.int64), "times"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.full((1, 3, 1, 1), 1.0, np.float32), "weight"),
    ]
    nodes = [
        helper.make_node("Loop", ["times", "yes", "image"], ["turned"], body=body),
        helper.make_node("Conv", ["turned", "weight"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1, "h", "w"])
    _save(path, helper.make_graph(nodes, "endless", [image], [logits], constants))


def write_card(folder: Path, name: str, *, suffix: str = ".onnx", **changes: Any) -> Path:
    """A specialist's card for `name``suffix` in `folder`; `changes` replace or add fields, None removes."""
    weights = folder / f"{name}{suffix}"
    fields: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "version": "1",
        "kind": "specialist",
        "task": "polyp",
        "modality": "endoscopy",
        "labels": ["polyp"],
        "weights": weights.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else "0" * 64,
        "parameters": 4,
        "input": {"geometry": "stretch", "size": [32, 32]},
        "quality": {"confidence": [0.0, 1.0], "dice": [0.0, 0.9], "half_width": 0.1},
    }
    fields = {key: value for key, value in {**fields, **changes}.items() if value is not None}
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(fields), "utf-8")
    return path


def write_specialist(folder: Path, name: str = "bright", **changes: Any) -> Path:
    """A brightness network and its card; returns the card's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_brightness(folder / f"{name}.onnx")
    return write_card(folder, name, **changes)


def _save(path: Path, graph: onnx.GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=_OPSET, ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
