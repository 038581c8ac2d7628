"""Decoding: every form of answer to the right pixels, and everything else to a reason."""

from __future__ import annotations

import base64
import io
import json
import re
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from omniview.core.image import BoolArray
from omniview.errors import UnusableAnswer
from omniview.omnimodel.answers import Decoded, decode
from tests.omnimodel.forms import BOMB, boxed, disc, entry, fenced, png64
from tests.omnimodel.hostile import HOSTILE

SHAPE = (200, 300)
LABELS = ("polyp",)
# (200, 300, 600, 800) in thousandths of 200 x 300 pixels
BOX = (slice(40, 120), slice(90, 240))
SQUARE_XY = [[300, 200], [800, 200], [800, 600], [300, 600]]
SQUARE_YX = [[y, x] for x, y in SQUARE_XY]


def read(value: Any, labels: tuple[str, ...] = LABELS) -> Decoded:
    """Decode a text, or anything else as JSON."""
    return decode(value if isinstance(value, str) else json.dumps(value), SHAPE, labels)


def only_box() -> BoolArray:
    """Exactly the pixels of BOX."""
    mask = np.zeros(SHAPE, np.bool_)
    mask[BOX] = True
    return mask


def ellipse() -> BoolArray:
    """The disc of `forms.disc`, stretched over the box by Pillow."""
    mask = np.zeros(SHAPE, np.bool_)
    stretched = PIL.Image.fromarray(disc()).resize((150, 80), PIL.Image.Resampling.BILINEAR)
    mask[BOX] = np.asarray(stretched) > 127
    return mask


def test_the_recorded_answer_is_the_union_of_its_masks(shared: Path) -> None:
    """A real answer gives exactly the union of its 15 masks, recomputed with json and PIL alone."""
    text = (shared / "gemini" / "answer_base64_png.txt").read_text("utf-8")
    for shape in ((480, 640), (768, 1024), (1001, 333)):
        expected = np.zeros(shape, np.bool_)
        entries = json.loads(re.sub(r"^```json|```$", "", text.strip()))
        assert len(entries) == 15
        for item in entries:
            top, left, bottom, right = (int(c / 1000 * shape[i % 2]) for i, c in enumerate(item["box_2d"]))
            data = base64.b64decode(item["mask"].removeprefix("data:image/png;base64,"))
            with PIL.Image.open(io.BytesIO(data)) as picture:
                grey = picture.convert("L").resize(
                    (right - left, bottom - top), PIL.Image.Resampling.BILINEAR
                )
            expected[top:bottom, left:right] |= np.asarray(grey) > 127
        decoded = decode(text, shape, LABELS)
        assert decoded.objects == 15
        assert decoded.notes == ()
        assert not decoded.nothing_found
        np.testing.assert_array_equal(decoded.masks[0], expected)


@pytest.mark.parametrize(
    "text",
    [
        fenced([boxed()]),
        json.dumps([boxed()]),
        json.dumps(boxed()),
        f"Here are the masks [as asked]:\n{fenced([boxed()])}\nI hope this helps {{really}}!",
        json.dumps({"segmentation_masks": [boxed()]}),
        json.dumps({"result": {"objects": [boxed()], "count": 1}}),
        json.dumps({"masks": [boxed()]}),
        json.dumps([entry(png64(disc(), prefix=False))]),
        json.dumps([entry({"data": png64(disc())})]),
        json.dumps([boxed()]).replace("/", "_").replace("image_png", "image/png").replace("+", "-"),
        json.dumps([{"Box_2D": [200, 300, 600, 800], "Mask": png64(disc()), "Label": "polyp"}]),
        json.dumps([boxed()]).replace('"', "'"),
        json.dumps([boxed()])[:-2] + ",}]",
        f"```\n{json.dumps([boxed()])}\n```\n```json\n{json.dumps([boxed()])}\n```",
    ],
    ids=[
        "fence", "bare", "one object", "prose with brackets", "wrapper", "nested wrapper", "masks wrapper",
        "no data prefix", "mask in an object", "URL-safe base64", "capitals", "Python quotes",
        "trailing comma", "said twice",
    ],
)  # fmt: skip
def test_wrapping_does_not_matter(text: str) -> None:
    """The same object in any wrapping gives the same mask."""
    decoded = read(text)
    np.testing.assert_array_equal(decoded.masks[0], ellipse())
    assert decoded.objects == 1


