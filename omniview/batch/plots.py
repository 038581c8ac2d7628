"""Plots as SVG written by hand: small, the same bytes each time, sharp in print, readable without colour.

Models differ by colour (Okabe and Ito), by shape of points and by dashes, so that a grey copy and a reader
with any colour vision tell them apart. Colours are darker than on images, since the ground is white here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

import numpy as np

from omniview.batch.series import Doubles

__all__ = ["GRID", "INK", "MUTED", "Axes", "Canvas", "Mark", "mark_of", "number", "ticks"]

INK, MUTED, GRID = "#1f2328", "#59636e", "#e4e7eb"
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
SIZE = 11  # of text, in px


@dataclass(frozen=True, slots=True)
class Mark:
    """How a model is drawn.

    Attributes:
        colour: of lines and points.
        dash: SVG's stroke-dasharray, or empty.
        shape: outline of a point around (0,0).
        width: of lines in px.
    """

    colour: str
    dash: str
    shape: str
    width: float = 1.6


_CIRCLE = "M-2.6 0a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0-5.2 0z"
_SQUARE = "M-2.3-2.3h4.6v4.6h-4.6z"
_DIAMOND = "M0-3.3L3.3 0L0 3.3L-3.3 0z"
_TRIANGLE = "M0-3L2.9 2.3h-5.8z"

_MARKS: Mapping[str, Mark] = MappingProxyType(
    {
        "specialist": Mark("#0072b2", "", _CIRCLE),
        "omnimodel": Mark("#c76da2", "5 3", _SQUARE),
        "fused": Mark("#1f2328", "", _DIAMOND, 2.2),
    }
)
_SMALL = ' transform="scale(.67)"'
_OTHER = Mark("#8a6d00", "2 2", _TRIANGLE)


def mark_of(model: str) -> Mark:
    """How `model` is drawn; one look for all that are not models of ours."""
    return _MARKS.get(model, _OTHER)


def number(value: float) -> str:
    """A tick's label: shortest form, with a real minus sign."""
    text = f"{value:.10g}" if abs(value) < 1e5 else f"{value:.1e}"
    return text.replace("-", "\N{MINUS SIGN}")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within [low, high], 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


class Canvas:
    """An SVG picture that grows by elements.

    Args:
        name: unique within the page; begins the ids inside.
        width: px.
        height: px.
    """

    def __init__(self, name: str, width: float, height: float) -> None:
        self.name, self.width, self.height = name, width, height
        self._parts: list[str] = []
        self._shapes: dict[tuple[str, str, str, bool], str] = {}

    def add(self, element: str) -> None:
        """An element as it stands."""
        self._parts.append(element)

    def line(
        self, x0: float, y0: float, x1: float, y1: float, colour: str = INK, **more: str | float
    ) -> None:
        """A straight line; further attributes as SVG names them, `_` for `-`."""
        d = f"M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}"
        self.add(f'<path d="{d}" stroke="{colour}"{_attributes(more)}/>')

    def path(self, points: Iterable[tuple[float, float]], mark: Mark, **more: str | float) -> None:
        """A line through points in px."""
        d = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        dash = {"stroke_dasharray": mark.dash} if mark.dash else {}
        style = {"stroke": mark.colour, "stroke_width": mark.width, "fill": "none", **dash, **more}
        self.add(f'<path d="{d}"{_attributes(style)}/>')

    def rect(self, x: float, y: float, width: float, height: float, **more: str | float) -> None:
        """A rectangle in px."""
        size = f'width="{_n(width)}" height="{_n(height)}"'
        self.add(f'<rect x="{_n(x)}" y="{_n(y)}" {size}{_attributes(more)}/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        colour: str = INK,
        size: float = SIZE,
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """Words with their base line at (x, y); turned: read from below."""
        style = f' font-size="{_n(size)}"' if size != SIZE else ""
        style += ' font-weight="600"' if bold else ""
        style += f' transform="rotate(-90 {_n(x)} {_n(y)})"' if turned else ""
        place = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" fill="{colour}"'
        self.add(f"<text {place}{style}>{escape(words)}</text>")

    def points(
        self,
        places: Iterable[tuple[float, float]],
        mark: Mark,
        *,
        opacity: float = 1.0,
        hollow: bool = False,
        small: bool = False,
    ) -> None:
        """Points in px; hollow ones are outlines alone, small ones have two thirds of the size."""
        fill, stroke = ("#ffffff", mark.colour) if hollow else (mark.colour, "none")
        key = (mark.shape, fill, stroke, small)
        name = self._shapes.setdefault(key, f"{self.name}-{len(self._shapes)}")
        uses = "".join(f'<use href="#{name}" x="{_n(x)}" y="{_n(y)}"/>' for x, y in places)
        if uses:
            # of each point, not of the group: where points lie upon each other, it gets darker
            self.add(f'<g fill-opacity="{opacity:g}">{uses}</g>')

    def legend(self, x: float, y: float, models: Sequence[str], *, lines: bool = False) -> None:
        """Names of models side by side, each behind its mark, from (x, y) on."""
        for model in models:
            mark = mark_of(model)
            if lines:
                self.path([(x, y - 4), (x + 22, y - 4)], mark)
            else:
                self.points([(x + 16, y - 4)], mark)
            self.text(x + 26, y, model)
            x += 42 + 6.2 * len(model)

    def svg(self, title: str, description: str) -> str:
        """The whole picture, with a name and a description for those who cannot see it."""
        name = self.name
        defs = "".join(
            f'<path id="{key}" d="{shape}" fill="{fill}" stroke="{stroke}"{_SMALL * small}/>'
            for (shape, fill, stroke, small), key in self._shapes.items()
        )
        size = f'width="{_n(self.width)}" height="{_n(self.height)}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-t {name}-d" {size} '
            f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" font-family="{FONT}" font-size="{SIZE}">'
            f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
            f"<defs>{defs}</defs>{''.join(self._parts)}</svg>"
        )


