"""DICOM segmentations are truths of the images that they refer to, whatever their files are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from omniview.errors import SizeMismatch, UnreadableFile
from omniview.io.pair import Pair, pair_anything
from omniview.io.pair_read import read_truth_files
from omniview.io.read import read
from omniview.io.segmentation import facts_of, images_of
from tests.io.dicom_files import GREY, made

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
LESION = GREY > 128
TOOL = GREY < 40


def item(**elements: Any) -> Dataset:
    """An item of a sequence."""
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def segmentation(
    path: Path,
    masks: Sequence[tuple[int, np.ndarray, str, int | None]],
    names: Sequence[str] = ("Lesion", "Tool"),
    *,
    uids: Sequence[str] = (),
    says: bool = True,
    **elements: Any,
) -> Path:
    """A segmentation object: of each frame segment, mask, image's number, and frame from 1 or None."""
    frames = []
    for segment, _, uid, frame in masks:
        source = item(ReferencedSOPInstanceUID=uid)
        if frame is not None:
            source.ReferencedFrameNumber = frame
        derivation = item(SourceImageSequence=[source])
        groups = item(SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)])
        if says:
            groups.DerivationImageSequence = [derivation]
        frames.append(groups)
    instances = [item(ReferencedSOPInstanceUID=uid) for uid in uids]
    pixels = np.stack([mask.astype(np.uint8) for _, mask, _, _ in masks])
    path.parent.mkdir(parents=True, exist_ok=True)
    more = {
        "SOPClassUID": SEGMENTATION,
        "Modality": "SEG",
        "SegmentationType": "BINARY",
        "SegmentSequence": [
            item(SegmentNumber=number, SegmentLabel=name) for number, name in enumerate(names, start=1)
        ],
        "PerFrameFunctionalGroupsSequence": frames,
        "ReferencedSeriesSequence": [item(ReferencedInstanceSequence=instances)],
    }
    return made(path, pixels, "MONOCHROME2", 8, **(more | elements))


def uid_of(path: Path) -> str:
    """The number of a DICOM file."""
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """IM1 and IM2 of one frame, CLIP of three, a report and an index."""
    for name in ("IM1", "IM2"):
        made(tmp_path / name, GREY, "MONOCHROME2", 8)
    made(tmp_path / "CLIP", np.stack([GREY] * 3), "MONOCHROME2", 8)
    report = made(tmp_path / "REPORT.dcm", GREY, "MONOCHROME2", 8, SOPClassUID=REPORT)
    whole = dcmread(report)
    for name in ("PixelData", "Rows", "Columns"):
        delattr(whole, name)
    whole.save_as(report)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return tmp_path


def mask_of(pair: Pair, *labels: str) -> np.ndarray:
    """The first truth of a pair."""
    return read_truth_files(pair.truths[0], read(pair.image, pair.frame), labels or ("polyp",)).mask


def test_a_study_with_its_segmentations(study: Path) -> None:
    """Each image has the frames that refer to it; what is neither image nor used is told."""
    one, clip = uid_of(study / "IM1"), uid_of(study / "CLIP")
    segmentation(study / "S1.dcm", [(1, LESION, one, None), (2, TOOL, one, None)], uids=[one])
    segmentation(study / "S2.dcm", [(1, LESION, clip, 2), (1, TOOL, clip, 3)], uids=[clip])
    segmentation(study / "S3.dcm", [(1, LESION, generate_uid(), None)])
    pairing = pair_anything(study)
    pairs = {pair.name: pair for pair in pairing.pairs}
    assert list(pairs) == ["CLIP#0", "CLIP#1", "CLIP#2", "IM1", "IM2"]
    assert not mask_of(pairs["CLIP#0"]).any()
    np.testing.assert_array_equal(mask_of(pairs["CLIP#1"])[0], LESION)
    np.testing.assert_array_equal(mask_of(pairs["CLIP#2"])[0], TOOL)
    np.testing.assert_array_equal(mask_of(pairs["IM1"])[0], LESION | TOOL)
    np.testing.assert_array_equal(mask_of(pairs["IM1"], "tool")[0], TOOL)
    np.testing.assert_array_equal(mask_of(pairs["IM1"], "lesion", "tool"), [LESION, TOOL])
    assert {one.path.name: one.reason for one in pairing.unpaired} == {
        "IM2": "no mask has this image's name",
        "DICOMDIR": "it is the index of a study",
        "REPORT.dcm": "it is a DICOM file without a picture",
        "S3.dcm": "it is a segmentation, and of no image here that has no truth yet",
    }
    with pytest.raises(UnreadableFile, match="no segment 'wart'"):
        mask_of(pairs["IM1"], "lesion", "wart")


