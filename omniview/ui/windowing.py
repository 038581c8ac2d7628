"""The grey window through which an image is seen; its picture is made in a thread, a quick one first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from omniview.core.image import Image, Modality
from omniview.core.task import Task
from omniview.ui.frame import QUICK, picture, stretched_window
from omniview.ui.latest import Coalesced
from omniview.ui.session import Session

__all__ = ["Windowing"]

_DIM = 128  # brightest 8-bit value of an image that looks black on the screen


class Windowing:
    """Changes the grey window of the image on screen.

    Args:
        session: what the window shows.
        failed: told of a defect.
    """

    def __init__(self, session: Session, failed: Callable[[BaseException], None]) -> None:
        self._session = session
        self._pictures = Coalesced(self._paint, failed)

    def change(self, window: tuple[float, float] | None) -> None:
        """Look through (centre, width); None for the image's own."""
        now = self._session.now
        self._session.update(view=replace(now.view, window=window))
        if now.image is not None:
            self._pictures.ask((now.image, window))

    def refine(self, image: Image) -> None:
        """Make the picture of a large image that was opened quickly."""
        if max(image.shape) > QUICK:
            self._pictures.ask((image, None))

    def stretch(self) -> None:
        """Look through a window that the image's own values fill."""
        image = self._session.now.image
        if image is not None:
            self.change(stretched_window(image))

    def brighten(self, image: Image, task: Task) -> None:
        """Open a dark fluorescence image stretched, as microscopists expect; the models see it as it is."""
        dim = image.pixels.dtype == np.uint8 and image.pixels.shape[2] == 1
        if dim and task.modality is Modality.MICROSCOPY and self._session.now.view.window is None:
            centre, width = stretched_window(image)
            if centre + width / 2 < _DIM:
                self.change((centre, width))

    async def settle(self) -> None:
        """Wait until the picture is on screen."""
        await self._pictures.settle()

    async def close(self) -> None:
        """Stop making pictures."""
        await self._pictures.close()

    async def _paint(self, request: tuple[Image, tuple[float, float] | None]) -> None:
        image, window = request
        for quick in (True, False):
            if not quick and (max(image.shape) <= QUICK or self._pictures.waiting):
                return
            shown = await asyncio.to_thread(picture, image, window, quick)
            now = self._session.now
            if now.image is not image or now.frame is None:
                return
            self._session.update(frame=replace(now.frame, picture=shown))
