"""Pairs by name: every layout that data sets come in, and no wrong mask for any image."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniview.errors import UnreadableFile
from omniview.io.pair import find_truths, pair_folder


def laid_out(root: Path, *names: str) -> Path:
    """`root`, with empty files of these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def pairs_of(root: Path, truth: Path | None = None) -> dict[str, str | None]:
    """Pair name to mask below `root`."""
    pairing = pair_folder(root, truth)
    return {
        pair.name: str(pair.truth.relative_to(root).as_posix()) if pair.truth else None
        for pair in pairing.pairs
    }


def reasons_of(root: Path) -> dict[str, str]:
    """File name to the reason why it is unpaired."""
    return {item.path.name: item.reason for item in pair_folder(root).unpaired}


LAYOUTS = {
    "mirrored": (("images/a.jpg", "masks/a.png", "split.csv"), {"a": "masks/a.png"}),
    "mirrored, nested": (
        ("images/x/a.jpg", "images/y/a.jpg", "masks/x/a.png", "masks/y/a.png"),
        {"x/a": "masks/x/a.png", "y/a": "masks/y/a.png"},
    ),
    "mirrored, upper case": (("Images/A.JPG", "Masks/a.PNG"), {"A": "Masks/a.PNG"}),
    "mirrored, with suffix": (("imgs/a.jpg", "labels/a_label.png"), {"a": "labels/a_label.png"}),
    "masks in a folder beside images": (("a.jpg", "masks/a.png"), {"a": "masks/a.png"}),
    "DRIVE": (
        ("images/21_training.tif", "1st_manual/21_manual1.gif", "mask/21_training_mask.gif"),
        {"21_training": "1st_manual/21_manual1.gif"},
    ),
    "HRF": (("images/01_dr.JPG", "manual1/01_dr.tif", "mask/01_dr_mask.tif"), {"01_dr": "manual1/01_dr.tif"}),
    "CHASE": (
        ("Image_01L.jpg", "Image_01L_1stHO.png", "Image_01L_2ndHO.png"),
        {"Image_01L": "Image_01L_1stHO.png"},
    ),
    "BUSI": (
        ("benign/benign (1).png", "benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png"),
        {"benign/benign (1)": "benign/benign (1)_mask.png"},
    ),
    "ISIC": (("ISIC_1.jpg", "ISIC_1_segmentation.png"), {"ISIC_1": "ISIC_1_segmentation.png"}),
    "volumes": (("images/p1.nii.gz", "labels/p1.nii.gz"), {"p1": "labels/p1.nii.gz"}),
    "hyphens": (("a.png", "a-mask.png"), {"a": "a-mask.png"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    """The usual layouts pair, as a folder and from a single image."""
    names, expected = LAYOUTS[layout]
    laid_out(tmp_path, *names)
    assert pairs_of(tmp_path) == expected
    for pair in pair_folder(tmp_path).pairs:
        assert find_truths(pair.image) == pair.truths


def test_folder_of_images_with_masks_beside_it(tmp_path: Path) -> None:
    """The folder of images itself may be given."""
    laid_out(tmp_path, "images/a.jpg", "masks/a.png")
    pairing = pair_folder(tmp_path / "images")
    assert [(pair.name, pair.truth) for pair in pairing.pairs] == [("a", tmp_path / "masks" / "a.png")]


def test_folder_of_masks_by_hand(tmp_path: Path) -> None:
    """A folder of masks that is named by hand is used, wherever it is, and is not taken for images."""
    laid_out(tmp_path, "a.jpg", "observer2/a.png", "b.jpg")
    assert pairs_of(tmp_path, tmp_path / "observer2") == {"a": "observer2/a.png", "b": None}
    with pytest.raises(UnreadableFile, match="cannot be listed"):
        pair_folder(tmp_path, tmp_path / "a.jpg")


def test_unpaired_files_are_told(tmp_path: Path) -> None:
    """Images without a mask stay in the pairs; they and unused masks are listed with a reason."""
    laid_out(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.png", "masks/a.tif", "masks/c.png")
    assert pairs_of(tmp_path) == {"a": "masks/a.png", "b": None}
    assert reasons_of(tmp_path) == {
        "b.jpg": "no mask has this image's name",
        "a.tif": "a.png is used instead",
        "c.png": "no image has this mask's name",
    }


def test_loose_names_never_give_a_wrong_mask(tmp_path: Path) -> None:
    """Where stripping an image's suffix would let two images claim one mask, neither gets the other's."""
    laid_out(tmp_path, "x.png", "x_test.png", "x_mask.png")
    assert pairs_of(tmp_path) == {"x": "x_mask.png", "x_test": None}
    assert find_truths(tmp_path / "x_test.png") == ()
    other = laid_out(tmp_path / "other", "y_train.png", "y_test.png", "y_training.png", "y_mask.png")
    assert pairs_of(other) == {"y_train": None, "y_test": None, "y_training": None}
    assert reasons_of(other)["y_mask.png"] == "more than one image could be meant"


def test_prefixes_do_not_match(tmp_path: Path) -> None:
    """`a1` does not get the mask of `a10`."""
    laid_out(tmp_path, "images/a1.png", "images/a10.png", "masks/a10.png")
    assert pairs_of(tmp_path) == {"a1": None, "a10": "masks/a10.png"}
    assert find_truths(tmp_path / "images" / "a1.png") == ()


def test_names_are_unique_and_in_natural_order(tmp_path: Path) -> None:
    """Two images of one stem keep their suffixes apart, and 2 comes before 10."""
    laid_out(tmp_path, "x10.png", "x2.png", "x2.jpg", "x2_mask.png")
    assert list(pairs_of(tmp_path)) == ["x2", "x2.png", "x10"]


def test_what_could_not_be_paired_is_in_natural_order(tmp_path: Path) -> None:
    """It is written into results, which must not depend on how a disk lists a folder."""
    laid_out(tmp_path, "images/b.png", *(f"masks/z{k}.png" for k in (10, 9, 2, 30)), "images/A.png")
    names = [one.path.name for one in pair_folder(tmp_path).unpaired]
    assert names == ["A.png", "b.png", "z2.png", "z9.png", "z10.png", "z30.png"]


def test_hidden_and_foreign_files_are_left_out(tmp_path: Path) -> None:
    """Thumbnails, hidden files and tables are no cases."""
    laid_out(tmp_path, "a.png", ".b.png", "._a.png", ".git/c.png", "Thumbs.db", "split.csv")
    assert list(pairs_of(tmp_path)) == ["a"]


def test_folder_that_holds_nothing(tmp_path: Path) -> None:
    """An empty folder, a missing one and a file are refused in words."""
    with pytest.raises(UnreadableFile, match="no image"):
        pair_folder(tmp_path)
    with pytest.raises(UnreadableFile, match="cannot be listed"):
        pair_folder(tmp_path / "missing")
    assert find_truths(laid_out(tmp_path, "a.png") / "a.png") == ()


def test_links_are_not_walked_in_circles(tmp_path: Path) -> None:
    """A link back to the folder itself does not hang the listing."""
    laid_out(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images", target_is_directory=True)
    assert pairs_of(tmp_path) == {"a": "masks/a.png"}


def test_many_files(tmp_path: Path) -> None:
    """Twenty thousand entries pair completely."""
    for index in range(10_000):
        (tmp_path / f"c{index}.png").touch()
        (tmp_path / f"c{index}_mask.png").touch()
    pairing = pair_folder(tmp_path)
    assert len(pairing.pairs) == 10_000
    assert not pairing.unpaired
    assert all(
        pair.truth is not None and pair.truth.name == f"{pair.name}_mask.png" for pair in pairing.pairs
    )


@pytest.mark.parametrize(
    "name", ["polyp_kvasir", "breast_busi", "vessel_chase", "vessel_hrf", "nuclei_dsb2018"]
)
def test_real_folders(shared: Path, name: str) -> None:
    """Every real image has its mask, and nothing is left over."""
    folder = shared / "data" / name
    pairing = pair_folder(folder)
    assert not pairing.unpaired
    assert len(pairing.pairs) == len(list((folder / "images").iterdir()))
    assert all(pair.truth is not None and pair.truth.stem == pair.image.stem for pair in pairing.pairs)
    assert find_truths(pairing.pairs[3].image) == pairing.pairs[3].truths


def test_a_folder_that_cannot_be_listed_holds_no_truth(tmp_path: Path) -> None:
    """An image may lie where its own folder can be entered but not listed."""
    assert find_truths(tmp_path / "gone" / "images" / "a.png") == ()


def test_names_differ_in_more_than_case(tmp_path: Path) -> None:
    """Results are named after them, and a and A are one file on Windows and macOS."""
    laid_out(tmp_path, "images/a.png", "images/A.jpg", "masks/a.png")
    assert len({pair.name.lower() for pair in pair_folder(tmp_path).pairs}) == 2


def test_numbers_in_names_count(tmp_path: Path) -> None:
    """Whatever their length and leading zeros, wherever they stand, and before letters."""
    laid_out(tmp_path, *(f"{name}.png" for name in ("a12b", "a2b10", "a2b9", "a002b1", "ab", "a", "10", "9")))
    assert list(pairs_of(tmp_path)) == ["9", "10", "a002b1", "a2b9", "a2b10", "a12b", "a", "ab"]
