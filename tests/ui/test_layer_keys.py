"""Digits switch layers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QLineEdit, QListView, QWidget

from omniview.ui.layer_keys import HOLD_MS
from omniview.ui.view import Layer, View
from tests.ui.conftest import Run
from tests.ui.parts import Desk, press

_START = {layer for layer in Layer if View().visible(layer)}


def _shown(desk: Desk) -> set[Layer]:
    return {layer for layer in Layer if desk.now.view.visible(layer)}


@pytest.mark.parametrize("where", ["canvas", "list"])
def test_tap_toggles_wherever_the_focus_is(run: Run, desk: Desk, blob: Path, where: str) -> None:
    """A short press switches a layer off, another switches it on, also from the case list."""
    target: QWidget | None = desk.window.canvas if where == "canvas" else desk.window.findChild(QListView)
    assert target is not None

    async def work() -> None:
        await desk.open(blob)
        press(target, Qt.Key.Key_2)
        assert _shown(desk) == _START - {Layer.SPECIALIST}
        press(target, Qt.Key.Key_2)
        assert _shown(desk) == _START
        await desk.window.settle()

    run(work())


def test_hold_shows_one_layer_and_release_returns(run: Run, desk: Desk, blob: Path) -> None:
    """While the key is held its layer is alone; after it nothing has changed."""

    async def work() -> None:
        await desk.open(blob)
        canvas = desk.window.canvas
        press(canvas, Qt.Key.Key_5, QEvent.Type.KeyPress)
        await asyncio.sleep(HOLD_MS / 1000 + 0.1)
        assert _shown(desk) == {Layer.TRUTH}
        press(canvas, Qt.Key.Key_5, QEvent.Type.KeyRelease)
        assert _shown(desk) == _START
        await desk.window.settle()

    run(work())


def test_digits_can_be_typed_into_the_filter(run: Run, desk: Desk, blob: Path) -> None:
    """Where text is typed a digit is a digit."""

    async def work() -> None:
        await desk.open(blob)
        field = desk.window.cases.findChild(QLineEdit)
        assert field is not None
        press(field, Qt.Key.Key_2)
        press(field, Qt.Key.Key_5)
        assert field.text() == "25"
        assert _shown(desk) == _START

    run(work())


def test_shortcuts_and_other_keys_pass(run: Run, desk: Desk, blob: Path) -> None:
    """A digit with Ctrl, and keys that are not layers, are left to the window."""

    async def work() -> None:
        await desk.open(blob)
        press(desk.window.canvas, Qt.Key.Key_1, modifiers=Qt.KeyboardModifier.ControlModifier)
        press(desk.window.canvas, Qt.Key.Key_9)
        assert _shown(desk) == _START
        before = desk.window.canvas.scale_now
        press(desk.window.canvas, Qt.Key.Key_Left)
        assert desk.window.canvas.scale_now == pytest.approx(before)
        await desk.window.settle()

    run(work())
