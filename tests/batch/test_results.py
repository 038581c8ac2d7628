"""What a case leaves on disk is complete, of the image's own size, and never overwrites another case."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from omniview.analyse import analyse
from omniview.batch.results import unique_stems, write_case
from omniview.core.case import Case
from omniview.core.fusion import fuse
from omniview.core.image import Image, Modality
from omniview.core.prediction import Prediction
from omniview.core.task import TASKS, Task
from omniview.errors import Unreachable
from tests.fakes import OtsuSegmenter


def _image() -> Image:
    pixels = np.zeros((30, 50, 3), np.uint8)
    pixels[10:20, 5:25] = 250
    return Image(pixels, name="one.png")


async def test_files_hold_the_masks(tmp_path: Path) -> None:
    """A PNG of 0 and 255 for each model, the uncertainty, and a JSON that names what ran."""
    models = [OtsuSegmenter("own"), OtsuSegmenter("second", role="omnimodel", invert=True)]
    case = await analyse(_image(), TASKS["polyp"], models)
    write_case(case, tmp_path, "one")
    kinds = ("fused", "specialist", "omnimodel")
    for kind in kinds:
        written = cv2.imread(str(tmp_path / f"one.{kind}.png"), cv2.IMREAD_UNCHANGED)
        assert written is not None
        assert set(np.unique(written)) <= {0, 255}
        assert case.fusion is not None
        expected = (
            case.fusion.mask if kind == "fused" else next(p.mask for p in case.predictions if p.role == kind)
        )
        np.testing.assert_array_equal(written > 0, expected[0])
    record = json.loads((tmp_path / "one.json").read_text("utf-8"))
    assert set(record["models"]) == set(kinds)
    assert record["models"]["specialist"]["provenance"]["provider"] == "none: a threshold"
    assert (record["width"], record["height"]) == (50, 30)
    assert (tmp_path / "one.uncertainty.png").exists()


def test_doubt_is_summed_up(tmp_path: Path) -> None:
    """The JSON has the mean spread and the mean mutual information, or null where nobody looked."""
    maps, half, quarter = (np.full((1, 30, 50), value, np.float32) for value in (0.25, 0.125, 0.0625))
    seen = Prediction("own", "specialist", maps, quarter, mutual_information=half)
    for prediction, expected in (
        (seen, (0.0625, 0.125)),
        (Prediction("own", "specialist", maps), (None, None)),
    ):
        case = Case(_image(), TASKS["polyp"], (prediction,), fusion=fuse((prediction,)))
        folder = tmp_path / str(expected[0])
        write_case(case, folder, "one")
        record = json.loads((folder / "one.json").read_text("utf-8"))["models"]["specialist"]
        assert (record["mean_spread"], record["mean_mutual_information"]) == expected


async def test_a_model_without_a_mask_writes_none(tmp_path: Path) -> None:
    """The failure stands in the JSON with its reason and next step."""
    dead = OtsuSegmenter("cloud", role="omnimodel", error=Unreachable("Down.", "Try later."))
    write_case(await analyse(_image(), TASKS["polyp"], [OtsuSegmenter("own"), dead]), tmp_path, "one")
    assert not (tmp_path / "one.omnimodel.png").exists()
    (failure,) = json.loads((tmp_path / "one.json").read_text("utf-8"))["failures"]
    assert (failure["reason"], failure["next_step"]) == ("Down.", "Try later.")


async def test_several_labels_get_a_file_each(tmp_path: Path) -> None:
    """With two labels, the label's name is part of the file's name."""
    task = Task("two", Modality.ENDOSCOPY, ("left", "right"), "both")
    write_case(await analyse(_image(), task, [OtsuSegmenter()]), tmp_path, "one")
    assert (tmp_path / "one.fused.left.png").exists()
    assert (tmp_path / "one.specialist.right.png").exists()


def test_stems_never_collide() -> None:
    """Files of one name from several folders, or names that differ in case only, stay apart."""
    paths = [Path("a/x.png"), Path("b/x.png"), Path("b/X.jpg"), Path("c/x-2.png"), Path("y.png")]
    stems = unique_stems(paths)
    assert stems[0] == "x"
    assert stems[-1] == "y"
    assert len({s.lower() for s in stems}) == len(paths)


def test_both_suffixes_of_a_compressed_volume_go() -> None:
    """Results of `scan.nii.gz` are named as a folder's scores name it: scan."""
    assert unique_stems([Path("scan.nii.gz"), Path("b/scan.dcm"), Path("v1.2.png")]) == [
        "scan",
        "scan-2",
        "v1.2",
    ]