@pytest.mark.parametrize(
    ("mask", "note"),
    [
        (SQUARE_XY, None),
        (SQUARE_YX, "y first"),
        ([*SQUARE_XY, SQUARE_XY[0]], None),
        ([float(n) for point in SQUARE_XY for n in point], None),
        ([{"x": x, "y": y} for x, y in SQUARE_XY], None),
        ({"points": SQUARE_XY}, None),
        ([SQUARE_XY[:3], [*SQUARE_XY[2:], SQUARE_XY[0]]], None),
        ([[x / 1000, y / 1000] for x, y in SQUARE_XY], "0 to 1 instead"),
        ([[True] * 8] * 4, "grid"),
        ([[1, 1, 1], [1, 1, 1]], "grid"),
        (png64(np.full((16, 16), 255, np.uint8)), None),
        (png64(np.full((16, 16), 1, np.uint8)), "0 and 1"),
        (png64(np.full((16, 16), 65535, np.uint16)), None),
        (png64(np.full((16, 16, 3), 255, np.uint8)), None),
        (png64(np.dstack([np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 255, np.uint8)])), None),
    ],
    ids=[
        "polygon x first", "polygon y first", "closed polygon", "flat polygon", "x and y named",
        "points in an object", "two parts", "polygon in 0 to 1", "booleans", "grid of numbers", "png",
        "png of ones", "16-bit png", "colour png", "transparent png",
    ],
)  # fmt: skip
def test_every_form_of_mask_fills_its_box(mask: Any, note: str | None) -> None:
    """A mask that covers its box gives that box, in whatever form it is written."""
    decoded = read([entry(mask)])
    np.testing.assert_array_equal(decoded.masks[0], only_box())
    assert note is None or note in " ".join(decoded.notes)


@pytest.mark.parametrize(
    ("box", "expected", "note"),
    [
        ((600, 800, 200, 300), (40, 120, 90, 240), "swapped"),
        ((600, 300, 200, 800), (40, 120, 90, 240), "swapped"),
        ((-20, -10, 500, 1030), (0, 100, 0, 300), "clipped"),
        ((0.2, 0.3, 0.6, 0.8), (40, 120, 90, 240), "0 to 1 instead"),
        ((0, 0, 1000, 1000), (0, 200, 0, 300), None),
    ],
)
def test_boxes_are_mended_with_a_note(
    box: tuple[float, ...], expected: tuple[int, int, int, int], note: str | None
) -> None:
    """Swapped ends, overshoot and another scale are put right, and said."""
    decoded = read([entry(png64(np.full((8, 8), 255, np.uint8)), box)])
    mask = np.zeros(SHAPE, np.bool_)
    mask[expected[0] : expected[1], expected[2] : expected[3]] = True
    np.testing.assert_array_equal(decoded.masks[0], mask)
    assert (note is None and decoded.notes == ()) or (note is not None and note in " ".join(decoded.notes))


