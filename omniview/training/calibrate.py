"""What a trained network's numbers mean: temperature, threshold, and how good its masks usually are.

All of it is measured on the `calibrate` split, on the mean over the views that ship and through the very
geometry that ships (:mod:`omniview.inference.tensors`), so that nothing is fitted to numbers that nobody
sees. Temperature scaling: Guo 2017, here inside a band around the structure, because background far away is
easy and would drown the rest. Quality: monotone curve of Dice on soft-Dice confidence, with a split-conformal
half width (Vovk 2005; Lei 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omniview.core.geometry import View
from omniview.core.quality import soft_dice_confidence
from omniview.core.uncertainty import temper
from omniview.inference.card import InputSpec
from omniview.inference.tensors import Prepared, prepare, to_nchw
from omniview.training.dataset import Example

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

# Network inputs (N,3,h,w) float32 to raw logits (N,1,h,w).
Network = Callable[[Floats], Floats]

THRESHOLDS = tuple(float(t) for t in np.round(np.arange(0.15, 0.86, 0.05), 2))
COVERAGE = 0.9
SET = 30
"""The fewest cases of a data set whose own residuals say how wide its intervals must be."""
BAND_SHARE = 0.03
PIXELS_PER_IMAGE = 4000
SMALLEST_ERROR = 0.01
"""Of predicted Dice: no interval is narrower than its conformal multiple of this."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One case as the network saw it: raw logits of each view, and the way to the image's grid.

    ``logits (V,N,1,h,w)``; ``truth (Y,X)``; ``inside (Y,X)`` where scores count, or None for everywhere.
    """

    name: str
    logits: NDArray[np.float16]
    prepared: Prepared
    truth: Bools
    inside: Bools | None

    def probability(self, temperature: float, threshold: float) -> Floats:
        """``(Y,X)``: mean over the views, as the viewer shows it."""
        maps = temper(self.logits[0].astype(np.float32), temperature, threshold)
        for view in self.logits[1:]:
            maps = maps + temper(view.astype(np.float32), temperature, threshold)
        whole: Floats = self.prepared.restore(maps / np.float32(len(self.logits)))[0]
        return whole

    def dice(self, probability: Floats) -> float:
        """Dice of the mask ``probability > 0.5`` against the truth, where scores count (see :func:`dice`)."""
        mask, truth = probability > 0.5, self.truth
        if self.inside is not None:
            mask, truth = mask & self.inside, truth & self.inside
        return dice(mask, truth)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measured half of a card, and the mean Dice on the cases that it was measured on."""

    temperature: float = 1.0
    threshold: float = 0.5
    confidence: tuple[float, ...] = ()
    dice: tuple[float, ...] = ()
    half_width: float = 1.0
    empty: float | None = None
    mean_dice: float = math.nan
    cases: int = 0


def dice(mask: Bools, truth: Bools) -> float:
    """``2 |A and B| / (|A| + |B|)``, 1 where both are empty."""
    total = int(np.count_nonzero(mask)) + int(np.count_nonzero(truth))
    return 2 * int(np.count_nonzero(mask & truth)) / total if total else 1.0


