"""The look of the window: a calm dark palette, so that the image is the brightest thing in the room.

Text on its background keeps a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), which the
tests measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from PyQt6.QtGui import QColor, QFont, QIcon, QPalette
from PyQt6.QtWidgets import QApplication, QStyleFactory

from omniview import resources
from omniview.ui.messages import Level

__all__ = [
    "ACCENT",
    "CANVAS",
    "EDGE",
    "LEVELS",
    "MUTED",
    "PANEL",
    "RAISED",
    "TEXT",
    "WINDOW",
    "dress",
    "icon",
]

CANVAS = "#0b0c0e"
WINDOW = "#15171b"
PANEL = "#1b1e23"
RAISED = "#262a31"
EDGE = "#363c46"
TEXT = "#e7e9ec"
MUTED = "#a7aeb9"
ACCENT = "#2f6fb3"

LEVELS: Mapping[Level, str] = MappingProxyType(
    {
        Level.INFO: "#a7aeb9",
        Level.GOOD: "#4cc9a0",
        Level.BUSY: "#7cc4f2",
        Level.WARNING: "#f0b24b",
        Level.ERROR: "#ff8f66",
    }
)
"""Colours of messages, all readable on PANEL and WINDOW."""

_POINTS = 10


def dress(app: QApplication) -> None:
    """Give the application its style, palette, font and icon."""
    app.setStyle(QStyleFactory.create("Fusion"))
    font = QFont(app.font())
    font.setPointSize(_POINTS)
    app.setFont(font)
    app.setPalette(_palette())
    app.setWindowIcon(icon("omniview"))
    sheet = resources.path("style/dark.qss").read_text("utf-8")
    names = {
        "CANVAS": CANVAS,
        "WINDOW": WINDOW,
        "PANEL": PANEL,
        "RAISED": RAISED,
        "EDGE": EDGE,
        "TEXT": TEXT,
        "MUTED": MUTED,
        "ACCENT": ACCENT,
        "ICONS": resources.path("icons").as_posix(),
    }
    for name, value in names.items():
        sheet = sheet.replace(f"@{name}", value)
    app.setStyleSheet(sheet)


def icon(name: str) -> QIcon:
    """The icon `name` of resources/icons."""
    return QIcon(str(resources.path(f"icons/{name}.svg")))


def _palette() -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for part, colour in {
        role.Window: WINDOW,
        role.WindowText: TEXT,
        role.Base: PANEL,
        role.AlternateBase: RAISED,
        role.Text: TEXT,
        role.PlaceholderText: MUTED,
        role.Button: RAISED,
        role.ButtonText: TEXT,
        role.BrightText: TEXT,
        role.ToolTipBase: RAISED,
        role.ToolTipText: TEXT,
        role.Highlight: ACCENT,
        role.HighlightedText: "#ffffff",
        role.Link: LEVELS[Level.BUSY],
        role.Light: EDGE,
        role.Midlight: RAISED,
        role.Mid: EDGE,
        role.Dark: CANVAS,
        role.Shadow: CANVAS,
    }.items():
        palette.setColor(part, QColor(colour))
    for part in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, part, QColor("#7a828e"))
    return palette
