"""What runs on a cluster's workers: cases, unless the worker would not give the rows of this run.

Workers may come at any time and from anywhere. One that has another version, does not see the images, or has
other models would write rows that nobody could tell from the others, so it says so instead of working.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import omniview
from omniview.batch.station import Bounds, perform
from omniview.batch.work import Done, Make, Work
from omniview.errors import OmniViewError

__all__ = ["INSTALL", "Expected", "MadeOf", "Refusal", "perform_here", "version_here"]

INSTALL = "Install the same version on every worker."
_NAMED = 3
"""How many differences a message names."""

MadeOf: TypeAlias = Callable[[], Mapping[str, Any]]
"""Finds the hashes of all that a run's answers are made of, on whatever machine it is sent to."""
Refusal: TypeAlias = tuple[str, str]
"""Why a worker cannot do a case of this run, and what helps."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a worker is to be like, as it is where the run is.

    Attributes:
        version: of OmniView.
        made_of: hashes by name; None where they do not matter.
        look: finds them.
    """

    version: str
    made_of: Mapping[str, Any] | None = None
    look: MadeOf | None = None


def perform_here(work: Work, expected: Expected, seen: Sequence[Path], bounds: Bounds) -> Done | Refusal:
    """On a worker: the case, by models that are kept from case to case, or why not.

    Args:
        work: the case.
        expected: what this worker is to be like.
        seen: those of the case's files that are there where the run is.
        bounds: what this worker may take.
    """
    where = f"The worker on {socket.gethostname()}"
    if expected.version != omniview.__version__:
        return f"{where} has OmniView {omniview.__version__}, this is {expected.version}.", INSTALL
    if (lacking := next((path for path in seen if not path.exists()), None)) is not None:
        return (
            f"{where} does not see {lacking}.",
            "Put the folder where every worker sees it under this path, or give its address (s3://...), "
            "then go on with --resume.",
        )
    if expected.look is not None and expected.made_of is not None:
        try:
            found = _found(work.make, expected.look)
        except OmniViewError as error:
            return f"{where} lacks what this run needs: {error.message}", error.next_step
        if differing := list(_differing(expected.made_of, found)):
            named = ", ".join(differing[:_NAMED]) + (", …" if len(differing) > _NAMED else "")
            return (
                f"{where} has not the models of this machine: {named}.",
                "Let OMNIVIEW_HOME be the same folder on every worker, then go on with --resume.",
            )
    return perform(work, bounds)


def version_here() -> str:
    """Of OmniView."""
    return omniview.__version__


@lru_cache(maxsize=1)
def _found(run: Make, look: MadeOf) -> Mapping[str, Any]:  # noqa: ARG001 - `run` is a key of the cache
    """Looked for once a `run`, which each has models of its own."""
    return look()


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Names of what is not the same in both."""
    for name in sorted({*one, *other}):
        first, second = one.get(name), other.get(name)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            yield from _differing(first, second, f"{within}{name}.")
        elif first != second:
            yield f"{within}{name}"
