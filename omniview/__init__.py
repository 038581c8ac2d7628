"""OmniView: one mask from a local specialist and an omnimodel, fused by how far each can be trusted.

Importing the package stays cheap: no Qt, no torch, no ONNX Runtime. Not a medical device.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniview.scoring import score

__all__ = ["__version__", "score"]

# ONNX Runtime's wheels keep a device identifier on disk and report to their maker, unless this is set before
# they are first imported, whoever imports them; here, because every way into OmniView passes here
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

try:
    __version__ = version("omniview")
except PackageNotFoundError:  # run from an unpacked source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """`omniview.score`, imported with all that it needs when it is first asked for."""
    if name == "score":
        from omniview.scoring import score

        return score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
