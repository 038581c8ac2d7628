"""Mouse and wheel on the image."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication

from omniview.ui.canvas import Canvas
from tests.ui.conftest import Run
from tests.ui.parts import Desk, drag, mouse, surface_of


def _wheel(canvas: Canvas, at: QPointF, notches: int) -> None:
    surface = surface_of(canvas)
    event = QWheelEvent(
        at,
        surface.mapToGlobal(at),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(surface, event)


@pytest.fixture
def seen(desk: Desk) -> list[tuple[int, int] | None]:
    """The pixels that the canvas says the cursor is over."""
    pixels: list[tuple[int, int] | None] = []
    desk.window.canvas.hovered.connect(pixels.append)
    return pixels


def test_wheel_zooms_at_the_cursor(
    run: Run, desk: Desk, blob: Path, seen: list[tuple[int, int] | None]
) -> None:
    """The pixel under the cursor is the same after zooming in, and the image is larger."""
    at = QPointF(260, 300)

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        before = canvas.scale_now
        mouse(canvas, QEvent.Type.MouseMove, at)
        _wheel(canvas, at, 3)
        mouse(canvas, QEvent.Type.MouseMove, at + QPointF(1, 0))
        assert canvas.scale_now > before * 1.2
        await desk.window.settle()

    run(work())
    first, last = seen[0], seen[-1]
    assert first is not None
    assert last is not None
    assert abs(first[0] - last[0]) <= 1
    assert abs(first[1] - last[1]) <= 1


def test_left_drag_pans(run: Run, desk: Desk, blob: Path, seen: list[tuple[int, int] | None]) -> None:
    """The image follows the hand: the pixel under the cursor stays under it."""
    start, move = QPointF(300, 300), QPointF(80, -40)

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        before = canvas.scale_now
        mouse(canvas, QEvent.Type.MouseMove, start)
        drag(canvas, Qt.MouseButton.LeftButton, start, move)
        mouse(canvas, QEvent.Type.MouseMove, start + move + QPointF(1, 0))
        assert canvas.scale_now == pytest.approx(before)
        await desk.window.settle()

    run(work())
    first, last = seen[0], seen[-1]
    assert first is not None
    assert last is not None
    assert abs(first[0] - last[0]) <= 1
    assert abs(first[1] - last[1]) <= 1


def test_right_drag_moves_the_grey_window(run: Run, desk: Desk, blob: Path) -> None:
    """Right makes the window wider, down makes the image brighter; the zoom stays."""

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        before = canvas.scale_now
        drag(canvas, Qt.MouseButton.RightButton, QPointF(300, 300), QPointF(100, 60))
        await desk.window.settle()
        assert canvas.scale_now == pytest.approx(before)
        window = desk.now.view.window
        assert window is not None
        assert window[0] < 127.5
        assert window[1] > 255

    run(work())


def test_outside_the_image_there_is_no_reading(
    run: Run, desk: Desk, blob: Path, seen: list[tuple[int, int] | None]
) -> None:
    """In the margin, and after leaving, the read-out is empty."""

    async def work() -> None:
        await desk.open(blob)
        mouse(desk.window.canvas, QEvent.Type.MouseMove, QPointF(300, 300))
        await asyncio.sleep(0.05)  # pyqtgraph drops moves that follow each other too fast
        mouse(desk.window.canvas, QEvent.Type.MouseMove, QPointF(2, 2))
        assert seen[-1] is None

    run(work())


def test_resizing_keeps_a_fitted_image_fitted(run: Run, desk: Desk, blob: Path) -> None:
    """After the window grows the whole image is shown larger, unless the person had chosen a zoom."""

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        before = canvas.scale_now
        desk.window.resize(1600, 1000)
        await desk.window.settle()
        assert canvas.scale_now > before
        desk.window.actions_.trigger("actual")
        desk.window.resize(1280, 800)
        await desk.window.settle()
        assert canvas.scale_now == pytest.approx(1.0, rel=0.01)

    run(work())