def test_two_segmentations_are_two_readers(study: Path) -> None:
    """Also in a folder of their own, under names of their own."""
    one = uid_of(study / "IM1")
    for name, mask in (("anna", LESION), ("ben", TOOL)):
        segmentation(study / "segs" / f"{name}.dcm", [(1, mask, one, None)])
    (pair,) = (pair for pair in pair_anything(study).pairs if pair.name == "IM1")
    assert [truth.reader for truth in pair.truths] == ["anna", "ben"]


def test_segmentations_of_the_same_name(tmp_path: Path) -> None:
    """In a folder of masks, with its own name, all its segments count, and another image's is refused."""
    (tmp_path / "images").mkdir()
    for name in "abc":
        made(tmp_path / "images" / f"{name}.dcm", GREY, "MONOCHROME2", 8)
    own = {name: uid_of(tmp_path / "images" / f"{name}.dcm") for name in "abc"}
    two = [(1, LESION, own["a"], None), (2, TOOL, own["a"], None)]
    segmentation(tmp_path / "masks" / "a.dcm", two, says=False, uids=[own["a"]])
    segmentation(tmp_path / "masks" / "b.dcm", [(1, LESION, own["a"], None)])
    segmentation(tmp_path / "masks" / "other.dcm", [(1, TOOL, own["c"], None)])
    a, b, c = pair_anything(tmp_path).pairs
    np.testing.assert_array_equal(mask_of(a)[0], LESION | TOOL)
    np.testing.assert_array_equal(mask_of(c)[0], TOOL)
    assert not pair_anything(tmp_path).unpaired
    with pytest.raises(UnreadableFile, match=r"b\.dcm does not refer to b\.dcm"):
        mask_of(b)


def test_fractions_label_maps_and_other_sizes(study: Path) -> None:
    """Half of the largest value is the edge; a label map holds numbers of segments; sizes must agree."""
    one = uid_of(study / "IM1")
    path = study / "S.dcm"
    fractional: dict[str, Any] = {"SegmentationType": "FRACTIONAL", "MaximumFractionalValue": 200}
    segmentation(path, [(1, LESION * 101, one, None)], **fractional)
    (pair,) = (pair for pair in pair_anything(study).pairs if pair.name == "IM1")
    np.testing.assert_array_equal(mask_of(pair)[0], LESION)
    path.unlink()
    segmentation(path, [(1, LESION * 1 + TOOL * 2, one, None)], SegmentationType="LABELMAP")
    np.testing.assert_array_equal(mask_of(pair, "tool")[0], TOOL)
    segmentation(path, [(1, LESION[:, :-1], one, None)])
    with pytest.raises(SizeMismatch, match="32x20"):
        mask_of(pair)


def test_broken_segmentations_are_told(study: Path) -> None:
    """One without what it must hold, and one that is not there."""
    one = uid_of(study / "IM1")
    broken = segmentation(study / "S.dcm", [(1, LESION, one, None)])
    whole = dcmread(broken)
    del whole.PerFrameFunctionalGroupsSequence
    whole.save_as(broken)
    assert "S.dcm" in {one.path.name for one in pair_anything(study).unpaired}
    with pytest.raises(UnreadableFile, match="broken"):
        images_of(broken)
    with pytest.raises(UnreadableFile, match="does not exist"):
        facts_of(study / "none.dcm")
