"""A tiny real generalist: ONNX files with the signatures of the built-in one's, and their card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tomli_w
from onnx import TensorProto, helper, numpy_helper

__all__ = ["SIZE", "TASKS", "write_generalist"]

SIZE = 32
TASKS = ("polyp", "vessel")


def write_generalist(
    folder: Path,
    *,
    endless: bool = False,
    third: bool = False,
    click_views: Sequence[str] = ("identity", "hflip"),
    **changes: Any,
) -> Path:
    """Write encoder, decoder and card; returns the card's path.

    The encoder gives the brightness minus 0.5, times 20, as `fine`, and its 2x2 mean as `coarse`. The decoder
    adds 40 where a positive click or the prior is, takes 40 off at a negative click and outside of a box if
    there is one, and turns the sign for the second task. With `endless`, the encoder takes minutes. With
    `third` there is a click network, which gives 8 where the prior or a positive click is and the image
    bright, else -8, and takes 16 off at a negative click for the first task only; it looks through
    `click_views`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "e.onnx").write_bytes(_encoder(endless).SerializeToString())
    (folder / "d.onnx").write_bytes(_decoder().SerializeToString())
    digests = {n: hashlib.sha256((folder / f"{n}.onnx").read_bytes()).hexdigest() for n in "ed"}
    quality = {"confidence": [0.0, 1.0], "dice": [0.0, 0.8], "half_width": 0.2}
    fields: dict[str, Any] = {
        "schema": 1,
        "name": "tiny-generalist",
        "version": "7",
        "kind": "generalist",
        "tasks": {TASKS[0]: {"quality": quality}, TASKS[1]: {"temperature": 2.0, "threshold": 0.5}},
        "encoder": "e.onnx",
        "encoder_sha256": digests["e"],
        "decoder": "d.onnx",
        "decoder_sha256": digests["d"],
        "parameters": 4,
        "input": {"geometry": "letterbox", "size": [SIZE, SIZE]},
        "prompt": {"maps": ["positive", "negative", "box", "prior"], "click_sigma": 2.0},
        "views": {"names": ["identity", "hflip"]},
    }
    if third:
        (folder / "c.onnx").write_bytes(_clicks().SerializeToString())
        digest = hashlib.sha256((folder / "c.onnx").read_bytes()).hexdigest()
        fields["clicks"] = {"network": "c.onnx", "sha256": digest, "views": {"names": list(click_views)}}
        fields["tasks"][TASKS[0]]["prompted"] = {"close": 1.5}
        fields["tasks"][TASKS[1]]["prompted"] = {"temperature": 2.0}
    path = folder / "tiny.toml"
    changed = {key: value for key, value in {**fields, **changes}.items() if value is not None}
    path.write_text(tomli_w.dumps(changed), "utf-8")
    return path


