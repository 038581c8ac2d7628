"""The picture with all layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from omniview.core.image import Image
from omniview.core.outline import Outline, trace
from omniview.ui.frame import Frame, picture
from omniview.ui.overlay import Viewport, paint, uncertainty_colours
from omniview.ui.view import LOOKS, Layer, Style, View

_PORT = Viewport(0, 0, 4.0, 200, 160)


@pytest.fixture
def frame() -> Frame:
    """40x50 image pixels with one square as every mask, and a corner that is uncertain."""
    mask = np.zeros((40, 50), bool)
    mask[10:30, 15:35] = True
    fill = np.where(mask, np.uint8(255), np.uint8(0))
    unsure = np.zeros((40, 50), np.uint8)
    unsure[:5, :5] = 255
    fills = {layer: (unsure if layer is Layer.UNCERTAINTY else fill,) for layer in Layer}
    alone = np.zeros((40, 50, 2), np.uint8)
    alone[10:30, 15:25, 0] = alone[10:30, 25:35, 1] = 255
    fills[Layer.DISAGREEMENT] = (alone,)
    outlines: dict[Layer, Outline] = {layer: trace(mask[None]) for layer in Layer if not LOOKS[layer].area}
    return Frame(picture(Image(np.zeros((40, 50, 1), np.uint8))), outlines, fills)


def _alone(layer: Layer, style: Style = Style.CONTOUR, opacity: float = 1.0) -> View:
    return replace(View().changed(layer, style=style, opacity=opacity), solo=layer)


def _edges() -> Iterator[tuple[int, int]]:
    """Device (row, column) half-way along the four edges of the square."""
    yield from ((40, 100), (120, 100), (80, 60), (80, 140))


def _bgr(layer: Layer) -> npt.NDArray[np.float64]:
    return np.array(LOOKS[layer].colour[::-1], np.float64)


@pytest.mark.parametrize("layer", [Layer.FUSED, Layer.SPECIALIST, Layer.OMNIMODEL])
def test_contour_runs_along_the_edge(frame: Frame, layer: Layer) -> None:
    """Within two device pixels of the mask's edge is the layer's own colour, and nothing in the middle."""
    drawn = paint(frame, _alone(layer), _PORT)
    for row, column in _edges():
        near = drawn[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 4)
        line = near[near.sum(axis=1).argmax(), :3].astype(float)
        nearest = min(LOOKS, key=lambda other: np.abs(line / line.max() - _bgr(other) / 255.0).sum())
        assert nearest is layer
    assert not drawn[80, 100].any()


def test_truth_is_dashed(frame: Frame) -> None:
    """Along the truth's contour there are gaps, and dashes in its colour."""
    drawn = paint(frame, _alone(Layer.TRUTH), _PORT)
    along = drawn[38:43, 62:138, 2].max(axis=0)
    assert along.min() < 20
    assert along.max() > 200


def test_margin_is_dotted(frame: Frame) -> None:
    """Along a margin there are more and shorter marks than along the dashed truth, all of them light."""

    def marks(layer: Layer) -> int:
        along = paint(frame, _alone(layer), _PORT)[38:43, 62:138, 2].max(axis=0) > 120
        return int(np.count_nonzero(np.diff(along.astype(int)) > 0))

    assert marks(Layer.MARGIN) > 1.5 * marks(Layer.TRUTH) > 0


def test_an_empty_layer_does_not_slim_the_others(frame: Frame) -> None:
    """A model that found nothing has no breadth; the lines of the other stay as wide as they were."""
    nothing = replace(
        frame, outlines={**frame.outlines, Layer.SPECIALIST: trace(np.zeros((1, 40, 50), bool))}
    )
    wide = replace(frame, fills={Layer.FUSED: frame.fills[Layer.FUSED]})
    view = View()
    for layer in set(Layer) - {Layer.FUSED, Layer.SPECIALIST}:
        view = view.changed(layer, shown=False)
    np.testing.assert_array_equal(paint(nothing, view, _PORT), paint(wide, view, _PORT))


