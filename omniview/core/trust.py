"""What was learnt about a pair of models on a task, and what is assumed of one that nobody has measured.

The file that holds it is read elsewhere; these are its numbers, checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from omniview.core.quality import QualityTable

__all__ = ["SAFE_DEFAULT", "Calibration", "Margin", "margin_sentence"]


@dataclass(frozen=True, slots=True)
class Margin:
    """Probabilities of an outer and an inner contour, by conformal risk control (Angelopoulos et al. 2022).

    Attributes:
        outer: probability of the outer contour, within (0,0.5].
        inner: probability of the inner one, within [0.5,1).
        alpha: share of the lesion that lies outside of the outer contour, and share of the inner one's area
            that is no lesion, each at most and on average over images like those it was fitted on; (0,1).
        below: predicted Dice below which `doubtful` holds instead; [0,1].
        doubtful: the same promise for masks of which less is expected, or None: this one is for all.
    """

    outer: float
    inner: float
    alpha: float = 0.1
    below: float = 0.0
    doubtful: Margin | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.outer <= 0.5:
            raise ValueError(f"Margin.outer must lie within (0,0.5], got {self.outer}")
        if not 0.5 <= self.inner < 1.0:
            raise ValueError(f"Margin.inner must lie within [0.5,1), got {self.inner}")
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"Margin.alpha must lie within (0,1), got {self.alpha}")
        if not 0.0 <= self.below <= 1.0:
            raise ValueError(f"Margin.below must lie within [0,1], got {self.below}")
        if self.doubtful is not None and self.doubtful.alpha != self.alpha:
            raise ValueError("Margin.doubtful must promise the same alpha")

    def at(self, expected: float | None) -> Margin:
        """The margin of a mask whose predicted Dice is `expected`, or not known."""
        if self.doubtful is None or (expected is not None and expected >= self.below):
            return self
        return self.doubtful.at(expected)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What fusion has learnt about a pair of models on a task.

    Attributes:
        kappa: how steeply the weight follows a difference of predicted Dice; 0 or more.
        bias: log-odds of trusting the omnimodel where both predicted qualities are equal.
        gamma: how much of the specialist's weight an entirely unsure pixel loses; [0,1). By
            default none: on the calibrate splits it changed mean Dice by less than 0.0002.
        prior: probability of the label at a pixel that nobody has looked at, within (0,1); counted once.
        limit: log-odds beyond which no single model is believed; positive. It keeps a hard 0/1 mask from
            outvoting everything.
        assumed_specialist: predicted Dice taken for a specialist that brings none; [0,1].
        assumed_omnimodel: the same for an omnimodel; [0,1].
        ceiling: the most that an omnimodel's own predicted Dice is believed; [0,1]. What was never measured
            may claim anything.
        area: least and largest share of the image that the omnimodel's masks covered where it was measured,
            with some room; [0,1]. A mask beyond that is none of those that earned the trust.
        quality: from the share-weighted mean of both predicted Dice to that of the fused mask, or None: the
            mean itself is told.
        margin: of the fused probability; None where none was calibrated.
        margin_specialist: of the specialist's probability where it is alone, or None.
        margin_omnimodel: of the omnimodel's likewise.
    """

    kappa: float = 32.0
    bias: float = -6.0
    gamma: float = 0.0
    prior: float = 0.5
    limit: float = 6.0
    assumed_specialist: float = 0.75
    assumed_omnimodel: float = 0.3
    ceiling: float = 0.3
    area: tuple[float, float] = (0.0, 1.0)
    quality: QualityTable | None = None
    margin: Margin | None = None
    margin_specialist: Margin | None = None
    margin_omnimodel: Margin | None = None

    def __post_init__(self) -> None:
        for name in ("kappa", "bias"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"Calibration.{name} must be finite, got {getattr(self, name)}")
        for name in ("assumed_specialist", "assumed_omnimodel", "ceiling"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Calibration.{name} must lie within [0,1], got {getattr(self, name)}")
        if not 0.0 <= self.area[0] <= self.area[1] <= 1.0:
            raise ValueError(f"Calibration.area must be two rising shares within [0,1], got {self.area}")
        if self.kappa < 0.0:
            raise ValueError(f"Calibration.kappa must not be negative, got {self.kappa}")
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"Calibration.gamma must lie within [0,1), got {self.gamma}")
        if not 0.0 < self.prior < 1.0:
            raise ValueError(f"Calibration.prior must lie within (0,1), got {self.prior}")
        if not 0.0 < self.limit <= 15.0:  # float32 knows no probability nearer to 1 than 16 nats
            raise ValueError(f"Calibration.limit must lie within (0,15], got {self.limit}")


SAFE_DEFAULT = Calibration()
"""For models that were never measured together: whatever such an omnimodel claims of itself, it leads only
where the specialist expects a Dice below 0.1 of its own mask, so that there is next to nothing to lose. No
margin is promised."""


def margin_sentence(margin: Margin) -> str:
    """What the contours promise, in words for a person: on average over images, not for this one."""
    share = f"{margin.alpha:.0%}".replace("%", " %")
    return (
        f"On average over images like these, at most {share} of the lesion lies outside of the outer "
        f"contour, and at most {share} of what the inner contour holds is not lesion."
    )
