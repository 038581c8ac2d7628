"""A thumbnail shows image and outlines in the window's colours, at any size and depth of image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from omniview.analyse import analyse
from omniview.batch.thumbnails import SIDE, thumbnail
from omniview.core.case import Case, Truth
from omniview.core.image import Image
from omniview.core.looks import LOOKS, Layer
from omniview.core.task import TASKS
from tests.fakes import OtsuSegmenter


def _decoded(jpeg: bytes) -> npt.NDArray[Any]:
    assert jpeg.startswith(b"\xff\xd8")
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels[..., ::-1].astype(np.int64)


def _distance(pixels: npt.NDArray[Any], layer: Layer) -> float:
    """How near any pixel comes to the colour of a layer."""
    return float(np.abs(pixels - np.array(LOOKS[layer].colour)).sum(axis=-1).min())


async def _case(pixels: npt.NDArray[Any]) -> Case:
    truth = np.zeros((1, *pixels.shape[:2]), bool)
    truth[:, 20:70, 30:110] = True
    return await analyse(Image(pixels), TASKS["polyp"], [OtsuSegmenter()], truth=Truth(truth))


def _picture() -> npt.NDArray[np.uint8]:
    pixels = np.full((90, 160, 3), 40, np.uint8)
    pixels[30:60, 50:100] = (200, 90, 80)
    return pixels


async def test_outlines_have_the_colours_of_the_window() -> None:
    """Truth and specialist are found in their colours; without an omnimodel its colour is not there."""
    case = await _case(_picture())
    shown = _decoded(thumbnail(case))
    assert _distance(shown, Layer.TRUTH) < 60
    assert _distance(shown, Layer.SPECIALIST) < 60
    assert _distance(shown, Layer.OMNIMODEL) > 65


async def test_truth_is_a_broken_line() -> None:
    """Along the truth's upper edge its yellow comes and goes."""
    shown = _decoded(thumbnail(await _case(_picture())))
    row = round(20 * SIDE / 160)
    along = shown[row - 2 : row + 2, 50 : 105 * SIDE // 160]
    yellow = np.abs(along - np.array(LOOKS[Layer.TRUTH].colour)).sum(axis=-1).min(axis=0) < 150
    assert 0.3 < yellow.mean() < 0.9
    assert np.count_nonzero(np.diff(yellow.astype(int))) > 6


async def test_a_speck_does_not_thin_the_other_lines() -> None:
    """Where a model found next to nothing, the truth is drawn as broadly as where it found much."""
    speck = np.full((90, 160, 3), 40, np.uint8)
    speck[80:83, 150:153] = 230
    widths = []
    for pixels in (_picture(), speck):
        shown = _decoded(thumbnail(await _case(pixels)))
        yellow = np.abs(shown - np.array(LOOKS[Layer.TRUTH].colour)).sum(axis=-1) < 150
        widths.append(int(np.count_nonzero(yellow[: 26 * SIDE // 160])))
    assert widths[1] >= 0.9 * widths[0] > 0


def test_lines_have_a_dark_border() -> None:
    """On bright tissue the picture is darker right beside a line, and nowhere else."""
    truth = np.zeros((1, 120, 120), bool)
    truth[:, 30:90, 30:90] = True
    image = Image(np.full((120, 120, 3), 200, np.uint8))
    shown = _decoded(thumbnail(Case(image, TASKS["polyp"], truth=Truth(truth))))
    # yellow lacks blue all along, so that red tells the border from the line
    dark = np.argwhere(shown[..., 0] < 160)
    assert len(dark) > 100
    away = np.abs(dark[:, :, None] - np.array([60, 180])).min(axis=(1, 2))
    assert away.max() <= 4


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((90, 160), 240, (135, 240)),
        ((200, 100), 50, (50, 25)),
        ((3, 500), 160, (1, 160)),
        ((1, 1), 8, (8, 8)),
    ],
)
async def test_the_longer_side_is_as_asked(
    shape: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    """Small images are enlarged, large ones reduced, and none disappears."""
    image = Image(np.full((*shape, 3), 90, np.uint8))
    assert _decoded(thumbnail(Case(image, TASKS["polyp"]), side)).shape[:2] == expected


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
async def test_every_kind_of_image_is_shown(kind: type, channels: int) -> None:
    """Grey, colour, 16 bit and float all give a picture that is neither black nor white."""
    ramp: npt.NDArray[Any] = np.broadcast_to(
        np.linspace(0, 200, 64)[None, :, None], (64, 64, channels)
    ).astype(kind)
    shown = _decoded(thumbnail(Case(Image(ramp), TASKS["polyp"])))
    assert shown[:, -20:].mean() > shown[:, :20].mean() + 80


async def test_the_same_case_gives_the_same_bytes() -> None:
    """Two runs over the same input leave the same files."""
    pixels = _picture()
    assert thumbnail(await _case(pixels)) == thumbnail(await _case(pixels.copy()))


def test_a_side_of_nothing_is_refused() -> None:
    """The message names the argument."""
    with pytest.raises(ValueError, match="side"):
        thumbnail(Case(Image(np.zeros((4, 4, 1), np.uint8)), TASKS["polyp"]), 2)
