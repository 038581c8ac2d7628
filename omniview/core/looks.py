"""How each layer looks, wherever it is drawn: in the window, on thumbnails, in reports.

Colours are of the Okabe-Ito family, which readers with the common colour blindnesses tell apart; line styles
differ as well, so that colour is never the only mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["LOOKS", "ORDER", "Layer", "Look"]


class Layer(StrEnum):
    """What can lie over the image."""

    FUSED = "fused"
    SPECIALIST = "specialist"
    OMNIMODEL = "omnimodel"
    UNCERTAINTY = "uncertainty"
    TRUTH = "truth"
    MARGIN = "margin"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True, slots=True)
class Look:
    """The fixed appearance of a layer.

    Attributes:
        title: shown name.
        colour: (red, green, blue) 0-255.
        dash: length of dashes and of gaps, in device-independent pixels; None for a whole line.
        width: line width in device-independent pixels; 0 for what is an area and has no outline.
        key: digit that toggles it.
        hint: what it is, in a sentence.
    """

    title: str
    colour: tuple[int, int, int]
    dash: tuple[float, float] | None
    width: float
    key: int
    hint: str

    @property
    def dashed(self) -> bool:
        """Whether the line is a broken one."""
        return self.dash is not None

    @property
    def area(self) -> bool:
        """Whether it is always drawn as an area."""
        return self.width == 0.0


LOOKS: Mapping[Layer, Look] = MappingProxyType(
    {
        Layer.FUSED: Look(
            "Fused", (255, 255, 255), None, 4.0, 1, "Both opinions, weighted by how far each can be trusted"
        ),
        Layer.SPECIALIST: Look(
            "Specialist", (86, 180, 233), None, 2.0, 2, "The model trained for this task alone"
        ),
        Layer.OMNIMODEL: Look("Omnimodel", (226, 138, 189), None, 2.0, 3, "The general model's opinion"),
        Layer.UNCERTAINTY: Look(
            "Uncertainty", (94, 201, 98), None, 0.0, 4, "Where the fused mask could as well be wrong"
        ),
        Layer.TRUTH: Look("Ground truth", (240, 228, 66), (7.0, 6.0), 2.0, 5, "The reference for the scores"),
        Layer.MARGIN: Look(
            "Margin", (255, 255, 255), (2.0, 4.0), 1.4, 6, "How far the edge of the fused mask could lie off"
        ),
        Layer.DISAGREEMENT: Look(
            "Disagreement",
            (230, 159, 0),
            None,
            0.0,
            7,
            "What only one of the models marks: rising lines for the specialist, falling for the omnimodel",
        ),
    }
)

ORDER = (Layer.FUSED, Layer.MARGIN, Layer.OMNIMODEL, Layer.SPECIALIST, Layer.TRUTH)
"""Outlines from the lowest to the uppermost: thin over wide, broken over thin."""
