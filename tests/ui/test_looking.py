"""What a person does to see better: the cursor, zoom, frames, grey window, layers; with real files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtGui import QGuiApplication

from omniview.ui.view import Layer
from tests.ui.conftest import Run
from tests.ui.parts import Desk


def test_hover_reads_the_arrays(run: Run, desk: Desk, blob: Path) -> None:
    """What the read-out says about a pixel is what the maps hold there."""
    run(desk.open(blob))
    case = desk.case
    assert case.fusion is not None
    x, y = 33, 21
    desk.window.canvas.hovered.emit((x, y))
    special, general = (p.probability[0, y, x] for p in case.predictions)
    fused, weight = case.fusion.probability[0, y, x], case.fusion.weight[0, y, x]
    text = desk.window.readout.text()
    assert f"x {x}  y {y}" in text
    assert f"p {special:.2f} / {general:.2f} → {fused:.2f} (omnimodel {weight:.0%}".replace("%", "") in text
    desk.window.canvas.hovered.emit(None)
    assert desk.window.readout.text() == ""


def test_frames_of_a_clip_can_be_turned(run: Run, desk: Desk, tmp_path: Path) -> None:
    """A stack shows its slider; another frame is read, drawn and analysed."""
    import tifffile

    frames = np.random.default_rng(1).integers(0, 255, (3, 40, 50), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "clip.tif", frames, photometric="minisblack")

    async def work() -> None:
        await desk.open(tmp_path / "clip.tif")
        assert desk.window.frames.isVisible()
        desk.window.frames.moved.emit(2)
        await desk.window.settle()

    run(work())
    assert desk.now.position == 2
    np.testing.assert_array_equal(desk.case.image.pixels[..., 0], frames[2])


def test_grey_window_changes_the_picture_alone(run: Run, desk: Desk, tmp_path: Path) -> None:
    """Dragging the window of a 16-bit image brightens the picture; masks and scores are left as they are."""
    ramp = np.tile(np.linspace(0, 4000, 60).astype(np.uint16), (50, 1))
    cv2.imwrite(str(tmp_path / "deep.png"), ramp)

    async def work() -> None:
        await desk.open(tmp_path / "deep.png")
        case, frame = desk.now.case, desk.now.frame
        assert frame is not None
        before = frame.picture.levels[0].image.pixelColor(30, 25).red()
        desk.window.canvas.window_dragged.emit(0.0, 0.2)
        await desk.window.settle()
        assert desk.now.frame is not None
        assert desk.now.frame.picture.levels[0].image.pixelColor(30, 25).red() > before
        assert desk.now.case is case
        desk.window.actions_.trigger("reset_window")
        await desk.window.settle()
        assert desk.now.frame.picture.levels[0].image.pixelColor(30, 25).red() == before

    run(work())


def test_large_image_gets_all_its_pixels_in_the_end(run: Run, desk: Desk, tmp_path: Path) -> None:
    """The first picture is reduced, the last one is not."""
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((64, 3000), np.uint8))
    run(desk.open(tmp_path / "wide.png"))
    assert desk.now.frame is not None
    assert desk.now.frame.picture.levels[0].image.width() == 3000


def test_picture_of_the_window_goes_to_the_clipboard(run: Run, desk: Desk, blob: Path) -> None:
    """Copying puts the whole window there."""

    async def work() -> None:
        await desk.open(blob)
        desk.window.actions_.trigger("copy")

    run(work())
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.pixmap().size() == desk.window.size()
    clipboard.clear()


def test_zoom_fit_and_one_to_one(run: Run, desk: Desk, blob: Path) -> None:
    """One-to-one is one device pixel an image pixel; fit shows the whole image again; layers follow."""

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        fitted = canvas.scale_now
        desk.window.actions_.trigger("actual")
        assert canvas.scale_now == pytest.approx(1.0)
        desk.window.actions_.trigger("zoom_in")
        assert canvas.scale_now == pytest.approx(1.25)
        desk.window.actions_.trigger("fit")
        assert canvas.scale_now == pytest.approx(fitted)
        await desk.window.settle()

    run(work())


@pytest.mark.qt_log_ignore("propagateSizeHints")  # the offscreen platform says so of every dialog
def test_about_says_that_it_is_no_medical_device(run: Run, desk: Desk) -> None:
    """The About box opens without blocking and says what must be said."""
    from PyQt6.QtWidgets import QDialog, QLabel

    async def work() -> None:
        desk.window.actions_.trigger("about")
        await asyncio.sleep(0)
        box = desk.window.findChild(QDialog)
        assert box is not None
        words = " ".join(label.text() for label in box.findChildren(QLabel))
        assert "Not a medical device" in words
        assert "General Public License" in words
        box.close()
        await asyncio.sleep(0)

    run(work())


def test_hidden_layer_is_not_drawn(run: Run, desk: Desk, blob: Path) -> None:
    """Solo shows one layer, and letting go brings back what was shown before."""

    async def work() -> None:
        await desk.open(blob)
        view = desk.now.view
        desk.window._keys.held.emit(Layer.TRUTH)
        assert [layer for layer in Layer if desk.now.view.visible(layer)] == [Layer.TRUTH]
        desk.window._keys.held.emit(None)
        assert desk.now.view == replace(view, solo=None)
        desk.window._keys.tapped.emit(Layer.FUSED)
        assert not desk.now.view.visible(Layer.FUSED)
        await desk.window.settle()

    run(work())


def test_dark_fluorescence_opens_stretched(run: Run, desk: Desk, tmp_path: Path) -> None:
    """Nuclei that use a tenth of the grey range are visible at once; the next image starts afresh."""
    dark = np.full((60, 80), 4, np.uint8)
    dark[20:40, 30:60] = 25
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    cv2.imwrite(str(tmp_path / "bright.png"), dark * 10)
    desk.models.task = "nuclei"

    def brightest() -> int:
        assert desk.now.frame is not None
        return desk.now.frame.picture.levels[0].image.pixelColor(40, 30).red()

    run(desk.open(tmp_path / "dark.png"))
    assert brightest() == 255
    assert desk.case.image.pixels.max() == 25
    run(desk.open(tmp_path / "bright.png"))
    assert desk.now.view.window is None
    assert brightest() == 250
