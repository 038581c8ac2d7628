"""Networks with weights that no training gave them, for what must hold of any weights."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["unsettle"]


def unsettle(network: nn.Module, seed: int = 3) -> None:
    """Give every norm statistics and shifts of its own, as a training does."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            with torch.no_grad():
                for value in (module.running_mean, module.bias):
                    value.copy_(0.1 * torch.randn(value.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
