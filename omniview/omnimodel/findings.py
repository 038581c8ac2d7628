"""Another model's opinion in words, for an omnimodel that is asked informed instead of blind.

An informed answer is no longer independent, so that its agreement is no evidence of quality: this is an
option, off by default, and said in the result (GSCo: the specialists' opinions become part of the prompt).
"""

from __future__ import annotations

import cv2
import numpy as np

from omniview.core.prediction import Prediction
from omniview.core.task import Task
from omniview.omnimodel.boxes import SCALE
from omniview.omnimodel.sides import Side

__all__ = ["findings"]

_MOST = 8
"""Objects told one by one; more would tell a model how to answer rather than where to look."""


def findings(evidence: Prediction, task: Task, side: Side) -> str:
    """What `evidence` found, one line for each object, as the picture of `side` shows it.

    Boxes are [y0, x0, y1, x1] in whole thousandths of the picture, as in the answers asked for. Blocks for
    milliseconds: call it in a thread.

    Args:
        evidence: the other model's prediction for the whole image.
        task: names the labels.
        side: from which the picture is shown.
    """
    lines = []
    for label, mask in zip(task.labels, side.turned(evidence.mask), strict=True):
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
        order = sorted(range(1, count), key=lambda n: (-stats[n, cv2.CC_STAT_AREA], n))
        for n in order[:_MOST]:
            left, top, width, height, area = (int(v) for v in stats[n])
            Y, X = mask.shape
            ends = (top / Y, left / X, (top + height) / Y, (left + width) / X)
            box = [round(end * SCALE) for end in ends]
            lines.append(f'- "{label}" in the box {box}, {100 * area / mask.size:.2g} % of the picture')
        if count - 1 > _MOST:
            lines.append(f'- {count - 1 - _MOST} smaller objects "{label}"')
        if count == 1:
            lines.append(f'- no "{label}"')
    if (quality := evidence.quality) is not None:
        lines.append(
            f"- it expects the Dice overlap of its mask with the truth to be {quality.value:.2f} "
            f"({quality.low:.2f} to {quality.high:.2f})"
        )
    return "\n".join(lines)
