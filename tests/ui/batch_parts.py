"""What the tests of the dialog for folders share: choosing a folder, waiting, and reading what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton

from omniview.ui.batch_dialog import BatchBox
from omniview.ui.batch_form import BatchForm
from omniview.ui.batch_view import CaseView
from tests.ui.parts import Desk

__all__ = [
    "CASES",
    "button",
    "column",
    "double_click",
    "form_of",
    "opened",
    "planned",
    "says",
    "type_in",
    "until",
    "view_of",
]

CASES = 10


def opened(desk: Desk) -> BatchBox:
    """The dialog, as the menu opens it."""
    desk.window.actions_.trigger("score")
    box = desk.window.batches.box
    assert box is not None
    return box


async def planned(desk: Desk, folder: Path, out: Path) -> BatchBox:
    """The dialog with a folder chosen and looked at."""
    box = opened(desk)
    form_of(box).choose(folder, out)
    await until(lambda: button(box, "Start").isEnabled() or "cannot" in says(box))
    return box


async def until(reached: Callable[[], bool]) -> None:
    """Wait for it."""
    for _ in range(6000):
        if reached():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


def form_of(box: BatchBox) -> BatchForm:
    """The upper part."""
    form = box.findChild(BatchForm)
    assert form is not None
    return form


def view_of(box: BatchBox) -> CaseView:
    """The table on screen."""
    view = box.findChild(CaseView)
    assert view is not None
    return view


def button(box: BatchBox, text: str) -> QPushButton:
    """The button with that text."""
    return next(b for b in box.findChildren(QPushButton) if b.text().replace("&", "") == text)


def says(box: BatchBox) -> str:
    """All that the dialog says in words."""
    return "\n".join(label.text() for label in box.findChildren(QLabel))


def column(box: BatchBox, number: int) -> list[str]:
    """What a column shows, row by row."""
    model = view_of(box).model()
    assert model is not None
    return [str(model.index(row, number).data() or "") for row in range(model.rowCount())]


def double_click(box: BatchBox, row: int) -> None:
    """Have a row of the table opened."""
    view = view_of(box)
    model = view.model()
    assert model is not None
    view.doubleClicked.emit(model.index(row, 1))


def type_in(line: QLineEdit, text: str) -> None:
    """Type into a line, letter by letter."""
    for letter in text:
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(line, QKeyEvent(QEvent.Type.KeyPress, 0, none, letter))
