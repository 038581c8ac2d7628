"""DICOM files frame by frame: a clip of sixty frames is sixty cases, if each has a truth or none has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from omniview.errors import UnreadableFile
from omniview.io.kinds import kind_of
from omniview.io.pair_types import Pair, Pairing, Unpaired
from omniview.io.remote import is_remote

__all__ = ["with_frames"]

_SUFFIXES = ("", ".dcm", ".dicom", ".ima")


def with_frames(pairing: Pairing, *, keep: bool = False) -> Pairing:
    """The same with a pair for each frame of a DICOM file, and without suffixless files that are none.

    With `keep` those stay as well: a person has listed them. A file whose truth has another number of frames
    stays one pair, of its first frame; so does a remote one, whose frames cannot be counted from here.
    """
    if not any(_may_be_dicom(pair.image) for pair in pairing.pairs):
        return pairing
    foreign = {pair.image for pair in pairing.pairs if not keep and _is_foreign(pair.image)}
    pairs = tuple(each for pair in pairing.pairs if pair.image not in foreign for each in _frames(pair))
    left = tuple(one for one in pairing.unpaired if one.path not in foreign)
    others = tuple(Unpaired(path, "not an image of a known kind") for path in sorted(foreign))
    if not pairs:
        raise UnreadableFile("There is no image in that folder.", "Choose a folder that holds images.")
    return Pairing(pairs, (*left, *others))


def _may_be_dicom(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not is_remote(path)


def _is_foreign(path: Path) -> bool:
    if path.suffix or is_remote(path):
        return False
    try:
        return kind_of(path) != "dicom"
    except UnreadableFile:
        return True


def _frames(pair: Pair) -> Iterator[Pair]:
    count = _count(pair.image) if _may_be_dicom(pair.image) else 1
    truths = [_count(file) for truth in pair.truths for file in truth.files if not truth.item]
    if count < 2 or any(own != count for own in truths):
        yield pair
        return
    width = len(str(count - 1))
    for frame in range(count):
        yield replace(pair, name=f"{pair.name}#{frame:0{width}d}", frame=frame)


def _count(path: Path) -> int:
    """Number of frames; 1 for what cannot be read, which will be said when it is scored."""
    from omniview.io.read import open_series

    try:
        return len(open_series(path))
    except UnreadableFile:
        return 1
