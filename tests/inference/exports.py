"""Tiny networks as other libraries export them, good ones and such as cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["write_export"]


def write_export(
    path: Path,
    *,
    end: str = "",
    channels: int = 3,
    classes: int = 1,
    size: Sequence[int | str] = ("h", "w"),
    batch: int | str = "n",
    opset: int = 18,
    ir: int = 10,
    inputs: int = 1,
    outputs: int = 1,
    pool: bool = False,
    shape: Sequence[int | str] | None = None,
    external: str | None = None,
) -> Path:
    """A 1x1 convolution: channel k rises with brightness by 10 k (or 20 where there is one only).

    Args:
        path: where to write it.
        end: operator after it: "Sigmoid", "Softmax", "ArgMax" or none.
        channels: of the input.
        classes: channels of the output.
        size: of the input, numbers or names.
        batch: of the input.
        opset: of ONNX's operators.
        ir: version of the file's format.
        inputs: how many there are; further ones are added to the output.
        outputs: how many there are.
        pool: the output is averaged to one number.
        shape: what the file claims of its input.
        external: file name of its weights.
    """
    gains = [20.0] if classes == 1 else [10.0 * k for k in range(classes)]
    spatial = (1,) * (2 if shape is None else len(shape) - 2)
    kernel = np.stack([np.full((channels, *spatial), g / channels, np.float32) for g in gains])
    weight = numpy_helper.from_array(kernel, "weight")
    bias = numpy_helper.from_array(np.array([-g / 2 for g in gains], np.float32), "bias")
    nodes = [helper.make_node("Conv", ["image", "weight", "bias"], ["z0"])]
    extra = [f"more{i}" for i in range(1, inputs)]
    for i, name in enumerate(extra):
        nodes.append(helper.make_node("Add", [f"z{i}", name], [f"z{i + 1}"]))
    last = f"z{len(extra)}"
    kind = TensorProto.FLOAT
    if pool:
        nodes.append(helper.make_node("Flatten", [last], ["flat"]))
        last = "flat"
    if end:
        about: dict[str, Any] = {"Softmax": {"axis": 1}, "ArgMax": {"axis": 1, "keepdims": 0}}.get(end, {})
        nodes.append(helper.make_node(end, [last], ["end"], **about))
        last, kind = "end", TensorProto.INT64 if end == "ArgMax" else kind
    results = []
    for i in range(outputs):
        nodes.append(helper.make_node("Identity", [last], [f"out{i}"]))
        results.append(helper.make_tensor_value_info(f"out{i}", kind, None))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape or [batch, channels, *size])
    others = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in extra]
    graph = helper.make_graph(nodes, "export", [image, *others], results, [weight, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    if external:
        onnx.save(model, path, save_as_external_data=True, location=external, size_threshold=0)
    else:
        path.write_bytes(model.SerializeToString())
    return path
