"""Loads a network that PyTorch runs, and knows where that really is; imports torch only when it is needed.

Two kinds of file: `.pt2` archives hold their graph (:mod:`omniview.inference.pt2` takes code out of them
first), `.safetensors` hold numbers alone, for one of OmniView's own networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from omniview.core.cores import cores
from omniview.core.image import Array, FloatArray
from omniview.errors import CardError, InferenceError, WeightsError
from omniview.inference.card import SpecialistCard
from omniview.inference.network_spec import NetworkKind
from omniview.inference.pt2 import open_exported
from omniview.inference.weights import verified
from omniview.inference.worker import Ticket
from omniview.settings import Device, Precision
from omniview.specialists.carded import BATCH

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.export import ExportedProgram

__all__ = ["Build", "TorchNetwork", "open_torch"]

Build: TypeAlias = "Callable[[NetworkKind], nn.Module]"
"""One of OmniView's own networks, its weights still to be loaded."""

_INSTALL = "Install torch==2.13.0 and safetensors for the Python that omniview doctor names."


@dataclass(frozen=True, slots=True)
class TorchNetwork:
    """A network in PyTorch, ready to run.

    Attributes:
        provider: where it runs, and with which numbers if not float32.
        fallback: why that is not where it was asked to, or None.
        batch: the most inputs of one run.
        least: the fewest; runs with fewer are filled up with copies.
        draws: how many different answers dropout is asked for; 1 where it is off.
    """

    provider: str
    fallback: str | None
    batch: int
    least: int
    draws: int
    _forward: nn.Module
    _device: torch.device
    _lower: torch.dtype | None
    _threads: int

    @property
    def variant(self) -> None:
        """It runs the card's own weights."""
        return

    def run(self, inputs: FloatArray, ticket: Ticket, draw: int = 0) -> list[Array]:
        """(N,C,h,w) float32 to all outputs; `draw` seeds what dropout drops.

        Raises:
            InferenceError: PyTorch failed.
        """
        import torch

        ticket.check()
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)  # holds for the calling thread alone
        try:
            with torch.inference_mode(), self._numbers(), self._seeded(draw):
                batch = torch.from_numpy(inputs)
                if len(inputs) < self.least:
                    batch = torch.cat([batch, batch[:1].expand(self.least - len(inputs), -1, -1, -1)])
                outputs = _tensors(self._forward(batch.to(self._device)))
                return [output[: len(inputs)].float().cpu().numpy() for output in outputs]
        except RuntimeError as error:  # includes being out of GPU memory
            raise InferenceError(
                f"The network failed on {self.provider}: {_first_line(error)}",
                "Try device = 'cpu' in the settings.",
            ) from error

    def _numbers(self) -> AbstractContextManager[Any]:
        import torch

        return nullcontext() if self._lower is None else torch.autocast(self._device.type, self._lower)

    def _seeded(self, draw: int) -> AbstractContextManager[Any]:
        return nullcontext() if self.draws == 1 else _Seeded(self._device, draw)


class _Seeded:
    """What torch draws within is the same for the same `seed`; what it draws elsewhere is left alone."""

    def __init__(self, device: torch.device, seed: int) -> None:
        import torch

        self._fork = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        self._seed = seed

    def __enter__(self) -> None:
        import torch

        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)


def open_torch(
    card: SpecialistCard, build: Build, *, device: Device, precision: Precision, threads: int
) -> TorchNetwork:
    """Load the weights of `card` where `device` says, or on the CPU with the reason why not there.

    Args:
        card: one whose weights are a `.pt2` or `.safetensors`.
        build: the networks that `.safetensors` are weights of.
        device: "auto" takes CUDA where this PyTorch has it; "cuda" says why not. TensorRT is for ONNX.
        precision: "fp32" overrules a card that allows fewer bits on CUDA.
        threads: CPU threads of one run; 0 leaves one core free.

    Raises:
        WeightsError: missing, changed, broken or dangerous, or PyTorch is not installed.
        CardError: the card contradicts the network.
    """
    path = verified(card.folder / card.weights, card.sha256)
    try:
        import torch
    except ImportError as error:
        raise WeightsError(f"{card.name} needs PyTorch, which is not installed.", _INSTALL) from error
    where, fallback = _device(device)
    try:
        network, least, most = _on_device(path, card, build, where)
    except RuntimeError as error:
        if where.type != "cuda":
            raise
        where, fallback = torch.device("cpu"), f"CUDA was found but did not start: {_first_line(error)}"
        network, least, most = _on_device(path, card, build, where)
    lower = None
    if where.type == "cuda" and precision != "fp32" and card.network.precision != "float32":
        lower = getattr(torch, card.network.precision)
    provider = f"PyTorch {where.type.upper()}" + (f", {card.network.precision}" if lower else "")
    if precision == "int8":
        fallback = "; ".join(filter(None, (fallback, "this model has no int8 variant")))
    return TorchNetwork(
        provider,
        fallback,
        most,
        least,
        max(1, card.dropout.samples),
        network,
        where,
        lower,
        threads or max(1, cores() - 1),
    )


