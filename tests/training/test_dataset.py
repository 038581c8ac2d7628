from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from omniview.errors import InputError, SizeMismatch, UnreadableFile
from omniview.training.dataset import between_instances, data_hash, load, read_labels, read_rows
from tests.training.folders import write_case, write_folder


def test_only_the_split_asked_for_is_decoded(tmp_path: Path) -> None:
    """Training sees no case of test or calibrate."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 3, "calibrate": 2, "test": 2})
    assert {example.name for example in load([folder], "train")} == {"train0", "train1", "train2"}
    assert {example.name for example in load([folder], "test")} == {"test0", "test1"}


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    """Only the three splits exist, in the call and in the file."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1})
    with pytest.raises(ValueError, match="split must be one of"):
        load([folder], "validation")
    (folder / "split.csv").write_text("name,split,group\ntrain0,validation,a\n")
    with pytest.raises(InputError, match="'validation'"):
        read_rows(folder)


def test_a_group_on_two_sides_is_refused(tmp_path: Path) -> None:
    """A video sequence with frames in train and in test is a leak."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1, "test": 1})
    (folder / "split.csv").write_text("name,split,group\ntrain0,train,sequence1\ntest0,test,sequence1\n")
    with pytest.raises(InputError, match="sequence1"):
        load([folder], "train")


def test_an_image_size_in_the_group_column_groups_nothing(tmp_path: Path) -> None:
    """Nuclei are listed with their image's size, which lies on all sides: no two of them are one patient."""
    folder = write_folder(tmp_path / "nuclei_tiny", {"train": 1, "test": 1})
    (folder / "split.csv").write_text("name,split,group\ntrain0,train,256x256\ntest0,test,256x256\n")
    (seen,) = load([folder], "train")
    assert seen.group == "train0"


def test_a_listed_case_without_files_is_refused(tmp_path: Path) -> None:
    """A row whose image is missing is said, not skipped."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1})
    (folder / "split.csv").write_text("name,split,group\ngone,train,a\n")
    with pytest.raises(InputError, match="gone"):
        read_rows(folder)


@pytest.mark.parametrize("content", [b"image;part\na;train\n", b"name,split,group\ncaf\xe9,train,a\n"])
def test_a_split_file_of_another_make_is_refused(tmp_path: Path, content: bytes) -> None:
    """Other columns and other encodings are said with what is wanted, not raised as they come."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1})
    (folder / "split.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"split\.csv cannot be read") as caught:
        read_rows(folder)
    assert "name, split and group" in caught.value.next_step


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without cases cannot be trained on."""
    with pytest.raises(InputError, match="holds no case"):
        read_rows(tmp_path)


def test_a_folder_without_split_file_is_split_by_name(tmp_path: Path) -> None:
    """The same name always lands on the same side, and both sides get some."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 40})
    (folder / "split.csv").unlink()
    splits = [row.split for row in read_rows(folder)]
    assert splits == [row.split for row in read_rows(folder)]
    assert set(splits) == {"train", "calibrate"}
    assert splits.count("train") > splits.count("calibrate")


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    """Both sizes are in the message."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1})
    PillowImage.fromarray(np.zeros((9, 7), np.uint8)).save(folder / "masks" / "train0.png")
    with pytest.raises(SizeMismatch, match=r"\(9, 7\)"):
        load([folder], "train")


def test_a_broken_image_is_refused(tmp_path: Path) -> None:
    """A file that is no image names itself."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1})
    (folder / "images" / "train0.png").write_bytes(b"no image")
    with pytest.raises(UnreadableFile, match=r"train0\.png"):
        load([folder], "train")


def test_the_hash_follows_the_training_pixels_alone(tmp_path: Path) -> None:
    """Another test case leaves the hash, another training mask changes it."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 2, "test": 1})
    before = data_hash([folder])
    write_case(folder, "test0", np.random.default_rng(9))
    assert data_hash([folder]) == before
    write_case(folder, "train1", np.random.default_rng(9))
    assert data_hash([folder]) != before


def test_ground_between_touching_instances_is_marked() -> None:
    """Only background near two different instances counts as border."""
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 2:10] = 1
    labels[5:15, 12:20] = 2
    border = between_instances(labels, reach_px=2)
    assert border[10, 10] == 255
    assert border[10, 11] == 255
    assert border[10, 5] == 0
    assert border[10, 25] == 0
    assert border[2, 2] == 0


def test_jpeg_masks_are_binarised(tmp_path: Path) -> None:
    """Compression greys around 0 and 255 are not instances."""
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 255
    path = tmp_path / "mask.jpg"
    PillowImage.fromarray(mask).save(path, quality=60)
    assert set(np.unique(read_labels(path))) == {0, 255}


def test_large_images_are_capped_with_their_masks(tmp_path: Path) -> None:
    """The longer side is at most what was asked for; image and mask keep one size."""
    folder = write_folder(tmp_path / "polyp_tiny", {"train": 1})
    (example,) = load([folder], "train", longest_px=32)
    assert max(example.mask.shape) == 32
    assert example.image.shape[:2] == example.mask.shape
