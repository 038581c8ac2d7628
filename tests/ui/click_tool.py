"""A window whose omnimodel listens: the built-in generalist on a tiny real network, and the tool in hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from PyQt6.QtCore import QEvent, QPointF, Qt

from omniview.core.guidance import Guidance
from omniview.core.image import Image
from omniview.core.prediction import Prediction
from omniview.core.segmenter import Prompted, Segmenter
from omniview.core.task import Task
from omniview.errors import InferenceError
from omniview.inference.card import GeneralistCard
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.ui.prompts import Kind
from tests.ui.parts import Desk, OtsuModels, mouse

__all__ = ["LEFT", "MIDDLE", "NOWHERE", "RIGHT", "Listener", "ListeningModels", "Tool"]

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NOWHERE = (66, 80)
"""A dark pixel of the blob's picture, far from the ellipse."""


class Listener(BuiltinGeneralist):
    """The built-in generalist on the tiny network; it notes what it is shown."""

    def __init__(self, card: GeneralistCard, thread: InferenceThread) -> None:
        super().__init__(card, thread, device="cpu", threads=1)
        self.heard: list[Guidance] = []
        self.cancelled = 0
        self.wait_s = 0.0
        self.error: InferenceError | None = None

    async def segment_prompted(self, image: Image, task: Task, guidance: Guidance) -> Prediction:
        """As it is, or late, or not at all."""
        if guidance.empty:
            return await super().segment_prompted(image, task, guidance)
        self.heard.append(guidance)
        try:
            await asyncio.sleep(self.wait_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return await super().segment_prompted(image, task, guidance)


@dataclass
class ListeningModels(OtsuModels):
    """A threshold as specialist, and an omnimodel that listens."""

    listener: Listener | None = None
    thread: InferenceThread = field(default_factory=InferenceThread)

    def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
        """The threshold and the listener."""
        parts = super().segmenters(task, omnimodel, offline)
        assert self.listener is not None
        return (parts[0], self.listener) if omnimodel == "builtin" else parts

    def listening(self) -> tuple[str, ...]:
        """The built-in one."""
        return ("builtin",)

    def prompted(self, task: Task, omnimodel: str) -> Prompted | None:
        """The listener."""
        return self.listener if omnimodel == "builtin" else None


@dataclass
class Tool:
    """The desk with the tool in hand."""

    desk: Desk
    listener: Listener

    @property
    def marks(self) -> list[tuple[Kind, tuple[int, ...]]]:
        """What is shown."""
        return [(mark.kind, mark.place) for mark in self.desk.now.prompts.marks]

    @property
    def answer(self) -> Prediction:
        """The omnimodel's opinion of the case on screen."""
        found = self.desk.case.prediction("omnimodel")
        assert found is not None
        return found

    def at(self, row: float, column: float) -> QPointF:
        """Where on the canvas the middle of a pixel is."""
        canvas = self.desk.window.canvas
        area, scale = canvas.visible_rect(), canvas.scale_now / canvas.devicePixelRatioF()
        return QPointF((column + 0.5 - area.left()) * scale, (row + 0.5 - area.top()) * scale)

    def press(
        self,
        row: float,
        column: float,
        button: Qt.MouseButton = LEFT,
        modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        """Click on a pixel."""
        canvas, at = self.desk.window.canvas, self.at(row, column)
        mouse(canvas, QEvent.Type.MouseButtonPress, at, button, button, modifiers)
        mouse(canvas, QEvent.Type.MouseButtonRelease, at, button, modifiers=modifiers)

    async def click(self, *where: object) -> None:
        """Click on a pixel and wait for the answer."""
        self.press(*where)  # type: ignore[arg-type]
        await self.desk.window.settle()

    async def do(self, action: str) -> None:
        """Choose an action and wait for what it does."""
        self.desk.window.actions_.trigger(action)
        await self.desk.window.settle()

    async def take_up(self, path: Path) -> None:
        """Open a file, analyse it, and take up the tool."""
        await self.desk.open(path)
        await self.do("prompt")
        assert self.desk.now.prompting
