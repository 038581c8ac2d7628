"""What the commands say to a person: on stderr, in plain words."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from omniview.errors import OmniViewError

__all__ = ["complain", "console"]

console = Console(stderr=True, highlight=False, soft_wrap=True)  # a wrapped path cannot be copied


def complain(error: OmniViewError, about: str = "") -> None:
    """Print cause and next step, after what they are about."""
    console.print(escape(f"{about}: {error}" if about else str(error)))
