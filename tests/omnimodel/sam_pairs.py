"""Small real SAM-family pairs: the published signatures, with networks whose masks are known beforehand.

The encoder keeps the brightness (0 to 1) of the image, averaged over squares, as the first channel of each
feature. The decoder's mask is the union of discs around positive clicks, of what is bright within the box,
and of the earlier mask, less discs around negative clicks. Its three candidates have discs of radius 10, 20
and 40 pixels of the 1024-pixel frame; it takes the middle one for the best.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tomli_w
from onnx import TensorProto, helper, numpy_helper

__all__ = ["FAMILIES", "FRAME", "RADIUS", "write_pair"]

FAMILIES = ("sam", "mobile", "sam2", "efficient")
FRAME = 1024
RADIUS = 20.0
_RADII, _IOUS = (10.0, RADIUS, 40.0), (0.3, 0.9, 0.5)
_LOW = 256
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_NEVER = -1000.0


class Net:
    """A graph in the making: `op` adds a node and returns the name of what it gives."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        """A constant, by name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def whole(self, *numbers: int) -> str:
        """A vector of int64."""
        return self.constant(numbers, np.int64)

    def op(self, kind: str, *inputs: str | float, gives: str = "", **attributes: Any) -> str:
        """A node; a number is made a constant."""
        names = [self.constant(i) if isinstance(i, float) else i for i in inputs]
        gives = gives or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [gives], **attributes))
        return gives

    def save(self, path: Path, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Check and write the model."""
        graph = helper.make_graph(self.nodes, "pair", list(inputs), list(outputs), self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())

    def resize(self, what: str, sizes: str, gives: str = "") -> str:
        """Edge to edge, linear, to `sizes` (4)."""
        return self.op("Resize", what, "", "", sizes, gives=gives, mode="linear")


def _value(name: str, *shape: int | str, kind: Any = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _normalised(net: Net, planes: str, level: float) -> str:
    mean, std = (v.reshape(1, 3, 1, 1) * level for v in (_MEAN, _STD))
    return net.op("Div", net.op("Sub", planes, net.constant(mean)), net.constant(std))


def _feature(net: Net, planes: str, name: str, channels: int, side: int) -> Any:
    """Brightness of normalised planes (1,3,1024,1024) as the first of `channels` of (side,side)."""
    stride = FRAME // side
    pooled = net.op("AveragePool", planes, kernel_shape=[stride] * 2, strides=[stride] * 2)
    weights, bias = np.zeros((channels, 3, 1, 1)), np.zeros(channels)
    weights[0, :, 0, 0], bias[0] = _STD / 3, _MEAN.mean()
    net.op("Conv", pooled, net.constant(weights), net.constant(bias), gives=name)
    return _value(name, 1, channels, side, side)


def write_encoder(path: Path, family: str, *, flat: bool = False) -> None:
    """The encoder that `family` publishes; if `flat`, it takes no image but (1,3,1024*1024)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    net = Net()
    names = {"sam": "input_image", "mobile": "input_image", "sam2": "image", "efficient": "batched_images"}
    image = names[family]
    if family == "mobile":
        planes = net.op("Unsqueeze", net.op("Transpose", image, perm=[2, 0, 1]), net.whole(0))
        planes = _normalised(net, planes, 255.0)
        room = net.op("Sub", net.whole(FRAME, FRAME), net.op("Shape", image, start=0, end=2))
        planes = net.op("Pad", planes, net.op("Concat", net.whole(0, 0, 0, 0, 0, 0), room, axis=0))
    elif family == "efficient":
        planes = _normalised(net, net.resize(image, net.whole(1, 3, FRAME, FRAME)), 1.0)
    else:
        planes = net.op("Reshape", image, net.whole(1, 3, FRAME, FRAME))
    free = {"mobile": ("image_height", "image_width", 3), "efficient": ("batch", 3, "height", "width")}
    shape = (1, 3, FRAME * FRAME) if flat else free.get(family, (1, 3, FRAME, FRAME))
    outputs = []
    if family == "sam2":
        outputs.append(_feature(net, planes, "high_res_feats_0", 32, 256))
        outputs.append(_feature(net, planes, "high_res_feats_1", 64, 128))
    embedding = "image_embed" if family == "sam2" else "image_embeddings"
    outputs.append(_feature(net, planes, embedding, 256, 64))
    net.save(path, [_value(image, *shape)], outputs)


def write_decoder(
    path: Path,
    family: str,
    *,
    low: bool = True,
    frozen: tuple[int, int] | None = None,
    points: int | str = "num_points",
) -> None:
    """The decoder that `family` publishes.

    Args:
        path: where to.
        family: which.
        low: SAM only: whether low_res_masks is among the outputs.
        frozen: SAM only: (Y,X) of the one image that the masks are cropped for, as a careless export does.
        points: the number of points it takes, if fixed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    net = Net()
    efficient, second = family == "efficient", family == "sam2"
    embedding = "image_embed" if second else "image_embeddings"
    coords, labels = (
        ("batched_point_coords", "batched_point_labels") if efficient else ("point_coords", "point_labels")
    )
    inputs = [_value(embedding, 1, 256, 64, 64)]
    bright = embedding
    if second:
        inputs += [_value("high_res_feats_0", 1, 32, 256, 256), _value("high_res_feats_1", 1, 64, 128, 128)]
        bright = "high_res_feats_0"
    batch: tuple[int | str, ...] = (1, "num_queries") if efficient else ("num_labels",) if second else (1,)
    inputs += [_value(coords, *batch, points, 2), _value(labels, *batch, points)]
    if not efficient:
        inputs += [_value("mask_input", *batch, 1, _LOW, _LOW), _value("has_mask_input", 1)]
    if not second:
        inputs.append(_value("orig_im_size", 2, kind=TensorProto.INT64 if efficient else TensorProto.FLOAT))
    x, y, label = _prompts(net, coords, labels, efficient)
    centres = net.constant((np.arange(_LOW) + 0.5) * FRAME / _LOW)
    across = net.op("Reshape", centres, net.whole(1, 1, _LOW))
    down = net.op("Reshape", centres, net.whole(1, _LOW, 1))
    dx, dy = net.op("Sub", across, x), net.op("Sub", down, y)
    distance = net.op("Sqrt", net.op("Add", net.op("Mul", dx, dx), net.op("Mul", dy, dy)))
    light = net.op("Slice", bright, net.whole(0), net.whole(1), net.whole(1))
    light = net.resize(light, net.whole(1, 1, _LOW, _LOW))
    light = net.op("Mul", net.op("Sub", net.op("Reshape", light, net.whole(1, _LOW, _LOW)), 0.5), 200.0)
    base = net.op("Min", light, _in_box(net, x, y, label, across, down))
    if not efficient:
        prior = net.op("Reshape", "mask_input", net.whole(1, _LOW, _LOW))
        absent = net.op("Mul", net.op("Sub", 1.0, "has_mask_input"), _NEVER)
        base = net.op("Max", base, net.op("Add", prior, absent))
    away = net.op("Neg", _disc(net, distance, label, 0.0, RADIUS))
    if efficient:
        away = net.constant(1000.0)  # it has no word for a negative click
    masks = [
        net.op("Min", net.op("Max", base, _disc(net, distance, label, 1.0, radius)), away)
        for radius in _RADII
    ]
    shallow = net.op("Reshape", net.op("Concat", *masks, axis=0), net.whole(1, len(masks), _LOW, _LOW))
    outputs = _outputs(net, family, shallow, low, frozen)
    net.save(path, inputs, outputs)


def _prompts(net: Net, coords: str, labels: str, efficient: bool) -> tuple[str, str, str]:
    """x, y and label of the points, each (N,1,1), half a pixel added."""
    places = net.op("Reshape", coords, net.whole(-1, 2))
    if efficient:
        size = net.op("Cast", net.op("Gather", "orig_im_size", net.whole(1, 0)), to=TensorProto.FLOAT)
        places = net.op("Div", net.op("Mul", places, float(FRAME)), size)
    places = net.op("Add", places, 0.5)
    x, y = (
        net.op("Reshape", net.op("Gather", places, net.constant(i, np.int64), axis=1), net.whole(-1, 1, 1))
        for i in (0, 1)
    )
    return x, y, net.op("Reshape", labels, net.whole(-1, 1, 1))


def _is(net: Net, label: str, wanted: float) -> str:
    return net.op("Cast", net.op("Equal", label, wanted), to=TensorProto.FLOAT)


def _disc(net: Net, distance: str, label: str, wanted: float, radius: float) -> str:
    """Radius - distance to the nearest point of that label; far below zero where there is none."""
    chosen = _is(net, label, wanted)
    inside = net.op("Mul", net.op("Sub", radius, distance), chosen)
    absent = net.op("Mul", net.op("Sub", 1.0, chosen), _NEVER)
    return net.op("ReduceMax", net.op("Add", inside, absent), net.whole(0), keepdims=1)


def _in_box(net: Net, x: str, y: str, label: str, across: str, down: str) -> str:
    """Distance to the nearest edge from within the box; far below zero where there is none."""
    first, last = _is(net, label, 2.0), _is(net, label, 3.0)

    def edge(values: str, corner: str) -> str:
        return net.op("ReduceSum", net.op("Mul", values, corner), net.whole(0), keepdims=1)

    inside = net.op(
        "Min",
        net.op("Sub", across, edge(x, first)),
        net.op("Sub", edge(x, last), across),
        net.op("Sub", down, edge(y, first)),
        net.op("Sub", edge(y, last), down),
    )
    boxes = net.op("ReduceSum", first, net.whole(0), keepdims=1)
    return net.op("Add", inside, net.op("Mul", net.op("Sub", 1.0, boxes), _NEVER))


def _outputs(net: Net, family: str, shallow: str, low: bool, frozen: tuple[int, int] | None) -> list[Any]:
    iou = net.constant([_IOUS])
    if family == "sam2":
        net.op("Identity", shallow, gives="masks")
        net.op("Identity", iou, gives="iou_predictions")
        return [_value("masks", "num_labels", 3, _LOW, _LOW), _value("iou_predictions", "num_labels", 3)]
    size = net.op("Cast", "orig_im_size", to=TensorProto.INT64)
    if family == "efficient":
        full = net.resize(shallow, net.op("Concat", net.whole(1, 3), size, axis=0))
        net.op("Unsqueeze", full, net.whole(1), gives="output_masks")
        net.op("Unsqueeze", iou, net.whole(1), gives="iou_predictions")
        net.op("Identity", shallow, gives="2938")
        return [
            _value("output_masks", 1, "q", 3, "y", "x"),
            _value("iou_predictions", 1, "q", 3),
            _value("2938", 1, 3, _LOW, _LOW),
        ]
    padded = net.resize(shallow, net.whole(1, 3, FRAME, FRAME))
    if frozen is not None:
        size = net.whole(*frozen)
    wide = net.op("Cast", size, to=TensorProto.FLOAT)
    scale = net.op("Div", float(FRAME), net.op("ReduceMax", wide, keepdims=1))
    kept = net.op(
        "Cast", net.op("Floor", net.op("Add", net.op("Mul", wide, scale), 0.5)), to=TensorProto.INT64
    )
    cut = net.op("Slice", padded, net.whole(0, 0), kept, net.whole(2, 3))
    net.resize(cut, net.op("Concat", net.whole(1, 3), size, axis=0), gives="masks")
    net.op("Identity", iou, gives="iou_predictions")
    outputs = [_value("masks", 1, 3, "y", "x"), _value("iou_predictions", 1, 3)]
    if low:
        net.op("Identity", shallow, gives="low_res_masks")
        outputs.append(_value("low_res_masks", 1, 3, _LOW, _LOW))
    return outputs


def write_pair(folder: Path, family: str, **changes: Any) -> Path:
    """Encoder, decoder and card of `family` in `folder`; `changes` replace fields of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    for half, write in (("e", write_encoder), ("d", write_decoder)):
        if not (folder / f"{half}.onnx").exists():
            write(folder / f"{half}.onnx", family)
    digests = {n: hashlib.sha256((folder / f"{n}.onnx").read_bytes()).hexdigest() for n in "ed"}
    fields: dict[str, Any] = {
        "schema": 1,
        "name": f"tiny-{family}",
        "version": "3",
        "kind": "sam",
        "encoder": "e.onnx",
        "encoder_sha256": digests["e"],
        "decoder": "d.onnx",
        "decoder_sha256": digests["d"],
        "licence": "none needed",
    }
    path = folder / f"{family}.toml"
    path.write_text(tomli_w.dumps({**fields, **changes}), "utf-8")
    return path
