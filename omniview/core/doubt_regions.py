"""Where to look twice: the few regions of an image in which the masks are most in doubt.

A map of uncertainty shows all doubt at once, most of it thin rims that nobody needs to look at. A person who
checks a mask wants to be led from one doubtful place to the next, the weightiest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.fusion import Fusion
from omniview.core.image import Array, BoolArray, FloatArray
from omniview.core.outline import trace
from omniview.core.prediction import EDGE, Prediction, Role

__all__ = ["Claim", "DoubtRegion", "doubt_regions"]

_SIDE = 512  # regions are looked for in maps of at most so many pixels
_UNCERTAIN = 0.7  # bits: a probability between 0.19 and 0.81
_DISPUTED = 0.5  # difference of two probabilities
_LEAST = 0.0002  # share of the image below which a region is not worth a look
_RIM, _RIM_OF = 1 / 25, 1 / 4  # doubt thinner than these shares of image and structure is but a rim
_SPREAD, _SPARSE, _CELLS = 1 / 3, 0.2, 4  # what stretches so far and fills so little of its box is cut up


class Claim(StrEnum):
    """Whose alone most of a region is."""

    SPECIALIST = "specialist"
    OMNIMODEL = "omnimodel"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, eq=False)
class DoubtRegion:
    """A place worth a second look.

    Attributes:
        box: first row, first column, and the row and column after the last, in image pixels.
        contours: closed, each (N,2) float32, (x,y) in image pixels, 0 being the outer edge of pixel 0.
        share: of the image's area, (0,1].
        doubt: mean doubt inside, [0,1].
        claim: the model that alone marks more than half of it, if one does.
    """

    box: tuple[int, int, int, int]
    contours: tuple[npt.NDArray[np.float32], ...]
    share: float
    doubt: float
    claim: Claim


def doubt_regions(
    fusion: Fusion, predictions: Sequence[Prediction] = (), most: int = 9
) -> tuple[DoubtRegion, ...]:
    """Connected regions of doubt, ranked by mean doubt times area.

    The doubt of a pixel is the larger of the fused uncertainty and the difference of the models'
    probabilities, of several labels the largest. A pixel counts from an uncertainty of 0.7 bits or a
    difference of one half. What is thinner than 1/25 of the image's longer side and a quarter of the mean
    breadth of the structure is left out: it is the rim that every mask has. Thin doubt that spreads over much
    of the image, as along vessels, is cut into squares of a quarter of its longer side.

    Args:
        fusion: the fused result, (K,Y,X).
        predictions: what was fused; for differences and claims there must be two.
        most: how many regions at most.

    Raises:
        ValueError: predictions of another shape than the fusion's.
    """
    shape = fusion.mask.shape
    if any(p.probability.shape != shape for p in predictions):
        raise ValueError(f"predictions must be {shape}, got {[p.probability.shape for p in predictions]}")
    doubt = _reduced(_largest(fusion.uncertainty))
    doubtful = doubt >= _UNCERTAIN
    rows, columns = doubt.shape
    claims = np.zeros((2, rows, columns), np.float32)
    roles: dict[Role, Prediction] = {p.role: p for p in predictions}
    if len(roles) == 2:
        first, second = roles["specialist"], roles["omnimodel"]
        apart = _reduced(_largest(np.abs(first.probability - second.probability)))
        doubtful |= apart >= _DISPUTED
        np.maximum(doubt, apart, out=doubt)
        claims[0] = _reduced(_largest(first.mask & ~second.mask))
        claims[1] = _reduced(_largest(second.mask & ~first.mask))
    labels = _labelled(_without_rims(doubtful, _reduced(_largest(fusion.mask))))
    areas = np.bincount(labels.ravel())
    weights = np.bincount(labels.ravel(), doubt.ravel())
    weights[(areas < max(1.0, _LEAST * labels.size)) | (np.arange(len(areas)) == 0)] = 0.0
    ranked = [int(n) for n in np.argsort(-weights, kind="stable")[:most] if weights[n] > 0.0]
    scale = np.array([shape[2] / columns, shape[1] / rows])
    return tuple(_region(labels == n, doubt, claims, scale) for n in ranked)


def _largest(maps: Array) -> Array:
    """(K,Y,X) to (Y,X): the largest value of any label."""
    largest: Array = maps[0] if len(maps) == 1 else maps.max(axis=0)
    return largest


def _reduced(plane: Array) -> FloatArray:
    """(Y,X) as a new float32 array with sides of at most 512: means, of masks the majority."""
    rows, columns = plane.shape
    factor = min(1.0, _SIDE / max(rows, columns))
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    values = plane.view(np.uint8) if plane.dtype == np.bool_ else plane
    if factor < 1.0:
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return np.array(values, np.float32)


def _without_rims(doubtful: BoolArray, mask: FloatArray) -> npt.NDArray[np.uint8]:
    """The doubtful pixels without thin ones, as 0 and 1."""
    breadth = trace(mask[None], finest=1).breadth
    radius = round(min(max(mask.shape) * _RIM, breadth * _RIM_OF) / 2)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.morphologyEx(doubtful.view(np.uint8), cv2.MORPH_OPEN, kernel), np.uint8)


def _labelled(doubtful: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Each region its own number, some numbers being nobody's; 0 where there is none."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(doubtful, connectivity=8)
    width, height, area = (stats[:, n].astype(float) for n in (2, 3, 4))
    longest = max(doubtful.shape)
    spread = (np.maximum(width, height) > _SPREAD * longest) & (area < _SPARSE * width * height)
    spread[0] = False
    cell = -(-longest // _CELLS)
    row, column = (np.arange(n) // cell for n in doubtful.shape)
    cells = count + labels.astype(np.int64) * _CELLS**2 + row[:, None] * _CELLS + column
    return np.where(spread[labels], cells, labels)


def _region(
    inside: BoolArray, doubt: FloatArray, claims: FloatArray, scale: npt.NDArray[np.float64]
) -> DoubtRegion:
    left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
    part = np.pad(inside[top : top + height, left : left + width], 1)  # contours close at the image's edge
    outline = trace(part[None])
    points = ((outline.points + np.array([left - 1, top - 1])) * scale).astype(np.float32)
    ends = zip(outline.starts, outline.starts[1:], strict=False)
    low = np.floor(np.array([left, top]) * scale).astype(int)
    high = np.ceil(np.array([left + width, top + height]) * scale).astype(int)
    alone = claims[:, inside].mean(axis=1)
    claim = list(Claim)[int(alone.argmax())] if alone.max() > EDGE else Claim.NOBODY
    return DoubtRegion(
        (int(low[1]), int(low[0]), int(high[1]), int(high[0])),
        tuple(points[a:b] for a, b in ends),
        float(inside.mean()),
        float(doubt[inside].mean()),
        claim,
    )