def _tensor(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _constant(name: str, value: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _encoder(endless: bool) -> onnx.ModelProto:
    constants = [_constant("w", np.full((1, 3, 1, 1), 20 / 3)), _constant("b", [-10.0])]
    nodes, image = [], "image"
    if endless:
        image = "turned"
        body = helper.make_graph(
            [helper.make_node("Identity", ["go"], ["go_out"]), helper.make_node("Tanh", ["x"], ["x_out"])],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
            ],
            [
                helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
                helper.make_tensor_value_info("x_out", TensorProto.FLOAT, None),
            ],
        )
        constants += [
            numpy_helper.from_array(np.array(10**9, np.int64), "times"),
            numpy_helper.from_array(np.array(True), "yes"),
        ]
        nodes.append(helper.make_node("Loop", ["times", "yes", "image"], ["turned"], body=body))
    nodes += [
        helper.make_node("Conv", [image, "w", "b"], ["fine"]),
        helper.make_node("AveragePool", ["fine"], ["coarse"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    half = SIZE // 2
    outputs = [_tensor("fine", "n", 1, SIZE, SIZE), _tensor("coarse", "n", 1, half, half)]
    return _model(nodes, [_tensor("image", "n", 3, SIZE, SIZE)], outputs, constants)


def _decoder() -> onnx.ModelProto:
    half = SIZE // 2
    constants = [
        # positive, negative, box, prior; where there is a box, all else loses as much as the box gains
        _constant("w", np.array([40.0, -40.0, 40.0, 40.0]).reshape(1, 4, 1, 1)),
        _constant("minus_forty", -40.0),
        _constant("sign", [[1.0], [-1.0]]),
        numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "four"),
        numpy_helper.from_array(np.array([2], np.int64), "third"),
        numpy_helper.from_array(np.array([3], np.int64), "fourth"),
        numpy_helper.from_array(np.array([1], np.int64), "channel"),
    ]
    nodes = [
        helper.make_node("Conv", ["prompts", "w"], ["shown"]),
        helper.make_node("Slice", ["prompts", "third", "fourth", "channel"], ["box"]),
        helper.make_node("ReduceMax", ["box"], ["any_box"], keepdims=1),
        helper.make_node("Mul", ["any_box", "minus_forty"], ["outside"]),
        helper.make_node("MatMul", ["task", "sign"], ["turn"]),
        helper.make_node("Reshape", ["turn", "four"], ["turned"]),
        helper.make_node("Mul", ["fine", "turned"], ["seen"]),
        helper.make_node("ReduceMean", ["coarse"], ["level"], keepdims=1),
        helper.make_node("Sub", ["level", "level"], ["zero"]),
        helper.make_node("Sum", ["seen", "shown", "outside", "zero"], ["logits"]),
    ]
    inputs = [
        _tensor("fine", "n", 1, SIZE, SIZE),
        _tensor("coarse", "n", 1, half, half),
        _tensor("prompts", "n", 4, SIZE, SIZE),
        _tensor("task", "n", len(TASKS)),
    ]
    return _model(nodes, inputs, [_tensor("logits", "n", 1, SIZE, SIZE)], constants)


def _clicks() -> onnx.ModelProto:
    constants = [
        _constant("grey", np.full((1, 3, 1, 1), 1 / 3)),
        _constant("half", 0.5),
        _constant("quarter", 0.25),
        _constant("sixteen", 16.0),
        _constant("eight", 8.0),
        _constant("shown", np.array([1.0, 0.0, 0.0, 1.0]).reshape(1, 4, 1, 1)),
        _constant("denied", np.array([0.0, 1.0, 0.0, 0.0]).reshape(1, 4, 1, 1)),
        _constant("listens", [[16.0], [0.0]]),
        numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "four"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "grey"], ["luma"]),
        helper.make_node("Greater", ["luma", "quarter"], ["is_bright"]),
        helper.make_node("Cast", ["is_bright"], ["bright"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["prompts", "shown"], ["wanted"]),
        helper.make_node("Greater", ["wanted", "half"], ["is_wanted"]),
        helper.make_node("Cast", ["is_wanted"], ["there"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["bright", "there"], ["found"]),
        helper.make_node("Mul", ["found", "sixteen"], ["raised"]),
        helper.make_node("Sub", ["raised", "eight"], ["answer"]),
        helper.make_node("Conv", ["prompts", "denied"], ["refused"]),
        helper.make_node("MatMul", ["task", "listens"], ["ear"]),
        helper.make_node("Reshape", ["ear", "four"], ["heard"]),
        helper.make_node("Mul", ["refused", "heard"], ["loss"]),
        helper.make_node("Sub", ["answer", "loss"], ["logits"]),
    ]
    inputs = [
        _tensor("image", "n", 3, SIZE, SIZE),
        _tensor("prompts", "n", 4, SIZE, SIZE),
        _tensor("task", "n", len(TASKS)),
    ]
    return _model(nodes, inputs, [_tensor("logits", "n", 1, SIZE, SIZE)], constants)
