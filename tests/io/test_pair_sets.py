"""Layouts of the common sets: several readers, united masks, nested folders, lists, COCO, DICOM studies."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.errors import InputError, SizeMismatch, UnreadableFile
from omniview.io.pair import Pairing, pair_anything, pair_folder
from omniview.io.pair_read import read_truth_files
from omniview.io.read import read
from tests.io.test_pair import laid_out


def truths_of(pairing: Pairing, root: Path) -> dict[str, dict[str, list[str]]]:
    """Pair name to reader to masks below `root`."""
    return {
        pair.name: {
            truth.reader: [file.relative_to(root).as_posix() for file in truth.files] for truth in pair.truths
        }
        for pair in pairing.pairs
    }


SETS = {
    "CHASE": (
        ("Image_01L.jpg", "Image_01L_1stHO.png", "Image_01L_2ndHO.png"),
        {"Image_01L": {"1stHO": ["Image_01L_1stHO.png"], "2ndHO": ["Image_01L_2ndHO.png"]}},
    ),
    "DRIVE": (
        (
            "training/images/21_training.tif",
            "training/1st_manual/21_manual1.gif",
            "training/mask/21_training_mask.gif",
            "test/images/01_test.tif",
            "test/1st_manual/01_manual1.gif",
            "test/2nd_manual/01_manual2.gif",
            "test/mask/01_test_mask.gif",
        ),
        {
            "test/01_test": {
                "1st_manual": ["test/1st_manual/01_manual1.gif"],
                "2nd_manual": ["test/2nd_manual/01_manual2.gif"],
            },
            "training/21_training": {"1st_manual": ["training/1st_manual/21_manual1.gif"]},
        },
    ),
    "DRIVE without the truth of its test split": (
        (
            "training/images/21_training.tif",
            "training/1st_manual/21_manual1.gif",
            "test/images/01_test.tif",
            "test/mask/01_test_mask.gif",
        ),
        {"test/01_test": {}, "training/21_training": {"": ["training/1st_manual/21_manual1.gif"]}},
    ),
    "STARE": (
        ("stare-images/im0001.ppm", "labels-ah/im0001.ah.ppm", "labels-vk/im0001.vk.ppm"),
        {"im0001": {"labels-ah": ["labels-ah/im0001.ah.ppm"], "labels-vk": ["labels-vk/im0001.vk.ppm"]}},
    ),
    "HRF": (
        ("images/01_dr.JPG", "manual1/01_dr.tif", "mask/01_dr_mask.tif"),
        {"01_dr": {"": ["manual1/01_dr.tif"]}},
    ),
    "BUSI": (
        (
            "benign/benign (1).png",
            "benign/benign (1)_mask.png",
            "benign/benign (1)_mask_1.png",
            "benign/benign (1)_mask_2.png",
            "normal/normal (1).png",
        ),
        {
            "benign/benign (1)": {
                "": [f"benign/benign (1)_mask{number}.png" for number in ("", "_1", "_2")],
            },
            "normal/normal (1)": {},
        },
    ),
    "CVC": (("Original/1.tif", "Ground Truth/1.tif"), {"1": {"": ["Ground Truth/1.tif"]}}),
    "ISIC 2018": (
        (
            "ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg",
            "ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png",
        ),
        {"ISIC_0000000": {"": ["ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png"]}},
    ),
    "ISIC, flat": (
        ("ISIC_0000001.jpg", "ISIC_0000001_Segmentation.png"),
        {"ISIC_0000001": {"": ["ISIC_0000001_Segmentation.png"]}},
    ),
    "splits": (
        ("train/images/a.png", "train/masks/a.png", "val/images/a.png", "val/masks/a.png"),
        {"train/a": {"": ["train/masks/a.png"]}, "val/a": {"": ["val/masks/a.png"]}},
    ),
    "readers in one folder of masks": (
        ("images/a.png", "masks/a_observer1.png", "masks/a_observer2.png"),
        {"a": {"observer1": ["masks/a_observer1.png"], "observer2": ["masks/a_observer2.png"]}},
    ),
    "a second observer beside masks": (
        ("images/a.png", "masks/a.png", "second_observer/a.png"),
        {"a": {"masks": ["masks/a.png"], "second_observer": ["second_observer/a.png"]}},
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_common_sets(tmp_path: Path, name: str) -> None:
    """Every reader's masks are found, apart from each other, and the field of view is no mask."""
    files, expected = SETS[name]
    assert truths_of(pair_folder(laid_out(tmp_path, *files)), tmp_path) == expected


