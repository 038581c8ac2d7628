"""Whether masks are of the right size: agreement of areas after Bland and Altman.

A correlation would not tell: two measures that differ by a third correlate perfectly (Bland and Altman 1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniview.batch.series import Doubles, Series
from omniview.batch.statistics import Interval, tidy

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Areas of masks against areas of truths, in per cent of the image.

    Attributes:
        mean: (n) mean of both areas.
        difference: (n) mask less truth.
        bias: mean difference, with its 95 % interval (Student's t).
        lower: lower limit of agreement, bias - 1.96 sd, with its 95 % interval (standard error sqrt(3/n) sd).
        upper: upper limit of agreement.
    """

    mean: Doubles
    difference: Doubles
    bias: Interval
    lower: Interval
    upper: Interval

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        ends = {"bias": self.bias, "lower_limit": self.lower, "upper_limit": self.upper}
        named = {
            name: {"value": tidy(one.value), "low": tidy(one.low), "high": tidy(one.high)}
            for name, one in ends.items()
        }
        return {"unit": "per cent of the image", "n": len(self.mean), **named}


def agreement(series: Series) -> Agreement | None:
    """The areas of a model's masks against those of the truths; None below three cases with both."""
    columns = series.columns
    whole = columns["width"] * columns["height"] / 100.0
    mask, truth = columns["area_px"] / whole, columns["truth_area_px"] / whole
    known = ~np.isnan(mask) & ~np.isnan(truth)
    n = int(np.count_nonzero(known))
    if n < 3:
        return None
    from scipy.special import stdtrit

    difference: Doubles = (mask - truth)[known]
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stdtrit(n - 1, 0.975))
    around, reach = t * sd / math.sqrt(n), t * sd * math.sqrt(3.0 / n)
    lower, upper = bias - 1.96 * sd, bias + 1.96 * sd
    return Agreement(
        ((mask + truth) / 2)[known],
        difference,
        Interval(bias, bias - around, bias + around),
        Interval(lower, lower - reach, lower + reach),
        Interval(upper, upper - reach, upper + reach),
    )
