"""What is prepared for the canvas."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtGui import QImage

from omniview.analyse import analyse
from omniview.core.case import Case, Truth
from omniview.core.fusion import Calibration, fuse
from omniview.core.image import Image
from omniview.core.outline import trace
from omniview.core.prediction import Prediction
from omniview.core.task import TASKS
from omniview.core.trust import Margin
from omniview.ui.frame import Frame, picture, prepare, whole_window
from omniview.ui.view import Layer
from tests.fakes import OtsuSegmenter


def _case(truth: bool = True) -> Case:
    pixels = np.full((40, 50, 1), 20, np.uint8)
    pixels[10:30, 15:35] = 200
    mask = np.zeros((1, 40, 50), bool)
    mask[:, 10:30, 15:35] = True
    image = Image(pixels)
    work = analyse(image, TASKS["nuclei"], [OtsuSegmenter()], truth=Truth(mask) if truth else None)
    return asyncio.run(work)


def _colour(image: QImage, x: int, y: int) -> tuple[int, int, int]:
    colour = image.pixelColor(x, y)
    return colour.red(), colour.green(), colour.blue()


def test_picture_shows_the_pixels() -> None:
    """The finest level holds exactly the colours of an 8-bit image."""
    random = np.random.default_rng(0)
    image = Image(random.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    shown = picture(image)
    for y, x in ((0, 0), (6, 8), (3, 4)):
        assert _colour(shown.levels[0].image, x, y) == tuple(image.pixels[y, x])


@pytest.mark.parametrize("quick", [True, False])
def test_levels_cover_the_same_image(quick: bool) -> None:
    """A picture keeps the image's own size whatever the size of its levels; the quick one is smaller."""
    shown = picture(Image(np.zeros((100, 4000, 1), np.uint8)), quick=quick)
    assert shown.shape == (100, 4000)
    widths = [level.image.width() for level in shown.levels]
    assert widths == ([2048, 1024, 512] if quick else [4000, 2000, 1000])


def test_level_has_a_pixel_for_each_device_pixel() -> None:
    """The coarsest level that is fine enough is painted, and the finest beyond one-to-one."""
    shown = picture(Image(np.zeros((2048, 2048, 1), np.uint8)))
    widths = [shown.level(scale).width() for scale in (0.1, 0.25, 0.26, 1.0, 8.0)]
    assert widths == [512, 512, 1024, 2048, 2048]


def test_quick_picture_of_a_wide_range_has_the_same_greys() -> None:
    """A reduced 16-bit picture is shown through the range of all pixels, not of those left over."""
    pixels = np.full((10, 4096, 1), 1000, np.uint16)
    pixels[0, 0] = 65535
    pixels[0, 1] = 0
    image = Image(pixels)
    assert whole_window(image) == (32767.5, 65535.0)
    quick, full = picture(image, quick=True), picture(image)
    assert _colour(quick.levels[0].image, 1000, 3) == _colour(full.levels[0].image, 2000, 8)


def test_frame_holds_every_layer_of_the_case() -> None:
    """With one model, a truth and no calibration there is everything but a second opinion and a margin."""
    case = _case()
    frame = prepare(case, Frame(picture(case.image)))
    assert {layer for layer in Layer if frame.has(layer)} == {
        Layer.SPECIALIST,
        Layer.FUSED,
        Layer.UNCERTAINTY,
        Layer.TRUTH,
    }
    assert Layer.UNCERTAINTY not in frame.outlines
    assert case.fusion is not None
    np.testing.assert_array_equal(frame.fills[Layer.FUSED][0] > 0, case.fusion.mask[0])


def test_frame_reuses_what_still_holds() -> None:
    """A second frame of the same arrays shares the drawn layers; a dropped truth is gone."""
    case = _case()
    first = prepare(case, Frame(picture(case.image)))
    second = prepare(Case(case.image, case.task, case.predictions, fusion=case.fusion), first)
    assert second.outlines[Layer.FUSED] is first.outlines[Layer.FUSED]
    assert not second.has(Layer.TRUTH)


def _two_opinions() -> Case:
    """Columns 10-29 are the specialist's, 20-39 the omnimodel's; in 40-44 both are unsure."""
    maps = np.full((2, 1, 40, 50), 0.02, np.float32)
    maps[0, :, :, 10:30] = 0.98
    maps[1, :, :, 20:40] = 0.9
    maps[:, :, :, 40:45] = 0.35
    task = TASKS["nuclei"]
    pair = Prediction("b", "omnimodel", maps[1]), Prediction("a", "specialist", maps[0])
    fusion = fuse(pair, Calibration(margin=Margin(0.2, 0.8)))
    return Case(Image(np.zeros((40, 50, 1), np.uint8)), task, pair, fusion=fusion)


def test_disagreement_says_who_is_alone() -> None:
    """The first channel is what the specialist alone marks, the second the omnimodel, in whatever order."""
    case = _two_opinions()
    fill = prepare(case, Frame(picture(case.image))).fills[Layer.DISAGREEMENT][0]
    assert fill.shape == (40, 50, 2)
    columns = np.arange(50)
    np.testing.assert_array_equal(fill[7, :, 0] == 255, (columns >= 10) & (columns < 20))
    np.testing.assert_array_equal(fill[7, :, 1] == 255, (columns >= 30) & (columns < 40))


def test_margin_has_both_contours() -> None:
    """Inner and outer edge are outlined where the fused result says, and the band between them is filled."""
    case = _two_opinions()
    assert case.fusion is not None
    assert case.fusion.margin is not None
    inner, outer = (mask[0] for mask in case.fusion.margin)
    assert inner.sum() < outer.sum()
    frame = prepare(case, Frame(picture(case.image)))
    np.testing.assert_array_equal(frame.fills[Layer.MARGIN][0] == 255, outer & ~inner)
    alone = [trace(mask[None]).boxes for mask in (inner, outer)]
    np.testing.assert_array_equal(frame.outlines[Layer.MARGIN].boxes, np.concatenate(alone))


def test_layers_of_two_arrays_are_reused_too() -> None:
    """Margin and disagreement are made once for the same arrays; another opinion makes the latter anew."""
    case = _two_opinions()
    first = prepare(case, Frame(picture(case.image)))
    again = prepare(case, first)
    assert again.outlines[Layer.MARGIN] is first.outlines[Layer.MARGIN]
    assert again.fills[Layer.DISAGREEMENT] is first.fills[Layer.DISAGREEMENT]
    other = Prediction("c", "omnimodel", np.full((1, 40, 50), 0.02, np.float32))
    changed = prepare(replace(case, predictions=(case.predictions[0], other)), first)
    assert changed.fills[Layer.DISAGREEMENT][0][..., 0].any()
    assert not changed.fills[Layer.DISAGREEMENT][0][..., 1].any()
