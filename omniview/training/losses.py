"""What training minimises: cross-entropy for every pixel, soft Dice for every image with something in it."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  (as torch itself writes it)
from torch import Tensor


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice ``2 sum(p t) / (sum(p) + sum(t))`` of each image, over non-empty targets.

    ``logits``, ``target``: ``(N,1,H,W)``. Empty targets are left to cross-entropy: their soft Dice is 0 for
    every prediction and its gradient only noise. (Milletari 2016, without the squares.)
    """
    probability = logits.sigmoid()
    shared = (probability * target).sum((1, 2, 3))
    total = probability.sum((1, 2, 3)) + target.sum((1, 2, 3))
    present = (target.sum((1, 2, 3)) > 0).to(logits.dtype)
    loss = (1.0 - (2.0 * shared + 1.0) / (total + 1.0)) * present
    return loss.sum() / present.sum().clamp(min=1.0)


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy (``weight (N,1,H,W)`` multiplies it, 1 where None) plus soft Dice."""
    return F.binary_cross_entropy_with_logits(logits, target, weight) + soft_dice_loss(logits, target)
