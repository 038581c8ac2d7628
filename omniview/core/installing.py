"""The line that installs what is missing, for the person at this machine.

OmniView often runs in a virtual environment of its own, as the launcher makes one: a bare `pip` would install
into another Python. The line holds a path of this machine: it is shown, and never written into results.
"""

from __future__ import annotations

import sys

__all__ = ["install_line"]


def install_line(what: str) -> str:
    """What to type so that this very Python gets `what`, a package or an extra such as "omniview[ocr]"."""
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f'{python} -m pip install "{what}"'
