"""What names say in the common data sets: which folder or file is a mask, whose, and of which image."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from omniview.io.kinds import folded, stem_of
from omniview.io.listing import File

__all__ = [
    "LOOSE",
    "Key",
    "MaskName",
    "base_of",
    "image_key",
    "is_further",
    "is_image_folder",
    "is_mask_name",
    "is_superpixels",
    "mask_key",
    "mask_name",
    "mask_prefix",
    "natural",
    "rank_of_folder",
    "reader_of_folder",
    "set_of",
    "unique_name",
]

Key: TypeAlias = tuple[str, str]  # folders below the root, name; both in lower case

LOOSE = 2
"""Names are compared at three levels, each only for what the one before has left over:

0. equal stems;
1. the mask's stem without the suffix of a mask;
2. the image's without the suffix of an image, the mask's also without what stands before it in all names
   of its folder, where no second image could be meant.
"""

# Names of folders are compared without spaces, hyphens and underscores.
_IMAGE_FOLDERS = frozenset(
    [
        "images",
        "image",
        "imgs",
        "img",
        "original",
        "originals",
        "originalimages",
        "stareimages",
        "input",
        "inputs",
        "tissueimages",
        "bbdd",
        "imagestr",
        "imagests",
    ]
)
# First the names that only ever mean a reference drawn by a person: where those exist, `mask` is often the
# field of view (DRIVE, HRF).
_MASK_FOLDERS = [
    "1stmanual",
    "manual1",
    "labelsah",
    "2ndmanual",
    "manual2",
    "labelsvk",
    "manual",
    "groundtruth",
    "gt",
    "gtpolyp",
    "truth",
    "labels",
    "label",
    "labelmasks",
    "labelstr",
    "labelsts",
    "segmentations",
    "annotations",
    "masks",
    "mask",
    "binarymasks",
    "maskbinary",
]
_RANKS = {name: rank for rank, name in enumerate(_MASK_FOLDERS)}
_BETWEEN = re.compile(r"[ _-]+")
_ISIC_IMAGES = re.compile(r".*isic.*_(input|data)$")
_ISIC_MASKS = re.compile(r".*isic.*_groundtruth$")
_ISIC_PART = re.compile(r"20\d\d|training|validation|test")
_TWIN = re.compile(r"(.+?)[ _-]?(masks?|gt|groundtruth|labels?|segmentations?|annotations?|manualsegm)")
_VIEW_FOLDER = re.compile(r"(.*[ _-])?(fov|fov[ _-]?masks?|field[ _-]of[ _-]view)")
_VIEW = re.compile(r"\d\d_(training|test|dr|g|h)_mask|.*[_-]fov([_-]?mask)?", re.IGNORECASE)
_SPLITS = ("training", "train", "testing", "test", "validation", "valid", "val")
_PEOPLE = "manual|ho|observer|reader|rater|annotator|expert"
_ORDINALS = {"first": "1", "second": "2", "third": "3"}
_READER = re.compile(
    rf"(?:(?P<a>\d)(?:st|nd|rd|th)[ _-]?(?:{_PEOPLE})|(?:{_PEOPLE})[ _-]?(?P<b>\d)|labels-(?P<c>ah|vk)"
    rf"|(?P<d>first|second|third)[ _-]?(?:{_PEOPLE}))"
)
_FIRST = ("", "1", "ah")
_MASK_SUFFIX = re.compile(
    rf"(?:[_-](?P<reader>\d(?:st|nd|rd|th)_?(?:HO|manual)|(?:{_PEOPLE})_?\d)|\.(?P<initials>ah|vk)"
    r"|[_-](?P<word>manual|masks?|segmentation|seg|ground_?truth|gt|truth|labels?|annotation|anno)"
    r"(?P<number>[_-]?\d+)?)$",
    re.IGNORECASE,
)
_IMAGE_SUFFIX = re.compile(r"[_-](training|test|image|img|orig|original)$", re.IGNORECASE)
_MASK_PREFIX = re.compile(r"^(?:(?:masks?|gt|seg|label)[_-](?=.)|p(?=\d+$))", re.IGNORECASE)
_DIGITS = re.compile(r"([0-9]+)")


class MaskName(NamedTuple):
    """What the name of a mask says.

    Attributes:
        base: the stem without all that marks it as a mask.
        reader: who drew it: a digit or initials; empty where nothing says so.
        called: how the name calls that reader.
        word: what marks it as a mask, in lower case.
        number: whether it is one of several masks of one image.
    """

    base: str
    reader: str = ""
    called: str = ""
    word: str = ""
    number: bool = False


def is_mask_name(file: File) -> bool:
    """Whether the name alone says that this is a mask."""
    return _MASK_SUFFIX.search(stem_of(file.name)) is not None


def is_superpixels(file: File) -> bool:
    """Whether this is neither image nor mask, but the regions that ISIC gave to those who drew masks."""
    name = file.name.lower()
    return "_superpixels" in name and stem_of(name).endswith("_superpixels")


def mask_name(file: File) -> MaskName:
    """What the name of a mask says."""
    stem = stem_of(file.name)
    found = _MASK_SUFFIX.search(stem)
    if found is None:
        return MaskName(stem)
    base = stem[: found.start()]
    called = found["reader"] or found["initials"] or ""
    if called:
        digits = _DIGITS.search(called)
        return MaskName(base, digits[1] if digits else called.lower(), called)
    return MaskName(base, word=found["word"].lower(), number=found["number"] is not None)


@lru_cache(maxsize=4096)
def reader_of_folder(name: str) -> str:
    """Whose masks a folder holds, by its lower-case name: a digit or initials; empty if it does not say."""
    found = _READER.fullmatch(name)
    said = "" if found is None else next(filter(None, found.groups()))
    return _ORDINALS.get(said, said)


def is_further(reader: str) -> bool:
    """Whether masks of that reader stand beside those of a first one, named or not."""
    return reader not in _FIRST


@lru_cache(maxsize=4096)
def rank_of_folder(name: str) -> int | None:
    """How surely a folder of that lower-case name holds masks, 0 most; None if it holds none."""
    if reader_of_folder(name):
        return 0
    rank = _RANKS.get(_BETWEEN.sub("", name))
    return _RANKS["groundtruth"] if rank is None and _ISIC_MASKS.fullmatch(name) else rank


@lru_cache(maxsize=4096)
def twin_of(name: str) -> str:
    """Whose masks a folder of that lower-case name holds: those of `x` if it is `x_masks`; or empty."""
    found = _TWIN.fullmatch(name)
    return found[1] if found else ""


@lru_cache(maxsize=4096)
def part_of_isic(name: str) -> str:
    """Year and split that a lower-case name of ISIC tells, whose images are numbered alike each year."""
    if "isic" not in name or not (_ISIC_IMAGES.fullmatch(name) or _ISIC_MASKS.fullmatch(name)):
        return ""
    return " ".join(_ISIC_PART.findall(name))


def is_field_of_view(file: File) -> bool:
    """Whether this shows what the camera saw, and not what is to be found in it (DRIVE, HRF, CHASE)."""
    folders = file.below.lower().split("/")[:-1]
    if any(map(_is_view_folder, folders)):
        return True
    # what lies in a folder of that name is not what DRIVE and HRF mean by a mask
    drawn = any(rank_of_folder(name) is not None and name not in ("mask", "masks") for name in folders)
    return (
        not drawn and _VIEW.match(file.name) is not None and _VIEW.fullmatch(stem_of(file.name)) is not None
    )


@lru_cache(maxsize=4096)
def _is_view_folder(name: str) -> bool:
    return _VIEW_FOLDER.fullmatch(name) is not None


def set_of(parent: str) -> str:
    """The folders that a data set lies in, each with a slash behind it: `parent` without names of splits."""
    return "".join(f"{part}/" for part in parent.lower().split("/")[:-1] if part not in _SPLITS)


def is_image_folder(name: str) -> bool:
    """Whether a folder of that lower-case name holds the images that lie apart from their masks."""
    return _BETWEEN.sub("", name) in _IMAGE_FOLDERS or _ISIC_IMAGES.fullmatch(name) is not None


def image_key(group: str, stem: str, level: int) -> Key:
    """What an image's name comes down to: its stem, and at the last level that without an image's suffix."""
    return folded(group), folded(base_of(stem) if level == LOOSE else stem)


def mask_key(group: str, stem: str, name: MaskName, level: int, prefix: str = "") -> Key:
    """The same for a mask: its stem, then that without a mask's suffix, at the last without `prefix` too."""
    text = stem if level == 0 else name.base
    return folded(group), folded(text[len(prefix) :] if level == LOOSE else text)


def mask_prefix(stem: str) -> str:
    """What stands before the name in that of a mask: `p` in `p1` (ETIS), `mask_`; or empty."""
    found = _MASK_PREFIX.match(stem)
    return found[0] if found else ""


def base_of(stem: str) -> str:
    """A stem without what data sets add to the names of images."""
    return _IMAGE_SUFFIX.sub("", stem)


def unique_name(short: str, full: str, taken: set[str]) -> str:
    """`short`, else `full`, else that with a number: the first that no case has; it is put into `taken`.

    Lower case counts: results are named so, and a and A are one file on Windows and macOS.
    """
    name = full if folded(short) in taken else short
    number = 1
    while folded(name) in taken:
        number += 1
        name = f"{full}-{number}"
    taken.add(folded(name))
    return name


def natural(text: str) -> str:
    """Sorts `x2` before `x10`, and `X` as `x`.

    One text a name: no thread runs while a list is sorted, and 100,000 lists of parts took half a second.
    """
    return _DIGITS.sub(_by_length, text.lower())


def _by_length(found: re.Match[str]) -> str:
    """A number that sorts by its value, and before any letter."""
    digits = found[0].lstrip("0")
    return f"\0{len(digits):03d}{digits}"
