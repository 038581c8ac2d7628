"""The image and its layers: zoom at the cursor, pan, fit, one-to-one, grey window.

The UI thread only copies finished pictures: a level of the image's pyramid, and one picture with all layers,
drawn in a thread for the part on screen. While a newer one is drawn the older moves along with the image, so
layers never lose their place.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QPainter, QResizeEvent
from PyQt6.QtWidgets import QWidget

from omniview.core.image import UInt8Array
from omniview.ui.frame import Frame, Picture
from omniview.ui.image_box import ImageBox
from omniview.ui.latest import Coalesced
from omniview.ui.marks import MarksItem, mark_at
from omniview.ui.overlay import Viewport, paint
from omniview.ui.prompts import Kind, Mark, Marks
from omniview.ui.region_mark import RegionItem
from omniview.ui.session import Snapshot
from omniview.ui.theme import CANVAS
from omniview.ui.view import View

__all__ = ["Canvas"]

_log = logging.getLogger(__name__)

_MARGIN = 0.02  # of the image around a fitted one
_BEYOND = 0.15  # of the viewport, drawn on each side so that a small pan finds layers there
_CRISP = 6.0  # device pixels an image pixel from which single pixels are shown as squares
_STEP = 1.25  # of one zoom command
_AROUND, _NEAREST = 2.5, 1 / 4  # a region is seen with so much around it, and never nearer than this share
_WINDOW_STEP = 1 / 400  # of the width, for one pixel of mouse movement


class _PictureItem(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no type information
    """Paints the level of a picture that suits the zoom."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None

    def show_picture(self, picture: Picture | None) -> None:
        if picture is self._picture:
            return
        self.prepareGeometryChange()
        self._picture = picture
        self.update()

    def boundingRect(self) -> QRectF:
        if self._picture is None:
            return QRectF()
        height, width = self._picture.shape
        return QRectF(0, 0, width, height)

    def paint(self, painter: QPainter, *_: Any) -> None:
        if self._picture is None:
            return
        scale = painter.deviceTransform().m11()
        smooth = scale < _CRISP
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawImage(self.boundingRect(), self._picture.level(scale))


