"""Scoring a folder, the one way for all doors: the window, `omniview score` and `omniview.score(...)`.

A `Plan` says what will be done, and what cannot be paired and why, before anything is; `Plan.run` makes the
run that does it. All doors come through here, and so get the same rows for the same input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, TypeVar, get_args
from uuid import uuid4

import omniview
from omniview.batch.cluster import LOCAL, QUEUES, Cluster, workers_here
from omniview.batch.doubt import threshold
from omniview.batch.ingredients import ingredients, libraries
from omniview.batch.one import AUTO, Question
from omniview.batch.processes import Processes
from omniview.batch.resuming import session_of
from omniview.batch.run import Progress, Result, Resume, Run, Workers
from omniview.batch.station import CLOUD_PLACES, Station
from omniview.batch.work import Order
from omniview.compose import Composer, model_folders, policy_of
from omniview.core.asking import AskPolicy, Share, rule_from
from omniview.core.cores import cores
from omniview.core.task import TASKS
from omniview.errors import OmniViewError, SettingsError
from omniview.inference.variants import precision_here
from omniview.io.pair import Pairing, pair_anything
from omniview.io.remote import is_remote, refuse_offline, shown
from omniview.io.remote import offline as shut_if
from omniview.omnimodel.clouds import CLOUDS
from omniview.omnimodel.outlook import Outlook, outlook
from omniview.settings import Settings, home

__all__ = ["ComposerOf", "Plan", "plan", "score"]

T = TypeVar("T")

_DO_NOT_DECIDE = {"threads", "device", "cache_mb", "omnimodel", "offline"}
"""Settings that change no row, or that the question names already."""


@dataclass(frozen=True, slots=True)
class ComposerOf:
    """Builds a composer wherever it is sent to: worker processes make models of their own."""

    settings: Settings
    consent: bool = False
    session: str = ""

    def __call__(self) -> Composer:
        """A composer, to be closed by whoever asked."""
        return Composer(self.settings, consent=self.consent, session=self.session or None)


@dataclass(frozen=True, slots=True)
class MadeOf:
    """Finds the hashes of what answers are made of, on whatever machine it is called."""

    question: Question

    def __call__(self) -> Mapping[str, Any]:
        """As `ingredients` has them. Blocks."""
        return ingredients(self.question, model_folders())


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        folder: what was asked for.
        pairing: images with their truths, and what could not be paired.
        order: what is wanted of each.
        settings: how the models work.
        consent: whether pixels may leave this machine for this run.
        share: largest share of the cases that an omnimodel outside of this machine is asked about.
    """

    folder: Path
    pairing: Pairing
    order: Order
    settings: Settings
    consent: bool = False
    share: float = 1.0

    def asking(self, policy: AskPolicy) -> Plan:
        """The same with another rule when to ask."""
        ask = {**self.settings.ask.model_dump(), "when": policy.when, "below": policy.below}
        question = replace(self.order.question, ask=policy)
        settings = self.settings.changed(ask=ask)
        return replace(self, settings=settings, order=replace(self.order, question=question))

    async def doubtful(self) -> Plan:
        """The same, asking about the share of the cases that the specialist is most doubtful of.

        The specialist looks at every image for that, in this process.
        """
        composer = await asyncio.to_thread(ComposerOf(self.settings))
        try:
            below = await threshold(self.pairing.pairs, composer, self.order.question, self.share)
        finally:
            await composer.close()
        return self.asking(AskPolicy("doubtful", below))

    def outlook(self) -> Outlook | None:
        """What asking may cost; None where nothing can cost anything. Blocks."""
        return outlook(self.settings, ceil(self.share * len(self.pairing.pairs)), home())

    def run(
        self,
        out: Path,
        *,
        jobs: int = 1,
        scheduler: str = "",
        apart: bool = False,
        resume: Resume = "no",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Run:
        """The run, to be awaited with `go` on this very event loop.

        Args:
            out: folder for the results.
            jobs: worker processes; 1 works in this one.
            scheduler: of a Dask cluster: an address, "local", or a queueing system such as "slurm".
            apart: let even a single worker have a process of its own, beside a window that must not wait.
            resume: "no", "yes" or "anyway".
            on_progress: called on the event loop's thread.

        Raises:
            SettingsError: offline and on a cluster, which is reached by sockets; or a spending cap and
                workers on other machines, which do not see each other's spending; or an option
                breaks its rule.
        """
        _check(out, jobs, resume, scheduler)
        shared_out = self._shared_out(workers_here(scheduler, jobs))
        # the cap of a batch holds for all of its sittings
        session = (session_of(out) if resume != "no" else "") or uuid4().hex
        make = ComposerOf(shared_out, self.consent, session)
        workers = self._workers(jobs, scheduler, make, apart)
        return Run(
            self.pairing.pairs,
            self.order,
            make,
            workers,
            out,
            deciding=self.deciding(),
            about={
                "provided_by": f"OmniView {omniview.__version__}",
                "libraries": libraries(),
                "unpaired": [{"name": u.name, "reason": u.reason} for u in self.pairing.unpaired],
            },
            resume=resume,
            session=session,
            on_progress=on_progress,
        )

    def _workers(self, jobs: int, scheduler: str, make: ComposerOf, apart: bool) -> Workers:
        asks = self.order.question.omnimodel != "none"
        asking = max(1, CLOUD_PLACES // max(jobs, workers_here(scheduler, jobs))) if asks else 0
        if scheduler:
            if self.order.question.offline:
                raise SettingsError(
                    "Offline opens no socket, and a cluster is reached by nothing else.",
                    "Score with --jobs N on this machine, or leave --offline out.",
                )
            budget = self.settings.budget
            capped = budget.session is not None or budget.daily is not None
            if scheduler != LOCAL and capped and self.order.question.omnimodel in CLOUDS:
                raise SettingsError(
                    "A spending cap holds on one machine only, and each machine of a cluster has its own.",
                    "Score with --jobs N on this machine, or without a cap.",
                )
            return Cluster(scheduler, jobs=jobs, asking=asking, made_of=MadeOf(self.order.question))
        return Processes(jobs, asking) if jobs > 1 or apart else Station(make())

    def deciding(self) -> dict[str, Any]:
        """What decides the rows besides the files; a run goes on only where it is the same. Blocks."""
        question = self.order.question
        return {
            "version": omniview.__version__,
            "task": question.task,
            "omnimodel": question.omnimodel,
            "offline": question.offline,
            "metrics": list(self.order.metrics),
            "masks": self.order.masks,
            "thumbnails": self.order.thumbnails,
            "settings": self.settings.model_dump(mode="json", exclude=_DO_NOT_DECIDE),
            "precision": precision_here(self.settings.device, self.settings.precision),
            **MadeOf(question)(),
        }

    def _shared_out(self, jobs: int) -> Settings:
        """The settings with this machine's cores shared out among the jobs."""
        if jobs == 1 or self.settings.threads:
            return self.settings
        return self.settings.changed(threads=max(1, cores() // jobs))


def plan(
    folder: Path,
    settings: Settings,
    *,
    truth: Path | None = None,
    task: str = AUTO,
    limit: int | None = None,
    masks: bool = False,
    consent: bool = False,
) -> Plan:
    """Find what is to be scored, and how. Blocks while folders are listed.

    Args:
        folder: of images and masks, or a list of files; either may be an address that fsspec knows.
        settings: which omnimodel, how many views and answers, whether offline.
        truth: folder of the masks, where it is elsewhere.
        task: a task's name, or "auto".
        limit: only the first so many images.
        masks: also write every mask.
        consent: let pixels leave this machine for this run.

    Raises:
        UnreadableFile: there is nothing to score.
        SettingsError: the task does not exist, or the limit is none.
        NotAllowed: offline, and the folder, or a file that a list names, lies elsewhere.
    """
    question = Question(task, settings.omnimodel, settings.offline, policy_of(settings))
    if limit is not None and limit < 1:
        raise SettingsError(f"limit must be 1 or more, got {limit}.", "Leave it out to score every image.")
    if task != AUTO and task not in TASKS:
        raise SettingsError(f"There is no task {task!r}.", f"Choose one of {', '.join((AUTO, *TASKS))}.")
    with shut_if(settings.offline):
        # whole paths: whoever does a case, now or later, may be at work in another folder
        pairing = pair_anything(_whole(folder), None if truth is None else _whole(truth))
    if settings.offline:
        for one in (file for pair in pairing.pairs for file in pair.files):
            refuse_offline(one)
    if limit is not None:
        pairing = Pairing(pairing.pairs[:limit], pairing.unpaired)
    return Plan(folder, pairing, Order(question, masks=masks), settings, consent)


def _whole(path: Path) -> Path:
    """The path from the root on, the same from wherever it is named; links keep the name that they have."""
    if is_remote(path):
        return path
    return path.resolve() if ".." in path.parts else path.absolute()


def _check(out: Path, jobs: int, resume: str, scheduler: str) -> None:
    """Refuse what no run can be made of.

    Raises:
        SettingsError: an option breaks its rule.
    """
    if jobs < 1:
        raise SettingsError(f"jobs must be 1 or more, got {jobs}.", "Give the number of worker processes.")
    if resume not in get_args(Resume):
        raise SettingsError(
            f"There is no way to resume called {resume!r}.", f"Choose one of {', '.join(get_args(Resume))}."
        )
    if scheduler not in ("", LOCAL, *QUEUES) and ":" not in scheduler:
        raise SettingsError(
            f"There is no scheduler called {scheduler!r}.",
            f"Choose one of {', '.join((LOCAL, *QUEUES))}, or give an address such as tcp://host:8786.",
        )
    if is_remote(out):
        raise SettingsError(
            f"Results are written to this machine, and {shown(out)} is elsewhere.", "Choose a folder here."
        )


def score(
    folder: str | Path,
    out: str | Path,
    *,
    truth: str | Path | None = None,
    task: str = AUTO,
    omnimodel: str | None = None,
    offline: bool | None = None,
    answers: int | None = None,
    views: int | None = None,
    limit: int | None = None,
    masks: bool = False,
    jobs: int = 1,
    scheduler: str = "",
    resume: Resume = "no",
    consent: bool = False,
    ask: str | None = None,
    budget: float | None = None,
    settings: Settings | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Score every image of a folder against its ground truth; blocks until it is done.

    Args:
        folder: of images and masks in one of the layouts that `omniview.io.pair` knows, or a list of files;
            either may be an address that fsspec knows, such as s3://bucket/set.
        out: folder for the results: cases.csv, summary.json, report.html and more.
        truth: folder of the masks, where it is elsewhere.
        task: a task's name, or "auto".
        omnimodel: whom to ask for a second opinion, or "none"; default: as the settings say.
        offline: open no socket at all; default: as the settings say.
        answers: how often a cloud omnimodel is asked about an image; default: as the settings say.
        views: test-time augmentations of the specialist; default: as the settings say.
        limit: only the first so many images.
        masks: also write every mask.
        jobs: worker processes; 1 works in this one.
        scheduler: of a Dask cluster: an address, "local", or a queueing system such as "slurm"; `jobs` are
            then the workers to start there.
        resume: go on with the run that `out` holds: "yes" if nothing has changed, "anyway" whatever has.
        consent: let pixels leave this machine for this run.
        ask: when a cloud omnimodel is asked at all: "always", "never", "below:0.75" (where the specialist's
            predicted Dice is below that) or "share:0.2" (about those 20 % of all cases that the specialist is
            most doubtful of, which looks at every image once more for that); default: as the settings say.
        budget: what the run may cost at most, in US dollars; default: as the settings say.
        settings: instead of the person's own.
        on_plan: told what will be done, before it is; what it raises stops it.
        on_progress: told after every case.

    Raises:
        OmniViewError: nothing to score, a wrong option, or results that cannot be written; a bad case is
            none: it is a row with its reason.
    """
    _check(Path(out), jobs, resume, scheduler)
    given = {"omnimodel": omnimodel, "answers": answers, "views": views, "offline": offline}
    chosen = (settings or Settings.load()).changed(**{k: v for k, v in given.items() if v is not None})
    if budget is not None:
        chosen = chosen.changed(budget={**chosen.budget.model_dump(), "session": budget})
    rule = None if ask is None else rule_from(ask)
    planned = plan(
        Path(folder),
        chosen,
        truth=None if truth is None else Path(truth),
        task=task,
        limit=limit,
        masks=masks,
        consent=consent,
    )
    if isinstance(rule, Share):
        planned = replace(planned, share=rule.of_all)
    elif rule is not None:
        planned = planned.asking(rule)
    if on_plan is not None:
        on_plan(planned)

    async def work() -> Result:
        plan = await planned.doubtful() if isinstance(rule, Share) else planned
        run = plan.run(Path(out), jobs=jobs, scheduler=scheduler, resume=resume, on_progress=on_progress)
        return await run.go()

    return _waited_for(work())


def _waited_for(work: Coroutine[Any, Any, T]) -> T:
    """The result, also where an event loop is running already, as in a notebook.

    Raises:
        OmniViewError: the main thread has ended, and with it Python's threads for whatever is not begun yet.
    """
    try:
        if not _has_loop():
            return asyncio.run(work)
        with ThreadPoolExecutor(1, thread_name_prefix="score") as thread:
            return thread.submit(asyncio.run, work).result()
    except RuntimeError as error:
        if not _leaving():
            raise
        raise OmniViewError(
            "The program's main thread ended while another was scoring; what is finished is kept.",
            "Let the main thread wait for it (join), then go on with resume='yes'.",
        ) from error


def _leaving() -> bool:
    """Whether the program is ending, when Python begins nothing in threads any more."""
    with ThreadPoolExecutor(1) as probe:
        try:
            probe.submit(int)
        except RuntimeError:
            return True
    return False


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
