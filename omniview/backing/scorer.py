"""Folders scored from the window: the same plan and the same run as on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omniview.batch.journal import NAME, Journal
from omniview.batch.rows import Record
from omniview.batch.run import Progress, Resume, Run
from omniview.io.pair import Pairing
from omniview.scoring import Plan, plan
from omniview.settings import Settings
from omniview.ui.batch_plan import Planned, Wish

__all__ = ["FolderScorer"]

_PICTURES = 2000
"""Thumbnails of so many finished cases are handed over; the report has them all."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan as the window wants it."""

    own: Plan

    @property
    def pairing(self) -> Pairing:
        return self.own.pairing

    def cost(self) -> str:
        found = self.own.outlook()
        return "" if found is None else found.text()

    def run(
        self,
        out: Path,
        *,
        apart: bool,
        resume: Resume = "no",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Run:
        return self.own.run(out, apart=apart, resume=resume, on_progress=on_progress)


class FolderScorer:
    """Plans batches with the person's settings.

    Args:
        settings: gives those in force.
        consent: whether pixels may leave this machine for this run.
    """

    def __init__(self, settings: Callable[[], Settings], *, consent: bool = False) -> None:
        self._settings = settings
        self._consent = consent

    def plan(self, wish: Wish) -> Planned:
        """Find what is to be scored.

        Raises:
            OmniViewError: there is nothing to score, or the wish names what does not exist.
        """
        settings = self._settings().changed(omnimodel=wish.omnimodel, offline=wish.offline)
        return _Planned(
            plan(
                wish.folder,
                settings,
                truth=wish.truth,
                task=wish.task,
                masks=wish.masks,
                consent=self._consent,
            )
        )

    def finished(self, out: Path) -> Sequence[Record]:
        """The cases that the results in `out` hold already.

        Raises:
            OutputError: another run is at them, or they cannot be read.
        """
        if not (out / NAME).exists():
            return ()
        with Journal(out) as journal:
            return [
                record if place < _PICTURES else replace(record, thumbnail=None)
                for place, record in enumerate(journal.records())
            ]
