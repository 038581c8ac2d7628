"""Contours around a mask that keep a promise on average: conformal risk control (Angelopoulos et al. 2022).

One pair of contours for all images would promise the same for a mask that is surely right and for one that
is probably wrong, and break its word where it matters. Cases are therefore split by the Dice that is
predicted of them, and each part gets its own contours, as wide as it needs (a Mondrian, or class-conditional,
guarantee; Vovk et al. 2003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from omniview.core.image import Doubles
from omniview.core.trust import Margin
from omniview.training.observed import LIMIT, SIDE, Observed, pooled

__all__ = ["fit_margin"]

PART = 38
"""The fewest cases of a part: of fewer, the bound allows too much for chance."""
_EDGES: Doubles = np.arange(SIDE // 2, dtype=np.float64) * (LIMIT * 2 / SIDE)
"""Distance of a contour from the mask's edge, in log-odds."""


def fit_margin(cases: Sequence[Observed], weights: Doubles, expected: Doubles, alpha: float) -> Margin | None:
    """Contours that keep the mean of what they miss, and of what they hold in vain, at `alpha`.

    As many parts as cases allow, three at most, and in each of which some contour keeps the promise. None
    where there is no such contour even for all cases together.

    Args:
        cases: labelled cases.
        weights: (n,) the omnimodel's weight in each.
        expected: (n,) predicted Dice of each case's mask, as a viewer would know it; nan where it does not.
        alpha: what may be missed on average, in (0,1).
    """
    known = np.nan_to_num(expected, nan=0.0)
    losses = [_losses(case, float(weight)) for case, weight in zip(cases, weights, strict=True)]
    for parts in range(min(3, len(cases) // PART), 1, -1):
        limits = [round(float(q), 4) for q in np.quantile(known, np.arange(1, parts) / parts)]
        part = np.searchsorted(limits, known, side="right")
        margin: Margin | None = None
        for k in range(parts):
            contours = _contours([loss for loss, at in zip(losses, part, strict=True) if at == k], alpha)
            if contours is None:
                break
            below = (0.0, None) if k == 0 else (limits[k - 1], margin)
            margin = Margin(*contours, alpha, *below)
        else:
            return margin
    whole = _contours(losses, alpha)
    return None if whole is None else Margin(*whole, alpha)


def _losses(case: Observed, weight: float) -> tuple[Doubles | None, Doubles]:
    """What each contour misses of the lesion (None: there is none), and what each holds in vain.

    Both are made monotone from the mask outwards (inwards), as the bound needs.
    """
    at = pooled(weight)
    inside, outside = case.counts[:, 1].sum(axis=0), case.counts[:, 0].sum(axis=0)
    missed = None
    if inside.any():
        missed = np.array([inside[at <= -far].sum() / inside.sum() for far in _EDGES])
    wrong = np.array([outside[at > far].sum() for far in _EDGES])
    held = wrong + np.array([inside[at > far].sum() for far in _EDGES])
    share = np.where(held > 0, wrong / np.maximum(held, 1), 0.0)
    return missed, np.maximum.accumulate(share[::-1])[::-1]


def _contours(losses: Sequence[tuple[Doubles | None, Doubles]], alpha: float) -> tuple[float, float] | None:
    """Probabilities of the outer and the inner contour, or None if none keeps the promise."""
    outer = _controlled([missed for missed, _ in losses if missed is not None], alpha)
    inner = _controlled([vain for _, vain in losses], alpha)
    if outer is None or inner is None:
        return None
    wide, narrow = 1.0 / (1.0 + math.exp(_EDGES[outer])), 1.0 / (1.0 + math.exp(-_EDGES[inner]))
    return round(wide, 6), round(narrow, 6)


def _controlled(losses: Sequence[Doubles], alpha: float) -> int | None:
    """The first setting whose bound n/(n+1) mean + 1/(n+1) is at most `alpha`; None if there is none."""
    n = len(losses)
    if n == 0:
        return None
    bound = (np.sum(losses, axis=0) + 1.0) / (n + 1.0)
    good = np.flatnonzero(bound <= alpha)
    return int(good[0]) if good.size else None
