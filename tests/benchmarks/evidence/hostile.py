"""Omnimodels that are useless or worse: what they say must not cost the person the specialist's mask.

Each is a drawn answer that goes through `omniview.omnimodel.voting`, as a cloud's answers do. Nobody has ever
measured these models, so their predicted quality is not known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import cv2
import numpy as np

from omniview.core.image import BoolArray
from omniview.core.prediction import Prediction
from omniview.omnimodel.voting import vote

__all__ = ["HOSTILE", "hostile", "random_blob"]

Answers: TypeAlias = Callable[[np.random.Generator, BoolArray, BoolArray], Sequence[BoolArray]]
"""Of a source of chance, the truth and another case's mask, both (Y,X) bool, the answers, each (Y,X) bool."""


def hostile(kind: str, name: str, truth: BoolArray, other: BoolArray) -> Prediction:
    """What the useless omnimodel `kind`, one of `HOSTILE`, says.

    Args:
        kind: which one.
        name: of the case; chance follows from it.
        truth: (1,Y,X) bool.
        other: (Y',X') bool, another case's mask, of any size.
    """
    seed = hashlib.sha256(f"{kind} {name}".encode()).digest()[:8]
    random = np.random.default_rng(int.from_bytes(seed))
    height, width = truth.shape[1:]
    fitted = cv2.resize(other.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    probability, spread = vote([mask[None] for mask in HOSTILE[kind](random, truth[0], fitted)])
    return Prediction(kind, "omnimodel", probability, spread)


def random_blob(random: np.random.Generator, truth: BoolArray) -> BoolArray:
    """A smooth blob of 2 to 30 % of the image, anywhere."""
    height, width = truth.shape
    radius = math.sqrt(random.uniform(0.02, 0.3) * height * width / math.pi)
    row, column = random.uniform(0, height), random.uniform(0, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = np.arctan2(y - row, x - column)
    edge = 1.0 + sum(random.normal(0, 0.12) * np.cos(k * angle + random.uniform(0, 6)) for k in (2, 3, 5))
    inside: BoolArray = np.hypot(y - row, x - column) < radius * edge
    return inside


def _shifted(random: np.random.Generator, truth: BoolArray) -> BoolArray:
    """The truth, moved by a quarter of the image: right in form, wrong in place."""
    height, width = truth.shape
    angle = random.uniform(0, 2 * math.pi)
    rows, columns = round(height * math.sin(angle) / 4), round(width * math.cos(angle) / 4)
    return np.roll(truth, (rows, columns), (0, 1))


def _flicker(random: np.random.Generator, truth: BoolArray) -> Sequence[BoolArray]:
    return [random_blob(random, truth), np.zeros_like(truth), random_blob(random, truth)]


HOSTILE: Mapping[str, Answers] = MappingProxyType(
    {
        "random blob": lambda random, truth, _: [random_blob(random, truth)],
        "whole image": lambda _, truth, __: [np.ones_like(truth)],
        "complement": lambda _, truth, __: [~truth],
        "shifted": lambda random, truth, _: [_shifted(random, truth)],
        "another case's mask": lambda _, __, other: [other],
        "empty": lambda _, truth, __: [np.zeros_like(truth)],
        "flicker": lambda random, truth, _: _flicker(random, truth),
        "same blob three times": lambda random, truth, _: [random_blob(random, truth)] * 3,
    }
)
"""The last one is steady in its error: agreement with itself is no evidence."""