@dataclass(frozen=True, slots=True)
class Axes:
    """A plot's frame on a canvas: from values to px.

    Attributes:
        canvas: drawn on.
        left: px.
        top: px.
        width: px.
        height: px.
        x: values at the left and right edge.
        y: values at the lower and upper edge.
    """

    canvas: Canvas
    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at_x(self, value: float) -> float:
        """Px of a value, kept within the frame."""
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        return self.left + min(max(share, 0.0), 1.0) * self.width

    def at_y(self, value: float) -> float:
        """Px of a value, kept within the frame."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return self.top + (1.0 - min(max(share, 0.0), 1.0)) * self.height

    def places(self, xs: Doubles, ys: Doubles) -> list[tuple[float, float]]:
        """(n) values and (n) values to px; nan is left out."""
        known = ~np.isnan(xs) & ~np.isnan(ys)
        return [(self.at_x(float(x)), self.at_y(float(y))) for x, y in zip(xs[known], ys[known], strict=True)]

    def frame(
        self,
        x_label: str = "",
        y_label: str = "",
        title: str = "",
        *,
        x_ticks: Sequence[float] | None = None,
        y_ticks: Sequence[float] | None = None,
        x_names: Mapping[float, str] | None = None,
        y_names: Mapping[float, str] | None = None,
    ) -> None:
        """Grid, axes, ticks and labels; no ticks where an empty list is given."""
        canvas, bottom, right = self.canvas, self.top + self.height, self.left + self.width
        for value in ticks(*self.y) if y_ticks is None else y_ticks:
            y = self.at_y(value)
            canvas.line(self.left, y, right, y, GRID)
            words = (y_names or {}).get(value, number(value))
            canvas.text(self.left - 6, y + 3.8, words, anchor="end", colour=MUTED)
        for value in ticks(*self.x) if x_ticks is None else x_ticks:
            x = self.at_x(value)
            canvas.line(x, bottom, x, bottom + 4, MUTED)
            words = (x_names or {}).get(value, number(value))
            canvas.text(x, bottom + 16, words, anchor="middle", colour=MUTED)
        canvas.line(self.left, bottom, right, bottom, MUTED)
        canvas.line(self.left, self.top, self.left, bottom, MUTED)
        if title:
            canvas.text(self.left, self.top - 10, title, bold=True)
        if x_label:
            canvas.text(self.left + self.width / 2, bottom + 34, x_label, anchor="middle")
        if y_label:
            middle = self.top + self.height / 2
            canvas.text(self.left - 38, middle, y_label, anchor="middle", turned=True)


def _n(value: float) -> str:
    """A coordinate to a tenth of a pixel: more nobody sees, and files would grow."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def _attributes(more: Mapping[str, str | float]) -> str:
    return "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
