"""The truths of a pair as masks: one a reader, united where a reader drew several."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from omniview.core.case import Truth
from omniview.core.image import Image
from omniview.io.pair_types import TruthFiles, of_dicom
from omniview.io.read import read_truth
from omniview.io.remote import fetched

__all__ = ["read_truth_files"]


def read_truth_files(files: TruthFiles, image: Image, labels: tuple[str, ...]) -> Truth:
    """One reader's truth of `image`.

    Several masks are united, and the truth's notes say so. Where each shows one object they are its instances
    (a pixel in two of them is the later one's); else their numbered objects are given up.

    Args:
        files: where it lies.
        image: the image.
        labels: names of the K labels.

    Raises:
        UnreadableFile: a file cannot be read as a mask.
        SizeMismatch: a mask is of another size than the image.
    """
    if (dicom := of_dicom(files.item)) is not None:
        from omniview.io.segmentation import read_segmentation

        return read_segmentation(files.files[0], *dicom, image, labels)
    if files.item:
        from omniview.io.coco import read_coco_truth

        return read_coco_truth(files.files[0], files.item, image, labels)
    each = []
    for file in files.files:
        with fetched(file) as here:
            each.append(read_truth(here, image, len(labels)))
    if len(each) == 1 and not files.objects:
        return each[0]
    notes = tuple(dict.fromkeys(note for one in each for note in one.notes))
    united = reduce(np.logical_or, (one.mask for one in each))
    if files.objects and len(labels) == 1:
        instances = np.zeros(image.shape, np.int32)
        for number, one in enumerate(each, start=1):
            instances[one.mask[0]] = number
        notes = (*notes, f"{len(each)} masks of one object each were united.")
        return replace(each[0], mask=united, instances=instances, notes=notes)
    return replace(
        each[0], mask=united, instances=None, notes=(*notes, f"{len(each)} masks of this image were united.")
    )