def test_what_is_left_over_is_told(tmp_path: Path) -> None:
    """Fields of view and images outside of the folder of images are named with the reason."""
    root = laid_out(tmp_path, "images/a.tif", "1st_manual/a_manual1.gif", "mask/a_mask.gif", "overview.png")
    told = {one.path.name: one.reason for one in pair_folder(root).unpaired}
    assert told == {
        "a_mask.gif": "another folder holds the masks",
        "overview.png": "it lies outside of the folder of images",
    }


def test_a_folder_of_readers(tmp_path: Path) -> None:
    """The folder of truths may hold a folder for each reader."""
    root = laid_out(tmp_path, "x/a.png", "truths/observer1/a.png", "truths/observer2/a.png")
    assert truths_of(pair_folder(root / "x", root / "truths"), root) == {
        "a": {"observer1": ["truths/observer1/a.png"], "observer2": ["truths/observer2/a.png"]}
    }


def test_masks_are_united(tmp_path: Path) -> None:
    """Several masks of one image are one truth, which says so; one of another size is refused."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 9), np.uint8))
    for name, column in (("a_mask.png", 1), ("a_mask_1.png", 5)):
        mask = np.zeros((8, 9), np.uint8)
        mask[2:4, column : column + 2] = 255
        cv2.imwrite(str(tmp_path / name), mask)
    (pair,) = pair_folder(tmp_path).pairs
    truth = read_truth_files(pair.truths[0], read(pair.image), ("lesion",))
    assert np.flatnonzero(truth.mask[0].any(axis=0)).tolist() == [1, 2, 5, 6]
    assert truth.notes == ("2 masks of this image were united.",)
    assert len(pair.files) == 3
    cv2.imwrite(str(tmp_path / "a_mask_1.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(SizeMismatch):
        read_truth_files(pair.truths[0], read(pair.image), ("lesion",))


def test_lists(tmp_path: Path) -> None:
    """Paths line by line, with or without masks, and tables with a column for each reader."""
    root = laid_out(tmp_path, "d/a.png", "d/a_mask.png", "d/b.png", "e/a.png", "m/1.png", "m/2.png")
    (root / "plain.txt").write_text("# a comment\nd/a.png\n\nd/b.png\ne/a.png\td/a_mask.png\n")
    pairing = pair_anything(root / "plain.txt")
    assert truths_of(pairing, root) == {
        "d/a": {"": ["d/a_mask.png"]},
        "d/b": {},
        "e/a": {"": ["d/a_mask.png"]},
    }
    assert [one.path.name for one in pairing.unpaired] == ["b.png"]
    (root / "table.csv").write_text("id,image,anna,ben\n1,d/a.png,m/1.png,m/2.png\n2,d/a.png,m/2.png,\n")
    found = truths_of(pair_anything(root / "table.csv"), root)
    assert found["d/a"] == {"anna": ["m/1.png"], "ben": ["m/2.png"]}
    assert found["d/a.png"] == {"anna": ["m/2.png"]}
    (root / "empty.txt").write_text("# nothing\n")
    with pytest.raises(UnreadableFile, match="names no image"):
        pair_anything(root / "empty.txt")
    (root / "bad.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        pair_anything(root / "bad.txt")


def coco(root: Path, segmentations: list[object], **image: object) -> Path:
    """Images of 6x8 and annotations of the first."""
    (root / "images").mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(root / "images" / name), np.zeros((6, 8), np.uint8))
    values = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 8, "height": 6, **image},
            {"id": 9, "file_name": "gone.png"},
        ],
        "categories": [{"id": 1, "name": "Polyp"}, {"id": 2, "name": "tool"}],
        "annotations": [
            {"image_id": 7, "category_id": 1 + index, "segmentation": one}
            for index, one in enumerate(segmentations)
        ],
    }
    (root / "annotations").mkdir(exist_ok=True)
    path = root / "annotations" / "instances.json"
    path.write_text(json.dumps(values))
    return path


def test_coco(tmp_path: Path) -> None:
    """Polygons fill the pixels whose centres they hold, runs are decoded, and categories are told apart."""
    polygon = [[1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]]
    runs = {"size": [6, 8], "counts": [37, 2, 9]}
    path = coco(tmp_path, [polygon, runs])
    for pairing in (pair_folder(tmp_path), pair_folder(tmp_path / "images", path)):
        (one, other) = pairing.pairs
        assert (one.name, one.truths[0].item) == ("a", "7")
        assert other.truth is None
        assert {left.path.name for left in pairing.unpaired} == {"b.png", "gone.png"}
    image = read(one.image)
    drawn = np.zeros((6, 8), bool)
    drawn[1:4, 1:5] = True
    truth = read_truth_files(one.truths[0], image, ("polyp",))
    np.testing.assert_array_equal(truth.mask[0], drawn)
    everything = read_truth_files(one.truths[0], image, ("lesion",))
    both = drawn.copy()
    both[1:3, 6] = True
    np.testing.assert_array_equal(everything.mask[0], both)
    assert everything.instances is not None
    assert everything.instances.max() == 2
    each = read_truth_files(one.truths[0], image, ("polyp", "tool"))
    np.testing.assert_array_equal(each.mask, np.stack([drawn, both & ~drawn]))
    with pytest.raises(UnreadableFile, match="no category"):
        read_truth_files(one.truths[0], image, ("polyp", "wart"))


def test_compressed_runs(tmp_path: Path) -> None:
    """The compressed form gives the mask of the runs that it was made of."""
    rng = np.random.default_rng(5)
    mask = rng.random((6, 8)) > 0.6
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    runs = [0, *runs] if flat[0] else runs
    coco(tmp_path, [{"size": [6, 8], "counts": packed(runs)}])
    (pair, _) = pair_folder(tmp_path).pairs
    truth = read_truth_files(pair.truths[0], read(pair.image), ("polyp",))
    np.testing.assert_array_equal(truth.mask[0], mask)


def packed(runs: list[int]) -> str:
    """Runs as COCO compresses them: five bits and a mark that more follow, less than zero by sign."""
    text = ""
    for place, run in enumerate(runs):
        value = run - (runs[place - 2] if place > 2 else 0)
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | 32 if more else bits) + 48)
    return text


@pytest.mark.parametrize("broken", [{"size": [6, 8], "counts": [3]}, [[1.0, 2.0, 3.0]], 5])
def test_broken_outlines_are_told(tmp_path: Path, broken: object) -> None:
    """An outline that makes no sense is a message for its own image alone."""
    coco(tmp_path, [broken])
    (pair, _) = pair_folder(tmp_path).pairs
    with pytest.raises(UnreadableFile, match="cannot be understood"):
        read_truth_files(pair.truths[0], read(pair.image), ("polyp",))


def test_coco_of_other_sizes_and_kinds(tmp_path: Path) -> None:
    """Annotations of another size are refused, and a file that holds none."""
    coco(tmp_path, [], width=80)
    (pair, _) = pair_folder(tmp_path).pairs
    with pytest.raises(SizeMismatch, match="80x6"):
        read_truth_files(pair.truths[0], read(pair.image), ("polyp",))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(UnreadableFile, match="not a file of COCO"):
        pair_folder(tmp_path / "images", tmp_path / "other.json")


def dicom(path: Path, frames: int) -> None:
    """A small DICOM file of grey frames."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    values = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    values.SOPClassUID, values.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    values.Rows, values.Columns, values.SamplesPerPixel, values.NumberOfFrames = 6, 8, 1, frames
    values.PhotometricInterpretation, values.PixelRepresentation = "MONOCHROME2", 0
    values.BitsAllocated = values.BitsStored = 8
    values.HighBit = 7
    pixels = np.arange(frames * 48, dtype=np.uint8).reshape(frames, 6, 8)
    values.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, values, enforce_file_format=True)


