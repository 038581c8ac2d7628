"""Lists of files, as spreadsheets, scripts and other systems write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniview.errors import UnreadableFile
from omniview.io.pair import pair_anything
from tests.io.test_pair import laid_out
from tests.io.test_pair_sets import dicom, truths_of

OWN = {"images/a": {"": ["masks/b.png"]}}

LISTS: dict[str, tuple[str | bytes, dict[str, dict[str, list[str]]]]] = {
    "headings of paths": ("image_path,mask_path\nimages/a.png,masks/b.png\n", OWN),
    "names beside paths": ("filename,image_path,mask\na,images/a.png,masks/b.png\n", OWN),
    "more cells than headings": ("image,mask\nimages/a.png,masks/b.png,masks/a.png\n", OWN),
    "masks first": ("mask_path,image_path\nmasks/b.png,images/a.png\n", OWN),
    "numbers first": ("id,Image Path,Mask Path\n1,images/a.png,masks/b.png\n", OWN),
    "semicolons, quotes, a mark of byte order": (
        '\ufeff"image";"mask"\r\n"images/a.png";"masks/b.png"\r\n',
        OWN,
    ),
    "UTF-16": ("image\tmask\r\nimages/a.png\tmasks/b.png\r\n".encode("utf-16"), OWN),
    "Windows": ("image,mask\r\nimages\\a.png,.\\masks\\b.png\r\n", OWN),
    "old Macintosh": ("image,mask\rimages/a.png,masks/b.png\r", OWN),
    "commas in comments alone": ("# by x, y\nimages/a.png\tmasks/b.png\n", OWN),
    "a mask in a later line": (
        "images/b.png\nimages/a.png,masks/b.png\n",
        {"images/b": {"": ["masks/b.png"]}, **OWN},
    ),
    "two columns of one name": (
        "image,mask,mask\nimages/a.png,masks/a.png,masks/b.png\n",
        {"images/a": {"mask": ["masks/a.png"], "mask-2": ["masks/b.png"]}},
    ),
    "several masks without a heading": (
        "images/a.png,masks/a.png,masks/b.png\nimages/b.png\n",
        {"images/a": {"1": ["masks/a.png"], "2": ["masks/b.png"]}, "images/b": {"": ["masks/b.png"]}},
    ),
    "names with a comma, a quotation mark, a hash": (
        's, l.png\n5" scan.png\n#1.png\n# images/a.png\n',
        {"s, l": {}, '5" scan': {}, "#1": {}},
    ),
    "several masks of one image": (
        "busi/b (1).png\n",
        {"busi/b (1)": {"": ["busi/b (1)_mask.png", "busi/b (1)_mask_1.png"]}},
    ),
    "several readers": (
        "d/images/x/a.png\n",
        {"d/images/x/a": {name: [f"d/{name}/x/a.png"] for name in ("1st_manual", "2nd_manual")}},
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Everything that the lists name."""
    laid_out(tmp_path, *(f"{folder}/{name}.png" for folder in ("images", "masks") for name in "ab"))
    laid_out(tmp_path, "s, l.png", '5" scan.png', "#1.png")
    laid_out(tmp_path, "busi/b (1).png", "busi/b (1)_mask.png", "busi/b (1)_mask_1.png")
    return laid_out(tmp_path, *(f"d/{name}/x/a.png" for name in ("images", "1st_manual", "2nd_manual")))


@pytest.mark.parametrize("name", LISTS)
def test_lists_as_they_are_written(root: Path, name: str) -> None:
    """The image is the image and the mask the mask, in whatever order, separator and encoding."""
    text, expected = LISTS[name]
    (root / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = truths_of(pair_anything(root / "list.csv"), root)
    assert found == expected


def test_columns_that_hold_no_masks_are_told(root: Path) -> None:
    """Beside a column called mask, others of files are no readers; a field of view is none anyhow."""
    (root / "list.csv").write_text(
        "image,mask,overlay,fov\nimages/a.png,masks/b.png,images/b.png,masks/a.png\n"
    )
    pairing = pair_anything(root / "list.csv")
    assert truths_of(pairing, root) == OWN
    assert [one.reason for one in pairing.unpaired] == [
        "its column 'overlay' holds no masks by its name",
        "its column 'fov' holds no masks by its name",
    ]
    (root / "list.csv").write_text("image,anna,fov\nimages/a.png,masks/b.png,masks/a.png\n")
    assert truths_of(pair_anything(root / "list.csv"), root) == OWN


def test_a_row_is_counted_once(root: Path) -> None:
    """The same line twice is one case, and told."""
    (root / "list.txt").write_text("images/a.png\nimages/b.png\n./images/a.png\n")
    pairing = pair_anything(root / "list.txt")
    assert [pair.name for pair in pairing.pairs] == ["images/a", "images/b"]
    assert [one.reason for one in pairing.unpaired] == ["line 3 says the same as line 1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\nimages/a.png,masks/a.png\n", "does not say which column holds the images"),
        ('image,mask\n"images/a.png,masks/a.png\nimages/b.png,masks/b.png\n', "cannot be understood"),
        ('image\n"' + "x" * 200_000, "cannot be understood"),
        ("image,mask\n", "names no image"),
        ("name,split\n001,train\n002,test\n", "names no image"),
        ("images/a.png\0\n", "is no text"),
    ],
)
def test_lists_that_could_be_misread_are_refused(root: Path, text: str, said: str) -> None:
    """Rather than to take masks for images, or to lose the lines after a quotation mark."""
    (root / "list.csv").write_text(text)
    with pytest.raises(UnreadableFile, match=said) as refused:
        pair_anything(root / "list.csv")
    assert refused.value.next_step


def test_masks_of_a_list_are_looked_for_each_time(root: Path) -> None:
    """A window stays open for days: a mask that came or went since is seen."""
    (root / "list.txt").write_text("images/a.png\n")
    assert truths_of(pair_anything(root / "list.txt"), root) == {"images/a": {"": ["masks/a.png"]}}
    (root / "masks" / "a.png").unlink()
    assert truths_of(pair_anything(root / "list.txt"), root) == {"images/a": {}}


def test_clips_of_a_list_are_a_case_a_frame(tmp_path: Path) -> None:
    """As in a folder; what is listed but not there stays a case, which will say so."""
    dicom(tmp_path / "IM0001", 3)
    (tmp_path / "list.txt").write_text("IM0001\nIM0002\n")
    assert [pair.name for pair in pair_anything(tmp_path / "list.txt").pairs] == [
        "IM0001#0",
        "IM0001#1",
        "IM0001#2",
        "IM0002",
    ]
