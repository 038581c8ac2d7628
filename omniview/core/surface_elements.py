"""How far apart two contours are when their length counts, not the number of their pixels.

A diagonal border has fewer pixels than it is long, so that shares of border pixels depend on how an object
lies. Here the contour runs between the pixels: every corner that four pixels share is a contour element if
the four are not alike, its length is that of the contour through the square between the four pixel centres
(marching squares, Lorensen and Cline 1987, in two dimensions), and distances run from corner to corner. This
is the definition of Nikolov et al. 2021, whose library is DeepMind's surface-distance.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.image import BoolArray
from omniview.core.surface import Distances, common_box, framed, mutual

__all__ = ["SurfaceElements", "contour_length", "corners", "nsd_weighted", "surface_elements"]


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceElements:
    """Contour elements of masks a and b, in the unit of the spacing.

    Attributes:
        a_to_b: (elements of a) float64: distance to the nearest element of b.
        b_to_a: (elements of b) float64: distance to the nearest element of a.
        a_length: (elements of a) float64: length of contour that each stands for.
        b_length: (elements of b) float64.
    """

    a_to_b: Distances
    b_to_a: Distances
    a_length: Distances
    b_length: Distances

    def nsd(self, tolerance: float) -> float:
        """Share of both contours' length that lies at most `tolerance` from the other contour.

        The comparison includes the tolerance itself, and forgives the rounding of spacings like 0.1 mm.
        """
        reach = tolerance * (1.0 + 1e-9)
        near = self.a_length[self.a_to_b <= reach].sum() + self.b_length[self.b_to_a <= reach].sum()
        return float(near / (self.a_length.sum() + self.b_length.sum()))

    def hausdorff(self, percentile: float = 100.0) -> float:
        """The larger of the two directed percentiles, weighted by length and not interpolated."""
        return max(
            _weighted(self.a_to_b, self.a_length, percentile),
            _weighted(self.b_to_a, self.b_length, percentile),
        )

    def averages(self) -> tuple[float, float]:
        """Mean distance over the contour's length, from a to b and from b to a."""
        return (
            float(np.average(self.a_to_b, weights=self.a_length)),
            float(np.average(self.b_to_a, weights=self.b_length)),
        )


def _weighted(distances: Distances, lengths: Distances, percentile: float) -> float:
    """The shortest distance within which `percentile` % of the length lies."""
    # ties by length as well, like the library that defines this: sums then round alike, whatever the order
    order = np.lexsort((lengths, distances))
    rising = lengths[order]
    share = np.cumsum(rising) / rising.sum()
    rank = int(np.searchsorted(share, percentile / 100.0))
    return float(distances[order[min(rank, len(order) - 1)]])


def nsd_weighted(
    a: BoolArray, b: BoolArray, tolerance: float, spacing: tuple[float, float] = (1.0, 1.0)
) -> float:
    """Surface Dice weighted by contour length (Nikolov et al. 2021), in [0,1].

    Args:
        a: (Y,X) bool.
        b: the same shape.
        tolerance: distance that is forgiven, in the unit of `spacing`.
        spacing: distance of pixel centres (row, column).

    Returns:
        1 if both masks are empty, 0 if one is.
    """
    if not (a.any() and b.any()):
        return float(not (a.any() or b.any()))
    return surface_elements(a, b, spacing).nsd(tolerance)


def surface_elements(
    a: BoolArray, b: BoolArray, spacing: tuple[float, float] = (1.0, 1.0)
) -> SurfaceElements:
    """Measure every distance between the contours of two masks.

    Args:
        a: (Y,X) bool, not empty.
        b: the same.
        spacing: distance of pixel centres (row, column).

    Raises:
        ValueError: a mask is empty (a distance to nothing is not defined), or shapes differ.
    """
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a and b must be (Y,X) of one shape, got {a.shape} and {b.shape}")
    box = common_box(a, b)
    solid_a, solid_b = framed(a, box), framed(b, box)
    corners_a, corners_b = corners(solid_a), corners(solid_b)
    at_a, at_b = np.flatnonzero(corners_a), np.flatnonzero(corners_b)
    distances = mutual(corners_a, corners_b, (at_a, at_b), spacing)
    a_length, b_length = contour_length(solid_a, at_a, spacing), contour_length(solid_b, at_b, spacing)
    return SurfaceElements(distances.a_to_b, distances.b_to_a, a_length, b_length)


def corners(mask: BoolArray) -> BoolArray:
    """(Y,X) bool: whether the contour passes the upper left corner of a pixel of a framed mask."""
    solid = mask.view(np.uint8)
    square = np.ones((2, 2), np.uint8)  # anchored at its lower right pixel
    mixed: BoolArray = np.not_equal(cv2.dilate(solid, square), cv2.erode(solid, square))
    return mixed


def contour_length(mask: BoolArray, at: npt.NDArray[np.intp], spacing: tuple[float, float]) -> Distances:
    """Length of contour at corners that are given as indices into a framed, flat mask."""
    flat, stride = mask.view(np.uint8).ravel(), mask.shape[1]
    code = flat[at - stride - 1] * 8 + flat[at - stride] * 4 + flat[at - 1] * 2 + flat[at]
    lengths: Distances = _contour_lengths(spacing).take(code)
    return lengths


@lru_cache(maxsize=64)
def _contour_lengths(spacing: tuple[float, float]) -> Distances:
    """(16) float64: contour through four pixel centres, by which of them are inside: 8 4 above, 2 1 below."""
    centres = {8: (0.0, 0.0), 4: (0.0, 1.0), 2: (1.0, 0.0), 1: (1.0, 1.0)}
    sides = ((8, 4), (8, 2), (4, 1), (2, 1))
    lengths = np.zeros(16)
    for code in range(16):
        # the contour crosses a side in its middle where the two centres differ
        crossings = [
            tuple((p + q) / 2 for p, q in zip(centres[one], centres[other], strict=True))
            for one, other in sides
            if bool(code & one) != bool(code & other)
        ]
        if len(crossings) == 4:  # two pixels of each kind, diagonally: two corners are cut off, whichever
            lengths[code] = math.hypot(*spacing)
        for (y0, x0), (y1, x1) in itertools.combinations(crossings, 2) if len(crossings) == 2 else ():
            lengths[code] = math.hypot((y1 - y0) * spacing[0], (x1 - x0) * spacing[1])
    return lengths