def field_of_view(image: NDArray[np.uint8], dark: float = 0.08) -> Bools:
    """``(Y,X)``: the picture within a fundus photograph's black frame, largest bright part, holes filled."""
    bright = (image.max(axis=2) > 255 * dark).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.ones(bright.shape, np.bool_)
    filled = np.zeros_like(bright)
    cv2.drawContours(filled, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return filled > 0


def counted(example: Example, task: str) -> Bools | None:
    """``(Y,X)`` where scores of ``example`` count: a fundus photograph's field of view; None: everywhere."""
    return field_of_view(example.image) if task == "vessel" else None


def see(
    example: Example, spec: InputSpec, views: Sequence[str], network: Network, inside: Bools | None = None
) -> Seen:
    """Run ``network`` on ``example`` through every view; scores count ``inside (Y,X)``, or everywhere."""
    prepared = prepare(example.image, spec)
    maps = []
    for name in views:
        view = View.parse(name)
        inputs = view.apply(prepared.inputs)
        raw = np.concatenate(
            [network(to_nchw(inputs[i : i + 4], prepared.spec)) for i in range(0, len(inputs), 4)]
        )
        maps.append(view.inverse(raw).astype(np.float16))
    return Seen(example.name, np.stack(maps), prepared, example.mask > 127, inside)


def calibrate(cases: Sequence[Seen]) -> Calibration:
    """Fit temperature, then threshold, then quality. Without cases: nothing is known, defaults."""
    if not cases:
        return Calibration()
    temperature = fit_temperature([_band(case) for case in cases])
    threshold = _best_threshold(cases, temperature)
    maps = [case.probability(temperature, threshold) for case in cases]
    scores = np.array([case.dice(p) for case, p in zip(cases, maps, strict=True)])
    confidence = np.array([soft_dice_confidence(p) for p in maps])
    blank = np.array([not (p > 0.5).any() for p in maps])
    empty = expected_when_empty(scores, blank, np.array([not case.truth.any() for case in cases]))
    found = confidence[~blank], scores[~blank]
    knots, values = quality_curve(*found) if found[0].size else ((), ())
    width = half_width(*found)
    return Calibration(temperature, threshold, knots, values, width, empty, float(scores.mean()), len(cases))


def expected_when_empty(scores: NDArray[np.float64], blank: Bools, normal: Bools) -> float:
    """Dice to expect of an empty mask: it is 1 on a normal image and 0 on any other.

    Measured on the cases whose mask is empty if there are at least five; of fewer, the share of normal cases
    among all is the safer guess, since a missed lesion is often missed at low entropy.

    Args:
        scores: (N,) Dice.
        blank: (N,) whether the mask is empty.
        normal: (N,) whether the truth is empty.
    """
    return round(float(scores[blank].mean() if blank.sum() >= 5 else normal.mean()), 4)


def fit_temperature(bands: Sequence[tuple[Floats, Bools]]) -> float:
    """The T that makes ``mean over views of sigmoid(z / T)`` most likely.

    ``bands``: per image raw logits ``(V,P)`` and truth ``(P,)`` of the same pixels. Images count alike.
    """
    from scipy.optimize import minimize_scalar

    bands = [band for band in bands if band[1].size]
    if not bands:
        return 1.0

    def surprise(log_temperature: float) -> float:
        total = 0.0
        for logits, truth in bands:
            p = temper(logits, math.exp(log_temperature), 0.5).mean(axis=0)
            likely = np.clip(np.where(truth, p, 1 - p), 1e-6, 1.0)
            total -= float(np.log(likely).mean())
        return total

    found = minimize_scalar(surprise, bounds=(math.log(0.25), math.log(8.0)), method="bounded")
    return round(math.exp(float(found.x)), 3)


def quality_curve(
    confidence: NDArray[np.float64], scores: NDArray[np.float64], bins: int = 6
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots of a never falling curve from confidence to expected Dice: bin means, then isotonic regression.

    Bins hold equal numbers of cases. Below the lowest bin the curve falls to 0 at confidence 0.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(confidence, kind="stable")
    groups = [group for group in np.array_split(order, min(bins, max(1, len(order) // 3))) if group.size]
    knots = [float(confidence[group].mean()) for group in groups]
    weights = [group.size for group in groups]
    values = isotonic_regression([float(scores[group].mean()) for group in groups], weights=weights).x
    table: list[tuple[float, float]] = [(0.0, 0.0)]
    for knot, value in zip(knots, values, strict=True):
        if knot > table[-1][0] + 1e-3:
            table.append((round(knot, 4), round(float(np.clip(value, 0, 1)), 4)))
    if len(table) == 1:
        table.append((1.0, round(float(scores.mean()), 4)))
    return tuple(k for k, _ in table), tuple(v for _, v in table)


def half_width(confidence: NDArray[np.float64], scores: NDArray[np.float64], folds: int = 5) -> float:
    """Conformal 90 % quantile of ``|Dice - predicted|``, each fold predicted by the rest."""
    n = len(scores)
    if n < 2 * folds:
        return 1.0
    fold = np.random.default_rng(0).permutation(n) % folds
    residuals = np.empty(n)
    for k in range(folds):
        knots, values = quality_curve(confidence[fold != k], scores[fold != k])
        residuals[fold == k] = np.abs(scores[fold == k] - np.interp(confidence[fold == k], knots, values))
    rank = min(n, math.ceil((n + 1) * COVERAGE))
    return round(float(np.sort(residuals)[rank - 1]), 4)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What a score is worth: Dice at knots and half widths of its 90 % interval there.

    ``residuals (n,)``: ``|Dice - predicted|`` of each case, predicted without its own fold.
    """

    knots: tuple[float, ...]
    dice: tuple[float, ...]
    half_widths: tuple[float, ...]
    residuals: NDArray[np.float64]


def conformal_curve(
    score: NDArray[np.float64],
    dice: NDArray[np.float64],
    fold: NDArray[np.intp],
    counted: Bools | None = None,
    sets: NDArray[np.str_] | None = None,
) -> Curve:
    """Curve of Dice on a score, with an interval as wide as errors usually are at that score.

    Normalised conformal prediction (Lei et al. 2018): residuals of unfitted folds, relative to their mean of
    the fifth of the cases that are nearest in score; their 90 % quantile widens or narrows those means.

    Args:
        score: (n,) any number that rises with Dice.
        dice: (n,) in [0,1].
        fold: (n,) cases of one fold are judged by the others.
        counted: (n,) which residuals the promise is about; None: all.
        sets: (n,) which data set each is of: the promise is kept in every set of thirty or more, not only on
            average over an easy and a hard one; None: all are of one.
    """
    knots, values = quality_curve(score, dice, bins=10)
    residuals = np.empty(len(dice))
    for k in np.unique(fold):
        x, y = quality_curve(score[fold != k], dice[fold != k], bins=10)
        residuals[fold == k] = np.abs(dice[fold == k] - np.interp(score[fold == k], x, y))
    near = max(5, len(residuals) // 5)
    closest = (np.argsort(np.abs(score - knot), kind="stable")[:near] for knot in knots)
    usual = np.array([max(SMALLEST_ERROR, float(residuals[rows].mean())) for rows in closest])
    relative = residuals / np.interp(score, knots, usual)
    chosen = np.ones(len(dice), np.bool_) if counted is None else counted
    factor = _quantile(relative[chosen])
    if sets is not None:
        parts = [relative[chosen & (sets == name)] for name in np.unique(sets)]
        factor = max([factor, *(_quantile(part) for part in parts if len(part) >= SET)])
    widths = tuple(round(float(min(1.0, factor * u)), 4) for u in usual)
    return Curve(knots, values, widths, residuals)


def _quantile(relative: NDArray[np.float64]) -> float:
    rank = math.ceil((len(relative) + 1) * COVERAGE)
    return float(np.sort(relative)[rank - 1]) if rank <= len(relative) else math.inf


def _best_threshold(cases: Sequence[Seen], temperature: float) -> float:
    means = np.array([np.mean([c.dice(c.probability(temperature, t)) for c in cases]) for t in THRESHOLDS])
    # The curve is flat and its peak is noise: take the peak of its running mean.
    padded = np.pad(means, 1, mode="edge")
    return THRESHOLDS[int(np.argmax((padded[:-2] + padded[1:-1] + padded[2:]) / 3))]


def _band(case: Seen) -> tuple[Floats, Bools]:
    """Raw logits ``(V,P)`` and truth ``(P,)`` of up to 4000 pixels on, and near, the structure."""
    reach = max(3, round(BAND_SHARE * math.hypot(*case.truth.shape)))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.dilate(case.truth.astype(np.uint8), window) > 0
    if case.inside is not None:
        near &= case.inside
    places = np.flatnonzero(near)
    if places.size > PIXELS_PER_IMAGE:
        places = np.random.default_rng(0).choice(places, PIXELS_PER_IMAGE, replace=False)
    views = [case.prepared.restore(view.astype(np.float32))[0].ravel()[places] for view in case.logits]
    return np.stack(views), case.truth.ravel()[places]
