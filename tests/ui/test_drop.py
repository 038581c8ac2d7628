"""What dropped paths mean."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from omniview.errors import UnreadableFile
from omniview.io.read import read
from omniview.ui.drop import entries_of, sort_out


def test_mask_of_the_same_size_is_a_truth(blob: Path) -> None:
    """Two grey values and the image's size make a mask, whatever it is called."""
    image = read(blob)
    assert sort_out([blob.parent.parent / "masks" / "blob.png"], image).truth is not None


def test_image_itself_is_opened_again(blob: Path) -> None:
    """The image on screen is never its own truth."""
    assert sort_out([blob], read(blob)).truth is None


def test_named_mask_of_another_size_is_still_a_truth(blob: Path, tmp_path: Path) -> None:
    """So that the message about its size is shown instead of opening it as an image."""
    path = tmp_path / "other_mask.png"
    cv2.imwrite(str(path), np.zeros((5, 5), np.uint8))
    assert sort_out([path], read(blob)).truth == path


def test_without_an_image_everything_is_opened(blob: Path) -> None:
    """A mask dropped on an empty window is an image to look at."""
    found = sort_out([blob.parent.parent / "masks" / "blob.png"], None)
    assert found.truth is None
    assert len(found.entries) == 1


def test_broken_file_is_opened_so_that_it_is_told(blob: Path, tmp_path: Path) -> None:
    """What cannot be read becomes an entry, and opening it says why."""
    path = tmp_path / "broken.png"
    path.write_bytes(b"no")
    assert [row.path for row in sort_out([path], read(blob)).entries] == [path]


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    """A folder without images says so."""
    with pytest.raises(UnreadableFile, match="no image"):
        entries_of([tmp_path])


def test_several_masks_of_an_image_are_all_kept(blob: Path) -> None:
    """A folder that is opened has the same truths as one that is scored."""
    masks = blob.parent.parent / "masks"
    (masks / "blob.png").rename(blob.parent / "blob_mask.png")
    masks.rmdir()
    (blob.parent / "blob_mask_1.png").write_bytes((blob.parent / "blob_mask.png").read_bytes())
    (entry,) = entries_of([blob.parent]).entries
    assert entry.reference is not None
    assert [file.name for file in entry.reference.files] == ["blob_mask.png", "blob_mask_1.png"]


def test_a_place_that_may_not_be_looked_into_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is a file or a folder cannot even be asked: that is a reason, not a defect."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(UnreadableFile, match=r"a\.png may not be read"):
        entries_of([tmp_path / "a.png"])
