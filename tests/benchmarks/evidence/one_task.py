"""One task from its folders to its evidence: what a worker process does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import typer

from omniview.inference.card import Card, GeneralistCard, SpecialistCard, find_cards
from omniview.training.run import folders_of
from tests.benchmarks.evidence.experiments import SECOND, Evidence, gather
from tests.benchmarks.evidence.predictions import Answered, answers
from tests.benchmarks.evidence.scores import OMNIMODEL, SPECIALIST

__all__ = ["evidence_of"]

LEARNT = ("polyp", "breast")
"""Tasks for which the simulated omnimodel is calibrated too: those with enough cases to judge it by."""


def evidence_of(
    task: str, data: Path, out: Path, models: Path, second: Path | None, limit: int | None
) -> Evidence | None:
    """Everything about a task; None where there is no data, or no pair of models."""
    cv2.setNumThreads(1)
    # what ships is measured, not what this person has calibrated
    os.environ["OMNIVIEW_HOME"] = str(out / "home")
    folders = folders_of(task, sorted(data.iterdir()))
    cards = _cards(models, task)
    if not folders or len(cards) < 2:
        return None
    more = {} if second is None else _cards(second, task)
    asked = {**cards, SECOND: more[SPECIALIST]} if SPECIALIST in more else cards
    cases = _split("test", asked, task, folders, out, limit)
    learnt = {SPECIALIST: cards[SPECIALIST]}
    calibrate = _split("calibrate", learnt, task, folders, out, limit) if task in LEARNT else []
    found = gather(task, cases, calibrate, out / "simulated")
    typer.echo(f"{task}: {len(cases)} cases, {', '.join(asked)}", err=True)
    return found


def _split(
    split: str, models: Mapping[str, Card], task: str, folders: Sequence[Path], out: Path, limit: int | None
) -> list[Answered]:
    cache = out / "predictions"
    return [case for folder in folders for case in answers(models, task, folder, split, cache, limit)]


def _cards(folder: Path, task: str) -> dict[str, Card]:
    found: dict[str, Card] = {}
    cards = find_cards([folder])
    if cards.problems:
        raise cards.problems[0]  # left out in silence, its task would be missing from the evidence
    for card in cards.cards:
        if isinstance(card, SpecialistCard) and card.task == task:
            found[SPECIALIST] = card
        elif isinstance(card, GeneralistCard) and task in card.tasks:
            found[OMNIMODEL] = card
    return found
