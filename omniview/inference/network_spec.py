"""What only PyTorch weights need on a specialist's card: whose weights they are, and their dropout."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DropoutSpec", "NetworkKind", "NetworkSpec", "check_torch", "is_torch"]

NetworkKind: TypeAlias = Literal["lite", "lite-presence", "lite-fluorescence", "vessel"]

_PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSpec(_Frozen):
    """What a file of PyTorch weights does not say itself.

    Attributes:
        kind: whose weights a `.safetensors` holds, one of OmniView's own networks; an archive (`.pt2`) holds
            its network and has none.
        precision: of convolutions on CUDA; on a CPU it is always float32.
    """

    kind: NetworkKind | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"


class DropoutSpec(_Frozen):
    """Dropout left on while predicting (Gal and Ghahramani 2016), so that the network can contradict itself.

    Attributes:
        samples: how often each view is run, every time with other parts dropped; 0: dropout is off.
    """

    samples: int = Field(default=0, ge=0, le=64)


def is_torch(weights: str) -> bool:
    """Whether a file of this name is run by PyTorch rather than ONNX Runtime."""
    return PurePath(weights).suffix.lower() in (".pt2", ".safetensors")


def check_torch(weights: str, network: NetworkSpec, dropout: DropoutSpec, *, int8: bool) -> None:
    """Raise ValueError unless these parts of a card fit together."""
    suffix = PurePath(weights).suffix.lower()
    if suffix in _PICKLES:
        raise ValueError(
            f"weights in {suffix} files are pickles, which run code when they are read; save them as "
            ".safetensors, or export the network as .onnx or .pt2"
        )
    if (suffix == ".safetensors") != (network.kind is not None):
        raise ValueError(
            "network.kind says whose weights a .safetensors holds: that needs it, and nothing else has it"
        )
    if is_torch(weights) and int8:
        raise ValueError("int8 belongs to weights in .onnx")
    if not is_torch(weights) and (dropout.samples or network.precision != "float32"):
        raise ValueError("network and dropout belong to weights in .pt2 or .safetensors")
