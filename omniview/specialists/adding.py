"""A person's own network becomes an installed specialist: checked, copied, described, tried, or refused."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omniview.core import phantom
from omniview.core.case import Truth
from omniview.core.image import Image, Modality
from omniview.core.task import Task
from omniview.errors import CardError, OmniViewError, OutputError
from omniview.inference.card import SpecialistCard, read_card
from omniview.inference.guided import Proposal
from omniview.inference.network_file import NetworkFile
from omniview.inference.worker import InferenceThread
from omniview.settings import home
from omniview.specialists.onnx_specialist import OnnxSpecialist

__all__ = ["About", "Added", "add", "name_for", "picture_for"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VIEWS = ("identity", "hflip")
_LARGEST = 2**31 - 1
"""Bytes: Protocol Buffers hold no more in one file."""

_PICTURES: Mapping[Modality, Callable[[], tuple[Image, Truth]]] = MappingProxyType(
    {
        Modality.ENDOSCOPY: phantom.endoscopy,
        Modality.FUNDUS: phantom.fundus,
        Modality.ULTRASOUND: phantom.ultrasound,
        Modality.MICROSCOPY: phantom.nuclei,
    }
)


@dataclass(frozen=True, slots=True)
class About:
    """What only the person knows of the network.

    Attributes:
        name: the model's name.
        licence: of its weights, in words or as an SPDX id; empty: not known.
        data: what it was trained on, and on what terms, in words; empty: not known.
    """

    name: str
    licence: str = ""
    data: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise CardError(
                f"{self.name!r} cannot be a model's name.",
                "Use up to 64 letters, digits, dots, hyphens and underscores (--name).",
            )


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it.

    Attributes:
        card: the installed card.
        path: its file.
        share: of a phantom's pixels that the network marked.
        dice: against the phantom's own truth: whether it does anything, no figure of its worth.
    """

    card: SpecialistCard
    path: Path
    share: float
    dice: float


def name_for(path: Path) -> str:
    """A model's name out of a file's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:64] or "model"


def picture_for(task: Task) -> Image:
    """A phantom of the task's kind, to try a network on."""
    return _PICTURES[task.modality]()[0]


def add(
    network: NetworkFile,
    task: Task,
    about: About,
    proposal: Proposal,
    *,
    taken: Collection[str],
    replace: bool = False,
) -> Added:
    """Install a network among the person's own models, after it has segmented a phantom.

    Args:
        network: the file.
        task: what it finds.
        about: its name and terms.
        proposal: how it is run.
        taken: names of the models that are installed.
        replace: whether a model of that name may be replaced.

    Raises:
        CardError: the name is taken.
        ModelError: it fails on the phantom; nothing is installed then.
        OutputError: files cannot be written.
    """
    folder = home() / "models"
    weights, path = folder / f"{about.name}.onnx", folder / f"{about.name}.toml"
    if not replace and (about.name in taken or path.exists() or weights.exists()):
        raise CardError(f"There is a model {about.name} already.", "Choose another --name, or --replace it.")
    # tried in a folder of its own, so that a network that fails leaves what is installed as it was
    trial = folder / f".adding-{about.name}"
    try:
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(parents=True)
        sha256 = _copied(network, trial / weights.name)
        fields = _fields(network, task, about, proposal, weights.name, sha256)
        _write(trial / path.name, fields)
        share, dice = _tried(_specialist(trial / path.name), task)
        (trial / weights.name).replace(weights)
        (trial / path.name).replace(path)
    except OSError as error:
        raise OutputError(
            f"The model {about.name} could not be written ({error.strerror}).", f"Make room in {folder}."
        ) from error
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    return Added(_specialist(path), path, share, dice)


def _copied(network: NetworkFile, path: Path) -> str:
    """Copy the network, with weights of further files put into it; the copy's SHA-256."""
    if not network.external:
        shutil.copyfile(network.path, path)
    else:
        import onnx

        model = onnx.load(network.path)
        if model.ByteSize() > _LARGEST:
            raise CardError(
                f"{network.path.name} has more weights than one ONNX file can hold.",
                "Specialists of more than 2 GB are not supported: use a smaller network.",
            )
        onnx.save(model, path, save_as_external_data=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fields(
    network: NetworkFile, task: Task, about: About, proposal: Proposal, weights: str, sha256: str
) -> dict[str, Any]:
    known = ["Added by hand: how well it does has not been measured here.", *proposal.notes]
    source = about.data or "not stated by whoever added this model"
    return {
        "schema": 1,
        "name": about.name,
        "version": "1",
        "kind": "specialist",
        "task": task.name,
        "modality": str(task.modality),
        "labels": list(task.labels),
        "weights": weights,
        "sha256": sha256,
        "parameters": network.parameters,
        "licence": about.licence,
        "input": proposal.input.model_dump(exclude_none=True),
        "output": proposal.output.model_dump(exclude_none=True),
        "views": {"names": list(_VIEWS)},
        "data": [{"name": "training", "split": "train", "source": source, "licence": about.licence}],
        "limits": {"known": known},
    }


def _write(path: Path, fields: Mapping[str, Any]) -> None:
    import tomli_w

    path.write_text(tomli_w.dumps(fields), "utf-8")


def _specialist(path: Path) -> SpecialistCard:
    card = read_card(path)
    assert isinstance(card, SpecialistCard)
    return card


def _tried(card: SpecialistCard, task: Task) -> tuple[float, float]:
    """Segment a phantom as the viewer would: the share of pixels that it marks, and Dice with the truth."""
    picture, truth = _PICTURES[task.modality]()
    thread = InferenceThread()
    try:
        specialist = OnnxSpecialist(card, thread, device="cpu", threads=1)
        mask = asyncio.run(specialist.segment(picture, task)).mask[0]
    except OmniViewError as error:
        step = f"It was not added. {error.next_step}".strip()
        raise type(error)(f"On a phantom: {error.message}", step) from error
    finally:
        thread.close()
    total = int(mask.sum()) + int(truth.mask[0].sum())
    dice = 2 * int((mask & truth.mask[0]).sum()) / total if total else 1.0
    return float(mask.mean()), dice
