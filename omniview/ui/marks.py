"""What a person has shown, drawn over the image: discs with a plus or a minus, a dashed box.

Shapes say what colours say, so that nobody has to tell green from red; a dark casing keeps them visible on
any image. They keep their size on the screen whatever the zoom.
"""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QBrush, QColor, QPainter, QPen

from omniview.ui.prompts import Kind, Mark, Marks

__all__ = ["MarksItem", "mark_at"]

_RADIUS = 7.0  # of a disc, device-independent pixels; also how near a click must be to take a mark away
_FAR = 1e6  # marks keep their size on the screen, so that in image pixels they reach any distance
_CASING = QColor(0, 0, 0, 200)
_LIGHT = QColor("#ffffff")
_COLOURS = {Kind.POSITIVE: QColor("#009e73"), Kind.NEGATIVE: QColor("#d5322d"), Kind.BOX: QColor("#404040")}


def _anchor(mark: Mark) -> QPointF:
    """Where its disc sits, in image coordinates: a pixel's centre, a box's upper left corner."""
    row, column = mark.place[:2]
    half = 0.0 if mark.kind is Kind.BOX else 0.5
    return QPointF(column + half, row + half)


def mark_at(marks: Marks, point: QPointF, scale: float) -> Mark | None:
    """The mark whose disc lies under `point` (image coordinates), the newest first.

    Args:
        marks: what is shown.
        point: x and y in image coordinates.
        scale: device-independent pixels for one image pixel.
    """
    for mark in reversed(marks):
        apart = point - _anchor(mark)
        if math.hypot(apart.x(), apart.y()) * scale <= _RADIUS:
            return mark
    return None


class MarksItem(pg.GraphicsObject):  # type: ignore[misc]  # pyqtgraph has no type information
    """Paints marks, and the box that is being drawn."""

    def __init__(self) -> None:
        super().__init__()
        self._marks: Marks = ()
        self._band: QRectF | None = None

    def show_marks(self, marks: Marks) -> None:
        """Show these."""
        if marks is not self._marks:
            self.prepareGeometryChange()
            self._marks = marks
            self.update()

    def show_band(self, band: QRectF | None) -> None:
        """Show a box that is not finished, in image coordinates."""
        if band != self._band:
            self.prepareGeometryChange()
            self._band = band
            self.update()

    def boundingRect(self) -> QRectF:
        """Everything, if there is anything."""
        return QRectF(-_FAR, -_FAR, 2 * _FAR, 2 * _FAR) if self._marks or self._band else QRectF()

    def paint(self, painter: QPainter, *_: Any) -> None:
        """Paint in the screen's coordinates."""
        place = painter.worldTransform()
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        boxes = [_rect(mark) for mark in self._marks if mark.kind is Kind.BOX]
        for rect in (*boxes, *([self._band] if self._band is not None else [])):
            _dashed(painter, place.mapRect(rect))
        for mark in self._marks:
            _disc(painter, place.map(_anchor(mark)), mark.kind)
        painter.restore()


def _rect(mark: Mark) -> QRectF:
    top, left, bottom, right = mark.place
    return QRectF(left, top, right - left, bottom - top)


def _dashed(painter: QPainter, rect: QRectF) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(_CASING, 3.0))
    painter.drawRect(rect)
    painter.setPen(QPen(_LIGHT, 1.4, Qt.PenStyle.DashLine))
    painter.drawRect(rect)


def _disc(painter: QPainter, centre: QPointF, kind: Kind) -> None:
    painter.setPen(QPen(_CASING, 1.5))
    painter.setBrush(QBrush(_LIGHT))
    painter.drawEllipse(centre, _RADIUS, _RADIUS)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QBrush(_COLOURS[kind]))
    painter.drawEllipse(centre, _RADIUS - 1.5, _RADIUS - 1.5)
    painter.setPen(QPen(_LIGHT, 1.8))
    arm = _RADIUS - 3.5
    if kind is Kind.BOX:  # a cross: a click here takes the box away
        painter.drawLine(centre - QPointF(arm, arm) * 0.7, centre + QPointF(arm, arm) * 0.7)
        painter.drawLine(centre - QPointF(arm, -arm) * 0.7, centre + QPointF(arm, -arm) * 0.7)
        return
    painter.drawLine(centre - QPointF(arm, 0), centre + QPointF(arm, 0))
    if kind is Kind.POSITIVE:
        painter.drawLine(centre - QPointF(0, arm), centre + QPointF(0, arm))
