"""One image looked at through several views, by whatever runs the network: averaged, put back on its grid.

Every sample of the same pixels counts alike, be it another view (test-time augmentation) or another draw of a
network's dropout: their mean is the answer, what they contradict each other in is the network's own doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from omniview.core.geometry import View
from omniview.core.image import Array, FloatArray, UInt8Array
from omniview.core.uncertainty import quick_entropy, temper
from omniview.errors import InferenceError
from omniview.inference.card import OutputSpec
from omniview.inference.outputs import logits_of
from omniview.inference.tensors import Prepared

__all__ = [
    "MOST_INPUTS",
    "Averaged",
    "Pool",
    "Pooled",
    "affordable",
    "grouped",
    "joined",
    "pooled",
    "probability",
]

MOST_INPUTS = 96
"""Network inputs for one image, views times tiles: a huge image is seen through fewer views, and says so."""


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """What the samples say together, at the image's own size.

    Attributes:
        mean: (K,Y,X) float32 in [0,1].
        spread: (K,Y,X) float32 in [0,1], population standard deviation; zero of one sample.
        mutual_information: (K,Y,X) float32 in [0,1], bits, within 4e-4; None of one sample.
        samples: how many there were.
    """

    mean: FloatArray
    spread: FloatArray
    mutual_information: FloatArray | None
    samples: int


def affordable(views: tuple[View, ...], inputs: int) -> tuple[View, ...]:
    """As many of the first views as `MOST_INPUTS` allows for an image of so many inputs; at least one."""
    return views[: max(1, MOST_INPUTS // inputs)]


def grouped(inputs: UInt8Array, views: tuple[View, ...]) -> list[tuple[View, ...]]:
    """Which views of (N,h,w,3) inputs go through the network together: all of one square input, else each."""
    if len(inputs) == 1 and inputs.shape[1] == inputs.shape[2]:
        return [views] if views else []
    return [(view,) for view in views]


def joined(parts: Sequence[Array]) -> Array:
    """The parts along their first axis; of one part, that part itself."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """What the samples say together, still on the network's grid.

    Attributes:
        mean: (N,K,h,w) float32 in [0,1].
        spread: likewise, population standard deviation; None of one sample.
        mutual_information: likewise, bits; None of one sample.
        samples: how many there were.
    """

    mean: FloatArray
    spread: FloatArray | None
    mutual_information: FloatArray | None
    samples: int

    def restored(self, prepared: Prepared) -> Averaged:
        """The same at the size of the image that `prepared` was made of."""
        mean = prepared.restore(self.mean)
        if self.spread is None or self.mutual_information is None:
            return Averaged(mean, np.zeros_like(mean), None, self.samples)
        spread, information = prepared.restore(self.spread), prepared.restore(self.mutual_information)
        return Averaged(mean, spread, information, self.samples)


class Pool:
    """Takes samples one at a time, so that memory does not grow with their number."""

    def __init__(self) -> None:
        self.samples = 0
        """How many it was given."""
        self._total = self._squares = self._doubt = np.zeros(0, np.float32)

    def add(self, maps: FloatArray) -> None:
        """One more sample, (N,K,h,w) float32 in [0,1]; of the inputs that the others are of."""
        self.samples += 1
        if self.samples == 1:
            self._total = maps
        elif self.samples == 2:
            self._squares = self._total * self._total + maps * maps
            self._doubt = quick_entropy(self._total) + quick_entropy(maps)
            self._total = self._total + maps
        else:
            self._total += maps
            self._squares += maps * maps
            self._doubt += quick_entropy(maps)

    def result(self) -> Pooled:
        """Mean, spread and mutual information of at least one sample; to be asked for once."""
        total, squares, doubt, count = self._total, self._squares, self._doubt, self.samples
        if count == 1:
            return Pooled(total, None, None, count)
        n = np.float32(count)
        total /= n
        squares /= n
        squares -= total * total
        spread = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
        information = quick_entropy(total)
        doubt /= n
        information -= doubt
        np.maximum(information, 0, out=information)  # the table may leave it a little below
        return Pooled(total, spread, information, count)


def pooled(samples: Iterable[FloatArray]) -> Pooled:
    """Mean, spread and mutual information over at least one sample of the same inputs, (N,K,h,w) in [0,1]."""
    pool = Pool()
    for maps in samples:
        pool.add(maps)
    return pool.result()


def probability(raw: Array, output: OutputSpec, name: str) -> FloatArray:
    """A network's own numbers, (N,C,h,w) or (N,h,w), as calibrated probabilities (N,K,h,w), as its card says.

    Raises:
        InferenceError: another number of axes, too few channels, or values that are not finite; `name` is the
            model's.
    """
    try:
        logits = logits_of(raw, output)
    except ValueError as error:
        step = "Check the model and its card."
        raise InferenceError(f"The output of {name} {error}.", step) from error
    return temper(logits, output.temperature, output.threshold)
