"""Any answer of an omnimodel to masks: by what is in it, never by who wrote it.

What cannot be used is no mask and says why, never an empty mask. "There is nothing" is an answer of its own:
an empty list, as the prompt asks for. Text and structure are capped and every pass is linear, so that a model
that babbles costs nothing but its answer.
"""

from __future__ import annotations

import hashlib
import marshal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from omniview.core.image import BoolArray, read_only
from omniview.errors import UnusableAnswer
from omniview.omnimodel.boxes import Budget, Patch, Unusable, read_box
from omniview.omnimodel.pictures import grid_patch, is_grid, png_patch
from omniview.omnimodel.polygons import polygon_patch
from omniview.omnimodel.salvage import Json, Salvage, salvage

__all__ = ["Decoded", "decode", "draw_object", "in_tokens"]

_BOXES = ("box_2d", "box2d", "bbox_2d", "bbox", "box", "bounding_box")
_MASKS = (
    "mask",
    "masks",
    "segmentation_mask",
    "segmentation",
    "polygon",
    "polygons",
    "points",
    "contour",
    "outline",
)
_INNER = frozenset({"points", "polygon", "polygons", "data", "png", "base64", "mask", "contour"})
_LABELS = ("label", "class", "name", "category")
_TOKENS = ("<start_of_mask>", "<seg_")

MAX_OBJECTS = 640
_MIN_BUDGET = 12_000_000
_BUDGET_PER_PIXEL = 4
_AGAIN = "Ask again, or choose another model."


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What an answer says.

    Attributes:
        masks: (K,Y,X) bool, read-only: for each label the union of its objects.
        objects: how many objects were drawn.
        notes: what had to be mended, left out or assumed, for a person.
        nothing_found: the answer says in so many words that there is nothing; the masks are empty.
    """

    masks: BoolArray
    objects: int
    notes: tuple[str, ...]
    nothing_found: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """One object as the answer has it."""

    mask: Json
    box: Json = None
    label: str = ""


def decode(text: str, shape: tuple[int, int], labels: Sequence[str]) -> Decoded:
    """Find the masks in an answer.

    With one label every object counts for it, whatever it is called, because nothing else was asked for.
    With several, an object belongs to the label that its own contains.

    Args:
        text: the whole answer.
        shape: (Y,X) of the masks wanted.
        labels: K names.

    Raises:
        UnusableAnswer: there is no mask in it, and no clear statement that there is nothing.
    """
    found = salvage(text)
    entries = [entry for value in found.values for entry in _entries(value)]
    if not entries and found.whole:
        entries = [_Entry(value) for value in found.values if _is_bare_mask(value)]
    if not entries:
        if _says_nothing(found):
            empty = np.zeros((len(labels), *shape), np.bool_)
            return Decoded(read_only(empty), 0, (), nothing_found=True)
        raise _no_entries(text, found)
    return _draw_all(entries, found, shape, labels)


def in_tokens(text: str) -> bool:
    """Whether an answer is written in <seg> tokens, which only the model's maker can read."""
    return any(token in text for token in _TOKENS)


def draw_object(node: Mapping[str, Json], shape: tuple[int, int], budget: Budget) -> Patch:
    """The mask of a single object of an answer, whatever else stands beside its box and mask.

    Args:
        node: the object as the answer has it.
        shape: (Y,X) of the image.
        budget: pixels that may be unpacked and painted.

    Raises:
        Unusable: it has no mask that can be drawn.
    """
    keys = {str(key).lower(): key for key in node}
    box, mask = (next((node[keys[k]] for k in names if k in keys), None) for names in (_BOXES, _MASKS))
    return _draw(_Entry(mask, box), shape, budget)


def _draw_all(
    entries: list[_Entry], found: Salvage, shape: tuple[int, int], labels: Sequence[str]
) -> Decoded:
    masks = np.zeros((len(labels), *shape), np.bool_)
    budget = Budget(max(_MIN_BUDGET, _BUDGET_PER_PIXEL * shape[0] * shape[1]))
    notes: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    seen: set[bytes] = set()
    objects = 0
    for entry in entries:
        if (identity := _digest(entry)) in seen:
            notes["objects are repeated and count once"] += 1
            continue
        seen.add(identity)
        if len(seen) > MAX_OBJECTS:
            notes[f"only the first {MAX_OBJECTS} objects were looked at"] = 1
            break
        try:
            which = _label_index(entry.label, labels)
            patch = _draw(entry, shape, budget)
        except Unusable as error:
            refused[str(error)] += 1
            continue
        height, width = patch.mask.shape
        masks[which, patch.top : patch.top + height, patch.left : patch.left + width] |= patch.mask
        notes.update(patch.notes)
        objects += 1
    if not objects:
        reason, count = refused.most_common(1)[0]
        raise UnusableAnswer(
            f"The answer names {_objects(len(entries))}, but none has a usable mask "
            f"({_objects(count)}: {reason}).",
            "Ask again; if it stays so, choose another model or prompt.",
        )
    return Decoded(
        read_only(masks),
        objects,
        tuple(_in_words(notes, refused, found, len(entries))),
        nothing_found=False,
    )


