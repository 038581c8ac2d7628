"""Calibrating a pair on a person's own labelled cases, with the very omnimodel that they will use.

Cases go through the ordinary engine: what leaves this machine leaves through the airlock, what it costs is
within the budget, and a cloud's answers are kept in the cache, so that a run that was stopped is paid for
once. Cases are taken for independent ones, unless the folder's split.csv says which of them are of one
patient or video. The result is one small file, which fusion finds by the models' hashes.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from omniview.analyse import analyse
from omniview.batch.one import Models, Question, prepare, said_in_words
from omniview.compose import Composer
from omniview.core.asking import ALWAYS
from omniview.core.case import Case
from omniview.core.prediction import Prediction
from omniview.core.task import TASKS
from omniview.errors import InputError, OmniViewError, OutputError, SettingsError
from omniview.inference.pair_card import PairCard, identity, write_pair_card
from omniview.io.pair import pair_anything
from omniview.io.pair_read import read_truth_files
from omniview.io.pair_types import Pair
from omniview.io.remote import fetched, offline
from omniview.settings import Settings, home
from omniview.training.dataset import groups_in
from omniview.training.fitting import FEWEST, FOLDS, Fit, card_of, fit
from omniview.training.observed import Observed, observe

__all__ = ["Calibrated", "Skipped", "calibrate"]

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Skipped:
    """A case that says nothing about the pair, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What came of it.

    Attributes:
        path: the file.
        card: what it holds.
        fit: figures.
        skipped: cases without a mask of both models, or without a truth.
    """

    path: Path
    card: PairCard
    fit: Fit
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One case: what is kept of it, by whom, and the hash of its files."""

    observed: Observed
    models: tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]]
    digest: str


def calibrate(
    folder: Path,
    task: str,
    omnimodel: str,
    *,
    settings: Settings,
    truth: Path | None = None,
    out: Path | None = None,
    limit: int | None = None,
    consent: bool = False,
    on_case: Callable[[int, int, Skipped | None], None] | None = None,
) -> Calibrated:
    """Fit fusion on labelled cases and write what was learnt.

    Args:
        folder: images and masks, paired as `omniview score` does; where it holds a split.csv (name, split,
            group; see :mod:`omniview.training.dataset`), cases of one group are kept together.
        task: a task's name.
        omnimodel: an omnimodel's name.
        settings: how the models work.
        truth: folder of the masks, where it is elsewhere.
        out: the file to write; None: where fusion looks for it, in OmniView's home.
        limit: only the first so many images.
        consent: whether pixels may leave this machine for this run.
        on_case: told after each case: how many are done, of how many, and why this one does not count.

    Raises:
        SettingsError: there is no such task or omnimodel, or no omnimodel at all.
        InputError: too few cases, or groups of them, could be used, or split.csv is no such table.
        OutputError: the file cannot be written, which is tried before anybody is asked.
    """
    if task not in TASKS:
        raise SettingsError(
            f"Each task is calibrated by itself, and {task!r} is none.", f"Choose one of {', '.join(TASKS)}."
        )
    if omnimodel == "none":
        raise SettingsError("Fusion is calibrated with an omnimodel.", "Name one (--omnimodel).")
    question = Question(task, omnimodel, settings.offline, ALWAYS)
    with offline(settings.offline):  # tasks and their threads keep to it
        pairs = pair_anything(folder, truth).pairs[:limit]
        groups = groups_in(folder)
        _together([pair for pair in pairs if pair.truths], groups)  # too few are too few before they cost
        path = out or home() / "fusion" / f"{task}.{omnimodel}.toml"
        _try_to_write(path)
        tell = on_case or (lambda *_: None)
        return asyncio.run(_calibrate(pairs, groups, settings, question, consent, path, tell))


def _try_to_write(path: Path) -> None:
    """Let no answers be paid for that end in nothing.

    Raises:
        OutputError: nothing can be written there.
    """
    with _said_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path.name} cannot be written ({error.strerror}).",
            f"Make {path.parent} writable, or choose another file (--out).",
        ) from error


