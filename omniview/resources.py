"""Where the files that ship with OmniView are.

Models, cards, prompts and icons are read from three places, depending on how OmniView was installed: the
`resources` folder of a checkout, `omniview/_resources` of a wheel, and the unpacked bundle of a frozen app.
Everybody else asks here by name, so that nobody builds such a path from `__file__`.
"""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

from omniview.errors import OmniViewError

__all__ = ["path"]

_PACKAGE = Path(__file__).resolve().parent


def _root() -> Path:
    """The folder that holds the resources; it may be absent in a broken installation."""
    bundle = getattr(sys, "_MEIPASS", None)  # PyInstaller sets it; the spec keeps the wheel's layout
    if bundle is not None:
        return Path(bundle) / "omniview" / "_resources"
    installed = _PACKAGE / "_resources"
    return installed if installed.is_dir() else _PACKAGE.parent / "resources"


def path(name: str) -> Path:
    """The file or folder `name`, such as `"models/polyp-lite0.toml"` or `"models"`.

    Args:
        name: relative to the resources, with forward slashes, never leaving them.

    Raises:
        ValueError: `name` is empty, absolute or contains `..`.
        OmniViewError: this installation lacks it.
    """
    parts = PurePosixPath(name).parts
    if not parts or "\\" in name or ":" in name or parts[0] == "/" or ".." in parts:
        raise ValueError(
            f"name must be a relative path with forward slashes inside the resources, got {name!r}"
        )
    found = _root().joinpath(*parts)
    if not found.exists():
        raise OmniViewError(
            f"The resource {name} is missing from this installation (looked for {found}).",
            "Install OmniView again, or restore the file from version control.",
        )
    return found
