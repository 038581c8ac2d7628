"""Data sets as they lie on disk when unpacked: no field of view, and no mask that could be another's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.errors import UnreadableFile
from omniview.io.pair import find_truths, pair_anything, pair_folder
from omniview.io.pair_read import read_truth_files
from omniview.io.read import read
from tests.io.test_pair import laid_out, pairs_of, reasons_of
from tests.io.test_pair_sets import truths_of

OBJECTS = ("17a962c9a8655b5a22f1", "27a962c9a8655b5a22f1")

SETS = {
    "HRF, a folder for each state": (
        ("healthy/01_h.jpg", "healthy_manualsegm/01_h.tif", "healthy_fovmask/01_h_mask.tif"),
        {"healthy/01_h": "healthy_manualsegm/01_h.tif"},
    ),
    "HRF, flat": (("01_dr.JPG", "01_dr_mask.tif"), {"01_dr": None}),
    "HRF without the truth": (("images/01_dr.JPG", "mask/01_dr_mask.tif"), {"01_dr": None}),
    "DRIVE's test split alone": (("images/01_test.tif", "mask/01_test_mask.gif"), {"01_test": None}),
    "ISIC 2016": (
        (
            "ISBI2016_ISIC_Part1_Training_Data/ISIC_0000000.jpg",
            "ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_0000000_Segmentation.png",
        ),
        {"ISIC_0000000": "ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_0000000_Segmentation.png"},
    ),
    "ISIC 2017 beside 2018": (
        (
            "ISIC-2017_Training_Data/ISIC_0000000.jpg",
            "ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png",
            "ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg",
            "ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png",
        ),
        {
            "ISIC_0000000": "ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png",
            "ISIC-2017_Training_Data/ISIC_0000000.jpg": (
                "ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png"
            ),
        },
    ),
    "ETIS": (
        (
            "ETIS-LaribPolypDB/1.tif",
            "ETIS-LaribPolypDB/11.tif",
            "Ground Truth/p1.tif",
            "Ground Truth/p11.tif",
        ),
        {"1": "Ground Truth/p1.tif", "11": "Ground Truth/p11.tif"},
    ),
    "CVC-EndoSceneStill": (("bbdd/1.bmp", "gtpolyp/1.bmp", "gtlumen/1.bmp"), {"1": "gtpolyp/1.bmp"}),
    "NuInsSeg": (
        (
            "human bladder/tissue images/hb_01.png",
            "human bladder/label masks/hb_01.tif",
            "human bladder/mask binary/hb_01.png",
            "human bladder/distance maps/hb_01.png",
            "human bladder/vague areas/mask binary/hb_01.png",
        ),
        {"human bladder/hb_01": "human bladder/label masks/hb_01.tif"},
    ),
    "MoNuSeg with masks": (
        ("Tissue Images/T-1.tif", "Binary_masks/T-1.png"),
        {"T-1": "Binary_masks/T-1.png"},
    ),
    "Carvana": (("train/x_01.jpg", "train_masks/x_01_mask.gif"), {"train/x_01": "train_masks/x_01_mask.gif"}),
    "GlaS": (("train_1.bmp", "train_1_anno.bmp"), {"train_1": "train_1_anno.bmp"}),
    "accents as macOS writes them": (
        ("images/\u00fc.png", "masks/u\u0308_mask.png"),
        {"\u00fc": "masks/u\u0308_mask.png"},
    ),
    "marks before a name by chance": (
        ("images/1.png", "images/mask_1.png", "masks/mask_1.png", "masks/mask_1_mask.png", "masks/x.png"),
        {"1": None, "mask_1": "masks/mask_1.png"},
    ),
    "a mask of an image that is not there": (("images/x.png", "masks/x_test_mask.png"), {"x": None}),
    "masks beside images beside other masks": (
        ("images/a/1.jpg", "images/a/1_mask.png", "gt/a/2.png"),
        {"a/1": "images/a/1_mask.png"},
    ),
    "images with their masks beside a set of another kind": (
        ("images/x/1.png", "images/x/1-label.png", "x/1.png", "x/gt/1.png", "x/2.png"),
        {"x/1": "images/x/1-label.png", "x/1.png": "x/gt/1.png", "x/2": None},
    ),
    "a set within the images of another": (
        ("labels/b.png", "images/b.jpg", "images/in/b.jpg", "images/in/masks/b.png"),
        {"b": "labels/b.png", "images/in/b": "images/in/masks/b.png"},
    ),
    "names of fields of view in a folder of truths": (
        ("images/01_dr.png", "labels/01_dr_mask.png"),
        {"01_dr": "labels/01_dr_mask.png"},
    ),
    "marks before the name": (("images/001.png", "masks/mask_001.png"), {"001": "masks/mask_001.png"}),
    "a set in a folder called images": (
        ("images/Kvasir/images/a.jpg", "images/Kvasir/masks/a.jpg"),
        {"images/Kvasir/a": "images/Kvasir/masks/a.jpg"},
    ),
    "a set in a folder called annotations": (
        ("annotations/images/a.jpg", "annotations/masks/a.png"),
        {"annotations/a": "annotations/masks/a.png"},
    ),
    "masks of one split alone": (
        ("train/a.png", "val/a.png", "masks/train/a.png"),
        {"train/a": "masks/train/a.png", "val/a": None},
    ),
    "a file of boxes for a label": (("images/a.png", "labels/a.txt", "masks/a.png"), {"a": "masks/a.png"}),
    "thumbnails of a disk station": (
        ("images/a.png", "images/@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/b.png", "masks/a.png"),
        {"a": "masks/a.png"},
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_sets_as_they_are_unpacked(tmp_path: Path, name: str) -> None:
    """Each image has its own truth or none, from the folder as from the image alone."""
    files, expected = SETS[name]
    assert pairs_of(laid_out(tmp_path, *files)) == expected
    for pair in pair_folder(tmp_path).pairs:
        assert find_truths(pair.image) == pair.truths


def test_a_field_of_view_is_told(tmp_path: Path) -> None:
    """Also where its folder was named by hand, or everything lies in one."""
    laid_out(tmp_path, "images/01_test.tif", "mask/01_test_mask.gif")
    told = {"01_test.tif": "no mask has this image's name"}
    told["01_test_mask.gif"] = "it shows the field of view, which is no truth"
    assert reasons_of(tmp_path) == told
    by_hand = pair_folder(tmp_path / "images", tmp_path / "mask")
    assert {one.path.name: one.reason for one in by_hand.unpaired} == told
    assert find_truths(tmp_path / "images" / "01_test.tif") == ()


def test_a_mask_that_could_be_of_two_images_is_given_to_neither(tmp_path: Path) -> None:
    """Two images of one name share no mask, unless each has one of its own suffix."""
    laid_out(tmp_path / "one", "images/a.jpg", "images/a.png", "masks/a.png")
    assert pairs_of(tmp_path / "one") == {"a": None, "images/a.png": None}
    assert reasons_of(tmp_path / "one")["a.jpg"] == "the mask of this name could be another image's"
    reasons = [
        one.reason for one in pair_folder(tmp_path / "one").unpaired if one.path.parent.name == "masks"
    ]
    assert reasons == ["more than one image could be meant"]
    laid_out(tmp_path / "both", "images/a.jpg", "images/a.png", "masks/a.png", "masks/a.jpg")
    assert pairs_of(tmp_path / "both") == {"a": "masks/a.jpg", "images/a.png": "masks/a.png"}
    laid_out(tmp_path / "cases", "images/a.png", "images/A.png", "masks/a_mask.png", "masks/A_mask.png")
    assert pairs_of(tmp_path / "cases") == {"A": "masks/A_mask.png", "images/a.png": "masks/a_mask.png"}
    laid_out(tmp_path / "flat", "a.jpg", "a.png", "a_mask.png")
    assert pairs_of(tmp_path / "flat") == {"a": None, "a.png": None}
    laid_out(tmp_path / "folders", "images/a.jpg", "imgs/a.jpg", "masks/a.png")
    assert set(pairs_of(tmp_path / "folders").values()) == {None}


def test_a_folder_of_images_has_every_reader(tmp_path: Path) -> None:
    """Those beside the folder of images are found as from the folder above, also of images deeper inside."""
    laid_out(
        tmp_path, "images/x/a.tif", "1st_manual/x/a.gif", "2nd_manual/x/a.gif", "mask/x/01_test_mask.gif"
    )
    expected = {"1st_manual": ["1st_manual/x/a.gif"], "2nd_manual": ["2nd_manual/x/a.gif"]}
    for folder in (tmp_path, tmp_path / "images", tmp_path / "images" / "x"):
        assert truths_of(pair_folder(folder), tmp_path) == {"x/a": expected}


def test_a_folder_of_truths_inside_the_folder_of_images(tmp_path: Path) -> None:
    """What a set holds besides is no image, and masks are seen from where they lie."""
    laid_out(tmp_path, "training/images/2.tif", "training/1st_manual/2.gif", "training/other/2.png")
    pairing = pair_folder(tmp_path, tmp_path / "training" / "1st_manual")
    assert truths_of(pairing, tmp_path) == {"training/2": {"": ["training/1st_manual/2.gif"]}}
    assert [one.path.parent.name for one in pairing.unpaired] == ["other"]
    laid_out(tmp_path / "flat", "a.png", "a_mask.png", "T/a.png")
    assert pairs_of(tmp_path / "flat", tmp_path / "flat" / "T") == {"a": "T/a.png"}


def test_masks_of_single_objects(tmp_path: Path) -> None:
    """In DSB 2018 all masks of a folder are its image's, an instance each; those named by words are not."""
    laid_out(tmp_path, "train/abc/images/abc.png", *(f"train/abc/masks/{name}.png" for name in OBJECTS))
    cv2.imwrite(str(tmp_path / "train/abc/images/abc.png"), np.zeros((8, 9), np.uint8))
    for row, name in enumerate(OBJECTS):
        mask = np.zeros((8, 9), np.uint8)
        mask[2 + row, 1:4] = 255
        cv2.imwrite(str(tmp_path / f"train/abc/masks/{name}.png"), mask)
    for folder in (tmp_path, tmp_path / "train" / "abc"):
        (pair,) = pair_folder(folder).pairs
        assert not pair_folder(folder).unpaired
        assert find_truths(pair.image) == pair.truths
    truth = read_truth_files(pair.truths[0], read(pair.image), ("nucleus",))
    assert truth.instances is not None
    assert np.unique(truth.instances).tolist() == [0, 1, 2]
    assert truth.mask[0].sum() == 6
    assert truth.notes == ("2 masks of one object each were united.",)
    laid_out(tmp_path / "organs", "c1/images/c1.png", "c1/masks/liver.png", "c1/masks/spleen.png")
    assert set(pairs_of(tmp_path / "organs").values()) == {None}


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """Pictures of other formats and compressed ones are named, also where there is nothing else."""
    laid_out(tmp_path, "images/a.png", "images/b.heic", "images/c.ppm.gz", "images/notes.txt", "masks/a.png")
    assert reasons_of(tmp_path) == {
        "b.heic": "its format is none that can be opened",
        "c.ppm.gz": "it is compressed (gzip): unpack it first",
    }
    laid_out(tmp_path / "stare", "stare-images/im0001.ppm.gz", "labels-ah/im0001.ah.ppm.gz")
    with pytest.raises(UnreadableFile, match=r"that can be opened \(im0001.*compressed.*and 1 more\)"):
        pair_anything(tmp_path / "stare")


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    """A set of links to folders elsewhere is paired; nothing counts twice, and no link leads upwards."""
    store = laid_out(tmp_path / "store", "i/a.png", "i/deep/b.png", "m/a.png", "m/deep/b.png")
    root = tmp_path / "set"
    root.mkdir()
    for name, target in (("images", "i"), ("masks", "m"), ("other", "i"), ("inner", "i/deep")):
        (root / name).symlink_to(store / target, target_is_directory=True)
    (root / "up").symlink_to(tmp_path, target_is_directory=True)
    assert pairs_of(root) == {"a": "masks/a.png", "deep/b": "masks/deep/b.png"}
    assert not pair_folder(root).unpaired


def test_folders_that_cannot_be_listed_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in them is not lost without a word."""
    laid_out(tmp_path, "images/a.png", "images/shut/b.png", "masks/a.png")
    own = os.scandir

    def refuses(folder: str) -> Iterator[os.DirEntry[str]]:
        if str(folder).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return own(folder)

    monkeypatch.setattr(os, "scandir", refuses)
    assert pairs_of(tmp_path) == {"a": "masks/a.png"}
    assert reasons_of(tmp_path) == {"shut": "this folder cannot be listed (Permission denied)"}


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on other systems")
def test_names_in_another_encoding_are_told(tmp_path: Path) -> None:
    """No journal, table or terminal could hold them; the other images are paired."""
    laid_out(tmp_path, "images/a.png", "masks/a.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/images/\xff.png")).touch()
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/images/d\xfc"))
    laid_out(odd, "b.png")
    assert pairs_of(tmp_path) == {"a": "masks/a.png"}
    assert reasons_of(tmp_path) == dict.fromkeys(
        ("?.png", "d?"), "its name is no valid text (UTF-8): rename it"
    )
    with pytest.raises(UnreadableFile, match="no valid text"):
        pair_folder(odd)
