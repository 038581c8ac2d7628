"""Images and their annotations in COCO's format brought together: by path where a path is told, else by name.

Names repeat over splits and sets (`train/a.jpg`, `valid/a.jpg`, each with a JSON file that says `a.jpg`), and
several files speak of the same images. So a file counts for the images below the folder that it lies in, or
that holds its folder, and not for those of another split; what could still be two images is neither's; and
several files about one image are several readers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omniview.errors import UnreadableFile
from omniview.io.coco import Annotations, annotations_of, annotations_or_none
from omniview.io.kinds import folded, stem_of
from omniview.io.listing import folders_if_any
from omniview.io.pair_match import Grouped
from omniview.io.pair_names import is_image_folder, unique_name
from omniview.io.pair_types import Pair, Pairing, TruthFiles, Unpaired
from omniview.io.remote import is_remote

__all__ = ["pair_coco"]

_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])")
_DEEPEST = 8
"""Folders of a path that are compared."""
_FOLDERS = ("annotations", "annotation", "labels", "coco", "json")


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A file of annotations, and for which images it counts.

    Attributes:
        path: the file.
        known: what it says.
        scope: lower-case folder, seen from the root, whose images it may speak of.
        splits: which splits its own path speaks of.
    """

    path: Path
    known: Annotations
    scope: str
    splits: frozenset[str]


def pair_coco(root: Path, truth: Path | None, images: Sequence[Grouped]) -> Pairing | None:
    """The images with their annotations, or None if there are none.

    Args:
        root: of the images; without `truth` the JSON files of folders that hold images, of those above, and
            of `annotations` beside either are looked at.
        truth: the JSON file, or the folder of several, if it is known.
        images: in the order that the pairs are to have.

    Raises:
        UnreadableFile: `truth` is no such file, is not there, or lies elsewhere.
    """
    unpaired: list[Unpaired] = []
    if truth is not None and truth.suffix.lower() == ".json":
        sources = [_Source(truth, annotations_of(truth), "", frozenset())]
    else:
        sources = list(_sources(root, truth, images, unpaired))
    if not sources and not unpaired:
        return None
    found: dict[int, list[tuple[int, _Source, str]]] = {}
    tails = _tails(images)
    for source in sources:
        missing = list[Unpaired]()
        for item, name in source.known.files.items():
            depth, meant = _meant(source, name, tails, images)
            if len(meant) == 1:
                found.setdefault(meant[0], []).append((depth, source, item))
            elif meant:
                unpaired.append(Unpaired(Path(name), "more than one image could be meant"))
            else:
                missing.append(Unpaired(Path(name), "annotated, but there is no such image"))
        if len(missing) == len(source.known.files):
            missing = [Unpaired(source.path, "none of the images that it annotates is here")]
        unpaired += missing
    pairs, names = list[Pair](), set[str]()
    truths = [_truths(found.get(index, ()), unpaired) for index in range(len(images))]
    several = any(len(each) > 1 for each in truths)
    for (file, group, *_), each in zip(images, truths, strict=True):
        name = unique_name(group + stem_of(file.name), group + file.name, names)
        if not several:
            each = tuple(TruthFiles("", one.files, one.item) for one in each)
        pairs.append(Pair(file.path, each[0].files[0] if each else None, name, each))
        if not each:
            unpaired.append(Unpaired(file.path, "no annotation file names this image"))
    return Pairing(tuple(pairs), tuple(unpaired))


def _truths(found: Sequence[tuple[int, _Source, str]], unpaired: list[Unpaired]) -> tuple[TruthFiles, ...]:
    """One truth of each file that names the image by most of its path; none of one that names it twice."""
    deepest = max((depth for depth, _, _ in found), default=0)
    items: dict[Path, list[str]] = {}
    for depth, source, item in found:
        if depth == deepest:
            items.setdefault(source.path, []).append(item)
        else:
            unpaired.append(Unpaired(Path(source.known.files[item]), "another annotation is surer"))
    for path, several in items.items():
        if len(several) > 1:
            unpaired.append(Unpaired(path, f"it names one image under the numbers {', '.join(several)}"))
    stems = [path.stem for path in items]
    return tuple(
        TruthFiles(path.stem if stems.count(path.stem) == 1 else str(path), (path,), several[0])
        for path, several in items.items()
        if len(several) == 1
    )


