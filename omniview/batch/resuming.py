"""Whether a run may go on where an earlier one ended: only if the same input would give the same rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from omniview.batch.journal import NAME, Input, Journal
from omniview.batch.results import MASKS
from omniview.errors import AnotherRun, OutputError, UnreadableFile
from omniview.io.pair_types import Pair
from omniview.io.remote import entries, is_remote, shown, stamp
from omniview.io.write import is_torn

__all__ = ["Resume", "begin", "keep_apart", "lost_folder", "session_of", "stamp_of"]

Resume: TypeAlias = Literal["no", "yes", "anyway"]

_DECIDING = "deciding"
_ANYWAY = "resumed_anyway"
_SESSION = "session"
_HEADERS = (".mhd", ".nhdr")
_HEADER_BYTES = 65536
_NAMED_FILE = re.compile(
    r"^\s*(?:ElementDataFile\s*=|data ?file\s*:)\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE
)
_NAMED = 3
"""How many changed files a message names."""


def begin(
    journal: Journal,
    pairs: Sequence[Pair],
    deciding: Mapping[str, Any],
    resume: Resume,
    session: str = "",
) -> tuple[str, ...]:
    """Start a run in `journal`, or go on with the one that is there.

    Args:
        journal: of the folder of results.
        pairs: what is to be scored.
        deciding: what decides the rows besides the files: settings, weights' hashes; JSON can hold it.
        resume: "no" starts only where not one case is finished; "yes" goes on if nothing has changed;
            "anyway" whatever has changed, keeping the cases whose own files are the same. Where no case is
            finished, all of them begin.
        session: whose spending cap the run keeps to; what `session_of` gives in the next sitting.

    Returns:
        What had changed and was accepted, in this sitting or an earlier one; empty for an honest run.

    Raises:
        AnotherRun: there is a run that this is not the continuation of.
        OutputError: there are finished cases, and no run is to be gone on with.
    """
    accepted = _accepted(journal, pairs, deciding, resume, session)
    _sweep(journal.path.parent)
    return accepted


def keep_apart(masks: Path, pairs: Iterable[Pair]) -> None:
    """See that a folder that masks are to be written to holds nothing that is read.

    Args:
        masks: the folder; there may be none yet.
        pairs: what is to be scored.

    Raises:
        OutputError: results would lie among the truths or images, and be taken for them the next time.
    """
    here = masks.resolve()
    for folder in {file.parent for pair in pairs for file in pair.files if not is_remote(file)}:
        if folder.resolve().is_relative_to(here):
            raise OutputError(
                f"The masks would be written into {masks}, which holds what is scored.",
                "Choose a folder of its own for the results.",
            )


def session_of(out: Path) -> str:
    """Whose spending cap the run that `out` holds keeps to; empty where that cannot be told. Blocks."""
    if not (out / NAME).is_file():
        return ""
    try:
        with Journal(out) as journal:
            return str(journal.about().get(_SESSION, ""))
    except OutputError:  # whoever goes on with it hears why
        return ""


def _accepted(
    journal: Journal, pairs: Sequence[Pair], deciding: Mapping[str, Any], resume: Resume, session: str
) -> tuple[str, ...]:
    inputs = [Input(pair.name, stamp_of(pair)) for pair in pairs]
    if not journal.finished():  # a run that ended before its first case leaves nothing to lose or to mix
        journal.begin({_DECIDING: deciding, _ANYWAY: [], _SESSION: session}, inputs)
        return ()
    if resume == "no":
        raise OutputError(
            f"{journal.path.parent} already holds a run.",
            "Go on with it by --resume, or choose another folder.",
        )
    about = journal.about()
    changes = (*_changed_settings(about[_DECIDING], deciding), *_changed_files(journal.inputs(), inputs))
    accepted: tuple[str, ...] = tuple(about[_ANYWAY])
    if not changes:
        return accepted
    if resume != "anyway":
        raise AnotherRun(
            f"This is not the run that {journal.path.parent} holds: {'; '.join(changes)}.",
            "Choose another folder, or mix both by --resume=anyway, which the results will say.",
        )
    accepted = tuple(dict.fromkeys((*accepted, *changes)))
    journal.begin({_DECIDING: deciding, _ANYWAY: accepted, _SESSION: session}, inputs)
    return accepted


def _sweep(out: Path) -> None:
    """Remove what a run that was killed while it wrote has left, and nothing of anybody else's."""
    for found in (*out.glob(".*.part"), *(out / MASKS).rglob(".*.part")):
        if is_torn(found):
            found.unlink(missing_ok=True)


