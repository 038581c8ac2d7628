"""Tiny real PyTorch networks with real cards, and archives tampered with, written where a test wants them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.networks import write_card

__all__ = ["Tiny", "Wobbly", "rewritten", "values_of", "write_archive", "write_torch"]


class Tiny(nn.Module):
    """Two convolutions with a BatchNorm, then back to the input's size; logits about 0: views differ."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 6, 3, 2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.norm.running_mean = torch.rand(6)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Conv2d(6, 1, 1)
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor(20.0), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(N,3,h,w) to logits (N,1,h,w)."""
        seen = self.dropout(torch.relu(self.norm(self.first(image))))
        maps = nn.functional.interpolate(self.head(seen), scale_factor=2.0, mode="bilinear")
        return (maps - maps.mean((2, 3), keepdim=True)) * self.scale


class Wobbly(nn.Module):
    """Logits that grow with brightness, half of them dropped at random where dropout is on."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, image: Tensor) -> Tensor:
        """(N,3,h,w) to logits (N,1,h,w)."""
        brightness: Tensor = self.norm(image).mean(1, keepdim=True)
        dropped: Tensor = self.dropout(20.0 * brightness)
        return dropped - 10.0


def write_archive(
    path: Path, network: nn.Module, *, free: bool = True, axes: Mapping[int, Any] | None = None
) -> None:
    """`torch.export.save` of `network` in eval mode, for 32x32 pixels, its batch axis free or fixed at 2.

    Args:
        path: where to write it.
        network: it.
        free: whether the batch axis is.
        axes: others that are free, to what `torch.export.Dim` makes of them.
    """
    batch = {0: torch.export.Dim("batch", min=1, max=64)} if free else {}
    batch |= axes or {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own internals
        exported = torch.export.export(
            network.eval(), (torch.rand(2, 3, 32, 32),), dynamic_shapes=(batch,), strict=False
        )
        torch.export.save(exported, path)


def write_torch(folder: Path, network: nn.Module, name: str = "tiny", **changes: Any) -> Path:
    """`network` as NAME.pt2 and its card; returns the card's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_archive(folder / f"{name}.pt2", network)
    return write_card(folder, name, suffix=".pt2", **changes)


def values_of(network: nn.Module) -> dict[str, Tensor]:
    """Its state in the order of bytes that safetensors asks for."""
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> None:
    """Pass each member (name without its root, content) of an archive through `change`; None takes it out."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    root = next(iter(members)).split("/")[0]
    members |= {f"{root}/{name}": content for name, content in more.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            kept = change(name.removeprefix(f"{root}/"), content)
            if kept is not None:
                archive.writestr(name, kept)