def _tails(images: Sequence[Grouped]) -> Mapping[str, list[int]]:
    """Every end of every image's path, in lower case, to the images that end so."""
    found: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        parts = folded(f"{image.file.below}{image.file.name}").split("/")
        for count in range(1, min(len(parts), _DEEPEST) + 1):
            found.setdefault("/".join(parts[-count:]), []).append(index)
    return found


def _meant(
    source: _Source, name: str, tails: Mapping[str, list[int]], images: Sequence[Grouped]
) -> tuple[int, list[int]]:
    """How many parts of its path say which image is meant, and which could be."""
    parts = [part for part in folded(name.replace("\\", "/")).split("/") if part not in ("", ".", "..")]
    own = source.splits | _splits(parts[:-1])
    for count in range(min(len(parts), _DEEPEST), 0, -1):
        could = [
            index
            for index in tails.get("/".join(parts[-count:]), ())
            if (below := images[index].file.below.lower()).startswith(source.scope)
            and (not own or not (theirs := _splits(below.split("/"))) or own & theirs)
        ]
        if could:
            exact = f"{source.scope}{'/'.join(parts[:-1])}".rstrip("/")
            right = [index for index in could if images[index].file.below.lower().rstrip("/") == exact]
            return count, right or could
    return 0, []


def _splits(parts: Iterable[str]) -> frozenset[str]:
    words = (part.replace("trainval", "train val") for part in parts)
    return frozenset(found for word in words for found in _SPLIT.findall(word))


def _sources(
    root: Path, truth: Path | None, images: Sequence[Grouped], unpaired: list[Unpaired]
) -> Iterator[_Source]:
    """The files of annotations that can be used; others that call themselves so are told."""
    own = {(image.file.folder, stem_of(image.file.name).lower()) for image in images}
    found = list[_Source]()
    for path, scope in _json_files(root, truth, images):
        if (str(path.parent), path.stem.lower()) in own:
            continue  # what other programs write beside each image
        try:
            known = annotations_or_none(path)
        except UnreadableFile as error:
            unpaired.append(Unpaired(path, error.message.removeprefix(f"{path.name} ")))
            continue
        if known is not None:
            words = () if truth is not None else (scope, path.parent.name, path.stem)
            found.append(_Source(path, known, scope, _splits("/".join(words).lower().split("/"))))
    outlines = [source for source in found if source.known.has_outlines]
    bodies = [source for source in outlines if not source.known.has_key_points] or outlines
    unpaired += [
        Unpaired(source.path, "its objects have boxes, words or key points, which are no outlines")
        for source in found
        if source not in bodies
    ]
    yield from bodies


def _json_files(root: Path, truth: Path | None, images: Sequence[Grouped]) -> Iterator[tuple[Path, str]]:
    """JSON files, each with the lower-case folder, seen from the root, whose images it may speak of."""
    if is_remote(root) or (truth is not None and is_remote(truth)):
        return
    if truth is not None:
        yield from ((path, "") for path in _json_in(truth))
        return
    belows = {"": root}
    for image in images:
        below, folder = image.file.below, Path(image.file.folder)
        while below and below not in belows:
            belows[below] = folder
            below, folder = below[: below.rstrip("/").rfind("/") + 1], folder.parent
    if is_image_folder(root.name.lower()):
        belows["../"] = root.absolute().parent
    for below, folder in belows.items():
        scope = "" if below == "../" else below.lower()
        yield from ((path, scope) for path in _json_in(folder))
        for name, path in folders_if_any(folder).items():
            if name in _FOLDERS or (not below and f"{path.name}/" not in belows):
                yield from ((file, scope) for file in _json_in(path))


def _json_in(folder: Path) -> list[Path]:
    """JSON files directly in a folder, without hidden ones."""
    try:
        with os.scandir(folder) as there:
            names = [entry.name for entry in there if entry.name.lower().endswith(".json")]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if name[0] != "."]
