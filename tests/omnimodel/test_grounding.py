"""Answers in words, in every shape that models write them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniview.errors import UnusableAnswer
from omniview.omnimodel.grounding import MAX_FINDINGS, MAX_TEXT, Spoken, ground
from tests.omnimodel.forms import boxed, fenced

SHAPE = (100, 200)
SQUARE = [[300, 200], [800, 200], [800, 600], [300, 600]]


def finding(text: str = "There is a polyp.", **more: Any) -> dict[str, Any]:
    """A finding as the prompt asks for it."""
    return {"text": text, "label": "polyp", **more}


def answered(*findings: dict[str, Any], text: str = "Yes, one polyp.") -> str:
    """The whole answer as the prompt asks for it."""
    return json.dumps({"text": text, "findings": list(findings)})


def read(text: str) -> Spoken:
    """Of an image of 100 rows and 200 columns."""
    return ground(text, SHAPE)


def test_a_polygon_grounds_a_finding() -> None:
    """Its mask and that mask's own box, in pixels."""
    spoken = read(answered(finding(box_2d=[200, 300, 600, 800], polygon=SQUARE)))
    assert spoken.text == "Yes, one polyp."
    assert spoken.notes == ()
    (found,) = spoken.findings
    assert (found.text, found.label, found.note, found.box) == (
        *("There is a polyp.", "polyp", ""),
        (20, 60, 60, 160),
    )
    assert found.mask is not None
    expected = np.zeros(SHAPE, np.bool_)
    expected[20:60, 60:160] = True
    np.testing.assert_array_equal(found.mask, expected)


def test_a_png_grounds_a_finding() -> None:
    """Every form of mask that answers know is understood here too."""
    (found,) = read(answered(finding(**boxed()))).findings
    assert found.mask is not None
    assert 0.7 < found.mask.sum() / (40 * 100) < 0.85


def test_a_box_alone_grounds_a_finding() -> None:
    """Said to be a box and no mask."""
    (found,) = read(answered(finding(box_2d=[200, 300, 600, 800]))).findings
    assert found.mask is None
    assert found.box == (20, 60, 60, 160)
    assert found.grounded
    assert found.note == "it has a box but no mask"


@pytest.mark.parametrize(
    ("place", "note"),
    [
        ({}, "not grounded; it has no mask"),
        ({"box_2d": [1, 2, 3]}, "not grounded; its box is not four numbers"),
        ({"box_2d": [0, 0, 3, 3]}, "not grounded; its box is smaller than a pixel"),
        ({"box_2d": None, "polygon": []}, "not grounded; it has no mask"),
        ({"polygon": [[5000, 1], [2, 9000], [3, 3]]}, "not grounded; its outline lies outside the image"),
        ({"mask": "<start_of_mask><seg_1>"}, "not grounded; its mask is written in <seg> tokens"),
    ],
)
def test_what_points_nowhere_is_not_grounded(place: dict[str, Any], note: str) -> None:
    """The statement stays, and the reason is said."""
    (found,) = read(answered(finding(**place))).findings
    assert not found.grounded
    assert found.text == "There is a polyp."
    assert found.note.startswith(note)


@pytest.mark.parametrize(
    ("text", "said", "count"),
    [
        (fenced({"text": "One.", "findings": [finding()]}), "One.", 1),
        ('{"answer": "No."}', "No.", 0),
        ('{"Text": "None.", "Findings": []}', "None.", 0),
        (json.dumps([finding("A."), finding("B.")]), "A. B.", 2),
        ("\n".join(json.dumps(finding(t, box_2d=[0, 0, 9, 900])) for t in ("A.", "B.")), "A. B.", 2),
        (json.dumps(finding("A.", box_2d=[0, 0, 500, 500])), "A.", 1),
        (json.dumps({"findings": [finding("A.")]}), "A.", 1),
        ("Yes, see:\n" + fenced([{"label": "polyp", "box_2d": [0, 0, 500, 500]}]), "Yes, see", 1),
        ("Just prose, with [brackets].", "Just prose, with [brackets].", 0),
        ("```\nfenced prose\n```", "fenced prose", 0),
        ('{"polyp": "yes"}', '{"polyp": "yes"}', 0),
        (answered(finding("A."))[:-1], "Yes, one polyp.", 1),
        (answered(finding("A."), finding("B."))[:-20], "Yes, one polyp.", 1),
        ('{"text": "It is \\"large\\" and \\u00e4', 'It is "large" and ä', 0),
        ('{"text": "It breaks \\u00', "It breaks", 0),
        ('{"findings": [{"text": "A.", "label": "x"}, {"te', "A.", 1),
        (answered(finding("\x1b[31mred\x07")), "Yes, one polyp.", 1),
    ],
)
def test_an_answer_is_read_by_what_is_in_it(text: str, said: str, count: int) -> None:
    """Fences, other names, lists, prose, missing ends."""
    spoken = read(text)
    assert spoken.text == said
    assert len(spoken.findings) == count
    assert all(c.isprintable() for found in spoken.findings for c in found.text)


def test_prose_and_broken_answers_are_said_to_be() -> None:
    """A person sees why nothing is grounded, or why something may be missing."""
    assert "prose" in " ".join(read("A polyp.").notes)
    assert "cut off" in " ".join(read(answered(finding("A."))[:-1]).notes)


def test_findings_without_words_are_counted() -> None:
    """A label alone is a word; nothing at all is left out."""
    place = {"box_2d": [0, 0, 500, 500]}
    spoken = read(answered({"label": "polyp", **place}, place))
    assert [found.text for found in spoken.findings] == ["polyp"]
    assert spoken.notes == ("left out: 1 findings that say nothing",)


def test_too_much_is_cut() -> None:
    """Neither a thousand findings nor an endless text is passed on."""
    spoken = read(answered(*[finding(str(n)) for n in range(100)], text="x" * (MAX_TEXT + 1)))
    assert len(spoken.findings) == MAX_FINDINGS
    assert spoken.text.endswith("x …")
    assert "only the first 64 of 100" in spoken.notes[0]


@pytest.mark.parametrize(
    "text", ["", " \n", "``` ```", '{"findings": []}', '{"findings": [', "I see it. " * 2000]
)
def test_what_says_nothing_is_no_answer(text: str) -> None:
    """And says so."""
    with pytest.raises(UnusableAnswer):
        read(text)


@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin-1"))))
def test_any_text_is_an_answer_or_none(text: str) -> None:
    """Never another exception than the one documented."""
    try:
        spoken = read(text)
    except UnusableAnswer:
        return
    assert spoken.text


@given(st.data())
def test_a_mutated_answer_is_an_answer_or_none(data: st.DataObject) -> None:
    """Cut, doubled, or with a character changed anywhere."""
    text = answered(finding(box_2d=[200, 300, 600, 800], polygon=SQUARE), finding("B.", **boxed()))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    try:
        spoken = read(text[:start] + data.draw(st.text(max_size=3)) + text[end:])
    except UnusableAnswer:
        return
    for found in spoken.findings:
        assert found.mask is None or found.mask.shape == SHAPE