async def _calibrate(
    pairs: Sequence[Pair],
    groups: Mapping[str, str],
    settings: Settings,
    question: Question,
    consent: bool,
    path: Path,
    on_case: Callable[[int, int, Skipped | None], None],
) -> Calibrated:
    composer = await asyncio.to_thread(lambda: Composer(settings, consent=consent))
    try:
        composer.segmenters(composer.tasks()[question.task], question.omnimodel, question.offline)
        found = await _look(pairs, composer, question, on_case)
    finally:
        await composer.close()
    seen = [one for one in found if isinstance(one, _Seen)]
    skipped = tuple(one for one in found if isinstance(one, Skipped))
    if len(seen) < FEWEST:
        why = f" For example {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise InputError(
            f"{len(seen)} of {len(pairs)} cases can be used, and {FEWEST} are needed.{why}",
            "Add labelled cases that the specialist was not trained on.",
        )
    if len({one.models for one in seen}) > 1:
        raise InputError("Not every answer came from the same models.", "Calibrate again with one version.")
    counted = [pair for pair, one in zip(pairs, found, strict=True) if isinstance(one, _Seen)]
    together = _together(counted, groups)
    fitted = await asyncio.to_thread(fit, [one.observed for one in seen], groups=together)
    own, other = seen[0].models
    card = card_of(
        fitted,
        task=question.task,
        omnimodel=question.omnimodel,
        specialist=own,
        other=other,
        data={
            "sha256": _digest_of_all(seen),
            "folds": FOLDS,
            "skipped": len(skipped),
            **({} if together is None else {"groups": len(set(together))}),
        },
    )
    with _said_of(path):
        await asyncio.to_thread(write_pair_card, card, path)
    return Calibrated(path, card, fitted, skipped)


def _together(pairs: Sequence[Pair], groups: Mapping[str, str]) -> list[str] | None:
    """The group of each case, where anybody said; one that is not listed is one of its own.

    Raises:
        InputError: there are fewer groups than folds.
    """
    if not groups:
        return None
    found = [groups.get(pair.image.stem, pair.name) for pair in pairs]
    if (several := len(set(found))) < FOLDS:
        raise InputError(
            f"By split.csv the cases are of {several} group(s), and {FOLDS} groups are needed.",
            "Add labelled cases of other patients or videos.",
        )
    return found


async def _look(
    pairs: Sequence[Pair],
    models: Models,
    question: Question,
    on_case: Callable[[int, int, Skipped | None], None],
) -> list[_Seen | Skipped]:
    """Every pair through the engine, in order; those that do not count with the reason."""
    gate, done = asyncio.Semaphore(_AT_ONCE), 0

    async def one(pair: Pair) -> _Seen | Skipped:
        nonlocal done
        async with gate:
            try:
                with said_in_words():
                    found: _Seen | Skipped = await _see(pair, models, question)
            except OmniViewError as error:
                found = Skipped(pair.name, str(error))
        done += 1
        on_case(done, len(pairs), found if isinstance(found, Skipped) else None)
        return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(pair)) for pair in pairs]
    return [task.result() for task in tasks]


async def _see(pair: Pair, models: Models, question: Question) -> _Seen | Skipped:
    if not pair.truths:
        return Skipped(pair.name, "There is no mask of this image.")
    ready = await asyncio.to_thread(prepare, pair.image, models, question, pair.frame)
    case = await analyse(ready.image, ready.task, ready.segmenters)
    own, other = case.prediction("specialist"), case.prediction("omnimodel")
    if own is None or other is None:
        return Skipped(pair.name, " ".join(f"{f.model}: {f.reason} {f.next_step}" for f in case.failures))
    return await asyncio.to_thread(_observed, pair, case, own, other)


def _observed(pair: Pair, case: Case, own: Prediction, other: Prediction) -> _Seen | Skipped:
    who = (own.model, identity(own)), (other.model, identity(other))
    if not all(known for _, known in who):
        return Skipped(pair.name, "A model does not say which it is, so that it could not be found again.")
    # of several readers the first, as everywhere that only one can count
    truth = read_truth_files(pair.truths[0], case.image, case.task.labels)
    return _Seen(observe(pair.name, own, other, truth.mask), who, _digest(pair))


def _digest(pair: Pair) -> str:
    digest = hashlib.sha256()
    for path in (pair.image, *pair.truths[0].files):
        with fetched(path) as here, here.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _digest_of_all(seen: Sequence[_Seen]) -> str:
    """One hash of all cases, whatever they are called and in whichever order they came."""
    return hashlib.sha256("".join(sorted(one.digest for one in seen)).encode()).hexdigest()
