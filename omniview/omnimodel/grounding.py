"""An answer in words to text and findings, each with the place that it points at, or the reason for none.

The same rules as for masks hold: by what is in it, never by who wrote it, linear in its length, and what
cannot be used is said. Prose is an answer too, only that nothing in it is grounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniview.core.image import BoolArray
from omniview.core.interpreter import Box, Finding
from omniview.errors import UnusableAnswer
from omniview.omnimodel.answers import draw_object
from omniview.omnimodel.boxes import Budget, Unusable, read_box
from omniview.omnimodel.salvage import MAX_CHARACTERS, Salvage, salvage

__all__ = ["Spoken", "ground"]

_TEXTS = ("text", "answer", "response", "description", "report", "summary")
_LISTS = ("findings", "finding", "statements", "objects", "regions", "results")
_STATEMENTS = ("text", "statement", "sentence", "finding", "description", "caption")
_LABELS = ("label", "name", "class", "category")
_BOXES = ("box_2d", "box2d", "bbox_2d", "bbox", "box", "bounding_box")
_PLACES = (*_BOXES, "mask", "polygon", "segmentation", "points", "contour", "outline")
_FIRST_TEXT = re.compile(r'"(?:text|answer|response)"\s*+:\s*+"((?:[^"\\]|\\.){0,20000}+)', re.DOTALL)
_JSON = re.compile(r"```|\[\s*+\{|\{\s*+\"")

MAX_FINDINGS = 64
"""Each may hold a mask of the image's size."""
MAX_TEXT = 20_000
"""Characters; an answer longer than that is not read by anybody."""
_MANY = 1000
"""Objects that are looked at to tell findings from what is not one."""
_BUDGET = 48_000_000
_BUDGET_PER_PIXEL = 16


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What an answer says.

    Attributes:
        text: the answer as a person reads it.
        findings: in the order of the answer.
        notes: what had to be mended, left out or assumed.
    """

    text: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


def ground(text: str, shape: tuple[int, int]) -> Spoken:
    """Text and findings of an answer.

    Args:
        text: the whole answer.
        shape: (Y,X) of the image that was shown.

    Raises:
        UnusableAnswer: it says nothing.
    """
    text = text[:MAX_CHARACTERS]
    found = salvage(text)
    notes: list[str] = []
    said, listed = _parts(found, text)
    if not said and listed is None:
        said = _plain(_unfenced(text[: 2 * MAX_TEXT]))
        if not found.whole and _JSON.match(text[:MAX_TEXT].strip()):
            raise UnusableAnswer(
                "The answer breaks off or is damaged before its first statement.",
                "Ask again; if it stays so, raise max_output_tokens or lower the model's thinking.",
            )
        if found.repeating:
            raise UnusableAnswer("The answer repeats itself without end.", "Ask again, or in other words.")
        if not said:
            raise UnusableAnswer("The answer is empty.", "Ask again, or choose another model.")
        notes.append("the answer came as prose: nothing in it is grounded")
    elif not found.whole:
        notes.append("the answer is broken or was cut off; what was whole was used")
    listed = listed or []
    budget = Budget(max(_BUDGET, _BUDGET_PER_PIXEL * shape[0] * shape[1]))
    findings = [one for node in listed[:MAX_FINDINGS] if (one := _finding(node, shape, budget)) is not None]
    if silent := len(listed[:MAX_FINDINGS]) - len(findings):
        notes.append(f"left out: {silent} findings that say nothing")
    if len(listed) > MAX_FINDINGS:
        notes.append(f"only the first {MAX_FINDINGS} of {len(listed)} findings were looked at")
    said = said or " ".join(finding.text for finding in findings)
    if not said:
        raise UnusableAnswer("The answer holds data, but says nothing.", "Ask again, or in other words.")
    return Spoken(said, tuple(findings), tuple(notes))


def _parts(found: Salvage, text: str) -> tuple[str, list[dict[str, Any]] | None]:
    """The answer's text, and its findings; None where nothing is marked as such."""
    for value in found.values:
        if isinstance(value, dict):
            listed = next((v for name in _LISTS if isinstance(v := _get(value, (name,)), list)), None)
            if listed is not None:
                return _plain(_get(value, _TEXTS)) or _lead(text), _nodes(listed)
        elif isinstance(value, list) and any(_is_finding(node) for node in _nodes(value)):
            return _lead(text), _nodes(value)
    nodes = _nodes(found.values)[:_MANY]
    pointing = [node for node in nodes if _get(node, _PLACES) is not None]
    if found.whole:
        said = next((words for n in nodes if n not in pointing and (words := _plain(_get(n, _TEXTS)))), "")
        return said or (_lead(text) if pointing else ""), pointing or None
    # a broken document: its first text, if that is not a whole finding's own, and what findings are whole
    first = _FIRST_TEXT.search(text)
    said = _plain(_unescaped(first.group(1))) if first else ""
    listed = [node for node in nodes if _is_finding(node)]
    own = any(said == _plain(_get(node, _STATEMENTS)) for node in listed)
    return _lead(text) if own else said, listed or None