def _on_device(
    path: Path, card: SpecialistCard, build: Build, where: torch.device
) -> tuple[nn.Module, int, int]:
    """The network on its device, and the fewest and the most inputs of one run."""
    if path.suffix.lower() == ".pt2":
        from torch.export.passes import move_to_device_pass

        program = open_exported(path)
        least, most = _batches(program, card)
        if where.type != "cpu":
            program = move_to_device_pass(program, where.type)  # graphs name devices, too
        return _module_of(program, path, dropping=card.dropout.samples > 0), least, most
    network = _filled(path, card, build)
    if card.dropout.samples:
        _drop(network, card)
    return network.to(where), 1, BATCH


def _device(wanted: Device) -> tuple[torch.device, str | None]:
    import torch

    if wanted == "cpu":
        return torch.device("cpu"), None
    if torch.cuda.is_available():
        return torch.device("cuda"), "TensorRT runs ONNX models only" if wanted == "tensorrt" else None
    if wanted == "auto":
        return torch.device("cpu"), None
    built = torch.version.cuda is not None
    why = "PyTorch found no NVIDIA GPU" if built else "this PyTorch was built without CUDA"
    return torch.device("cpu"), why


def _filled(path: Path, card: SpecialistCard, build: Build) -> nn.Module:
    """The network that the card names, with the weights of a `.safetensors`."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise WeightsError(f"{card.name} needs safetensors, which is not installed.", _INSTALL) from error
    assert card.network.kind is not None
    try:
        values = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path.name} is no whole safetensors file ({_first_line(error)}).", "Restore or copy it again."
        ) from error
    network = build(card.network.kind)
    try:
        network.load_state_dict(values)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise WeightsError(
            f"{path.name} holds no weights of the network {card.network.kind!r}: {' '.join(lines)[:300]}",
            "Correct network.kind in the card, or save the network's state_dict() anew.",
        ) from error
    return network.eval()


def _drop(network: nn.Module, card: SpecialistCard) -> None:
    """Turn dropout on, and nothing else that behaves differently in training."""
    from torch import nn

    kinds = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout | nn.FeatureAlphaDropout
    layers = [layer for layer in network.modules() if isinstance(layer, kinds) and layer.p > 0]
    if not layers:
        raise _without_dropout(card.name)
    for layer in layers:
        layer.train()


def _module_of(program: ExportedProgram, path: Path, *, dropping: bool) -> nn.Module:
    """The archive's network; `dropping` turns on the dropout that its graph still has."""
    import torch
    from torch.fx import GraphModule

    module = program.module()
    assert isinstance(module, GraphModule)
    if not dropping:
        return module
    aten = torch.ops.aten
    kinds = (aten.dropout.default, aten.feature_dropout.default, aten.alpha_dropout.default)
    layers = [node for node in module.graph.nodes if node.target in kinds and node.args[1] > 0]
    if not layers:
        raise _without_dropout(path.name)
    for node in layers:
        node.update_arg(2, True)
    module.recompile()
    return module


def _without_dropout(name: str) -> CardError:
    return CardError(
        f"The card asks for samples of dropout, and the network of {name} has none.",
        "Take dropout.samples out of the card. Of archives: exports that were decomposed have lost theirs.",
    )


def _batches(program: ExportedProgram, card: SpecialistCard) -> tuple[int, int]:
    """The fewest and the most inputs of one run that an archive allows."""
    names = program.graph_signature.user_inputs
    places = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(places) != 1 or len(places[0].meta["val"].shape) != 4:
        raise WeightsError(
            f"{card.weights} takes {len(places)} inputs, or none of (N,C,h,w).",
            "A specialist takes an image alone: export it with one input.",
        )
    first, *rest = places[0].meta["val"].shape
    wanted = (card.input.channels, *card.input.size)
    if any(isinstance(has, int) and has != needs for has, needs in zip(rest, wanted, strict=True)):
        shape = " x ".join(str(n) if isinstance(n, int) else "any" for n in rest)
        raise CardError(
            f"{card.weights} takes images of {shape}, the card says {' x '.join(map(str, wanted))}.",
            "Correct input.size and input.channels in the card.",
        )
    if isinstance(first, int):
        return first, first
    allowed = program.range_constraints[first.node.expr]
    least = max(1, int(allowed.lower))
    return least, max(least, BATCH if allowed.upper > BATCH else int(allowed.upper))


def _tensors(outputs: Any) -> Sequence[torch.Tensor]:
    """What a network gave, in its order, whatever it is wrapped in."""
    import torch

    if isinstance(outputs, torch.Tensor):
        return (outputs,)
    found = tuple(outputs.values() if isinstance(outputs, dict) else outputs)
    if not found or not all(isinstance(output, torch.Tensor) for output in found):
        raise InferenceError("The network gives something other than tensors.", "Export it to give its maps.")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
