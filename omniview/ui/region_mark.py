"""Outlines a doubtful region for a moment, so that the eye finds it after the view has moved."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt, QTimer
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from omniview.core.doubt_regions import DoubtRegion
from omniview.ui.view import LOOKS, Layer

__all__ = ["SHOWN_MS", "RegionItem"]

SHOWN_MS = 2500
_CASING = QColor(0, 0, 0, 190)
_WIDTH = 3.0  # of the line, device-independent pixels
_ROOM = 4.0  # image pixels around the region, for the line


class RegionItem(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no type information
    """Paints the contours of one region, then nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._path = QPainterPath()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SHOWN_MS)
        self._timer.timeout.connect(lambda: self.show_region(None))

    @property
    def showing(self) -> bool:
        """Whether a region is outlined now."""
        return not self._path.isEmpty()

    def show_region(self, region: DoubtRegion | None) -> None:
        """Outline `region` for a moment; None ends the moment."""
        self.prepareGeometryChange()
        self._path = QPainterPath()
        self._timer.stop()
        if region is not None:
            for contour in region.contours:
                self._path.addPolygon(QPolygonF([QPointF(x, y) for x, y in contour.tolist()]))
                self._path.closeSubpath()
            self._timer.start()
        self.update()

    def boundingRect(self) -> QRectF:
        """The region and some room for the line."""
        return self._path.boundingRect().adjusted(-_ROOM, -_ROOM, _ROOM, _ROOM) if self.showing else QRectF()

    def paint(self, painter: QPainter, *_: Any) -> None:
        """Paint it with lines that keep their width whatever the zoom."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in (
            (_CASING, _WIDTH + 3.0),
            (QColor(*LOOKS[Layer.DISAGREEMENT].colour), _WIDTH),
        ):
            pen = QPen(colour, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawPath(self._path)
