"""What training minimises: cross-entropy for every pixel, soft Dice for every image, clDice for vessels."""

from __future__ import annotations

import torch
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


def centreline_loss(logits: Tensor, target: Tensor, iterations: int = 3) -> Tensor:
    """One minus the soft clDice of each image, over non-empty targets: broken vessels cost, thick ones not.

    ``logits``, ``target``: ``(N,1,H,W)``. Centrelines are soft skeletons, exact for structures up to
    ``2 iterations`` px wide. (Shit et al. 2021.)
    """
    probability = logits.sigmoid()
    ours, theirs = _soft_skeleton(probability, iterations), _soft_skeleton(target, iterations)
    precise = ((ours * target).sum((1, 2, 3)) + 1.0) / (ours.sum((1, 2, 3)) + 1.0)
    sensitive = ((theirs * probability).sum((1, 2, 3)) + 1.0) / (theirs.sum((1, 2, 3)) + 1.0)
    present = (target.sum((1, 2, 3)) > 0).to(logits.dtype)
    loss = (1.0 - 2.0 * precise * sensitive / (precise + sensitive)) * present
    return loss.sum() / present.sum().clamp(min=1.0)


def _soft_skeleton(x: Tensor, iterations: int) -> Tensor:
    skeleton = F.relu(x - _dilated(_eroded(x)))
    for _ in range(iterations):
        x = _eroded(x)
        ridge = F.relu(x - _dilated(_eroded(x)))
        skeleton = skeleton + F.relu(ridge - skeleton * ridge)
    return skeleton


def _eroded(x: Tensor) -> Tensor:
    """Minimum over the cross of five pixels."""
    upright = -F.max_pool2d(-x, (3, 1), 1, (1, 0))
    level = -F.max_pool2d(-x, (1, 3), 1, (0, 1))
    return torch.minimum(upright, level)


def _dilated(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 1, 1)


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy (``weight (N,1,H,W)`` multiplies it, 1 where None) plus soft Dice."""
    return F.binary_cross_entropy_with_logits(logits, target, weight) + soft_dice_loss(logits, target)
