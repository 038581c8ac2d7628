"""What a network puts out, whatever its last layer, as logits of the task's labels: one meaning for all.

Networks from elsewhere end in a sigmoid, a softmax with a background channel, an argmax, or nothing.
Temperature and threshold are about logits of independent labels, so that each kind is brought to those here
and nowhere else.
"""

from __future__ import annotations

import numpy as np

from omniview.core.image import Array, FloatArray
from omniview.inference.card import OutputSpec

__all__ = ["logits_of"]

_SMALLEST = np.float32(1e-6)
_SURE = np.float32(4.6)
"""Logit of 0.99: a class number says nothing of its own certainty; averaged views do."""


def logits_of(raw: Array, spec: OutputSpec) -> FloatArray:
    """Logits of the labels, each against everything else.

    For "softmax" the logit of class c is `z_c - log(sum of exp(z_j) over the others)`, so that its sigmoid is
    the softmax's own probability.

    Args:
        raw: what the network gave: (N,C,h,w), or (N,h,w) where there is one channel only.
        spec: the card's output.

    Returns:
        (N,K,h,w) float32, finite: K as `spec.channels` has it, else C.

    Raises:
        ValueError: no such array, a value that is not finite, or fewer channels than the card names.
    """
    if raw.ndim == 3:
        raw = raw[:, None]
    if raw.ndim != 4:
        raise ValueError(f"is {raw.ndim}-dimensional")
    if spec.activation == "classes":
        numbers = np.asarray(spec.channels)[:, None, None]
        if raw.shape[1] != 1:
            raise ValueError(f"has {raw.shape[1]} channels, where a map of class numbers has one")
        return np.where(raw == numbers, _SURE, -_SURE)
    if not np.isfinite(raw).all():
        raise ValueError("is not finite")
    values = raw.astype(np.float32, copy=False)
    if spec.channels is not None and max(spec.channels) >= values.shape[1]:
        raise ValueError(
            f"has {values.shape[1]} channels, and the card counts on channel {max(spec.channels)}"
        )
    if spec.activation == "softmax":
        return _against_the_rest(values, spec.channels or tuple(range(values.shape[1])))
    if spec.channels is not None:
        values = values[:, list(spec.channels)]
    if spec.activation == "probability":
        clipped = np.clip(values, _SMALLEST, 1 - _SMALLEST)
        values = np.log(clipped / (1 - clipped))
    return values


def _against_the_rest(z: FloatArray, channels: tuple[int, ...]) -> FloatArray:
    """(N,C,h,w) logits of a softmax to (N,K,h,w): each of `channels` against all others together."""
    if z.shape[1] < 2:
        raise ValueError("has one channel, and a softmax of one is 1 everywhere")
    out = np.empty((z.shape[0], len(channels), *z.shape[2:]), np.float32)
    for place, channel in enumerate(channels):
        others = np.delete(z, channel, axis=1)
        most = others.max(axis=1)
        out[:, place] = z[:, channel] - most - np.log(np.exp(others - most[:, None]).sum(axis=1))
    return out
