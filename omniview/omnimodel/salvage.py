"""JSON out of whatever a model wrote around it: fences, prose, wrappers, missing ends.

Every pass is linear in the text, and text and structure are capped first, because an omnimodel that loses its
way repeats itself until its token limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

__all__ = ["Json", "Salvage", "salvage"]

Json: TypeAlias = Any
"""What `json` makes of a text: dict, list, str, int, float, bool or None."""

MAX_CHARACTERS = 2_000_000
"""Far above what a model can write within its token limit."""
MAX_STRUCTURE = 64_000
"""Brackets and quotes: each costs up to 100 bytes as a Python object; 300 polygons need some 40,000."""
_MAX_FAILED_STARTS = 6
_MAX_DOCUMENTS = 2000
_MAX_PIECES = 4000
"""Far more than objects are looked at."""

_STRUCTURE = re.compile(r"[\[{\"]")
_START = re.compile(r"[\[{]")
# innermost objects with a key; possessive, so that a missing end costs one pass and no backtracking
_INNERMOST = re.compile(r"\{[^{}:]*+:[^{}]*+\}")
_TRAILING_COMMA = re.compile(r",\s*+(?=[\]}])")
_PYTHON_WORDS = re.compile(r"\b(?:True|False|None)\b")
_WORDS = {"True": "true", "False": "false", "None": "null"}
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be read.

    Attributes:
        values: JSON values in the order of the text; if anything was broken, only whole objects out of it.
        whole: nothing was broken.
        capped: the text was longer or more deeply structured than is looked at.
        repeating: the text ends in one passage repeated over and over.
    """

    values: tuple[Json, ...]
    whole: bool
    capped: bool = False
    repeating: bool = False


def salvage(text: str) -> Salvage:
    """Every JSON value that can be read in `text`. Never raises, whatever the text."""
    seen = text[:MAX_CHARACTERS]
    surplus = next(islice(_STRUCTURE.finditer(seen), MAX_STRUCTURE, None), None)
    if surplus is not None:
        seen = seen[: surplus.start()]
    capped = len(seen) < len(text)
    repeating = _repeats(seen)
    values, broken = _documents(seen)
    capped = capped or len(values) == _MAX_DOCUMENTS
    if not broken:
        return Salvage(tuple(values), not capped, capped, repeating)
    # a bare list out of the middle of a broken document may be half of anything: only objects count
    whole = [value for value in values if isinstance(value, dict)]
    pieces = list(_objects(seen))
    return Salvage(tuple(pieces if len(pieces) > len(whole) else whole), False, capped, repeating)


def _documents(text: str) -> tuple[list[Json], bool]:
    """Whole arrays and objects one after the other, and whether anything that began like one was broken."""
    values: list[Json] = []
    position, failed, wasted = 0, 0, 0
    while len(values) < _MAX_DOCUMENTS and (start := _START.search(text, position)) is not None:
        try:
            value, position = _DECODER.raw_decode(text, start.start())
            values.append(value)
        except (ValueError, RecursionError) as error:  # ValueError also for integers of thousands of digits
            failed += 1
            wasted += getattr(error, "pos", len(text)) - start.start()
            if failed == _MAX_FAILED_STARTS or wasted > MAX_CHARACTERS:
                break
            position = start.end()
    return values, failed > 0


def _objects(text: str) -> Iterator[Json]:
    """Innermost `{...}` of a broken document, each read on its own."""
    for match in islice(_INNERMOST.finditer(text), _MAX_PIECES):
        piece = match.group()
        for attempt in (piece, _mended(piece)):
            try:
                yield _DECODER.decode(attempt)
                break
            except (ValueError, RecursionError):
                continue


def _mended(piece: str) -> str:
    """The commonest slips of the pen: trailing commas, and Python's literals in place of JSON's."""
    piece = _TRAILING_COMMA.sub("", piece)
    if '"' not in piece:
        piece = piece.replace("'", '"')
        piece = _PYTHON_WORDS.sub(lambda word: _WORDS[word.group()], piece)
    return piece


def _repeats(text: str) -> bool:
    """Whether the end of the text occurs at least eight times in its last 8,192 characters."""
    end = text[-48:]
    return len(end) == 48 and end.strip() != "" and text[-8192:].count(end) >= 8
