"""A folder belongs to the training that was begun in it: nothing else goes on from its checkpoint.

Otherwise a finished network would be exported as one of other data, and calibrated on images that it learnt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omniview.errors import OutputError

__all__ = ["claim"]


def claim(checkpoint: Path, this: Mapping[str, Any]) -> None:
    """Begin at ``checkpoint``, or go on there if ``this``, which says all that matters, is what was begun.

    Raises :class:`OutputError` if something else was begun there, or nobody can tell what, or the folder
    cannot be written.
    """
    begun = checkpoint.with_suffix(".begun.json")
    said = json.dumps(this, sort_keys=True)
    try:
        if not checkpoint.is_file():
            unfinished = begun.with_suffix(".part")
            unfinished.write_text(said, "utf-8")
            unfinished.replace(begun)
            return
        before = begun.read_text("utf-8") if begun.is_file() else ""
    except OSError as error:
        raise OutputError(
            f"{begun.name} cannot be written: {error.strerror}.", "Choose another folder."
        ) from error
    if before != said:
        raise OutputError(
            f"{checkpoint.name} is of a training with other data or settings.",
            "Give the same ones to go on, or remove it, or choose another folder.",
        )