def _lead(text: str) -> str:
    """The prose before the first JSON."""
    begin = _JSON.search(text)
    return _plain(text[: begin.start()]).rstrip("`: \n") if begin else ""


def _finding(node: dict[str, Any], shape: tuple[int, int], budget: Budget) -> Finding | None:
    """One finding, or None if it says nothing."""
    label = _plain(_get(node, _LABELS))[:80]
    said = _plain(_get(node, _STATEMENTS)) or label
    if not said:
        return None
    mask: BoolArray | None = None
    box: Box | None = None
    notes: list[str] = []
    try:
        patch = draw_object(node, shape, budget)
        height, width = patch.mask.shape
        whole = np.zeros(shape, np.bool_)
        whole[patch.top : patch.top + height, patch.left : patch.left + width] = patch.mask
        notes += patch.notes
        mask = whole if whole.any() else None
    except Unusable as error:
        notes.append(str(error))
    if mask is not None:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
        return Finding(said, label, mask, box, "; ".join(notes))
    given = _get(node, _BOXES)
    if given is None:
        return Finding(said, label, note="; ".join(("not grounded", *notes)))
    try:
        top, left, bottom, right = read_box(given).pixels(shape)
        if top >= bottom or left >= right:
            raise Unusable("its box is smaller than a pixel")
    except Unusable as error:
        return Finding(said, label, note=f"not grounded; {error}")
    return Finding(said, label, None, (top, left, bottom, right), "; ".join(notes))


def _nodes(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def _is_finding(node: dict[str, Any]) -> bool:
    return bool(_plain(_get(node, (*_STATEMENTS, *_LABELS))))


def _get(node: dict[str, Any], names: Sequence[str]) -> Any:
    """The value under the first of these names, whatever its case; None if there is none."""
    keys = {str(key).lower(): key for key in node}
    return next((node[keys[name]] for name in names if name in keys), None)


def _plain(value: Any) -> str:
    """Text that may be shown on a terminal: no control characters, of a length that can be read."""
    if not isinstance(value, str):
        return ""
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in value[:MAX_TEXT]).strip()
    return shown + (" …" if len(value) > MAX_TEXT else "")


def _unfenced(text: str) -> str:
    """What is inside of a Markdown fence, where the whole text is in one."""
    text = text.strip()
    if text.startswith("```"):
        text = text.removeprefix("```").partition("\n")[2] if "\n" in text else text.strip("`")
    return text.removesuffix("```")


def _unescaped(body: str) -> str:
    """The inside of a JSON string that may break off anywhere."""
    for end in (body, body[: body.rfind("\\")] if "\\" in body[-6:] else body):
        try:
            value = json.loads(f'"{end}"', strict=False)
        except ValueError:
            continue
        return str(value)
    return ""
