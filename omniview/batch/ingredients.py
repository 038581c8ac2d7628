"""What makes a run's rows besides code and settings: weights, cards and calibrations, by their hashes.

A changed temperature in a model card changes every row as surely as other weights do; whoever goes on with a
run must hear of either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from omniview import resources
from omniview.batch.one import AUTO, Question
from omniview.core.task import TASKS
from omniview.errors import OmniViewError
from omniview.inference.card import Card, GeneralistCard, SpecialistCard, find_cards
from omniview.inference.sam_card import SamCard
from omniview.settings import home

__all__ = ["ingredients", "libraries"]

_COMPUTE = ("numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "scipy", "torch")


def ingredients(question: Question, folders: Sequence[Path]) -> Mapping[str, Any]:
    """SHA-256 (lower-case hex) of all that may decide the answers to `question`; JSON can hold it. Blocks.

    Args:
        question: what every image is asked.
        folders: where model cards are looked for.

    Returns:
        `weights` and `cards`, by the card's name; `fusion`, the calibrations of a pair of models by file
        name, the person's `own` and the `shipped` ones; `recognise`, where the task is to be found out.

    Raises:
        OmniViewError: the task is to be found out, and the installation lacks what that needs.
    """
    cards = [card for card in find_cards(folders).cards if _may_answer(card, question)]
    found: dict[str, Any] = {
        "weights": {card.name: " ".join(digest for _, digest in card.files()) for card in cards},
        "cards": {card.name: card.toml_sha256 for card in cards},
        "fusion": _calibrations(tuple(TASKS) if question.task == AUTO else (question.task,)),
    }
    if question.task == AUTO:
        found["recognise"] = _hash(resources.path("recognise.json"))
    return found


def libraries() -> Mapping[str, str]:
    """Name to version of what computes: it may move a last digit, and is told for that. Blocks."""
    return {one: metadata.version(one) for one in _COMPUTE if any(metadata.distributions(name=one))}


def _may_answer(card: Card, question: Question) -> bool:
    if isinstance(card, SpecialistCard):
        return question.task in (AUTO, card.task)
    kind = {"builtin": GeneralistCard, "sam": SamCard}.get(question.omnimodel)
    return kind is not None and isinstance(card, kind)


def _calibrations(tasks: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Those that `omniview.inference.pair_card` may take; which, is known only with the answers."""
    folders = {"own": home() / "fusion"}
    with suppress(OmniViewError):  # an installation may be without them
        folders["shipped"] = resources.path("fusion")
    return {
        whose: {path.name: _hash(path) for task in tasks for path in sorted(folder.glob(f"{task}.*.toml"))}
        for whose, folder in folders.items()
    }


def _hash(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"  # whoever needs it says why; readable later, it is a change
