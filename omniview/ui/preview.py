"""Shows the very picture that would leave this machine, with what was blacked out in it outlined."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from omniview.ui.models import Preview

__all__ = ["Leaving", "PreviewBox", "drawn"]

_SIDE = 520
"""Pixels of the longer side on screen."""
_OUTLINE = QColor(255, 196, 0)


def drawn(preview: Preview, side: int = _SIDE) -> QPixmap:
    """The bytes that would leave, decoded again, at most `side` pixels wide and high, boxes outlined."""
    picture = QImage.fromData(preview.data)
    shown = picture.scaled(
        side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    ).convertToFormat(QImage.Format.Format_RGB32)
    factor = shown.width() / max(1, picture.width())
    painter = QPainter(shown)
    painter.setPen(QPen(_OUTLINE, 1.5))
    for x0, y0, x1, y1 in preview.boxes:
        painter.drawRect(QRectF(x0 * factor, y0 * factor, (x1 - x0) * factor, (y1 - y0) * factor))
    painter.end()
    return QPixmap.fromImage(shown)


class Leaving(QWidget):
    """A picture and, below it, what was done to it; says what it waits for until there is one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._picture = QLabel("Looking for burned-in text…")
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._picture.setMinimumSize(_SIDE, 120)
        self._picture.setAccessibleName("Picture that would be sent")
        self._words = QLabel()
        self._words.setWordWrap(True)
        column.addWidget(self._picture)
        column.addWidget(self._words)

    @property
    def words(self) -> str:
        """What stands below the picture."""
        return self._words.text()

    def show_preview(self, preview: Preview) -> None:
        """Show what would be sent."""
        self._picture.setPixmap(drawn(preview))
        size = QImage.fromData(preview.data).size()
        self._words.setText(
            f"{preview.text}\n{size.width()} × {size.height()} pixels, {len(preview.data) / 1024:.0f} KiB, "
            f"to {preview.endpoint}".strip()
        )

    def show_reason(self, reason: str) -> None:
        """Say why there is no picture."""
        self._picture.clear()
        self._words.setText(reason)


class PreviewBox(QDialog):
    """The picture alone, for a person who wants to look again."""

    def __init__(self, parent: QWidget, preview: Preview) -> None:
        super().__init__(parent)
        self.setWindowTitle("What would be sent")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        column = QVBoxLayout(self)
        leaving = Leaving(self)
        leaving.show_preview(preview)
        column.addWidget(leaving)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
