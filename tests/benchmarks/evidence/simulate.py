"""A simulated omnimodel: masks made from the truth by errors of a chosen size. It measures no cloud.

No cloud was reachable when this was built. What is known of one is a mean Dice of 0.77 on polyps and no
usable mask for 19 to 32 % of the images (published zero-shot figures). The rest is assumed, and said here:

- The Dice of one image is drawn from a Beta distribution of that mean with the standard deviation that
  `CONCENTRATION` gives (0.19 at a mean of 0.77), so that good masks and plain misses both occur.
- The mask then gets that Dice by errors of shape: a smooth random displacement, a shift and a change of size,
  all growing together until the Dice is met; objects are missed or invented first, where the Dice has room.
- It answers several times. Answers share those errors and each has its own on top, larger where the mask is
  worse, so that answers to a hard image flicker more. `omniview.omnimodel.voting` puts them together, as it
  does with real ones.
- Where there is nothing to find, it invents an object with the probability of one less the mean Dice.

How good it is on an image is independent of how hard the specialist found that image, or tied to it by a
Gaussian copula. All is repeated exactly from the case's name and the seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from omniview.core.image import BoolArray, FloatArray, read_only
from omniview.core.prediction import Prediction
from omniview.omnimodel.voting import vote
from omniview.training.calibrate import dice

__all__ = ["PUBLISHED", "Simulated", "simulated", "targets", "with_dice"]

CONCENTRATION = 4.0
LINKED = 0.6
"""Correlation, before ranks become Dice, of a linked omnimodel's Dice with the specialist's."""
FLICKER = 0.25
"""Share of the common error that each answer has of its own."""
DRAWN = 256
"""Longer side in pixels of a drawn mask, as in published answers."""
ROUNDS, ROUGH_ROUNDS = 10, 6
"""Bisections until the Dice is met: of the common mask, and of an answer's own error."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """How good the simulated omnimodel is.

    Attributes:
        mean: expected Dice of the images that it answers, before its answers are put together; (0,1).
        silent: share of the images that it gives no usable mask for, [0,1).
        answers: how often it is asked about an image.
        linked: whether it finds those images hard that the specialist finds hard.
        seed: what differs between two such models.
    """

    mean: float = 0.77
    silent: float = 0.25
    answers: int = 3
    linked: bool = False
    seed: int = 0


PUBLISHED = Simulated()


def targets(
    names: Sequence[str], model: Simulated, specialist: Mapping[str, float] | None = None
) -> list[float | None]:
    """The Dice that each image is to get; None where the model stays silent.

    Args:
        names: of the cases.
        model: how good it is.
        specialist: the specialist's Dice by name, which a linked model follows.
    """
    from scipy.stats import beta, norm, rankdata

    luck = norm.ppf([_random(name, model, "luck").uniform(1e-6, 1 - 1e-6) for name in names])
    if model.linked:
        if specialist is None:
            raise ValueError("specialist must be given where the model is linked to it")
        ranks = rankdata([specialist[name] for name in names])
        hardness = norm.ppf((ranks - 0.5) / len(names))
        luck = LINKED * hardness + math.sqrt(1 - LINKED**2) * luck
    spread = model.mean * CONCENTRATION, (1 - model.mean) * CONCENTRATION
    wanted = np.asarray(beta.ppf(norm.cdf(luck), *spread))
    silent = [_random(name, model, "silent").random() < model.silent for name in names]
    return [None if mute else float(one) for mute, one in zip(silent, wanted, strict=True)]


def simulated(name: str, truth: BoolArray, wanted: float, model: Simulated) -> Prediction:
    """What the simulated omnimodel says about an image; its predicted quality is not known.

    Args:
        name: of the case.
        truth: (1,Y,X) bool.
        wanted: Dice of an answer, from `targets`.
        model: how good it is.
    """
    random = _random(name, model, "shape")
    small = _drawn_at(truth[0])
    if not truth.any():
        found = np.zeros_like(small)
        if random.random() > model.mean:
            found = _invented(random, small, 0.01)
        masks = [found[None]] * model.answers
    else:
        wrong = with_dice(small, wanted, random)
        masks = [_flickering(wrong, wanted, random)[None] for _ in range(model.answers)]
    probability, spread = (None if part is None else _as_large(part, truth) for part in vote(masks))
    assert probability is not None
    return Prediction("simulated omnimodel", "omnimodel", probability, spread)


def _drawn_at(truth: BoolArray) -> BoolArray:
    """The truth as large as a cloud draws masks, unless its structures are too thin for that."""
    factor = max(truth.shape) / DRAWN
    if factor <= 1.0 or (truth.any() and _thickness(truth) < 6.0 * factor):
        return truth
    size = round(truth.shape[1] / factor), round(truth.shape[0] / factor)
    return cv2.resize(truth.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5


def _as_large(part: FloatArray, truth: BoolArray) -> FloatArray:
    if part.shape == truth.shape:
        return part
    size = truth.shape[2], truth.shape[1]
    large: FloatArray = cv2.resize(part[0], size, interpolation=cv2.INTER_LINEAR)[None].astype(np.float32)
    return np.clip(large, np.float32(0.0), np.float32(1.0))


def _thickness(mask: BoolArray) -> float:
    """Twice area over perimeter, in pixels: the radius of a disc, the width of a vessel."""
    outline = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    area, perimeter = int(np.count_nonzero(mask)), int(np.count_nonzero(outline)) / 2
    return 2.0 * area / max(perimeter, 1.0)


def with_dice(
    truth: BoolArray, wanted: float, random: np.random.Generator, rounds: int = ROUNDS
) -> BoolArray:
    """A mask like (Y,X) `truth`, which is not empty, of about the Dice `wanted`."""
    return _spoilt(_recomposed(truth, wanted, random), truth, wanted, random, rounds)


def _spoilt(
    mask: BoolArray, truth: BoolArray, wanted: float, random: np.random.Generator, rounds: int
) -> BoolArray:
    """`mask` with its shape changed until its Dice with `truth` has fallen to about `wanted`."""
    errors = _errors(mask, random)
    low, high = 0.0, 0.5
    while dice(_warped(mask, errors, high), truth) > wanted and high < 64.0:
        low, high = high, 2.0 * high
    for _ in range(rounds):
        middle = (low + high) / 2
        if dice(_warped(mask, errors, middle), truth) > wanted:
            low = middle
        else:
            high = middle
    return _warped(mask, errors, (low + high) / 2)


def _recomposed(truth: BoolArray, wanted: float, random: np.random.Generator) -> BoolArray:
    """Some objects missed, some invented, as far as the Dice allows it."""
    mask = truth.copy()
    count, labels = cv2.connectedComponents(truth.view(np.uint8))
    for label in range(1, min(count, 40)):
        if count > 2 and random.random() < 0.2:
            fewer = mask & (labels != label)
            mask = fewer if dice(fewer, truth) > wanted else mask
    if random.random() < 0.25:
        more = mask | _invented(random, truth, 0.3 * float(truth.mean()) / max(count - 1, 1))
        mask = more if dice(more, truth) > wanted else mask
    return mask


def _invented(random: np.random.Generator, truth: BoolArray, share: float) -> BoolArray:
    """An ellipse of that share of the image, anywhere."""
    height, width = truth.shape
    radius = math.sqrt(max(share, 1e-4) * height * width / math.pi)
    stretch = random.uniform(0.7, 1.4)
    centre = int(random.uniform(0.1, 0.9) * width), int(random.uniform(0.1, 0.9) * height)
    axes = max(1, round(radius * stretch)), max(1, round(radius / stretch))
    canvas = np.zeros(truth.shape, np.uint8)
    cv2.ellipse(canvas, centre, axes, random.uniform(0, 180), 0, 360, 1, cv2.FILLED)
    return canvas > 0


def _errors(mask: BoolArray, random: np.random.Generator) -> FloatArray:
    """(2,Y,X) displacement of every pixel, row and column, of unit strength: the mask's own thickness."""
    height, width = mask.shape
    thickness = max(1.5, _thickness(mask))
    wave = 2.5 * thickness
    grid = max(3, math.ceil(height / wave) + 1), max(3, math.ceil(width / wave) + 1)
    field = np.stack(
        [
            cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
            for coarse in random.standard_normal((2, *grid)).astype(np.float32)
        ]
    )
    angle, growth = random.uniform(0, 2 * math.pi), random.normal(0, 0.35)
    field *= np.float32(0.5)
    field[0] += np.float32(0.4 * math.sin(angle))
    field[1] += np.float32(0.4 * math.cos(angle))
    rows, columns = np.nonzero(mask)
    y, x = _grid(height, width)
    reach = max(float(np.ptp(rows)), float(np.ptp(columns)), 1.0) / 2
    field[0] += np.float32(growth) * (y - np.float32(rows.mean())) / np.float32(reach)
    field[1] += np.float32(growth) * (x - np.float32(columns.mean())) / np.float32(reach)
    field *= np.float32(thickness)
    return field


def _warped(mask: BoolArray, errors: FloatArray, strength: float) -> BoolArray:
    y, x = _grid(*mask.shape)
    rows, columns = (at + np.float32(strength) * by for at, by in ((y, errors[0]), (x, errors[1])))
    # outside of the image there is nothing, which is what OpenCV takes for granted
    moved: BoolArray = cv2.remap(mask.view(np.uint8) * 255, columns, rows, cv2.INTER_LINEAR) > 127
    return moved


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> FloatArray:
    """(2,Y,X) row and column of every pixel."""
    return read_only(np.mgrid[:height, :width].astype(np.float32))


def _flickering(mask: BoolArray, wanted: float, random: np.random.Generator) -> BoolArray:
    """One answer: the common mask with an error of its own."""
    own = 1.0 - FLICKER * (1.0 - wanted)
    return _spoilt(mask, mask, own, random, ROUGH_ROUNDS) if mask.any() else mask


def _random(name: str, model: Simulated, purpose: str) -> np.random.Generator:
    text = f"{model.seed} {purpose} {name}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
