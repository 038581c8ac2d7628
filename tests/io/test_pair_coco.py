"""Annotations in COCO's format as tools write them: splits, boxes, crowds; no image gets another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from omniview.errors import UnreadableFile
from omniview.io.pair import Pair, pair_anything, pair_folder
from omniview.io.pair_read import read_truth_files
from omniview.io.read import read

RUNS = {"size": [6, 8], "counts": [37, 2, 9]}


def square(width: int) -> list[list[float]]:
    """A polygon of width x 2 pixels."""
    return [[0, 0, width, 0, width, 2, 0, 2]]


def annotated(
    images: dict[int, str], *objects: tuple[int, Any], categories: tuple[Any, ...] = (), **more: Any
) -> dict[str, Any]:
    """A file's content; each object is an image's number and its segmentation."""
    return {
        "images": [
            {"id": number, "file_name": name, "width": 8, "height": 6} for number, name in images.items()
        ],
        "annotations": [
            {"id": index, "image_id": number, "category_id": 1, "segmentation": one, **more}
            for index, (number, one) in enumerate(objects)
        ],
        "categories": list(categories) or [{"id": 1, "name": "polyp"}],
    }


def made(root: Path, images: str, **files: dict[str, Any]) -> Path:
    """`root` with pictures of 6x8, and JSON files; in their names `__` is a slash."""
    for name in images.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.zeros((6, 8), np.uint8))
    for name, values in files.items():
        path = root / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return root


def pixels(pair: Pair) -> dict[str, int]:
    """Reader to the number of pixels in that truth."""
    image = read(pair.image)
    return {one.reader: int(read_truth_files(one, image, ("polyp",)).mask.sum()) for one in pair.truths}


def found(root: Path, truth: Path | None = None) -> dict[str, dict[str, int]]:
    """Pair name to reader to pixels."""
    return {pair.name: pixels(pair) for pair in pair_folder(root, truth).pairs}


def told(root: Path) -> dict[str, str]:
    """File name to the reason why it is unpaired."""
    return {one.path.name: one.reason for one in pair_folder(root).unpaired}


def test_names_that_repeat_in_each_split(tmp_path: Path) -> None:
    """A file beside the images of a split speaks of those, whichever is looked at first."""
    own = {1: "a.png"}
    made(
        tmp_path / "both",
        "train/a.png valid/a.png",
        train___annotations=annotated(own, (1, square(2))),
        valid___annotations=annotated(own, (1, square(4))),
    )
    assert found(tmp_path / "both") == {"train/a": {"": 4}, "valid/a": {"": 8}}
    made(tmp_path / "one", "train/a.png", valid___annotations=annotated(own, (1, square(4))))
    assert found(tmp_path / "one") == {"train/a": {}}
    made(
        tmp_path / "named",
        "train2017/a.png val2017/a.png",
        annotations__instances_train2017=annotated(own, (1, square(2))),
        annotations__instances_val2017=annotated(own, (1, square(3))),
    )
    assert found(tmp_path / "named") == {"train2017/a": {"": 4}, "val2017/a": {"": 6}}


def test_a_name_that_could_be_two_images_is_neithers(tmp_path: Path) -> None:
    """As little as an image that one file names twice has a truth."""
    made(tmp_path / "x", "images/x/a.png images/y/a.png", own=annotated({1: "a.png"}, (1, square(2))))
    assert found(tmp_path / "x") == {"x/a": {}, "y/a": {}}
    reasons = {
        one.path.name: one.reason
        for one in pair_folder(tmp_path / "x").unpaired
        if one.path.parent.name == ""
    }
    assert reasons == {"a.png": "more than one image could be meant"}
    twice = annotated({1: "a.png", 2: "a.png"}, (1, square(2)), (2, square(3)))
    made(tmp_path / "twice", "images/a.png", own=twice)
    assert found(tmp_path / "twice") == {"a": {}}
    assert told(tmp_path / "twice")["own.json"] == "it names one image under the numbers 1, 2"


def test_paths_of_other_machines(tmp_path: Path) -> None:
    """What a path ends with says which image is meant, with either slash, in either case."""
    names = {1: "data\\Images\\x\\a.png", 2: "/srv/images/y/A.png"}
    made(
        tmp_path,
        "images/x/a.png images/y/a.png",
        own=annotated(names, (1, square(2)), (2, square(3))),
    )
    assert found(tmp_path) == {"x/a": {"": 4}, "y/a": {"": 6}}


def test_files_of_boxes_words_and_bodies_are_no_truth(tmp_path: Path) -> None:
    """Only outlines are; a box without one is no empty mask."""
    own = {1: "a.png"}
    bodies = annotated(own, (1, square(1)), categories=({"id": 1, "name": "polyp", "keypoints": ["nose"]},))
    words = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1, "caption": "x"}]}
    made(
        tmp_path,
        "images/a.png",
        annotations__instances=annotated(own, (1, square(2))),
        annotations__person_keypoints=bodies,
        annotations__captions=words,
        annotations__boxes=annotated(own, (1, []), bbox=[0, 0, 2, 2]),
        annotations__settings={"colour": 5},
    )
    assert found(tmp_path) == {"a": {"": 4}}
    assert set(told(tmp_path)) == {"person_keypoints.json", "captions.json", "boxes.json"}
    (pair,) = pair_folder(tmp_path / "images", tmp_path / "annotations" / "boxes.json").pairs
    with pytest.raises(UnreadableFile, match="has a box but no outline"):
        pixels(pair)


def test_two_files_are_two_readers(tmp_path: Path) -> None:
    """Both are kept, under their files' names; one that is named by hand stands alone."""
    files = {
        "anna": annotated({1: "a.png"}, (1, square(2))),
        "notes__ben": annotated({4: "a.png"}, (4, square(3))),
    }
    root = made(tmp_path, "images/a.png", **files)
    assert found(root) == {"a": {"anna": 4, "ben": 6}}
    assert found(root, root / "anna.json") == {"a": {"": 4}}
    assert found(root / "images", root / "notes") == {"a": {"": 6}}


