"""Fits the quality head of a specialist: which signs of its own answer foretell the Dice.

A good network fails on few of a hundred calibrate images, too few to learn from how failing looks. Each image
is therefore also seen worsened (:func:`worsened`), where the same network fails more often; the truth stays
what it was. Ridge regression on the log-odds of Dice; every number that is judged comes from folds that were
not fitted, and all copies of an image, and all images of a group (a patient, a video), stay in one fold. The
interval is a normalised split-conformal one (Lei et al. 2018): residuals count relative to how large they
usually are at that score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from omniview.core.image import BoolArray, Doubles
from omniview.core.quality import QualityTable
from omniview.core.quality_head import SIGNS, QualityHead
from omniview.training.artefacts import afflict
from omniview.training.calibrate import conformal_curve
from omniview.training.dataset import Example

FOLDS = 10
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FEWEST = 10
WORSENED_COPIES = 3
END = 0.02
"""Dice is taken to lie within (END, 1 - END) before its log-odds are."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the network showed of one image, and how good its mask was.

    ``signs (len(SIGNS),)``; ``dice`` in [0,1]; ``group`` stays on one side of every fold; ``worsened``: the
    image was not itself; ``set``: the data set that it is of.
    """

    signs: Doubles
    dice: float
    group: str
    worsened: bool
    set: str = ""


@dataclass(frozen=True, slots=True)
class FittedQuality:
    """A head and what its score is worth.

    ``rank``: Spearman correlation with Dice, ``coverage``: of the interval; both on folds that were not
    fitted, and on images as they are.
    """

    head: QualityHead
    table: QualityTable
    rank: float
    coverage: float


def fit_quality(cases: Sequence[Judged]) -> FittedQuality | None:
    """Fit head and table; None where fewer than ten images as they are, or two groups, are at hand."""
    from scipy.stats import spearmanr

    own = np.array([not case.worsened for case in cases])
    groups = np.array([case.group for case in cases])
    if own.sum() < FEWEST or len(set(groups)) < 2:
        return None
    seen = np.stack([case.signs for case in cases])
    scores = np.array([case.dice for case in cases])
    fold = _folds(groups)
    weight = np.where(own, 1.0, own.sum() / max(1, (~own).sum()))
    penalty = min(PENALTIES, key=lambda p: _error(seen, scores, weight, own, fold, p))
    held_out = _held_out(seen, scores, weight, fold, penalty)
    sets = np.array([case.set for case in cases])
    curve = conformal_curve(held_out, scores, fold, own, sets)
    head = _head(*_ridge(seen, scores, weight, penalty), seen[own].mean(axis=0))
    rank = float(np.nan_to_num(spearmanr(held_out[own], scores[own]).statistic))
    covered = _covered(held_out, scores, fold, own, sets)
    table = QualityTable(curve.knots, curve.dice, curve.half_widths)
    return FittedQuality(head, table, round(rank, 4), round(float(covered.mean()), 4))


def _covered(
    score: Doubles, dice: Doubles, fold: NDArray[np.intp], own: BoolArray, sets: NDArray[np.str_]
) -> BoolArray:
    """Whether each image as it is lies within an interval that was made without its fold, widths and all."""
    inside = np.zeros(len(dice), np.bool_)
    for k in np.unique(fold):
        rest, rows = fold != k, fold == k
        made = conformal_curve(score[rest], dice[rest], fold[rest], own[rest], sets[rest])
        off = np.abs(dice[rows] - np.interp(score[rows], made.knots, made.dice))
        inside[rows] = off <= np.interp(score[rows], made.knots, made.half_widths)
    held: BoolArray = inside[own]
    return held


def worsened_copies(
    cases: Sequence[Example], seed: int, artefacts: Sequence[str]
) -> Iterator[tuple[Example, Example]]:
    """Each case with each of :data:`WORSENED_COPIES` copies, each :func:`worsened` by its own chance."""
    for index, case in enumerate(cases):
        for copy in range(WORSENED_COPIES):
            rng = np.random.default_rng([seed, 13, index, copy])
            yield case, replace(case, image=worsened(rng, case.image, artefacts))


def worsened(rng: np.random.Generator, image: Pixels, artefacts: Sequence[str]) -> Pixels:
    """A copy that is harder to read: two of blur, noise, darkness, glare, low contrast, a false colour.

    ``(Y,X,3) uint8``. ``artefacts`` of the modality come on top (square images only know them all).
    """
    out = image.astype(np.float32)
    side = max(image.shape[:2])
    for kind in rng.choice(6, 2, replace=False):
        strength = rng.uniform(0.3, 1.0)
        if kind == 0:
            out = cv2.GaussianBlur(out, (0, 0), max(0.5, strength * 0.012 * side)).astype(np.float32)
        elif kind == 1:
            out = out + rng.standard_normal(out.shape, np.float32) * np.float32(40 * strength)
        elif kind == 2:
            out = 255.0 * (np.clip(out, 0, 255) / 255.0) ** np.float32(1 + 2 * strength)
        elif kind == 3:
            out = 255.0 * (np.clip(out, 0, 255) / 255.0) ** np.float32(1 / (1 + 1.5 * strength))
        elif kind == 4:
            mean = out.mean(axis=(0, 1), keepdims=True)
            out = mean + (out - mean) * np.float32(1 - 0.8 * strength)
        else:
            grey = np.ptp(image.astype(np.int16), axis=2).max() == 0
            gains = np.exp(rng.normal(0, 0.3 * strength, 1 if grey else 3))
            out = out * gains.astype(np.float32)
    made = np.asarray(np.clip(out, 0, 255), np.uint8)
    return afflict(rng, made, artefacts) if image.shape[0] == image.shape[1] else made


def _folds(groups: NDArray[np.str_]) -> NDArray[np.intp]:
    each, place = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(each))
    fold: NDArray[np.intp] = (order % FOLDS)[place]
    return fold


def _log_odds(scores: Doubles) -> Doubles:
    p = np.clip(scores, END, 1 - END)
    odds: Doubles = np.log(p / (1 - p))
    return odds


def _ridge(seen: Doubles, scores: Doubles, weight: Doubles, penalty: float) -> tuple[Doubles, float]:
    """Weights of the signs as they come, and the bias."""
    total = weight.sum()
    centre = (weight[:, None] * seen).sum(axis=0) / total
    spread = np.sqrt((weight[:, None] * (seen - centre) ** 2).sum(axis=0) / total)
    used = spread > 1e-6
    x = np.where(used, (seen - centre) / np.where(used, spread, 1.0), 0.0)
    y = _log_odds(scores)
    level = float((weight * y).sum() / total)
    root = np.sqrt(weight)[:, None]
    design = np.vstack([root * x, math.sqrt(penalty) * np.eye(x.shape[1])])
    target = np.concatenate([root[:, 0] * (y - level), np.zeros(x.shape[1])])
    found = np.linalg.lstsq(design, target, rcond=None)[0]
    weights = np.where(used, found / np.where(used, spread, 1.0), 0.0)
    return weights, level - float(weights @ centre)


def _held_out(
    seen: Doubles, scores: Doubles, weight: Doubles, fold: NDArray[np.intp], penalty: float
) -> Doubles:
    """The score of each case by a head that was fitted on the other folds."""
    out = np.empty(len(scores))
    for k in np.unique(fold):
        rows = fold == k
        weights, bias = _ridge(seen[~rows], scores[~rows], weight[~rows], penalty)
        out[rows] = 1.0 / (1.0 + np.exp(-np.clip(seen[rows] @ weights + bias, -30, 30)))
    return out


def _error(
    seen: Doubles, scores: Doubles, weight: Doubles, own: BoolArray, fold: NDArray[np.intp], penalty: float
) -> float:
    held_out = _held_out(seen, scores, weight, fold, penalty)
    return float(((held_out - scores)[own] ** 2).mean())


def _head(weights: Doubles, bias: float, usual: Doubles) -> QualityHead:
    used = np.flatnonzero(weights)
    weighed, means = (tuple(round(float(v), 6) for v in values[used]) for values in (weights, usual))
    return QualityHead(tuple(SIGNS[i] for i in used), weighed, round(bias, 6), means)
