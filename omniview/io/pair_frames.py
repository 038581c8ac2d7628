"""DICOM files frame by frame: a clip of sixty frames is sixty cases, if each has a truth or none has.

What else a study holds is no case: reports, plans, and segmentations, which are the truths of its images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from omniview.errors import UnreadableFile
from omniview.io.kinds import kind_of
from omniview.io.pair_match import NO_IMAGE, NO_MASK
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired, dicom_item
from omniview.io.remote import is_remote
from omniview.io.segmentation import Facts, facts_of, images_of

__all__ = ["with_frames"]

_SUFFIXES = ("", ".dcm", ".dicom", ".ima")


def with_frames(pairing: Pairing, *, keep: bool = False) -> Pairing:
    """The same with a pair for each frame of a DICOM file, and without files that are no images.

    Segmentations become truths of the images that they refer to, where those have none. With `keep` a file
    that is no image stays: a person has listed it. A file whose truth has another number of frames stays one
    pair, of its first frame; so does a remote one, whose frames cannot be counted from here.
    """
    if not any(_may_be_dicom(pair.image) for pair in pairing.pairs):
        return pairing
    known = {pair.image: _facts(pair.image) for pair in pairing.pairs}
    outside = {} if keep else _no_images(pairing, known)
    images = tuple(pair for pair in pairing.pairs if pair.image not in outside)
    loose = [one.path for one in pairing.unpaired if one.reason == NO_IMAGE and _may_be_dicom(one.path)]
    drawn = [path for path in (*outside, *loose) if _is_drawn(known[path] if path in known else _facts(path))]
    images, used = _referred(images, known, drawn)
    pairs = tuple(each for pair in images for each in _frames(pair, known[pair.image]))
    found = {pair.image for pair in images if pair.truths}
    left = (one for one in pairing.unpaired if one.path not in outside and one.path not in used)
    left = (one for one in left if one.reason != NO_MASK or one.path not in found)
    others = (Unpaired(path, reason) for path, reason in sorted(outside.items()) if path not in used)
    if not pairs:
        raise UnreadableFile("There is no image in that folder.", "Choose a folder that holds images.")
    return Pairing(pairs, (*left, *others))


def _may_be_dicom(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not is_remote(path)


def _facts(path: Path) -> Facts | None:
    """What a DICOM file is; None for what is none, or cannot be read, which is said when it is scored."""
    try:
        return facts_of(path) if _may_be_dicom(path) and kind_of(path) == "dicom" else None
    except UnreadableFile:
        return None


def _is_drawn(facts: Facts | None) -> bool:
    return facts is not None and facts.is_segmentation


def _no_images(pairing: Pairing, known: Mapping[Path, Facts | None]) -> dict[Path, str]:
    """Files among the images that are none, and why."""
    found: dict[Path, str] = {}
    for path in (pair.image for pair in pairing.pairs):
        facts = known[path]
        if facts is None and not path.suffix and not is_remote(path):
            found[path] = "not an image of a known kind"
        elif facts is not None and facts.is_segmentation:
            found[path] = "it is a segmentation, and of no image here that has no truth yet"
        elif facts is not None and not facts.has_picture:
            found[path] = "it is a DICOM file without a picture"
    return found


def _referred(
    images: tuple[Pair, ...], known: Mapping[Path, Facts | None], segmentations: list[Path]
) -> tuple[tuple[Pair, ...], set[Path]]:
    """Images with the segmentations that refer to them, if they have no truth, and those that were used."""
    by_uid: dict[str, list[Path]] = {}
    for path in sorted(segmentations):
        try:
            for uid in images_of(path):
                by_uid.setdefault(uid, []).append(path)
        except (UnreadableFile, OSError):  # broken, or gone meanwhile: it stays among what is no image
            continue
    found, used = list[Pair](), set[Path]()
    several = any(len(paths) > 1 for paths in by_uid.values())
    for pair in images:
        facts = known[pair.image]
        paths = by_uid.get(facts.uid, ()) if facts is not None and facts.uid and not pair.truths else ()
        truths = tuple(TruthFiles(path.stem if several else "", (path,)) for path in paths)
        used.update(paths)
        found.append(replace(pair, truth=paths[0], truths=truths) if paths else pair)
    return tuple(found), used


def _frames(pair: Pair, facts: Facts | None) -> Iterator[Pair]:
    """A pair for each frame, its segmentations told which frame they are asked for."""
    count = 1 if facts is None else facts.frames
    drawn = {file: _is_drawn(_facts(file)) for truth in pair.truths for file in truth.files}
    counts = [
        _count(file) for truth in pair.truths for file in truth.files if not (truth.item or drawn[file])
    ]
    several = count > 1 and all(own == count for own in counts)
    width = len(str(count - 1))
    for frame in range(count) if several else (0,):
        truths = tuple(
            replace(truth, item=dicom_item(facts.uid, frame))
            if facts is not None and facts.uid and any(drawn[file] for file in truth.files)
            else truth
            for truth in pair.truths
        )
        name = f"{pair.name}#{frame:0{width}d}" if several else pair.name
        yield replace(pair, name=name, frame=frame, truths=truths)


def _count(path: Path) -> int:
    """Number of frames; 1 for what cannot be read, which will be said when it is scored."""
    from omniview.io.read import open_series

    try:
        return len(open_series(path))
    except UnreadableFile:
        return 1
