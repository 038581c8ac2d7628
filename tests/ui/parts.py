"""Real small models in the shape the window wants, for the tests of the window."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QApplication, QWidget

from omniview.core.asking import ALWAYS, AskPolicy
from omniview.core.case import Case
from omniview.core.image import Array, Image
from omniview.core.prediction import Prediction, Quality
from omniview.core.segmenter import Prompted, Segmenter
from omniview.core.task import TASKS, Task
from omniview.omnimodel.ledger import Spent
from omniview.ui.canvas import Canvas
from omniview.ui.session import Snapshot
from omniview.ui.window import Window
from tests.fakes import OtsuSegmenter

__all__ = ["Desk", "OtsuModels", "ThreadedOtsu", "drag", "mouse", "pixels_of", "press", "surface_of"]


class ThreadedOtsu(OtsuSegmenter):
    """Computes in a thread, as every model for large images must."""

    async def segment(self, image: Image, task: Task, evidence: Prediction | None = None) -> Prediction:
        """As the threshold itself."""
        return await asyncio.to_thread(lambda: asyncio.run(OtsuSegmenter.segment(self, image, task)))


def _pair() -> tuple[OtsuSegmenter, OtsuSegmenter]:
    return (
        OtsuSegmenter("otsu-special", "specialist", quality=Quality(0.88, 0.72, 0.95)),
        OtsuSegmenter("otsu-general", "omnimodel", delay_s=0.05, invert=True, quality=Quality(0.4, 0.1, 0.7)),
    )


@dataclass
class OtsuModels:
    """Two thresholds instead of networks.

    Attributes:
        parts: the segmenters, specialist first.
        task: what `recognise` says.
        rule: when a part that asks outside is asked.
        cost: what that is said to have cost so far.
        asked: (task, omnimodel, offline) of each call of `segmenters`.
        closed: whether it was closed.
    """

    parts: tuple[OtsuSegmenter, ...] = field(default_factory=_pair)
    task: str | None = "polyp"
    rule: AskPolicy = ALWAYS
    cost: float = 0.0
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    closed: bool = False

    def tasks(self) -> Mapping[str, Task]:
        """All built-in tasks."""
        return TASKS

    def omnimodels(self) -> tuple[str, ...]:
        """As the real one."""
        return "none", "builtin", "gemini"

    def recognise(self, image: Image) -> Task | None:
        """Always the same."""
        return None if self.task is None else TASKS[self.task]

    def segmenters(self, task: Task, omnimodel: str, offline: bool) -> tuple[Segmenter, ...]:
        """The parts, without the omnimodel where none is wanted."""
        self.asked.append((task.name, omnimodel, offline))
        return tuple(p for p in self.parts if p.role == "specialist" or omnimodel != "none")

    def policy(self) -> AskPolicy:
        """The rule."""
        return self.rule

    def spent(self) -> Spent:
        """The cost, in this session and today."""
        return Spent(self.cost, self.cost)

    def listening(self) -> tuple[str, ...]:
        """None: a threshold knows no clicks."""
        return ()

    def prompted(self, task: Task, omnimodel: str) -> Prompted | None:
        """None, as it listens to nobody."""
        return None

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
        for part in self.parts:
            await part.close()


@dataclass
class Desk:
    """A window, its models, and what a test needs to see of them."""

    window: Window
    models: OtsuModels

    @property
    def now(self) -> Snapshot:
        """The newest snapshot."""
        return self.window.session.now

    @property
    def case(self) -> Case:
        """The case on screen; there must be one."""
        assert self.now.case is not None
        return self.now.case

    async def open(self, *paths: Path, truth: Path | None = None) -> None:
        """Open files and wait until they are analysed and on screen."""
        self.window.open(paths, truth)
        await self.window.settle()

    async def until(self, reached: Callable[[Snapshot], bool]) -> None:
        """Wait until a snapshot satisfies `reached`."""
        met = asyncio.Event()

        def look(_old: Snapshot, new: Snapshot) -> None:
            if reached(new):
                met.set()

        self.window.session.changed.connect(look)
        look(self.now, self.now)
        await met.wait()
        self.window.session.changed.disconnect(look)


def press(
    widget: QWidget,
    key: Qt.Key,
    *kinds: QEvent.Type,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Send key events to `widget`: down and up unless told otherwise."""
    letter = chr(key.value) if key.value < 0x80 else ""
    for kind in kinds or (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(widget, QKeyEvent(kind, key.value, modifiers, letter))


def surface_of(canvas: Canvas) -> QWidget:
    """What of the canvas takes mouse events."""
    surface = canvas.viewport()
    assert isinstance(surface, QWidget)
    return surface


def mouse(
    canvas: Canvas,
    kind: QEvent.Type,
    at: QPointF,
    button: Qt.MouseButton = Qt.MouseButton.NoButton,
    held: Qt.MouseButton = Qt.MouseButton.NoButton,
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Send one mouse event to the canvas, at `at` of its surface."""
    surface = surface_of(canvas)
    event = QMouseEvent(kind, at, surface.mapToGlobal(at), button, held, modifiers)
    QApplication.sendEvent(surface, event)


def drag(canvas: Canvas, button: Qt.MouseButton, start: QPointF, move: QPointF, steps: int = 10) -> None:
    """Press at `start`, move by `move`, let go."""
    mouse(canvas, QEvent.Type.MouseButtonPress, start, button, button)
    for step in range(1, steps + 1):
        mouse(canvas, QEvent.Type.MouseMove, start + move * step / steps, held=button)
    mouse(canvas, QEvent.Type.MouseButtonRelease, start + move, button)


def pixels_of(path: Path) -> Array:
    """The values in an image file, as OpenCV reads them."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None, path
    return found
