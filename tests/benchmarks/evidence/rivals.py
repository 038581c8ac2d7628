"""Other ways to make one mask of two opinions: what fusion has to beat, and the ceiling nobody can pass.

Each rule takes the specialist's and the omnimodel's prediction of one image, (1,Y,X), and gives a (1,Y,X)
mask. None of them looks at the truth but the oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from omniview.core.fusion import SAFE_DEFAULT, Calibration
from omniview.core.image import BoolArray
from omniview.core.prediction import Prediction
from omniview.core.uncertainty import entropy

__all__ = ["RIVALS", "Rule", "entropy_gating", "higher_quality", "oracle_dice", "plain_average", "staple"]

Rule: TypeAlias = Callable[[Prediction, Prediction], BoolArray]

STAPLE_ROUNDS = 100


def higher_quality(
    specialist: Prediction, omnimodel: Prediction, calibration: Calibration = SAFE_DEFAULT
) -> BoolArray:
    """The mask of which the higher Dice is predicted; the specialist's where both are equal.

    What a model without a predicted quality is worth is told by the calibration.
    """
    own = specialist.quality.value if specialist.quality else calibration.assumed_specialist
    other = omnimodel.quality.value if omnimodel.quality else calibration.assumed_omnimodel
    return omnimodel.mask if other > own else specialist.mask


def plain_average(specialist: Prediction, omnimodel: Prediction) -> BoolArray:
    """Mean of both probabilities above one half."""
    return specialist.probability + omnimodel.probability > 1.0


def entropy_gating(specialist: Prediction, omnimodel: Prediction) -> BoolArray:
    """Pixel by pixel whoever is surer of itself; the specialist where both are equally sure."""
    surer = entropy(omnimodel.probability) < entropy(specialist.probability)
    return np.where(surer, omnimodel.mask, specialist.mask)


def staple(specialist: Prediction, omnimodel: Prediction) -> BoolArray:
    """STAPLE of both masks (Warfield et al. 2004), as SimpleITK has it, at one half.

    The estimate is not defined where neither found anything; there the answer is nothing.
    """
    import SimpleITK

    masks = specialist.mask, omnimodel.mask
    if not (masks[0].any() or masks[1].any()):
        return masks[0]
    judge = SimpleITK.STAPLEImageFilter()
    judge.SetForegroundValue(1.0)
    judge.SetMaximumIterations(STAPLE_ROUNDS)
    judge.SetNumberOfThreads(1)
    raters = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in masks]
    found = np.nan_to_num(SimpleITK.GetArrayFromImage(judge.Execute(raters)))
    agreed: BoolArray = found > 0.5
    return agreed


def oracle_dice(specialist: float, omnimodel: float) -> float:
    """Dice of whoever is better on this image, known only to one who knows the truth."""
    return max(specialist, omnimodel)


RIVALS: Mapping[str, Rule] = MappingProxyType(
    {
        "pick higher quality": higher_quality,
        "average": plain_average,
        "entropy gating": entropy_gating,
        "STAPLE": staple,
    }
)
