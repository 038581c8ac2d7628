"""What the dialog for folders says: before a run, while it goes, and at its end. Pure, no widgets."""

from __future__ import annotations

from omniview.batch.run import Progress, Result
from omniview.errors import OmniViewError
from omniview.io.pair_types import Pairing
from omniview.ui.messages import Level

__all__ = ["count", "end_words", "in_window", "plan_words", "progress_words"]

_INSTEAD = (
    ("go on with --resume", "press Start"),
    (
        "mix both by --resume=anyway, which the results will say",
        "press Mix both, which the report says",
    ),
    ("Go on with it by --resume", "Press Start to go on with it"),
    ("Leave --offline out", "Switch Offline off in the window"),
    ("Score with --jobs 1.", "Close other programs, then press Start."),
)
"""What errors tell people at the command line to do, and what does the same in the window."""


def in_window(error: OmniViewError) -> str:
    """Cause and next step, as a person in the window can take it."""
    text = str(error)
    for typed, instead in _INSTEAD:
        text = text.replace(typed, instead)
    return text


def count(number: int, one: str, many: str = "") -> str:
    """A number of things: `1 image`, `2 images`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def plan_words(pairing: Pairing, cost: str, *, out: bool, begun: bool) -> str:
    """What will be done.

    Args:
        pairing: what was found.
        cost: what asking may cost, in words; empty where it costs nothing.
        out: whether a folder for the results is named.
        begun: whether that folder holds a run already.
    """
    pairs, left = pairing.pairs, pairing.unpaired
    truths = sum(pair.truth is not None for pair in pairs)
    several = sum(len(pair.truths) > 1 for pair in pairs)
    parts = [f"{count(len(pairs), 'image')}, {truths} with ground truth"]
    if several:
        parts.append(f"{several} of them by several readers")
    if left:
        parts.append(f"{count(len(left), 'file')} could not be paired")
    text = " ".join(filter(None, ("; ".join(parts) + ".", cost)))
    if not out:
        return f"{text} Name a folder for the results."
    going_on = "The results hold a run already: Start goes on with it, unless something has changed."
    return f"{text} {going_on}" if begun else text


def progress_words(progress: Progress) -> str:
    """How far a run is."""
    totals = progress.totals
    parts = [f"{totals.finished} of {progress.total}"]
    if totals.failed:
        parts.append(f"{totals.failed} failed")
    if totals.cost is not None:
        parts.append(f"{totals.cost:.4f} {totals.currency or ''}".strip())
    if totals.finished == progress.total:
        parts.append("writing tables and report…")
    elif progress.paused:
        parts.append("paused; what is under way is finished")
    elif progress.remaining_s is not None:
        parts.append(f"about {_duration(progress.remaining_s)} left")
    return ", ".join(parts)


def end_words(result: Result) -> tuple[str, Level]:
    """How a run ended."""
    totals = result.totals
    done = "is" if totals.finished == 1 else "are"
    what = f"{totals.finished} of {count(result.total, 'case')} {done} done"
    failed = f", {totals.failed} of them failed" if totals.failed else ""
    rest = ". Start goes on with the rest." if result.incomplete else "."
    return what + failed + rest, Level.WARNING if result.incomplete or totals.failed else Level.GOOD


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
