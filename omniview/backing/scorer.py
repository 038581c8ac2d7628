"""Folders scored from the window: the same plan and the same run as on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from omniview.backing.gate import Gate
from omniview.batch.journal import NAME, Journal
from omniview.batch.rows import Record
from omniview.batch.run import Progress, Resume, Run
from omniview.core.cycles import no_search, set_aside
from omniview.errors import NotAllowed
from omniview.io.pair import Pairing
from omniview.omnimodel.clouds import CLOUDS, title_of
from omniview.scoring import Plan, plan
from omniview.settings import Settings
from omniview.ui.batch_plan import Held, Planned, Wish
from omniview.ui.batch_table import THUMBNAILS

__all__ = ["FolderScorer"]

_REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan as the window wants it."""

    own: Plan
    obstacle: str

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
        with set_aside():
            own = plan(
                wish.folder,
                settings,
                truth=wish.truth,
                task=wish.task,
                masks=wish.masks,
                consent=self._consent,
            )
        return _Planned(own, self._obstacle(settings))

    def held(self, out: Path) -> Held:
        """What the results in `out` are; nothing where they cannot be looked at."""
        report = out / _REPORT
        try:
            return Held((out / NAME).exists(), report if report.exists() else None)
        except OSError:  # what is wrong with the folder is said when it is written to
            return Held()

    def finished(self, out: Path) -> Iterator[Record]:
        """The cases that the run in `out` holds already, read one by one.

        Raises:
            OutputError: another run is at them, or they cannot be read.
        """
        with no_search(), Journal(out) as journal:
            for place, record in enumerate(journal.records()):
                yield record if place < THUMBNAILS else replace(record, thumbnail=None)

    def _obstacle(self, settings: Settings) -> str:
        """Why the omnimodel would not answer, in words."""
        name = settings.omnimodel
        if name not in CLOUDS:
            return ""
        if settings.offline:
            return (
                f"Offline {title_of(name)} is not asked. Switch Offline off in the window, or choose another."
            )
        try:
            wanted = Gate(lambda: settings, given=self._consent).wanted(name)
        except NotAllowed as error:
            return str(error)
        if wanted is None:
            return ""
        missing = " and ".join(
            word for word, is_so in (("an API key", wanted.key), ("your consent", wanted.consent)) if is_so
        )
        return (
            f"Without {missing} {title_of(name)} is not asked. "
            "Choose it in the window, then Models, Key and consent."
        )
