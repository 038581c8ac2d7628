"""Whether a run may go on where an earlier one ended: only if the same input would give the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from omniview.batch.journal import Input, Journal
from omniview.errors import OutputError, UnreadableFile
from omniview.io.pair_types import Pair
from omniview.io.remote import is_remote, stamp

__all__ = ["Resume", "begin", "stamp_of"]

Resume: TypeAlias = Literal["no", "yes", "anyway"]

_DECIDING = "deciding"
_ANYWAY = "resumed_anyway"
_NAMED = 3
"""How many changed files a message names."""


def begin(
    journal: Journal, pairs: Sequence[Pair], deciding: Mapping[str, Any], resume: Resume
) -> tuple[str, ...]:
    """Start a run in `journal`, or go on with the one that is there.

    Args:
        journal: of the folder of results.
        pairs: what is to be scored.
        deciding: what decides the rows besides the files: settings, weights' hashes; JSON can hold it.
        resume: "no" starts in a folder without a run only; "yes" goes on if nothing has changed; "anyway"
            whatever has changed, keeping the cases whose own files are the same.

    Returns:
        What had changed and was accepted, in this sitting or an earlier one; empty for an honest run.

    Raises:
        OutputError: there is a run that this is not the continuation of.
    """
    inputs = [Input(pair.name, stamp_of(pair)) for pair in pairs]
    for torn in journal.path.parent.rglob(".*.part"):  # of a run that was killed while it wrote
        torn.unlink(missing_ok=True)
    if not journal.begun:
        journal.begin({_DECIDING: deciding, _ANYWAY: []}, inputs)
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
        raise OutputError(
            f"This is not the run that {journal.path.parent} holds: {'; '.join(changes)}.",
            "Choose another folder, or mix both by --resume=anyway, which the results will say.",
        )
    accepted = tuple(dict.fromkeys((*accepted, *changes)))
    journal.begin({_DECIDING: deciding, _ANYWAY: accepted}, inputs)
    return accepted


def stamp_of(pair: Pair) -> str:
    """Sizes and times of change of a pair's files, and which they are: another text means another input."""
    return "|".join((f"{pair.frame}", *map(_stamp, pair.files), *(t.reader + t.item for t in pair.truths)))


def _stamp(path: Path) -> str:
    try:
        if is_remote(path):
            return f"{path.name}:{stamp(path)}"
        found = path.stat()
    except (OSError, UnreadableFile):
        # it will be a row with its reason; if it appears later, the input has changed
        return f"{path.name}:missing"
    return f"{path.name}:{found.st_size}:{found.st_mtime_ns}"


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