def test_a_folder_of_images_with_annotations_beside_it(tmp_path: Path) -> None:
    """They are found beside it and at any depth."""
    made(tmp_path, "in/set/images/a.png", in__set__annotations__x=annotated({1: "a.png"}, (1, square(2))))
    assert found(tmp_path) == {"in/set/images/a": {"": 4}}
    assert found(tmp_path / "in" / "set" / "images") == {"a": {"": 4}}


def test_crowds_and_categories(tmp_path: Path) -> None:
    """Outlines of crowds are in the mask but are no objects; what has no name is said to be left out."""
    values = annotated({1: "a.png"}, (1, square(2)), (1, RUNS))
    values["annotations"][1]["iscrowd"] = 1
    values["annotations"] += [
        {"image_id": 1, "category_id": "1", "segmentation": square(3)},
        {"image_id": 1, "category_id": 9, "segmentation": square(7)},
    ]
    made(tmp_path, "images/a.png", own=values)
    (pair,) = pair_anything(tmp_path).pairs
    truth = read_truth_files(pair.truths[0], read(pair.image), ("polyp",))
    assert truth.mask.sum() == 8
    assert truth.instances is None
    assert truth.notes == (
        "Objects of categories that own.json does not name were left out: 1.",
        "Objects are not told apart: outlines of several at once (iscrowd): 1.",
    )


@pytest.mark.parametrize("corner", [float("nan"), 1e300, float("inf")])
def test_corners_out_of_this_world(tmp_path: Path, corner: float) -> None:
    """They are a message for their own image."""
    made(tmp_path, "images/a.png", own=annotated({1: "a.png"}, (1, [[0, 0, corner, 0, 2, 2]])))
    (pair,) = pair_folder(tmp_path).pairs
    with pytest.raises(UnreadableFile, match="cannot be understood"):
        pixels(pair)


def test_broken_files_are_told(tmp_path: Path) -> None:
    """One that calls itself COCO but is not, and one that gives two images one number."""
    two = annotated({1: "a.png"}, (1, square(2)))
    two["images"] += two["images"]
    made(tmp_path, "images/a.png", broken={"images": [{"id": 1}], "annotations": []}, two=two)
    assert found(tmp_path) == {"a": {}}
    assert told(tmp_path)["broken.json"] == told(tmp_path)["two.json"] == "is not a file of COCO annotations."


def test_other_images_are_one_line(tmp_path: Path) -> None:
    """Annotations of a set that is not here do not fill the list of what could not be paired."""
    made(tmp_path, "images/a.png", own=annotated({n: f"{n}.png" for n in range(50)}, (1, square(2))))
    assert told(tmp_path) == {
        "a.png": "no annotation file names this image",
        "own.json": "none of the images that it annotates is here",
    }
