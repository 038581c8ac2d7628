"""Which task an image belongs to, so that nobody has to say so before the first mask appears.

A handful of global features of colour, field of view and texture, and one Gaussian a task. Small enough to be
read, fast enough to run on every image, and honest: an image unlike all that were seen is nobody's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from omniview.core.geometry import resize
from omniview.core.image import FloatArray, Image

__all__ = ["FEATURES", "Gaussian", "Recogniser", "Recognition", "features"]

Vector: TypeAlias = npt.NDArray[np.float64]

FEATURES: tuple[str, ...] = (
    "luma",
    "luma spread",
    "luma skewness",
    "luma entropy",
    "red",
    "blue",
    "red spread",
    "blue spread",
    "saturation",
    "saturation spread",
    "red-green correlation",
    "green-blue correlation",
    "dark share",
    "dark corners",
    "disc",
    "bright share",
    "correlation 1 across",
    "correlation 1 down",
    "correlation 4 across",
    "correlation 4 down",
    "correlation 16",
    "edges",
    "coarse contrast",
    "greenish share",
    "bluish share",
    "grey share",
    "straightness",
)
SIDE = 128
"""Features are taken from the image stretched to a square of so many pixels a side, whatever its size."""
DARK = 20.0 / 255.0
"""Luma below which a pixel counts as the black frame around the picture."""


def features(image: Image) -> Vector:
    """(D,) float64: global features of an image in the order of `FEATURES`, each of magnitude about 1."""
    small: FloatArray = resize(image.rgb8(), (SIDE, SIDE)).astype(np.float32)
    small /= np.float32(255.0)
    red, green, blue = (np.ascontiguousarray(small[..., i]) for i in range(3))
    luma: FloatArray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32, copy=False)
    dark = luma < DARK
    lit = ~dark if not dark.all() else np.ones_like(dark)
    total = red + green + blue + np.float32(0.05)
    r, b = (red / total)[lit], (blue / total)[lit]
    highest = small.max(axis=2)
    saturation = ((highest - small.min(axis=2)) / (highest + np.float32(0.05)))[lit]
    inside = luma[lit]
    return np.array(
        [
            inside.mean(),
            inside.std(),
            _skewness(inside),
            _entropy(luma),
            r.mean(),
            b.mean(),
            r.std(),
            b.std(),
            saturation.mean(),
            saturation.std(),
            _correlation(red[lit], green[lit]),
            _correlation(green[lit], blue[lit]),
            dark.mean(),
            dark[_CORNERS].mean(),
            _overlap(lit, _DISC),
            (luma > 0.8).mean(),
            _correlation(luma[:, 1:], luma[:, :-1]),
            _correlation(luma[1:], luma[:-1]),
            _correlation(luma[:, 4:], luma[:, :-4]),
            _correlation(luma[4:], luma[:-4]),
            _correlation(luma[16:, 16:], luma[:-16, :-16]),
            _edges(luma),
            cv2.GaussianBlur(luma, (0, 0), SIDE / 8).std(),
            (green > 1.05 * red)[lit].mean(),
            (blue > 1.05 * green)[lit].mean(),
            (saturation < 0.1).mean(),
            _straightness(luma),
        ],
        np.float64,
    )


_ROW, _COLUMN = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
_DISC = np.hypot(_ROW, _COLUMN) <= SIDE / 2
_CORNERS = (np.abs(_ROW) > 0.43 * SIDE) & (np.abs(_COLUMN) > 0.43 * SIDE)
_FLAT = 1e-4  # spread below which an area counts as one flat tone


def _skewness(values: FloatArray) -> float:
    spread = float(values.std())
    if spread < _FLAT:
        return 0.0
    return float(np.clip(np.mean(((values - values.mean()) / spread) ** 3), -3.0, 3.0))


def _entropy(luma: FloatArray) -> float:
    """Share of the entropy that 32 equally frequent tones would have."""
    counts = np.histogram(luma, 32, (0.0, 1.0))[0]
    share = counts[counts > 0] / luma.size
    return float(-(share * np.log2(share)).sum() / 5.0)


def _correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson's; 1 where either is flat, as a tone agrees with itself."""
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(np.square(a).sum(dtype=np.float64)) * float(np.square(b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / norm if norm > _FLAT**2 * a.size else 1.0


def _overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(a & b)) / int(np.count_nonzero(a | b))


def _edges(luma: FloatArray) -> float:
    """Fine detail against all contrast."""
    spread = float(luma.std())
    return min(3.0, float(np.abs(cv2.Laplacian(luma, cv2.CV_32F)).mean()) / spread) if spread > _FLAT else 0.0


def _straightness(luma: FloatArray) -> float:
    """Share of the gradient's energy where it has one direction over a neighbourhood: lines, lettering."""
    down, across = cv2.Sobel(luma, cv2.CV_32F, 0, 1), cv2.Sobel(luma, cv2.CV_32F, 1, 0)
    yy, xx, xy = (cv2.GaussianBlur(a, (0, 0), 2.0) for a in (down * down, across * across, down * across))
    energy = float((xx + yy).sum(dtype=np.float64))
    return float(np.hypot(xx - yy, 2.0 * xy).sum(dtype=np.float64)) / energy if energy > _FLAT else 0.0


@dataclass(frozen=True, slots=True)
class Recognition:
    """What an image was taken for.

    Attributes:
        task: name of the task, or None where the image is like none of them or like two.
        scores: probability of each task among the known ones (they sum to 1).
        distances: Mahalanobis distance to each task over its cutoff: above 1 the image is not of the task.
    """

    task: str | None
    scores: Mapping[str, float]
    distances: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """How the features of one task's images are distributed.

    Attributes:
        name: of the task.
        mean: (D,) float64.
        precision: (D,D) float64, inverse covariance, positive definite.
        cutoff: Mahalanobis distance beyond which an image is not of this task; positive.
    """

    name: str
    mean: Vector
    precision: Vector
    cutoff: float

    def __post_init__(self) -> None:
        size = len(FEATURES)
        if self.mean.shape != (size,) or self.precision.shape != (size, size):
            got = f"{self.mean.shape} and {self.precision.shape}"
            raise ValueError(f"mean and precision must be ({size},) and ({size},{size}), got {got}")
        if not np.allclose(self.precision, self.precision.T, rtol=1e-6) or self._log_determinant() is None:
            raise ValueError(f"precision of {self.name} must be symmetric and positive definite")
        if not self.cutoff > 0.0:
            raise ValueError(f"cutoff must be positive, got {self.cutoff}")

    def _log_determinant(self) -> float | None:
        try:
            factor = np.linalg.cholesky(self.precision)
        except np.linalg.LinAlgError:
            return None
        return 2.0 * float(np.log(np.diag(factor)).sum())

    def distance(self, vector: Vector) -> float:
        """Mahalanobis distance of (D,) features from the mean."""
        offset = vector - self.mean
        return math.sqrt(max(0.0, float(offset @ self.precision @ offset)))

    def log_density(self, vector: Vector) -> float:
        """Logarithm of the density at (D,) features, up to a constant that all tasks share."""
        return 0.5 * ((self._log_determinant() or 0.0) - self.distance(vector) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class Recogniser:
    """One Gaussian a task, all tasks equally likely beforehand.

    Attributes:
        tasks: one or more, of different names.
        certainty: posterior probability below which two tasks count as tied; [0.5,1).
    """

    tasks: Sequence[Gaussian]
    certainty: float = 0.9

    def __post_init__(self) -> None:
        names = [g.name for g in self.tasks]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"tasks must be one or more of different names, got {names}")
        if not 0.5 <= self.certainty < 1.0:
            raise ValueError(f"certainty must lie within [0.5,1), got {self.certainty}")

    def recognise(self, image: Image) -> Recognition:
        """The task that an image belongs to, or None where it is like none of them or like two."""
        return self.classify(features(image))

    def classify(self, vector: Vector) -> Recognition:
        """As `recognise`, from the (D,) features themselves."""
        density = np.array([g.log_density(vector) for g in self.tasks])
        posterior = np.exp(density - density.max())
        posterior /= posterior.sum()
        distances = {g.name: g.distance(vector) / g.cutoff for g in self.tasks}
        scores = {g.name: float(p) for g, p in zip(self.tasks, posterior, strict=True)}
        best = max(scores, key=scores.__getitem__)
        clear = scores[best] >= self.certainty and distances[best] <= 1.0
        return Recognition(best if clear else None, scores, distances)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, for `from_json`."""
        tasks = {
            g.name: {"cutoff": g.cutoff, "mean": g.mean.tolist(), "precision": g.precision.tolist()}
            for g in self.tasks
        }
        return {"features": list(FEATURES), "certainty": self.certainty, "tasks": tasks}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recogniser:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it was fitted on other features, or a number breaks a rule.
        """
        if tuple(value["features"]) != FEATURES:
            raise ValueError("features must be those that this version computes: fit the recogniser again")
        tasks = tuple(
            Gaussian(name, np.array(row["mean"]), np.array(row["precision"]), float(row["cutoff"]))
            for name, row in value["tasks"].items()
        )
        return cls(tasks, float(value["certainty"]))