def test_dicom_studies(tmp_path: Path) -> None:
    """Files without a suffix are found, clips are a case a frame, and what is no image is told."""
    dicom(tmp_path / "study" / "IM0001", 1)
    dicom(tmp_path / "study" / "IM0002", 12)
    for name in ("DICOMDIR", "IM0003", "README"):
        (tmp_path / "study" / name).write_bytes(b"neither image nor anything")
    pairing = pair_anything(tmp_path / "study")
    assert [pair.name for pair in pairing.pairs] == ["IM0001", *(f"IM0002#{n:02d}" for n in range(12))]
    assert [pair.frame for pair in pairing.pairs[1:]] == list(range(12))
    told = {one.path.name: one.reason for one in pairing.unpaired}
    assert told["DICOMDIR"] == "it is the index of a study"
    assert told["IM0003"] == "not an image of a known kind"
    assert "IM0001" in told


def test_a_clip_with_one_mask_is_one_case(tmp_path: Path) -> None:
    """A mask that has no frames belongs to the first frame; one with as many belongs to each."""
    dicom(tmp_path / "images" / "clip.dcm", 3)
    dicom(tmp_path / "images" / "other.dcm", 3)
    dicom(tmp_path / "masks" / "clip.dcm", 3)
    cv2.imwrite(str(tmp_path / "masks" / "other.png"), np.zeros((6, 8), np.uint8))
    assert [pair.name for pair in pair_anything(tmp_path).pairs] == ["clip#0", "clip#1", "clip#2", "other"]


