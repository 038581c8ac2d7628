"""Findings in words: where things are in the very picture that is shown."""

from __future__ import annotations

import numpy as np

from omniview.core.prediction import Prediction, Quality
from omniview.core.task import TASKS
from omniview.omnimodel.findings import findings
from omniview.omnimodel.sides import Side

POLYP = TASKS["polyp"]


def evidence(*boxes: tuple[int, int, int, int], quality: Quality | None = None) -> Prediction:
    """A specialist's prediction of rectangles (top, left, bottom, right) in 100 x 200 pixels."""
    probability = np.full((1, 100, 200), 0.1, np.float32)
    for top, left, bottom, right in boxes:
        probability[0, top:bottom, left:right] = 0.9
    return Prediction("special", "specialist", probability, quality=quality)


def test_boxes_areas_and_quality_are_told() -> None:
    """The largest first, in thousandths of the picture."""
    told = findings(
        evidence((80, 10, 90, 20), (10, 20, 60, 120), quality=Quality(0.83, 0.7, 0.91)),
        POLYP,
        Side("identity"),
    )
    assert told.splitlines() == [
        '- "polyp" in the box [100, 100, 600, 600], 25 % of the picture',
        '- "polyp" in the box [800, 50, 900, 100], 0.5 % of the picture',
        "- it expects the Dice overlap of its mask with the truth to be 0.83 (0.70 to 0.91)",
    ]


def test_they_follow_the_side() -> None:
    """Mirrored and cropped pictures are described as they are shown."""
    found = evidence((10, 20, 60, 120))
    assert "[100, 400, 600, 900]" in findings(found, POLYP, Side("hflip"))
    assert "[125, 125, 750, 750], 39 %" in findings(found, POLYP, Side("identity", (0, 0)))


def test_nothing_and_too_much() -> None:
    """An empty mask is told as such, and a crowd is summed up."""
    assert findings(evidence(), POLYP, Side("identity")) == '- no "polyp"'
    many = findings(evidence(*((9 * i, 0, 9 * i + 5, 9) for i in range(11))), POLYP, Side("identity"))
    assert len(many.splitlines()) == 9
    assert many.endswith('- 3 smaller objects "polyp"')
