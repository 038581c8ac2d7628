"""The built-in generalist from folders to card: two trainings, export, calibration of both answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from omniview.errors import InputError
from omniview.inference.card import GeneralistCard, InputSpec, read_card
from omniview.inference.session import open_session
from omniview.training import generalist as general
from omniview.training.calibrate import Calibration, Floats, Network, calibrate, counted, see
from omniview.training.calibrate_clicks import calibrate_clicks
from omniview.training.clicks import fit_clicks
from omniview.training.dataset import Example, data_hash, load
from omniview.training.export import (
    output_fields,
    quality_fields,
    sha256,
    to_onnx,
    training_fields,
    write_card,
)
from omniview.training.fit import Report, Settings
from omniview.training.network import parameter_count
from omniview.training.prompt_network import PROMPT_MAPS
from omniview.training.prompts import CLICK_SIGMA_PX
from omniview.training.quality_fit import fit_quality, worsened_copies
from omniview.training.recipes import GENERALIST, generalist_phases
from omniview.training.ship import judged_of
from omniview.training.terms import data_fields

FEATURES = ("s2", "s4", "s8", "s16", "s32")
INPUT: Mapping[str, Any] = MappingProxyType(
    {
        "geometry": "letterbox",
        "size": [general.SIZE, general.SIZE],
        "channels": 3,
        "mean": list(general.MEAN),
        "std": list(general.STD),
    }
)


@dataclass(frozen=True, slots=True)
class _Files:
    """The exported networks."""

    encoder: Path
    decoder: Path
    clicks: Path


def train_generalist(
    folders: Sequence[Path],
    by_task: Mapping[str, Sequence[Path]],
    out: Path,
    settings: Settings,
    report: Report,
) -> Path:
    """Train the two halves, then the click network from them, into ``out``; the path of the card.

    ``by_task`` holds those of ``folders`` that belong to each of
    :data:`omniview.training.generalist.TASKS`. Each training has its own checkpoint, so that a killed run
    goes on where it was. Raises :class:`InputError` where there is nothing to train on.
    """
    examples = {
        task: load(chosen, "train", longest_px=general.LONGEST_PX) for task, chosen in by_task.items()
    }
    examples = {task: cases for task, cases in examples.items() if cases}
    if not examples:
        raise InputError("There is no train case in these folders.", "Give folders with a train split.")
    first, second = generalist_phases(settings)
    halves = general.fit_generalist(examples, first, out / "generalist.checkpoint", report)
    assert isinstance(halves.network, general.Generalist)
    clicks = fit_clicks(halves.network, examples, second, out / "generalist-clicks.checkpoint", report)
    files = _export(halves.network, clicks.network, out)
    digest = data_hash(folders)
    card: dict[str, Any] = {
        "schema": 1,
        "name": "generalist-lite0",
        "version": "3",
        "kind": "generalist",
        "encoder": files.encoder.name,
        "encoder_sha256": sha256(files.encoder),
        "decoder": files.decoder.name,
        "decoder_sha256": sha256(files.decoder),
        "parameters": parameter_count(halves.network) + parameter_count(clicks.network),
        "input": INPUT,
        "prompt": {"maps": ["positive", "negative", "box", "prior"], "click_sigma": CLICK_SIGMA_PX},
        "views": {"names": list(general.VIEWS)},
        "clicks": {
            "network": files.clicks.name,
            "sha256": sha256(files.clicks),
            "views": {"names": list(general.CLICK_VIEWS)},
        },
        "tasks": {
            task: _unprompted_fields(task, load(chosen, "calibrate"), files, settings.threads)
            for task, chosen in by_task.items()
        },
        "training": {
            **training_fields(first, halves, digest),
            "clicks": training_fields(second, clicks, digest),
        },
        "data": data_fields(folders),
        "limits": {"known": list(general.LIMITS)},
    }
    path = out / "generalist.toml"
    write_card(path, card)
    drafted = read_card(path)
    assert isinstance(drafted, GeneralistCard)
    for task in general.CLOSE:
        cases = load(by_task[task], "calibrate", longest_px=general.LONGEST_PX)
        answered = asyncio.run(calibrate_clicks(drafted, task, cases, settings.threads))
        card["tasks"][task]["prompted"].update(output_fields(answered))
    write_card(path, card)
    return path


def _export(halves: general.Generalist, clicks: nn.Module, out: Path) -> _Files:
    files = _Files(*(out / f"generalist-{part}.onnx" for part in ("encoder", "decoder", "clicks")))
    image = torch.rand(2, 3, general.SIZE, general.SIZE)
    told = {
        "prompts": torch.rand(2, PROMPT_MAPS, general.SIZE, general.SIZE),
        "task": torch.eye(len(general.TASKS))[:2],
    }
    features = to_onnx(halves.encoder_half, {"image": image}, FEATURES, files.encoder)
    seen = {name: torch.from_numpy(value) for name, value in features.items()}
    to_onnx(halves.decoder_half, {**seen, **told}, ["logits"], files.decoder)
    to_onnx(clicks, {"image": image, **told}, ["logits"], files.clicks)
    return files


def _unprompted_fields(task: str, cases: Sequence[Example], files: _Files, threads: int) -> dict[str, Any]:
    """A task's fields of the card, as yet with the click network's numbers taken as they are."""
    network = _unprompted(files, task, threads)
    spec = InputSpec.model_validate(dict(INPUT))
    views = general.MORE_VIEWS.get(task, general.VIEWS)
    seen = [see(case, spec, views, network, counted(case, task)) for case in cases]
    measured = calibrate(seen)
    judged = [judged_of(one, case, 1.0, measured, worse=False) for one, case in zip(seen, cases, strict=True)]
    for case, bad in worsened_copies(cases, GENERALIST.seed, general.AUGMENTATION[task].artefacts):
        one = see(bad, spec, views, network, counted(case, task))
        judged.append(judged_of(one, bad, 1.0, measured, worse=True))
    fields = {**output_fields(measured), "quality": quality_fields(measured, fit_quality(judged))}
    if task in general.MORE_VIEWS:
        fields["views"] = {"names": list(views)}
    if task in general.CLOSE:
        fields["prompted"] = {**output_fields(Calibration()), "close": general.CLOSE[task]}
    return fields


def _unprompted(files: _Files, task: str, threads: int) -> Network:
    """Both halves as one, without prompts: ``(N,3,S,S)`` to raw logits ``(N,1,S,S)``."""
    first = open_session(files.encoder, device="cpu", threads=threads)
    second = open_session(files.decoder, device="cpu", threads=threads)
    onehot = np.eye(len(general.TASKS), dtype=np.float32)[general.TASKS.index(task)]

    def network(inputs: Floats) -> Floats:
        features = dict(zip(FEATURES, first.run({"image": inputs}), strict=True))
        blank = np.zeros((len(inputs), PROMPT_MAPS, *inputs.shape[2:]), np.float32)
        return second.run({**features, "prompts": blank, "task": np.tile(onehot, (len(inputs), 1))})[0]

    return network