class _OverlayItem(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no type information
    """Copies the drawn layers to where they belong in the image."""

    def __init__(self) -> None:
        super().__init__()
        self._pixels: UInt8Array | None = None
        self._image = QImage()
        self._rect = QRectF()

    def show_layers(self, pixels: UInt8Array | None, rect: QRectF) -> None:
        self.prepareGeometryChange()
        self._pixels, self._rect = pixels, rect
        if pixels is None:
            self._image = QImage()
        else:
            height, width = pixels.shape[:2]
            form = QImage.Format.Format_ARGB32_Premultiplied
            # PyQt takes any buffer, its type information says bytes
            self._image = QImage(pixels.data, width, height, pixels.strides[0], form)  # type: ignore[call-overload]
        self.update()

    def boundingRect(self) -> QRectF:
        return self._rect

    def paint(self, painter: QPainter, *_: Any) -> None:
        if not self._image.isNull():
            painter.drawImage(self._rect, self._image)


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """What the layers are drawn from; complete, so that a thread needs nothing else."""

    frame: Frame
    view: View
    port: Viewport


class Canvas(pg.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no type information
    """Shows a Frame through a View."""

    hovered = pyqtSignal(object)
    """(x,y) image pixel under the cursor, or None."""
    window_dragged = pyqtSignal(float, float)
    """(right, down) movement as a fraction: the grey window's width and centre should follow."""
    marked = pyqtSignal(object)
    """A Mark that the person made."""
    unmarked = pyqtSignal(object)
    """A Mark that the person took away, by a click on it."""
    zoomed = pyqtSignal(float)
    """Device pixels an image pixel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=CANVAS)
        self.setAccessibleName("Image")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAcceptDrops(False)  # the window takes drops
        self._box = ImageBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0)
        self.setCentralItem(self._box)
        self._picture, self._overlay, self._marks = _PictureItem(), _OverlayItem(), MarksItem()
        self._region = RegionItem()
        for item in (self._picture, self._overlay, self._region, self._marks):
            self._box.addItem(item, ignoreBounds=True)
        self._frame: Frame | None = None
        self._view = View()
        self._shape: tuple[int, int] | None = None
        self._fitted = True
        self._drawing = Coalesced(self._draw, lambda error: _log.error("defect", exc_info=error))
        self._box.sigTransformChanged.connect(self._moved)
        self._box.sigRangeChangedManually.connect(self._steered)
        self._box.dragged.connect(
            lambda right, down: self.window_dragged.emit(right * _WINDOW_STEP, down * _WINDOW_STEP)
        )
        self._shown: Marks = ()
        self._box.clicked.connect(self._clicked)
        self._box.banded.connect(self._banded)
        self.scene().sigMouseMoved.connect(self._hover)

    @property
    def scale_now(self) -> float:
        """Device pixels for one image pixel."""
        width = self._box.viewPixelSize()[0]
        return float(self.devicePixelRatioF() / width) if width else 1.0

    @property
    def outlining(self) -> bool:
        """Whether a doubtful region is outlined at the moment."""
        return self._region.showing

    def visible_rect(self) -> QRectF:
        """The part of the image that is on screen, in image pixels."""
        return QRectF(self._box.viewRect())

    def apply(self, old: Snapshot, new: Snapshot) -> None:
        """Draw what differs."""
        if new.prompts.marks is not old.prompts.marks:
            self._shown = new.prompts.marks
            self._marks.show_marks(self._shown)
        if new.prompting != self._box.marking:
            self._box.marking = new.prompting
            self._marks.show_band(None)
            cursor = Qt.CursorShape.CrossCursor if new.prompting else Qt.CursorShape.ArrowCursor
            self.viewport().setCursor(cursor)
        self._apply_frame(old, new)
        if new.tour is not old.tour or new.case is not old.case:
            self._lead(old, new)

    def _apply_frame(self, old: Snapshot, new: Snapshot) -> None:
        if new.frame is old.frame and new.view is old.view:
            return
        self._frame, self._view = new.frame, new.view
        self._picture.show_picture(None if new.frame is None else new.frame.picture)
        shape = None if new.image is None else new.image.shape
        if new.image is not old.image:
            self._overlay.show_layers(None, QRectF())
        if shape != self._shape:
            self._shape = shape
            self.fit()
        self._request()

    def fit(self) -> None:
        """Show the whole image."""
        if self._shape is None:
            return
        height, width = self._shape
        self._box.setLimits(minXRange=4, minYRange=4, maxXRange=20 * width + 100, maxYRange=20 * height + 100)
        self._box.setRange(QRectF(0, 0, width, height), padding=_MARGIN)
        self._fitted = True

    def look_at(self, box: tuple[int, int, int, int]) -> None:
        """Show a box (top, left, bottom, right, in image pixels) and what lies around it."""
        if self._shape is None:
            return
        top, left, bottom, right = box
        least = _NEAREST * max(self._shape)
        width, height = (max(_AROUND * length, least) for length in (right - left, bottom - top))
        seen = self._box.viewRect()  # pixels are square, so what is shown has its shape
        grown = max(width / seen.width(), height / seen.height())
        sizes = seen.width() * grown, seen.height() * grown
        x, y = (
            _within(middle, size, whole)
            for middle, size, whole in zip(
                ((left + right) / 2, (top + bottom) / 2), sizes, self._shape[::-1], strict=True
            )
        )
        self._box.setRange(QRectF(x, y, *sizes), padding=0)
        self._steered()

    def actual_size(self) -> None:
        """One image pixel on one device pixel, around the centre."""
        self.zoom(1.0 / self.scale_now)

    def zoom(self, factor: float = _STEP) -> None:
        """Magnify around the centre."""
        self._box.scaleBy((1 / factor, 1 / factor))
        self._steered()

    def pan(self, right: float, down: float) -> None:
        """Move the view by fractions of its size."""
        area = self._box.viewRect()
        self._box.translateBy(x=right * area.width(), y=down * area.height())
        self._steered()

    async def settle(self) -> None:
        """Wait until the layers are drawn for what is on screen."""
        await self._drawing.settle()

    async def close_down(self) -> None:
        """Stop drawing."""
        await self._drawing.close()

    def resizeEvent(self, ev: QResizeEvent | None) -> None:
        """Keep a fitted image fitted, and any other zoom as it is."""
        shape: tuple[int, int] | None = getattr(self, "_shape", None)  # pyqtgraph resizes before we are built
        before = None if shape is None else self.scale_now
        super().resizeEvent(ev)
        if before is not None:
            if self._fitted:
                self.fit()
            else:
                factor = self.scale_now / before
                self._box.scaleBy((factor, factor))

    def leaveEvent(self, ev: Any) -> None:
        """The cursor is over no pixel any more."""
        super().leaveEvent(ev)
        self.hovered.emit(None)

    def keyPressEvent(self, ev: Any) -> None:
        """Arrows pan; all else is the window's, though pyqtgraph would swallow it."""
        steps = {
            Qt.Key.Key_Left: (-0.1, 0.0),
            Qt.Key.Key_Right: (0.1, 0.0),
            Qt.Key.Key_Up: (0.0, -0.1),
            Qt.Key.Key_Down: (0.0, 0.1),
        }
        if ev.key() in steps:
            self.pan(*steps[ev.key()])
        else:
            ev.ignore()

    def keyReleaseEvent(self, ev: Any) -> None:
        """Left to the window."""
        ev.ignore()

    def _lead(self, old: Snapshot, new: Snapshot) -> None:
        """Go to the doubtful region that is looked at now; one of an older result is outlined no more."""
        region = new.tour.region if new.tour is not None and new.tour.of(new.case) else None
        if new.tour is not old.tour and region is not None:
            self.look_at(region.box)
            self._region.show_region(region)
        elif region is None:
            self._region.show_region(None)

    def _steered(self, *_: Any) -> None:
        self._fitted = False

    def _moved(self, *_: Any) -> None:
        self.zoomed.emit(self.scale_now)
        self._request()

    def _hover(self, position: QPointF) -> None:
        if self._shape is None:
            return
        point = self._box.mapSceneToView(position)
        x, y = math.floor(point.x()), math.floor(point.y())
        inside = 0 <= y < self._shape[0] and 0 <= x < self._shape[1]
        self.hovered.emit((x, y) if inside else None)

    def _clicked(self, at: QPointF, negative: bool) -> None:
        if self._shape is None:
            return
        known = mark_at(self._shown, at, self.scale_now / self.devicePixelRatioF())
        if known is not None:
            self.unmarked.emit(known)
            return
        row, column = math.floor(at.y()), math.floor(at.x())
        if 0 <= row < self._shape[0] and 0 <= column < self._shape[1]:
            self.marked.emit(Mark(Kind.NEGATIVE if negative else Kind.POSITIVE, (row, column)))

    def _banded(self, band: QRectF, finished: bool) -> None:
        if self._shape is None:
            return
        inside = band.intersected(QRectF(0, 0, self._shape[1], self._shape[0]))
        self._marks.show_band(None if finished else inside)
        if finished and not inside.isEmpty():
            place = (inside.top(), inside.left()), (inside.bottom(), inside.right())
            edges = (*(math.floor(n) for n in place[0]), *(math.ceil(n) for n in place[1]))
            self.marked.emit(Mark(Kind.BOX, edges))

    def _request(self) -> None:
        """Have the layers drawn for what is on screen, if there are any."""
        if self._frame is None or not self._frame.fills:
            self._overlay.show_layers(None, QRectF())
            return
        self._drawing.ask(_Wish(self._frame, self._view, self._port()))

    def _port(self) -> Viewport:
        """What is on screen and a little beyond, aligned to device pixels."""
        area, scale = self._box.viewRect(), self.scale_now
        aside, above = (math.ceil(size * scale * _BEYOND) for size in (area.width(), area.height()))
        return Viewport(
            area.left() - aside / scale,
            area.top() - above / scale,
            scale,
            math.ceil(area.width() * scale) + 2 * aside,
            math.ceil(area.height() * scale) + 2 * above,
            self.devicePixelRatioF(),
        )

    async def _draw(self, wish: _Wish) -> None:
        pixels = await asyncio.to_thread(paint, wish.frame, wish.view, wish.port)
        if self._frame is not None and self._frame.picture.shape == wish.frame.picture.shape:
            self._overlay.show_layers(pixels, wish.port.rect())


def _within(middle: float, size: float, whole: float) -> float:
    """Where a view of `size` around `middle` begins, moved so that it shows no more outside than it must."""
    if size >= whole:
        return (whole - size) / 2
    return min(max(middle - size / 2, 0.0), whole - size)