def lost_folder(pair: Pair, before: str, pairs: Sequence[Pair]) -> Path | None:
    """The folder of the pair's files that went away since they were stamped, such as a network share. Blocks.

    A file that is missing in a folder that is there is none, nor is what was missing from the start.

    Args:
        pair: whose files could not be read.
        before: its stamp at the start.
        pairs: all of the run: a folder that held several of their files and is empty is gone too, since an
            unmounted share leaves one behind.
    """
    if stamp_of(pair) == before:
        return None
    for folder in dict.fromkeys(file.parent for file in pair.files):
        several = sum(file.parent == folder for one in pairs for file in one.files) > 1
        if not _listed(folder, several):
            return folder
    return None


def _listed(folder: Path, filled: bool) -> bool:
    """Whether a folder is there and, if it is to be filled, not empty."""
    try:
        if is_remote(folder):
            return bool(entries(str(folder))) or not filled
        with os.scandir(folder) as found:
            return next(found, None) is not None or not filled
    except (OSError, UnreadableFile):
        return False


def stamp_of(pair: Pair) -> str:
    """Sizes and times of change of a pair's files, and which they are: another text means another input."""
    return "|".join((f"{pair.frame}", *map(_stamp, pair.files), *(t.reader + t.item for t in pair.truths)))


def _stamp(path: Path) -> str:
    # whole, since masks of another folder may have the same names, sizes and times
    where = shown(path) if is_remote(path) else str(path.absolute())
    try:
        if is_remote(path):
            return f"{where}:{stamp(path)}"
        found = path.stat()
        pixels = _pixels_of(path) if path.suffix.lower() in _HEADERS else None
    except (OSError, UnreadableFile):
        # it will be a row with its reason; if it appears later, the input has changed
        return f"{where}:missing"
    stamped = f"{where}:{found.st_size}:{found.st_mtime_ns}"
    return stamped if pixels is None else f"{stamped}+{_stamp(pixels)}"


def _pixels_of(header: Path) -> Path | None:
    """The file that a header of MetaImage or NRRD names for its pixels, if it names one that is there.

    Raises:
        OSError: the header cannot be read.
    """
    with header.open("rb") as file:
        text = file.read(_HEADER_BYTES).decode("utf-8", "replace")
    named = _NAMED_FILE.search(text)
    if named is None:
        return None
    pixels = header.parent / named[1]
    return pixels if pixels.is_file() and pixels.suffix.lower() not in _HEADERS else None


def _changed_settings(old: Mapping[str, Any], new: Mapping[str, Any], within: str = "") -> list[str]:
    changes = []
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            changes += _changed_settings(before, now, f"{within}{name}.")
        elif before != now:
            changes.append(f"{within}{name} was {_short(before)} and is {_short(now)}")
    return changes


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def _changed_files(old: Sequence[Input], new: Sequence[Input]) -> list[str]:
    before, now = {one.name: one.stamp for one in old}, {one.name: one.stamp for one in new}
    found = {
        "new": [name for name in now if name not in before],
        "gone": [name for name in before if name not in now],
        "changed": [name for name, stamp in now.items() if before.get(name, stamp) != stamp],
    }
    changes = [
        f"{len(names)} case{'s are' if len(names) > 1 else ' is'} {what} ({', '.join(names[:_NAMED])}"
        f"{', …' if len(names) > _NAMED else ''})"
        for what, names in found.items()
        if names
    ]
    return changes or (["the order of cases is another"] if list(before) != list(now) else [])
