"""A trained network becomes an ONNX file, proved to compute the same, and a card that says all about it.

Specialist: input ``image (N,3,H,W)``, outputs ``logits (N,1,H,W)`` and ``novelty (N,1)``, N free.
Generalist, three files:

- encoder: ``image (N,3,S,S)`` -> ``s2 s4 s8 s16 s32``, feature maps at those strides;
- decoder: ``s2 s4 s8 s16 s32``, ``prompts (N,4,S,S)``, ``task (N,T)`` one-hot -> ``logits (N,1,S,S)``;
- clicks: ``image (N,3,S,S)``, ``prompts (N,4,S,S)``, ``task (N,T)`` -> ``logits (N,1,S,S)``, for all prompts.

The generalist's card, beyond what :mod:`omniview.inference.card` checks: ``[prompt]`` has ``maps`` (the order
of the prompt maps: positive, negative, box, prior), ``click_sigma`` (pixels of the network's input; a click
is ``exp(-d^2 / (2 sigma^2))``, the highest value wins), all in [0,1] and all zero without prompts;
``[tasks.NAME]`` in the order of the one-hot, each with ``temperature``, ``threshold`` and ``quality`` as a
specialist has them, and ``[tasks.NAME.prompted]`` with those of the click network.
"""

from __future__ import annotations

import hashlib
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omniview.errors import WeightsError
from omniview.inference.card import read_card
from omniview.log import quieted
from omniview.training.calibrate import Calibration
from omniview.training.fit import Fitted, Settings
from omniview.training.quality_fit import FittedQuality

OPSET = 18
TOLERANCE = 1e-3


def to_onnx(
    network: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path
) -> dict[str, NDArray[np.float32]]:
    """Write ``network`` as ``path`` with the first axis of everything free, and check it against torch.

    ``inputs``: name to example, in the order of ``forward``. Returns the ONNX outputs for them.
    Raises :class:`WeightsError` if ONNX Runtime's values differ from torch's by more than 1e-3 (logits).
    """
    import onnxruntime as ort

    network = network.eval()
    batch = torch.export.Dim("batch", min=1, max=256)
    with warnings.catch_warnings(), quieted("torch.onnx"), torch.no_grad():
        # The exporter warns of its own internals; what counts is checked below.
        warnings.simplefilter("ignore")
        expected = network(*inputs.values())
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            external_data=False,
            verbose=False,
        )
    without_traces(path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    if isinstance(expected, Tensor):
        expected = (expected,)
    for name, ours, theirs in zip(outputs, values, expected, strict=True):
        worst = float(np.abs(ours - theirs.numpy()).max())
        if not worst <= TOLERANCE:
            raise WeightsError(
                f"{path.name}: {name} differs from torch by {worst:.2g}.", "Report this export."
            )
    return dict(zip(outputs, values, strict=True))


def without_traces(path: Path) -> None:
    """Take out what the exporter tells of the machine it ran on: source paths and lines, for every node."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def sha256(path: Path) -> str:
    """Hash of the file's bytes, lower-case hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write ``card`` as TOML and read it back; keys whose value is None are left out, at any depth.

    Raises :class:`CardError` for a card that the viewer could not read.
    """
    path.write_bytes(tomli_w.dumps(_without_none(card)).encode())
    read_card(path)


def output_fields(calibration: Calibration) -> dict[str, Any]:
    """Temperature and threshold as the card names them."""
    return {"temperature": calibration.temperature, "threshold": calibration.threshold}


def quality_fields(calibration: Calibration, fitted: FittedQuality | None = None) -> dict[str, Any] | None:
    """The quality table, with the head where one was fitted, as the card has them; None: nothing measured."""
    if fitted is not None:
        return {
            "confidence": list(fitted.table.confidence),
            "dice": list(fitted.table.dice),
            "half_width": list(np.atleast_1d(fitted.table.half_width)),
            "head": asdict(fitted.head),
        }
    if len(calibration.confidence) < 2:
        return None
    return {
        "confidence": list(calibration.confidence),
        "dice": list(calibration.dice),
        "half_width": calibration.half_width,
        "empty": calibration.empty,
    }


def training_fields(settings: Settings, fitted: Fitted, data_sha256: str, **more: Any) -> dict[str, Any]:
    """Whatever repeats the training: settings, steps done, data hash, versions, the learning curve's end."""
    return {
        **asdict(settings),
        "steps_done": fitted.steps,
        "minutes_spent": round(fitted.minutes, 1),
        "final_loss": round(fitted.curve[-1][1], 4) if fitted.curve else None,
        "data_sha256": data_sha256,
        "torch": torch.__version__,
        "python": platform.python_version(),
        **more,
        "command": "omniview train --task TASK --data FOLDER... --out DIR",
    }


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value
