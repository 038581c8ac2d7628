"""How a person wants to look at a case: which layers, how drawn, through which grey window.

Everything here is frozen, so that a thread can draw from it while the person already chose something else.
What each layer looks like is settled in core, for reports have the same colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from omniview.core.looks import LOOKS, Layer, Look

__all__ = ["LOOKS", "Layer", "LayerView", "Look", "Style", "View"]


class Style(StrEnum):
    """How a mask is drawn."""

    CONTOUR = "contour"
    FILL = "fill"


@dataclass(frozen=True, slots=True)
class LayerView:
    """How one layer is drawn now; opacity in [0,1]."""

    shown: bool = True
    style: Style = Style.CONTOUR
    opacity: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.opacity <= 1.0:
            raise ValueError(f"LayerView.opacity must lie within [0,1], got {self.opacity}")


def _start() -> Mapping[Layer, LayerView]:
    special = {
        Layer.UNCERTAINTY: LayerView(style=Style.FILL, opacity=0.6),
        # on call: what is always there hides the tissue that it is about
        Layer.MARGIN: LayerView(shown=False),
        Layer.DISAGREEMENT: LayerView(shown=False, style=Style.FILL),
    }
    return MappingProxyType({layer: special.get(layer, LayerView()) for layer in Layer})


@dataclass(frozen=True, slots=True)
class View:
    """All that decides what a case looks like on the canvas.

    Attributes:
        layers: each layer's own settings.
        solo: the one layer seen while its key is held, or None.
        window: (centre, width) in pixel values, or None for the image's own.
        legend: whether the canvas names the visible layers.
    """

    layers: Mapping[Layer, LayerView] = field(default_factory=_start)
    solo: Layer | None = None
    window: tuple[float, float] | None = None
    legend: bool = True

    def __post_init__(self) -> None:
        if self.window is not None and not self.window[1] > 0:
            raise ValueError(f"View.window must have a positive width, got {self.window}")

    def visible(self, layer: Layer) -> bool:
        """Whether `layer` is drawn now."""
        return self.layers[layer].shown if self.solo is None else layer is self.solo

    def changed(
        self,
        layer: Layer,
        *,
        shown: bool | None = None,
        style: Style | None = None,
        opacity: float | None = None,
    ) -> View:
        """The view with some settings of one layer replaced."""
        old = self.layers[layer]
        new = LayerView(
            old.shown if shown is None else shown,
            style or old.style,
            old.opacity if opacity is None else opacity,
        )
        return replace(self, layers=MappingProxyType({**self.layers, layer: new}))
