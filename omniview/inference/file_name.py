"""Names on a card become files: a card that came from elsewhere must not choose their folder."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

__all__ = ["FileName"]

# each dot before something else: no "..", and no dot at the end, which Windows drops
_PLAIN = re.compile(r"\w(\.?[\w+ ()-])*")


def _plain(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise ValueError(
            "it must be a name without a folder: letters, digits, single dots, spaces, parentheses, '_', '-' "
            "and '+', a letter, a digit or '_' first"
        )
    return name


FileName: TypeAlias = Annotated[str, AfterValidator(_plain)]
"""The name of a file, or the stem of one, that stays in the folder that it is put into."""
