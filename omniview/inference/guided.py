"""A card for a network from elsewhere: proposed from what the file says and from one look at a picture.

Neither normalisation nor the meaning of an output stands in an ONNX file. What can be read or measured is;
the rest follows the training library (`PRESETS`) or is asked for, and every guess is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from pydantic import ValidationError

from omniview.core.image import Array, Image
from omniview.core.task import Task
from omniview.errors import CardError, InferenceError, SettingsError, WeightsError
from omniview.inference.card import Activation, InputSpec, OutputSpec
from omniview.inference.network_file import NetworkFile
from omniview.inference.outputs import logits_of
from omniview.inference.tensors import prepare, to_nchw

__all__ = ["PRESETS", "Preset", "Proposal", "Wishes", "propose"]

Preset: TypeAlias = Literal["smp", "nnunet", "monai"]
Geometry: TypeAlias = Literal["stretch", "letterbox", "tile"]

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FREE_SIZE = 512
BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class _Way:
    geometry: Geometry
    normalise: Literal["imagenet", "unit", "image"]


PRESETS: Mapping[Preset, _Way] = MappingProxyType(
    {
        # how networks of these libraries are usually fed; what the file itself says goes before
        "smp": _Way("stretch", "imagenet"),
        "nnunet": _Way("tile", "image"),
        "monai": _Way("stretch", "unit"),
    }
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person says of the network; None and () where they leave it open.

    Attributes:
        preset: the library that it was trained with.
        geometry: how a picture comes into its input.
        size: (rows, columns) of its input, where that is free.
        mean: per channel, of pixels scaled to [0,1].
        std: per channel.
        activation: what its numbers are.
        threshold: probability at which its mask is best.
        labels: names of the output's channels in their order, the background among them.
    """

    preset: Preset | None = None
    geometry: Geometry | None = None
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    activation: Activation | None = None
    threshold: float | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for value, known, option in (
            (self.preset, get_args(Preset), "--preset"),
            (self.geometry, get_args(Geometry), "--geometry"),
            (self.activation, get_args(Activation), "--activation"),
        ):
            if value is not None and value not in known:
                raise SettingsError(f"{option} is {value!r}.", f"Use one of {', '.join(known)}.")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The parts of a card that say how to run the network.

    Attributes:
        input: how a picture becomes its input.
        output: what its numbers mean.
        notes: what was guessed, and what follows from that, in sentences.
    """

    input: InputSpec
    output: OutputSpec
    notes: tuple[str, ...]


def propose(network: NetworkFile, task: Task, wishes: Wishes, picture: Image) -> Proposal:
    """Run the network once on `picture` and say how it is to be used.

    Args:
        network: the file.
        task: what it is to find.
        wishes: what the person says.
        picture: one of the task's kind.

    Raises:
        CardError: what was said contradicts the network, or has to be said.
        WeightsError: its output is no map of the task.
    """
    notes: list[str] = []
    try:
        spec = InputSpec.model_validate(_input(network, wishes, notes))
    except ValidationError as error:
        raise CardError(
            f"The input cannot be used so: {error.errors()[0]['msg']}.", "Change --size, --mean or --std."
        ) from error
    raw = _look(network, spec, picture)
    try:
        output = OutputSpec.model_validate(_output(network, raw, task, wishes, notes))
        logits_of(raw, output)
    except ValidationError as error:
        raise CardError(
            f"The output cannot be used so: {error.errors()[0]['msg']}.",
            "Change --threshold or --activation.",
        ) from error
    except ValueError as error:
        raise WeightsError(f"The output of {network.path.name} {error}.", "Change --activation.") from error
    return Proposal(spec, output, tuple(notes))


def _input(network: NetworkFile, wishes: Wishes, notes: list[str]) -> dict[str, Any]:
    if wishes.size is not None and network.size not in (None, wishes.size):
        raise CardError(
            f"{network.path.name} takes {network.size} only, not {wishes.size}.", "Leave --size out."
        )
    preset = wishes.preset or ("smp" if network.channels == 3 else "monai")
    way = PRESETS[preset]
    size = network.size or wishes.size
    if size is None:
        size = (_FREE_SIZE, _FREE_SIZE)
        notes.append(f"Its input is free: {_FREE_SIZE}x{_FREE_SIZE} was taken; --size says it better.")
    fields: dict[str, Any] = {
        "geometry": wishes.geometry or way.geometry,
        "size": size,
        "channels": network.channels,
        **_normalise(network.channels, way, wishes),
    }
    if fields["geometry"] == "tile":
        fields["overlap"] = min(size) // 2 if preset == "nnunet" else min(size) // 4
    if wishes.preset is None and not wishes.mean:
        notes.append(f"Nobody said how it was trained: pixels are normalised as {preset} does (--preset).")
    return fields


def _normalise(channels: int, way: _Way, wishes: Wishes) -> dict[str, Any]:
    if wishes.mean or wishes.std:
        return {"mean": wishes.mean or (0.0,) * channels, "std": wishes.std or (1.0,) * channels}
    if way.normalise == "imagenet":
        if channels == 3:
            return {"mean": _IMAGENET[0], "std": _IMAGENET[1]}
        return {"mean": (0.449,), "std": (0.226,)}  # their means: grey has no colours of its own
    plain = {"mean": (0.0,) * channels, "std": (1.0,) * channels}
    return plain if way.normalise == "unit" else {**plain, "normalise": "image"}


def _look(network: NetworkFile, spec: InputSpec, picture: Image) -> Array:
    """What it puts out for the first input of `picture`: (1,C,h,w) or (1,h,w), finite, of its size."""
    name = network.path.name
    prepared = prepare(picture.rgb8(), spec)
    try:
        raw = network.session.run({network.image: to_nchw(prepared.inputs[:1], prepared.spec)})[0]
    except InferenceError as error:
        raise WeightsError(
            f"{name} fails on a picture of {spec.size[0]}x{spec.size[1]}: {error.message}",
            "Give the --size that it was trained with; many networks want multiples of 32.",
        ) from error
    if raw.ndim not in (3, 4):
        raise WeightsError(
            f"The output of {name} has the shape {raw.shape}: no map.",
            "A segmenter gives (N,C,height,width); this may be a classifier or a detector.",
        )
    if raw.shape[-2:] != spec.size:
        raise WeightsError(
            f"The output of {name} is {raw.shape[-2]}x{raw.shape[-1]}, "
            f"its input {spec.size[0]}x{spec.size[1]}.",
            "Export it with its upsampling, so that both have one size, channels first.",
        )
    if not np.isfinite(raw).all():
        raise WeightsError(f"The output of {name} is not finite.", "Check --preset, --mean and --std.")
    return raw


def _output(network: NetworkFile, raw: Array, task: Task, wishes: Wishes, notes: list[str]) -> dict[str, Any]:
    channels = raw.shape[1] if raw.ndim == 4 else 1
    whole = np.issubdtype(raw.dtype, np.integer) or network.last == "ArgMax"
    activation = wishes.activation or _activation(network.last, raw, channels, len(task.labels), whole, notes)
    if activation == "classes":
        notes.append("It gives classes, not probabilities: only its views tell how sure it is.")
    chosen = _chosen(channels, task, wishes.labels, activation)
    fields: dict[str, Any] = {"activation": activation, "threshold": wishes.threshold or 0.5}
    if wishes.threshold is None:
        notes.append(
            "Its threshold of 0.5 was not measured, and it predicts no quality, so that it leads no fusion."
        )
    return fields if chosen is None else {**fields, "channels": chosen}


def _activation(
    last: str, raw: Array, channels: int, labels: int, whole: bool, notes: list[str]
) -> Activation:
    """What the numbers are: by the last operator, else by their range."""
    if whole:
        return "classes"
    if last in ("Sigmoid", "Softmax"):
        return "probability"
    if last == "LogSoftmax":
        return "softmax"  # its softmax is itself undone: exp(log p) sums to 1
    if float(raw.min()) >= 0.0 and float(raw.max()) <= 1.0 and float(raw.max()) > float(raw.min()):
        notes.append(f"It ends in {last or 'nothing known'}, with numbers within 0 and 1: probabilities.")
        return "probability"
    return "logits" if channels == labels else "softmax"


def _chosen(
    channels: int, task: Task, names: tuple[str, ...], activation: Activation
) -> tuple[int, ...] | None:
    """Which channels (or class numbers) are the task's labels; None for all, as they are."""
    wanted = ", ".join(task.labels)
    if names:
        if activation != "classes" and len(names) != channels:
            raise CardError(
                f"The output has {channels} channels, and --labels names {len(names)}.",
                f"Name each of them, such as {BACKGROUND},{wanted}.",
            )
        if missing := [label for label in task.labels if label not in names]:
            raise CardError(
                f"--labels does not name {', '.join(missing)}, which the task {task.name} looks for.",
                f"Call the channel that is meant {missing[0]}.",
            )
        return tuple(names.index(label) for label in task.labels)
    if activation == "classes":
        return tuple(range(1, len(task.labels) + 1))
    if channels == len(task.labels) and activation != "softmax":
        return None
    if channels == len(task.labels) + 1:
        return tuple(range(1, channels))
    raise CardError(
        f"The output has {channels} channels, and the task {task.name} looks for {wanted}.",
        f"Say which is which, in their order: --labels {BACKGROUND},{wanted},...",
    )