def _digest(entry: _Entry) -> bytes:
    """The same for the same box and mask; small, however large the mask is."""
    # version 2 writes equal values alike; later ones depend on who else refers to them
    return hashlib.blake2b(marshal.dumps((entry.box, entry.mask), 2), digest_size=16).digest()


def _draw(entry: _Entry, shape: tuple[int, int], budget: Budget) -> Patch:
    """One object's mask, in whatever form it is."""
    box = None if entry.box is None else read_box(entry.box)
    mask = entry.mask
    if isinstance(mask, dict):
        inner = [value for key, value in mask.items() if key in _INNER]
        if len(inner) != 1 or isinstance(inner[0], dict):
            raise Unusable("its mask is of an unknown form")
        mask = inner[0]
    if isinstance(mask, str):
        if in_tokens(mask):
            raise Unusable("its mask is written in <seg> tokens, which only the model's maker can read")
        return png_patch(mask, box, shape, budget)
    if isinstance(mask, list) and mask:
        form = grid_patch if is_grid(mask) else polygon_patch
        return form(mask, box, shape, budget)
    raise Unusable("it has no mask" if box is None else "it has a box but no mask")


def _entries(value: Json) -> Iterator[_Entry]:
    """Objects in a document, in order, whatever they are wrapped in."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            keys = {str(key).lower(): key for key in node}
            box, mask = (next((keys[k] for k in names if k in keys), None) for names in (_BOXES, _MASKS))
            # {"masks": [{...}, ...]} is a wrapper, not an object
            if box is not None or (mask is not None and not _holds_objects(node[mask])):
                label = next((node[keys[k]] for k in _LABELS if k in keys), "")
                yield _Entry(node.get(mask), node.get(box), label if isinstance(label, str) else "")
            else:
                stack.extend(reversed(list(node.values())))
        elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
            stack.extend(reversed(node))


def _holds_objects(value: Json) -> bool:
    return value == [] or (
        isinstance(value, list)
        and any(isinstance(item, dict) and not {"x", "y"} <= item.keys() for item in value)
    )


def _is_bare_mask(value: Json) -> bool:
    """A grid, or an outline of at least three points, that stands alone."""
    if not isinstance(value, list) or len(value) < 3:
        return False
    return is_grid(value) or all(isinstance(point, list) and len(point) == 2 for point in value)


def _says_nothing(found: Salvage) -> bool:
    """Exactly one document, whole, and it is an empty list, bare or under one key."""
    if not found.whole or len(found.values) != 1:
        return False
    value = found.values[0]
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value == [] and isinstance(value, list)


def _label_index(label: str, labels: Sequence[str]) -> int:
    if len(labels) == 1:
        return 0
    words = label.lower()
    # the longest name wins, so that "optic cup" is not taken for "cup"
    matching = [name for name in labels if name.lower() in words]
    if not matching:
        raise Unusable("its label is none of those asked for")
    return labels.index(max(matching, key=len))


def _no_entries(text: str, found: Salvage) -> UnusableAnswer:
    """Why there is nothing to draw, as closely as it can be told."""
    if not text.strip():
        return UnusableAnswer("The answer is empty.", _AGAIN)
    if in_tokens(text):
        return UnusableAnswer(
            "The answer is written in <seg> tokens, which only the model's maker can read.",
            "Choose a model that answers with polygons or PNG masks.",
        )
    if found.repeating:
        return UnusableAnswer("The answer repeats itself without end and holds no whole object.", _AGAIN)
    if not found.whole:
        return UnusableAnswer(
            "The answer breaks off or is damaged before its first whole object.",
            "Ask again; if it stays so, raise max_output_tokens or lower the model's thinking.",
        )
    if found.values:
        return UnusableAnswer("The answer holds data, but no masks.", _AGAIN)
    return UnusableAnswer("The answer is prose without masks.", _AGAIN)


def _in_words(notes: Counter[str], refused: Counter[str], found: Salvage, entries: int) -> Iterator[str]:
    for reason, count in refused.most_common(5):
        yield f"{_objects(count)} of {entries} left out: {reason}"
    for note, count in notes.most_common(8):
        yield note if count == 1 else f"{note} ({count} times)"
    if found.capped:
        yield "the answer was too long, only its beginning was read"
    elif not found.whole:
        yield "the answer is broken or was cut off; its whole objects were used"
    if found.repeating and not found.whole:
        yield "the answer repeats itself at its end"


def _objects(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"