def test_disagreement_is_hatched_by_who_is_alone(frame: Frame) -> None:
    """The specialist's part has rising lines in its colour, the omnimodel's falling ones in its own."""
    drawn = paint(frame, _alone(Layer.DISAGREEMENT, Style.FILL), _PORT)
    assert not drawn[:38].any()
    assert not drawn[:, :58].any()
    for layer, columns, falls in (
        (Layer.SPECIALIST, slice(62, 98), 1),
        (Layer.OMNIMODEL, slice(102, 138), -1),
    ):
        part = drawn[44:116, columns].astype(float)
        colour = part[part[..., 3] > 250].max(axis=0)[:3]
        np.testing.assert_allclose(colour, _bgr(layer), atol=2)
        along = part[1:, :-1] if falls > 0 else part[1:, 1:]
        before = part[:-1, 1:] if falls > 0 else part[:-1, :-1]
        np.testing.assert_array_equal(along, before)  # a step down and one aside: the same line
        assert part[..., 3].min() < 60  # the tissue shows between the lines


def test_hatching_stays_with_the_image(frame: Frame) -> None:
    """Panned by whole device pixels, the pattern moves along."""
    view = _alone(Layer.DISAGREEMENT, Style.FILL)
    whole = paint(frame, view, _PORT)
    moved = paint(frame, view, Viewport(3.25, 2.75, 4.0, 180, 140))
    np.testing.assert_array_equal(moved[:140, :180], whole[11:151, 13:193])


def test_casing_makes_lines_stand_out(frame: Frame) -> None:
    """Beside the line there is a dark, half-transparent border."""
    across = paint(frame, _alone(Layer.FUSED), _PORT)[34:47, 100]
    dark = across[(across[:, 3] > 60) & (across[:, :3].max(axis=1) < 90)]
    assert len(dark) >= 2


def test_fill_covers_the_mask_and_nothing_else(frame: Frame) -> None:
    """A filled mask tints its inside at the chosen opacity."""
    drawn = paint(frame, _alone(Layer.SPECIALIST, Style.FILL, 0.5), _PORT)
    assert drawn[80, 100, 3] == pytest.approx(255 * 0.5 * 0.4, abs=2)
    assert not drawn[20, 100].any()


def test_uncertainty_is_in_its_place(frame: Frame) -> None:
    """Certain pixels are left clear, uncertain ones have the last colour of the table."""
    drawn = paint(frame, _alone(Layer.UNCERTAINTY, Style.FILL, 1.0), _PORT)
    expected = uncertainty_colours()[255, [2, 1, 0, 3]]
    np.testing.assert_array_equal(drawn[8, 8], expected)
    assert not drawn[80, 100].any()


def test_uncertainty_table_rises() -> None:
    """The map is perceptually ordered: lightness rises with uncertainty, and certainty is transparent."""
    table = uncertainty_colours().astype(float)
    light = table[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > -1.0).all()
    assert table[0, 3] == 0
    assert table[255, 3] == 255


def test_hidden_layers_leave_nothing(frame: Frame) -> None:
    """With every layer switched off the overlay is transparent."""
    view = View()
    for layer in Layer:
        view = view.changed(layer, shown=False)
    assert not paint(frame, view, _PORT).any()


@pytest.mark.parametrize("style", list(Style))
def test_moving_the_viewport_moves_the_layers(frame: Frame, style: Style) -> None:
    """Half an image further right, the same things are that much further left."""
    view = _alone(Layer.FUSED, style)
    whole = paint(frame, view, _PORT)
    right = paint(frame, view, Viewport(25, 0, 4.0, 100, 160))
    np.testing.assert_allclose(right[2:-2, 2:-2], whole[2:-2, 102:198], atol=8)


def test_twice_the_pixels_twice_the_line(frame: Frame) -> None:
    """On a screen with two device pixels a point lines are twice as wide, so they look the same."""

    def width(port: Viewport) -> int:
        drawn: npt.NDArray[np.uint8] = paint(frame, _alone(Layer.FUSED), port)
        row = round(20 * port.scale)
        left = drawn[row, : round(25 * port.scale)]
        return int((left[:, :3].min(axis=1) > 200).sum())

    assert width(Viewport(0, 0, 8.0, 400, 320, 2.0)) == pytest.approx(2 * width(_PORT), abs=2)


def test_far_off_contours_are_skipped(frame: Frame) -> None:
    """A viewport beside every contour stays empty, however deep the zoom."""
    assert not paint(frame, _alone(Layer.TRUTH), Viewport(22, 18, 1000.0, 300, 300)).any()
