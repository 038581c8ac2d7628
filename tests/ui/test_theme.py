"""The look of the window."""

from __future__ import annotations

import pytest

from omniview.ui.theme import ACCENT, CANVAS, LEVELS, MUTED, PANEL, RAISED, TEXT, WINDOW
from omniview.ui.view import LOOKS


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [CANVAS, WINDOW, PANEL, RAISED])
@pytest.mark.parametrize("text", [TEXT, MUTED, *LEVELS.values()])
def test_text_is_readable(text: str, ground: str) -> None:
    """Every text colour keeps WCAG's 4.5 to 1 on every ground."""
    assert _contrast(text, ground) >= 4.5


def test_selected_text_is_readable() -> None:
    """So does white on the accent."""
    assert _contrast("#ffffff", ACCENT) >= 4.5


def test_layer_names_are_readable_in_their_colour() -> None:
    """The panels write a layer's name in its colour."""
    for look in LOOKS.values():
        assert _contrast("#" + "".join(f"{part:02x}" for part in look.colour), PANEL) >= 4.5
