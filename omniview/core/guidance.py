"""What a person shows a promptable network: clicks, a box, an earlier mask; and how that is drawn for one.

It stands apart from the networks so that the window, which never imports one, can speak of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniview.core.geometry import Placement, resize
from omniview.core.image import FloatArray, read_only
from omniview.core.prediction import check_probability

__all__ = ["Guidance"]


@dataclass(frozen=True, slots=True, eq=False)
class Guidance:
    """What a person shows the network.

    Attributes:
        positive: clicks (row, column) on what is looked for, in image pixels.
        negative: clicks on what is not.
        box: (top, left, bottom, right) around it, in image pixels, edge to edge; or None.
        prior: (Y,X) float32 probability of an earlier mask, or None. Read-only.
    """

    positive: tuple[tuple[float, float], ...] = ()
    negative: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    prior: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError(f"Guidance.box must be (top, left, bottom, right) with an area, got {self.box}")
        if self.prior is not None:
            check_probability("Guidance.prior", self.prior[None])
            object.__setattr__(self, "prior", read_only(self.prior))

    @property
    def empty(self) -> bool:
        """Whether nothing is shown."""
        return not self.positive and not self.negative and self.box is None and self.prior is None

    def maps(self, placement: Placement, sigma: float) -> FloatArray:
        """(h,w,4) float32 in [0,1] on the network's input: positive, negative, box, prior.

        A click is exp(-d^2 / (2 sigma^2)) with d in pixels of the input; the highest value wins.
        """
        top, left, height, width = placement.box
        Y, X = placement.shape
        gain = height / Y, width / X
        out = np.zeros((*placement.size, 4), np.float32)
        for channel, clicks in ((0, self.positive), (1, self.negative)):
            for row, column in clicks:
                centre = (row + 0.5) * gain[0] + top - 0.5, (column + 0.5) * gain[1] + left - 0.5
                down, across = (
                    np.exp(-0.5 * ((np.arange(n, dtype=np.float32) - np.float32(c)) / np.float32(sigma)) ** 2)
                    for n, c in zip(placement.size, centre, strict=True)
                )
                np.maximum(out[..., channel], down[:, None] * across, out=out[..., channel])
        if self.box is not None:
            rows = [round(np.clip(r, 0, Y) * gain[0]) + top for r in self.box[::2]]
            columns = [round(np.clip(c, 0, X) * gain[1]) + left for c in self.box[1::2]]
            out[rows[0] : rows[1], columns[0] : columns[1], 2] = 1.0
        if self.prior is not None:
            if self.prior.shape != placement.shape:
                raise ValueError(f"Guidance.prior must be {placement.shape}, got {self.prior.shape}")
            out[top : top + height, left : left + width, 3] = resize(self.prior, (height, width))
        return out