def test_a_set_with_fields_of_view_beside_another(tmp_path: Path) -> None:
    """What `mask` means in DRIVE says nothing about the masks of the set beside it."""
    for drive, other in (("DRIVE/training", "Kvasir"), ("training", "Kvasir"), ("DRIVE", "Kvasir/train")):
        root = laid_out(
            tmp_path / drive.replace("/", "-") / other.replace("/", "-"),
            f"{drive}/images/21_training.tif",
            f"{drive}/1st_manual/21_manual1.gif",
            f"{drive}/mask/21_training_mask.gif",
            f"{other}/images/a.jpg",
            f"{other}/masks/a.jpg",
        )
        pairing = pair_folder(root)
        used = {
            pair.name: [file.name for truth in pair.truths for file in truth.files] for pair in pairing.pairs
        }
        assert used == {f"{drive}/21_training": ["21_manual1.gif"], f"{other}/a": ["a.jpg"]}
        assert [one.path.name for one in pairing.unpaired] == ["21_training_mask.gif"]


def test_superpixels_are_neither_image_nor_mask(tmp_path: Path) -> None:
    """ISIC's superpixels are named as left over, wherever they lie."""
    images = laid_out(tmp_path / "Data", "ISIC_1.jpg", "ISIC_1_superpixels.png")
    truths = laid_out(tmp_path / "Truth", "ISIC_1_segmentation.png", "ISIC_1_superpixels.png")
    flat = laid_out(tmp_path / "flat", "ISIC_1.jpg", "ISIC_1_superpixels.png", "ISIC_1_segmentation.png")
    mirrored = laid_out(
        tmp_path / "ISIC",
        "ISIC2017_Training_Data/ISIC_1.jpg",
        "ISIC2017_Training_Data/ISIC_1_superpixels.png",
        "ISIC2017_Training_GroundTruth/ISIC_1_segmentation.png",
    )
    for pairing in (pair_folder(images, truths), pair_folder(flat), pair_folder(mirrored)):
        (pair,) = pairing.pairs
        assert (pair.image.name, [len(truth.files) for truth in pair.truths]) == ("ISIC_1.jpg", [1])
        assert pair.truth is not None
        assert pair.truth.name == "ISIC_1_segmentation.png"
        assert {one.path.name for one in pairing.unpaired} == {"ISIC_1_superpixels.png"}
        assert all("superpixels" in one.reason for one in pairing.unpaired)


def test_annotations_that_cannot_be_had_are_told(tmp_path: Path) -> None:
    """A file that is not there, one that lies elsewhere, and one that vanishes before it is used."""
    path = coco(tmp_path, [])
    with pytest.raises(UnreadableFile, match=r"nowhere\.json cannot be read") as told:
        pair_folder(tmp_path / "images", tmp_path / "nowhere.json")
    assert told.value.next_step
    with pytest.raises(UnreadableFile, match="do not lie on this machine"):
        pair_folder(tmp_path / "images", Path("s3:/bucket/instances.json"))
    (one, _) = pair_folder(tmp_path / "images", path).pairs
    path.unlink()
    with pytest.raises(UnreadableFile, match=r"instances\.json cannot be read"):
        read_truth_files(one.truths[0], read(one.image), ("polyp",))


def test_annotated_images_have_names_of_their_own(tmp_path: Path) -> None:
    """Two images that differ in their suffix alone are two cases, also with annotations."""
    path = coco(tmp_path, [])
    laid_out(tmp_path, "images/a.jpg")
    names = [pair.name for pair in pair_folder(tmp_path / "images", path).pairs]
    assert len(names) == 3
    assert {name.lower() for name in names} == {"a", "a.png", "b"}


def test_rows_of_a_list_that_name_no_image_are_told(tmp_path: Path) -> None:
    """A short row and an empty cell cost their own row; an empty mask costs nothing."""
    root = laid_out(tmp_path, "d/a.png", "d/b.png", "m/1.png", "m/2.png")
    (root / "short.csv").write_text("id,image\n1,d/a.png\n2\n3,\n4,..\n")
    pairing = pair_anything(root / "short.csv")
    assert [pair.name for pair in pairing.pairs] == ["d/a"]
    said = [one.reason for one in pairing.unpaired if one.path.name == "short.csv"]
    assert said == [f"line {number} names no image" for number in (3, 4, 5)]
    (root / "mask-first.csv").write_text("mask,image\nm/1.png,d/a.png\n,d/b.png\n,\n")
    assert truths_of(pair_anything(root / "mask-first.csv"), root) == {"d/a": {"": ["m/1.png"]}, "d/b": {}}


def test_a_list_beside_a_folder_of_masks_is_refused(tmp_path: Path) -> None:
    """Rather than not to look at a folder that a person has named."""
    root = laid_out(tmp_path, "d/a.png", "m/a.png")
    (root / "list.txt").write_text("d/a.png\n")
    with pytest.raises(InputError, match=r"list\.txt is a list, and names its masks itself"):
        pair_anything(root / "list.txt", root / "m")
