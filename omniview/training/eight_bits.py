"""A network in eight bits: static quantisation (QDQ) of an exported ONNX file, with the scales that it needs.

Only the body is quantised: what lies between two convolutions that mix channels, and those themselves but
the last. Entries with fixed arithmetic (local contrast, fluorescence), heads that judge the whole image, and
the last convolution with what follows stay in 32 bits: they cost next to nothing, and there a rounding is an
error of the answer itself. Weights have one scale a channel; activations the range of least square error on
images (:mod:`omniview.training.ranges`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from omniview.core.image import FloatArray
from omniview.errors import WeightsError
from omniview.training.export import without_traces
from omniview.training.ranges import observe

CARRIERS = frozenset({"Add", "AveragePool", "Clip", "Concat", "MaxPool", "Relu", "Resize"})
"""What runs in eight bits where it stands between two quantised convolutions."""


def to_int8(weights: Path, feeds: Callable[[], Iterable[Mapping[str, FloatArray]]], out: Path) -> None:
    """Write the network `weights` in eight bits as `out`, with the same inputs and outputs.

    Args:
        weights: ONNX file, float32.
        feeds: gives inputs as they will be met, the same ones at each call.
        out: where to write it.

    Raises:
        WeightsError: there is no convolution to quantise.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(prefix="omniview-int8-") as folder:
        prepared, cache, written = (Path(folder) / name for name in ("prepared.onnx", "ranges", "int8.onnx"))
        quant_pre_process(weights, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        nodes = body(model.graph)
        if not nodes:
            raise WeightsError(
                f"{weights.name} has no convolution that could run in eight bits.", "Ship it as it is."
            )
        ranges = {name: seen.range() for name, seen in observe(model, _tensors(model, nodes), feeds).items()}
        limits = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, limits), cache)
        quantize_static(
            prepared,
            written,
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", *sorted(CARRIERS)],
            nodes_to_quantize=nodes,
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=cache,
        )
        without_traces(written)
        out.write_bytes(written.read_bytes())


def body(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that are to run in eight bits, in the graph's order."""
    makers = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    shapes = {value.name: tuple(value.dims) for value in graph.initializer}

    def mixes(node: onnx.NodeProto) -> bool:
        # a blur of one channel is arithmetic, not learned
        return node.op_type == "Conv" and any(n > 1 for n in shapes.get(node.input[1], ())[:2])

    after: set[str] = set()
    for node in graph.node:  # in topological order
        before = [makers[name] for name in node.input if name in makers]
        if any(mixes(maker) or maker.name in after for maker in before):
            after.add(node.name)
    ahead: set[str] = set()
    for node in reversed(graph.node):
        later = [user for name in node.output for user in users.get(name, ())]
        if any(mixes(user) or user.name in ahead for user in later):
            ahead.add(node.name)
    return [
        node.name
        for node in graph.node
        if node.name in ahead and (mixes(node) or (node.op_type in CARRIERS and node.name in after))
    ]


def _tensors(model: onnx.ModelProto, nodes: list[str]) -> list[str]:
    """The float tensors that those nodes take and give, without constants."""
    constant = {value.name for value in model.graph.initializer}
    known = {value.name for value in model.graph.input} | {
        n for node in model.graph.node for n in node.output
    }
    chosen = set(nodes)
    touched = {
        name for node in model.graph.node if node.name in chosen for name in (*node.input, *node.output)
    }
    return sorted((touched & known) - constant)