SEG = "<start_of_mask><seg_12><seg_7><seg_101>"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("I am sorry, I cannot analyse medical images.", "prose"),
        ("The polyp is at [200, 300].", "no masks"),
        ("{}", "no masks"),
        ("null", "prose"),
        ([entry()], "box but no mask"),
        ([{"label": "polyp"}], "no masks"),
        ([[200, 300, 600, 800]], "no masks"),
        ([entry("")], "mask is empty"),
        ([entry([])], "box but no mask"),
        ([entry(7)], "box but no mask"),
        ([entry(SEG)], "<seg> tokens"),
        (SEG, "<seg> tokens"),
        ([entry("data:image/png;base64,!!!")], "broken base64"),
        ([entry(png64(disc())[:-60])], "cut off or damaged"),
        ([entry(base64.b64encode(b"GIF89a" + bytes(40)).decode())], "not a PNG"),
        ([entry(base64.b64encode(b"\x89PNG\r\n\x1a\n").decode())], "not a PNG"),
        ([entry(BOMB)], "60000x60000"),
        ([entry(png64(disc()), (200, 300, 600))], "not four numbers"),
        ([entry(png64(disc()), (200, 300, 600, 800, 1))], "not four numbers"),
        ([entry(png64(disc()), (200, 300, 600, "800"))], "not four numbers"),
        ([entry(png64(disc()), (200, 300, True, 800))], "not four numbers"),
        ([entry(png64(disc()), (200, 300, 6000, 800))], "outside the image"),
        ([entry(png64(disc()), (200, 300, 200, 800))], "no area"),
        ([entry(png64(disc()), (200, 300, 201, 301))], "smaller than a pixel"),
        ('[{"box_2d": [NaN, 0, 10, 10], "mask": [[1,2],[3,4],[5,9]]}]', "not four numbers"),
        ('[{"box_2d": [1e400, 0, 10, 10], "mask": [[1,2],[3,4],[5,9]]}]', "not four numbers"),
        ([entry(SQUARE_XY[:2])], "fewer than 3"),
        ([entry([SQUARE_XY[0]] * 9)], "fewer than 3"),
        ([entry([1, 2, 3, 4, 5, 6, 7])], "odd number"),
        ([entry([[1, 2], [3, 4, 5], [6, 7]])], "not two numbers"),
        ([entry([[1, 2], ["a", 4], [6, 7]])], "not made of numbers"),
        ([entry([[1, 2], None, [6, 7]])], "not two numbers"),
        ([entry([{"x": 1}, {"x": 2}, {"x": 3}])], "not made of numbers"),
        ([entry([[300, 9000], [800, 200], [500, 500]])], "outside the image"),
        ([entry([[0, 900], [90, 900], [90, 990], [0, 990]])], "outside its own box"),
        ([entry([[400, 400], [400.1, 400], [400, 400.1]])], "encloses no pixel"),
        ([entry({"counts": "abc", "size": [9, 9]})], "unknown form"),
        ([entry([[i % 1000, i % 7] for i in range(9000)])], "9000 points"),
        ([entry(png64(np.zeros((64, 64), np.uint8)), None)], "image's proportions"),
        ('[{"box_2d": [200, 300, 600, 800], "mask": "data:image/png;base64,iVBORw0KGgo', "breaks off"),
        ('[{"box_2d": [200, 300, 600, 800], "mask": [[300, 200], [800, 2', "breaks off"),
        ('{"a": ' + "[" * 100_000, "repeats itself"),
        ("polyp polyp " * 5000, "repeats itself"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(answer: Any, reason: str) -> None:
    """No usable mask is an error that says why, never an empty mask."""
    with pytest.raises(UnusableAnswer, match=re.escape(reason)) as caught:
        read(answer)
    assert caught.value.next_step


@pytest.mark.parametrize(
    "text",
    ["[]", "```json\n[]\n```", '{"polyps": []}', "There is no polyp in this image.\n\n```json\n[ ]\n```"],
)
def test_nothing_found_is_an_answer_of_its_own(text: str) -> None:
    """An empty list says that there is nothing, and only then is the mask empty."""
    decoded = read(text)
    assert decoded.nothing_found
    assert decoded.masks.shape == (1, *SHAPE)
    assert not decoded.masks.any()


@pytest.mark.parametrize("text", ["[", "[] and [", "[[]]", "{}", '{"a": [], "b": []}', "[] []", '[] {"a": 1'])
def test_what_is_not_clearly_nothing_is_unusable(text: str) -> None:
    """A stray pair of brackets does not mean that there is no lesion."""
    with pytest.raises(UnusableAnswer):
        read(text)


def test_whole_objects_of_a_broken_answer_are_used() -> None:
    """Of an answer that breaks off, every whole object counts and a note says so."""
    text = fenced([boxed(), entry(SQUARE_XY), entry(SQUARE_XY, (0, 0, 100, 100))])
    for end in range(text.index("}") + 1, text.rindex('"label"'), 7):
        decoded = read(text[:end])
        assert decoded.objects == text[:end].count("}")
        assert "cut off" in " ".join(decoded.notes)
    in_the_middle = text.replace('"label": "polyp"', '"label": "pol', 1)
    np.testing.assert_array_equal(read(in_the_middle).masks[0], only_box())


def test_an_unterminated_mask_costs_only_its_own_object() -> None:
    """Base64 whose closing quote is missing spoils one entry, not the next."""
    text = json.dumps([boxed(label="a"), entry(SQUARE_XY)])
    broken = text.replace('", "label": "a"', ', "label": "a"', 1)
    np.testing.assert_array_equal(read(broken).masks[0], only_box())


def test_some_objects_unusable_leaves_the_others() -> None:
    """What is left out is counted in the notes."""
    decoded = read([boxed(), entry(), entry(SEG), entry(SQUARE_XY[:2])])
    np.testing.assert_array_equal(decoded.masks[0], ellipse())
    assert decoded.objects == 1
    assert len([note for note in decoded.notes if "left out" in note]) == 3


def test_repetition_counts_once() -> None:
    """A model that repeats an object without end has named it once."""
    text = "[" + ", ".join([json.dumps(boxed())] * 3000)
    decoded = read(text)
    assert decoded.objects == 1
    assert "repeated" in " ".join(decoded.notes)
    assert "repeats itself" in " ".join(decoded.notes)


def test_objects_are_capped() -> None:
    """More objects than any image holds are not all drawn, and that is said."""
    many = [
        entry([[i % 900, i // 9], [i % 900 + 50, i // 9], [i % 900, i // 9 + 90]], None) for i in range(1500)
    ]
    decoded = read(many)
    assert decoded.objects == 640
    assert "first 640" in " ".join(decoded.notes)


def test_painting_is_capped() -> None:
    """Many masks of the whole image cannot make decoding take minutes."""
    whole = [
        entry(png64(np.full((2048, 2048), 255 - i % 3, np.uint8)), (0, 0, 1000, 1000 - i)) for i in range(40)
    ]
    decoded = decode(json.dumps(whole), (1500, 1500), LABELS)
    assert 0 < decoded.objects < 12
    assert "more pixels than one answer may" in " ".join(decoded.notes)


def test_a_polygon_is_exact() -> None:
    """A pixel belongs to a polygon if its centre lies inside, as OpenCV's point test sees it."""
    points = [[105, 207], [911, 121], [613, 480], [880, 777], [333, 903], [400, 450]]
    decoded = read([entry(points, (100, 100, 920, 920))])
    corners = np.array(points, np.float32) * np.array([300, 200], np.float32) / 1000
    for row in range(0, 200, 3):
        for column in range(0, 300, 3):
            inside = cv2.pointPolygonTest(corners, (column + 0.5, row + 0.5), False)
            assert inside == 0 or decoded.masks[0, row, column] == (inside > 0)


def test_labels_choose_the_mask() -> None:
    """With several labels each object goes to its own; one of none of them is left out."""
    left, right = (0, 0, 1000, 400), (0, 600, 1000, 1000)
    grid = [[True] * 3] * 3
    answer = [
        entry(grid, left, label="the Optic Disc"),
        entry(grid, right, label="optic cup"),
        entry(grid, (0, 400, 1000, 600), label="vessel"),
    ]
    decoded = read(answer, ("optic disc", "cup", "optic cup"))
    assert decoded.masks[0, :, :120].all()
    assert not decoded.masks[0, :, 120:].any()
    assert not decoded.masks[1].any()
    assert decoded.masks[2, :, 180:].all()
    assert "none of those asked for" in " ".join(decoded.notes)


@pytest.mark.parametrize("kind", HOSTILE)
def test_ten_megabytes_of_anything_stay_small(kind: str) -> None:
    """The worst answers end in masks or a reason, within 50 MB of memory beside the answer itself."""
    text = HOSTILE[kind]()
    tracemalloc.start()
    try:
        with suppress(UnusableAnswer):
            decode(text, (1000, 1200), LABELS)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
