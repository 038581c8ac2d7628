"""What pairing a folder comes to: images, the masks that readers drew of them, and what was left over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omniview.io.remote import shown_name

__all__ = ["Pair", "Pairing", "TruthFiles", "Unpaired", "dicom_item", "of_dicom"]

_DICOM = "dicom:"


def dicom_item(uid: str, frame: int) -> str:
    """An image of a DICOM segmentation: its number, and which frame of its file, from 0."""
    return f"{_DICOM}{uid}:{frame}"


def of_dicom(item: str) -> tuple[str, int] | None:
    """What `dicom_item` was made of; None for an image of a COCO file."""
    if not item.startswith(_DICOM):
        return None
    _, uid, frame = item.split(":")
    return uid, int(frame)


@dataclass(frozen=True, slots=True)
class TruthFiles:
    """Where one reader's truth of one image lies.

    Attributes:
        reader: who drew it; empty where a set has but one truth an image.
        files: one mask, or several that are united; of annotations in COCO's format the one JSON file.
        item: which image of a COCO file, or of a DICOM segmentation (see `dicom_item`); empty for masks.
        objects: whether each of several masks shows one object, as in DSB 2018.
    """

    reader: str
    files: tuple[Path, ...]
    item: str = ""
    objects: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its truths.

    Attributes:
        image: the image's file.
        truth: the mask that comes first, or None where there is none.
        name: unique within a Pairing, also where upper and lower case are the same.
        truths: of each reader; made from `truth` where none are given.
        frame: which frame of the file.
    """

    image: Path
    truth: Path | None
    name: str
    truths: tuple[TruthFiles, ...] = ()
    frame: int = 0

    def __post_init__(self) -> None:
        if self.truth is not None and not self.truths:
            object.__setattr__(self, "truths", (TruthFiles("", (self.truth,)),))

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that is read for this pair."""
        return (self.image, *(file for truth in self.truths for file in truth.files))


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A file without its counterpart, and why, in words."""

    path: Path
    reason: str

    @property
    def name(self) -> str:
        """The file's own name, as it may be shown."""
        return shown_name(self.path)


@dataclass(frozen=True, slots=True)
class Pairing:
    """What is in a folder.

    Attributes:
        pairs: every image, in natural order of names; those without a mask have no truth.
        unpaired: images without a mask, and masks that were not used; of a folder in natural order.
    """

    pairs: tuple[Pair, ...]
    unpaired: tuple[Unpaired, ...]
