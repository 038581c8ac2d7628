"""Decoding under attack: any text, any structure, any mutation of a real answer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniview.errors import UnusableAnswer
from omniview.omnimodel.answers import Decoded, decode
from tests.omnimodel.forms import boxed, disc, png64

SHAPE = (64, 96)

numbers = st.one_of(
    st.integers(-2000, 3000),
    st.integers(),
    st.floats(),
    st.floats(0, 1000),
    st.booleans(),
)
leaves = st.one_of(
    st.none(),
    numbers,
    st.text(max_size=20),
    st.just(png64(disc(16))),
    st.binary(max_size=60).map(lambda b: "data:image/png;base64," + b.hex()),
    st.sampled_from(["<seg_1>", "<start_of_mask>", "data:image/png;base64,", "iVBORw0KGgo="]),
)
keys = st.sampled_from(["box_2d", "mask", "label", "points", "x", "y", "masks", "data", "other", "polygon"])
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(keys, inner, max_size=5),
        st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=8),
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), max_size=5),
        st.lists(numbers, min_size=4, max_size=4),
    ),
    max_leaves=30,
)
entries = st.fixed_dictionaries(
    {"box_2d": st.one_of(st.lists(st.integers(-100, 1100), min_size=4, max_size=4), values), "mask": values}
)


def attempt(text: str, labels: tuple[str, ...] = ("polyp",)) -> Decoded | None:
    """Decode, allowing one exception only; what is decoded must keep its promises."""
    try:
        decoded = decode(text, SHAPE, labels)
    except UnusableAnswer:
        return None
    assert decoded.masks.shape == (len(labels), *SHAPE)
    assert decoded.masks.dtype == np.bool_
    assert not decoded.masks.flags.writeable
    assert decoded.nothing_found == (decoded.objects == 0)
    assert not (decoded.nothing_found and decoded.masks.any())
    return decoded


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_text_ends_well(text: str) -> None:
    """Any text is a mask, nothing found, or UnusableAnswer."""
    attempt(text)


@given(st.lists(st.sampled_from([*'[]{}":,\\ \n', "1", "true", "box_2d", "mask", "<seg_1>", "```json"])))
@settings(max_examples=200, deadline=None)
def test_any_punctuation_ends_well(parts: list[str]) -> None:
    """Structure without sense is harmless."""
    attempt("".join(parts))


@given(st.one_of(values, st.lists(entries, max_size=4)), st.integers(0, 10**6), st.integers(1, 2))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_structure_ends_well(value: Any, cut: int, labels: int) -> None:
    """Any JSON, whole or cut anywhere, is harmless; so is a bare nan."""
    text = json.dumps(value)
    attempt(text, ("polyp", "cup")[:labels])
    attempt(text[: cut % (len(text) + 1)])


def _mutated(text: str, rng: random.Random) -> str:
    """One to four of the accidents that happen to answers."""
    for _ in range(rng.randint(1, 4)):
        if not text:
            break
        a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        short = min(b, a + 200)
        kind = rng.randrange(8)
        if kind == 0:
            text = text[:a]
        elif kind == 1:
            text = text[:a] + text[short:]
        elif kind == 2:
            text = text[:b] + text[a:short] + text[b:]
        elif kind == 3:
            text = (
                text[:a] + rng.choice(['"', "[", "]", "{", "}", ",", "\\", "\0", "9" * 5000, "-"]) + text[a:]
            )
        elif kind == 4:
            text = text[:a] + chr(rng.randrange(1, 0x3000)) + text[a + 1 :]
        elif kind == 5:
            text = text.replace(rng.choice(["data:image/png;base64,", "box_2d", "mask", '"', "iVBOR"]), "", 3)
        elif kind == 6:
            text = text[a:] + text[:a]
        else:
            place = rng.randrange(len(text))
            text = text[:place] + text[place : place + 1].swapcase() + text[place + 1 :]
    return text


def test_mutations_of_the_recorded_answer_end_well(shared: Path) -> None:
    """A real answer, damaged in 400 ways, is still a mask or a reason; damage never adds pixels elsewhere."""
    text = (shared / "gemini" / "answer_base64_png.txt").read_text("utf-8")
    usable = sum(attempt(_mutated(text, random.Random(seed))) is not None for seed in range(400))
    assert usable > 200


FORMS = {
    "polygons": json.dumps(
        [{"box_2d": [100, 100, 900, 900], "polygon": [[150, 150], [850, 200], [500, 880]]}] * 2
    ),
    "named points": json.dumps([{"mask": [{"x": 10, "y": 20}, {"x": 900, "y": 50}, {"x": 500, "y": 900}]}]),
    "parts": json.dumps([{"mask": [[[10, 10], [400, 10], [10, 400]], [[600, 600], [900, 600], [600, 900]]]}]),
    "grid": json.dumps([{"box_2d": [0, 0, 1000, 1000], "mask": [[1, 0, 1], [0, 1, 0], [1, 1, 1]]}]),
    "png": json.dumps([boxed(), boxed(box=(0, 0, 500, 500))]),
    "wrapped": json.dumps({"result": {"masks": [boxed()], "note": "x"}}),
    "tokens": json.dumps([{"box_2d": [0, 0, 9, 9], "mask": "<start_of_mask><seg_1>", "label": "polyp"}]),
    "Python": str([{"box_2d": [0, 0, 900, 900], "mask": [[1, 1], [900, 1], [1, 900]], "label": None}]),
}


@pytest.mark.parametrize("form", FORMS)
@given(seed=st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_mutations_of_every_form_end_well(form: str, seed: int) -> None:
    """Whatever happens to an answer on its way, it is a mask, nothing found, or a reason."""
    attempt(_mutated(FORMS[form], random.Random(seed)))


@given(st.binary(max_size=3000), st.sampled_from(["latin-1", "utf-8", "utf-16-le"]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_well(data: bytes, encoding: str) -> None:
    """Any bytes at all, in whatever way somebody took them for text: half characters, surrogates, NULs."""
    attempt(
        data[: len(data) // 2 * 2].decode(
            encoding, "surrogatepass" if "16" in encoding else "surrogateescape"
        )
    )


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.99])
def test_a_cut_recorded_answer_gives_a_part_of_its_masks(shared: Path, share: float) -> None:
    """Wherever the real answer is cut, its whole objects give a subset of the whole mask."""
    text = (shared / "gemini" / "answer_base64_png.txt").read_text("utf-8")
    whole, part = attempt(text), attempt(text[: int(len(text) * share)])
    assert whole is not None
    assert part is not None
    assert 0 < part.objects < whole.objects
    assert not (part.masks & ~whole.masks).any()


@given(st.integers(0, 10**9))
@settings(max_examples=200, deadline=None)
def test_mutations_of_a_picture_end_well(seed: int) -> None:
    """A damaged PNG inside sound JSON is a mask or a reason, whatever the damage does to the decoder."""
    import base64

    rng = random.Random(seed)
    data = bytearray(base64.b64decode(png64(disc(32), prefix=False)))
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(8, len(data))] = rng.randrange(256)
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    item = boxed()
    attempt(json.dumps([{**item, "mask": base64.b64encode(bytes(data)).decode()}]))
