"""What the shipped models say about every image, kept on disk: asking again takes minutes, reading seconds.

Whatever may change an answer is part of a file's name: the card without its figures (and with it the weights'
hashes) and the pixels of the image. So a new model or a changed image is asked about anew, and nothing else.
Probabilities are kept as 16 bit integers, rounded so that the mask at 0.5 is the very mask.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from omniview.core.image import Array, BoolArray, FloatArray, Image
from omniview.core.prediction import Prediction, Provenance, Quality, Role
from omniview.core.segmenter import Segmenter
from omniview.core.task import TASKS
from omniview.errors import OmniViewError
from omniview.inference.card import Card, GeneralistCard, SpecialistCard
from omniview.inference.variants import precision_here
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.specialists.onnx_specialist import OnnxSpecialist
from omniview.training.calibrate import counted
from omniview.training.dataset import Example, load

__all__ = ["Answered", "Asked", "answers", "kept", "restored", "stored"]

STEPS = 65535
FORMAT = 2
"""Of the files: raised when more of a prediction is kept, so that older ones are not taken for it."""
_DECIDES = {
    "name",
    "sha256",
    "encoder_sha256",
    "decoder_sha256",
    "input",
    "output",
    "views",
    "quality",
    "novelty",
    "int8",
    "tasks",
}
"""Fields of a card that an unprompted answer depends on; a click network is none of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One labelled image.

    Attributes:
        name: folder and name.
        truth: (1,Y,X) bool.
        inside: (1,Y,X) bool where scores count, or None for everywhere.
        group: folder and patient or video.
    """

    name: str
    truth: BoolArray
    inside: BoolArray | None
    group: str


@dataclass(frozen=True, slots=True, eq=False)
class Answered(Asked):
    """The same with what each model said about it.

    Attributes:
        by: model, by the name that the caller gave it, to its prediction; None where it failed.
    """

    by: dict[str, Prediction | None]


def answers(
    cards: Mapping[str, Card], task: str, folder: Path, split: str, cache: Path, limit: int | None = None
) -> Iterator[Answered]:
    """Every case of a folder's split, one after the other, with the answers of all these models to it.

    Args:
        cards: specialists and the generalist, by what to call them.
        task: name of the task.
        folder: data folder with ``split.csv``.
        split: train, calibrate or test.
        cache: folder that answers are kept in.
        limit: only so many cases.
    """
    thread = InferenceThread()
    models = {name: (card, _built(card, thread)) for name, card in cards.items()}
    try:
        for example in load([folder], split)[:limit]:
            by = {name: _answer(*model, task, example, cache) for name, model in models.items()}
            inside = counted(example, task)
            yield Answered(
                f"{folder.name}/{example.name}",
                example.mask[None] > 127,
                None if inside is None else inside[None],
                f"{folder.name}/{example.group}",
                by,
            )
    finally:
        thread.close()


def _built(card: Card, thread: InferenceThread) -> Segmenter:
    if isinstance(card, GeneralistCard):
        return BuiltinGeneralist(card, thread, device="cpu", threads=1)
    assert isinstance(card, SpecialistCard)
    return OnnxSpecialist(card, thread, device="cpu", threads=1)


def _answer(card: Card, model: Segmenter, task: str, example: Example, cache: Path) -> Prediction | None:
    pixels = hashlib.blake2b(example.image.tobytes(), digest_size=6).hexdigest()
    path = cache / _key(card) / task / example.folder / f"{example.name}-{pixels}.npz"
    image = Image(example.image, modality=TASKS[task].modality)
    try:
        arrays = kept(path, lambda: asyncio.run(model.segment(image, TASKS[task])))
    except OmniViewError as error:
        typer.echo(f"{example.name}: {card.name}: {error}", err=True)
        return None
    weights = " ".join(digest for _, digest in card.files())
    return restored(arrays, card.name, model.role, weights)


def kept(path: Path, answer: Callable[[], Prediction]) -> dict[str, Array]:
    """The arrays of a prediction, from its file if there is one, else asked for and written."""
    if path.is_file():
        with np.load(path) as file:
            return dict(file)
    arrays = stored(answer())
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as part:
        np.savez_compressed(part, allow_pickle=False, **arrays)
    unfinished.replace(path)
    return arrays


def _key(card: Card) -> str:
    """Hash of all of the card that decides about its answers."""
    said: dict[str, Any] = card.model_dump(mode="json", include=_DECIDES)
    said["format"] = FORMAT
    said["tasks"] = {name: {**spec, "prompted": None} for name, spec in said.get("tasks", {}).items()}
    if said.get("int8") is not None:
        said["precision"] = precision_here("cpu", "auto")
    return f"{card.name}-{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]}"


def stored(prediction: Prediction) -> dict[str, Array]:
    """Arrays to keep: probability and spread in 65535ths, predicted Dice with its interval, novelty."""
    arrays: dict[str, Array] = {"probability": _in_steps(prediction.probability)}
    if prediction.spread is not None:
        arrays["spread"] = _in_steps(prediction.spread)
    if (quality := prediction.quality) is not None:
        arrays["quality"] = np.array([quality.value, quality.low, quality.high])
    if prediction.novelty is not None:
        arrays["novelty"] = np.array(prediction.novelty)
    return arrays


def restored(arrays: dict[str, Array], name: str, role: Role, weights: str | None = None) -> Prediction:
    """The prediction that `stored` was given, its mask exactly, its probabilities to 1/65535."""
    spread, quality, novelty = (arrays.get(name) for name in ("spread", "quality", "novelty"))
    return Prediction(
        name,
        role,
        _out_of_steps(arrays["probability"]),
        None if spread is None else _out_of_steps(spread),
        None if quality is None else Quality(*(float(q) for q in quality)),
        novelty=None if novelty is None else float(novelty),
        provenance=Provenance(weights_sha256=weights),
    )


def _in_steps(share: FloatArray) -> Array:
    # halves are rounded down: 0.5 itself is outside the mask, and stays there
    return np.ceil(share.astype(np.float64) * STEPS - 0.5).clip(0, STEPS).astype(np.uint16)


def _out_of_steps(steps: Array) -> FloatArray:
    return (steps / np.float32(STEPS)).astype(np.float32)
