"""The one entry of training: a task and folders in, an ONNX file and its card out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omniview.core.task import TASKS
from omniview.errors import InputError, SettingsError
from omniview.inference.card import InputSpec, read_card
from omniview.inference.session import open_session
from omniview.training import generalist as general
from omniview.training.calibrate import Calibration, Floats, Network, calibrate, see
from omniview.training.dataset import data_hash, load
from omniview.training.export import (
    output_fields,
    quality_fields,
    sha256,
    to_onnx,
    training_fields,
    write_card,
)
from omniview.training.fit import Fitted, Progress, Report, Settings
from omniview.training.network import parameter_count
from omniview.training.prompts import CLICK_SIGMA_PX
from omniview.training.recipes import GENERALIST, RECIPES, Recipe
from omniview.training.specialist import fit_specialist
from omniview.training.terms import data_fields

TASK_NAMES = (*RECIPES, "generalist")
FEATURES = ("s2", "s4", "s8", "s16", "s32")


def train(
    task: str,
    folders: Sequence[Path],
    out: Path,
    *,
    settings: Settings | None = None,
    progress: Report | None = None,
) -> Path:
    """Train, calibrate and export one model; the path of its card.

    Args:
        task: one of :data:`TASK_NAMES`; for "generalist" each folder's name starts with its task, as in
            `polyp_kvasir`.
        folders: data folders; only their train and calibrate splits are read.
        out: gets NAME.onnx, NAME.toml and NAME.checkpoint. A killed run goes on from the checkpoint.
        settings: None: the recipe's.
        progress: called every 50 steps.

    Raises:
        SettingsError: an unknown task, or settings that break a rule.
        InputError: a folder that cannot be used, or nothing to train on.
        OmniViewError: see :mod:`omniview.training.dataset`, :mod:`omniview.training.export`.
    """
    usual = default_settings(task)
    chosen = settings or usual
    out.mkdir(parents=True, exist_ok=True)
    report = progress or _silent
    if task == "generalist":
        return _train_generalist(folders, out, chosen, report)
    return _train_specialist(RECIPES[task], folders, out, chosen, report)


def default_settings(task: str) -> Settings:
    """The settings with which the shipped model of ``task`` (or "generalist") was trained.

    Raises :class:`SettingsError` for a task without a recipe.
    """
    if task not in TASK_NAMES:
        raise SettingsError(
            f"There is no training recipe for {task!r}.", f"Use one of {', '.join(TASK_NAMES)}."
        )
    if task == "generalist":
        return GENERALIST
    recipe = RECIPES[task]
    return Settings(minutes=recipe.minutes, batch=recipe.batch, rate=recipe.rate, seed=recipe.seed)


def folders_of(task: str, folders: Sequence[Path]) -> list[Path]:
    """Those of ``folders`` that are named for ``task``: `polyp_kvasir` is for polyp."""
    return [folder for folder in folders if folder.name.split("_")[0] == task]


def _silent(_: Progress) -> None:
    pass


def _train_specialist(
    recipe: Recipe, folders: Sequence[Path], out: Path, settings: Settings, report: Report
) -> Path:
    examples = load(folders, "train", longest_px=recipe.longest_px)
    if not examples:
        raise InputError("There is no train case in these folders.", "Give folders with a train split.")
    fitted = fit_specialist(recipe, examples, settings, out / f"{recipe.name}.checkpoint", report)
    weights = out / f"{recipe.name}.onnx"
    example = torch.rand(2, 3, recipe.size, recipe.size)
    to_onnx(fitted.network, {"image": example}, ["logits"], weights)
    calibration = _calibrate_specialist(recipe, folders, weights, settings)
    task = TASKS[recipe.task]
    return _write(
        out / f"{recipe.name}.toml",
        {
            "schema": 1,
            "name": recipe.name,
            "version": "1",
            "kind": "specialist",
            "task": recipe.task,
            "modality": str(task.modality),
            "labels": list(task.labels),
            "weights": weights.name,
            "sha256": sha256(weights),
            "parameters": parameter_count(fitted.network),
            "input": recipe.input_fields(),
            "output": {"activation": "logits", **output_fields(calibration)},
            "views": {"names": list(recipe.views)},
            "quality": quality_fields(calibration),
            "training": _training(
                fitted, settings, folders, calibration, recipe={**asdict(recipe), "limits": None}
            ),
            "data": data_fields(folders),
            "limits": {"known": list(recipe.limits)},
        },
    )


def _calibrate_specialist(
    recipe: Recipe, folders: Sequence[Path], weights: Path, settings: Settings
) -> Calibration:
    spec = InputSpec.model_validate(recipe.input_fields())
    session = open_session(weights, device="cpu", threads=settings.threads)

    def network(inputs: Floats) -> Floats:
        return session.run({"image": inputs})[0]

    cases = load(folders, "calibrate")
    return calibrate(
        [see(case, spec, recipe.views, network, fundus=recipe.task == "vessel") for case in cases]
    )


def _train_generalist(folders: Sequence[Path], out: Path, settings: Settings, report: Report) -> Path:
    by_task = {task: folders_of(task, folders) for task in general.TASKS}
    stray = set(folders) - {folder for chosen in by_task.values() for folder in chosen}
    if stray:
        raise InputError(
            f"The folder {min(stray).name} is named for no task.",
            f"Begin its name with {', '.join(general.TASKS)}.",
        )
    examples = {
        task: load(chosen, "train", longest_px=general.LONGEST_PX) for task, chosen in by_task.items()
    }
    if not any(examples.values()):
        raise InputError("There is no train case in these folders.", "Give folders with a train split.")
    examples = {task: cases for task, cases in examples.items() if cases}
    fitted = general.fit_generalist(examples, settings, out / "generalist.checkpoint", report)
    assert isinstance(fitted.network, general.Generalist)
    encoder, decoder = out / "generalist-encoder.onnx", out / "generalist-decoder.onnx"
    size = general.SIZE
    features = to_onnx(
        fitted.network.encoder_half, {"image": torch.rand(2, 3, size, size)}, FEATURES, encoder
    )
    inputs = {name: torch.from_numpy(value) for name, value in features.items()}
    inputs["prompts"] = torch.rand(2, 4, size, size)
    inputs["task"] = torch.eye(len(general.TASKS))[:2]
    to_onnx(fitted.network.decoder_half, inputs, ["logits"], decoder)
    spec_fields: dict[str, Any] = {
        "geometry": "letterbox",
        "size": [size, size],
        "channels": 3,
        "mean": list(general.MEAN),
        "std": list(general.STD),
    }
    measured = {
        task: _calibrate_generalist(task, by_task[task], encoder, decoder, spec_fields, settings)
        for task in general.TASKS
    }
    return _write(
        out / "generalist.toml",
        {
            "schema": 1,
            "name": "generalist-lite0",
            "version": "1",
            "kind": "generalist",
            "encoder": encoder.name,
            "encoder_sha256": sha256(encoder),
            "decoder": decoder.name,
            "decoder_sha256": sha256(decoder),
            "parameters": parameter_count(fitted.network),
            "input": spec_fields,
            "prompt": {"maps": ["positive", "negative", "box", "prior"], "click_sigma": CLICK_SIGMA_PX},
            "views": {"names": list(general.VIEWS)},
            "tasks": {
                task: {**output_fields(calibration), "quality": quality_fields(calibration)}
                for task, calibration in measured.items()
            },
            "training": _training(fitted, settings, folders, None),
            "data": data_fields(folders),
            "limits": {"known": list(general.LIMITS)},
        },
    )


def _calibrate_generalist(
    task: str,
    folders: Sequence[Path],
    encoder: Path,
    decoder: Path,
    spec_fields: Mapping[str, Any],
    settings: Settings,
) -> Calibration:
    network = generalist_network(encoder, decoder, task, settings.threads)
    spec = InputSpec.model_validate(dict(spec_fields))
    cases = load(folders, "calibrate")
    return calibrate([see(case, spec, general.VIEWS, network, fundus=task == "vessel") for case in cases])


def generalist_network(encoder: Path, decoder: Path, task: str, threads: int) -> Network:
    """Both halves as one, without prompts: ``(N,3,S,S)`` to raw logits ``(N,1,S,S)``."""
    first = open_session(encoder, device="cpu", threads=threads)
    second = open_session(decoder, device="cpu", threads=threads)
    onehot = np.eye(len(general.TASKS), dtype=np.float32)[general.TASKS.index(task)]

    def network(inputs: Floats) -> Floats:
        features = dict(zip(FEATURES, first.run({"image": inputs}), strict=True))
        blank = np.zeros((len(inputs), 4, *inputs.shape[2:]), np.float32)
        return second.run({**features, "prompts": blank, "task": np.tile(onehot, (len(inputs), 1))})[0]

    return network


def _training(
    fitted: Fitted, settings: Settings, folders: Sequence[Path], calibration: Calibration | None, **more: Any
) -> dict[str, Any]:
    if calibration is not None and calibration.cases:
        more["calibrate_dice"] = round(calibration.mean_dice, 4)
        more["calibrate_n"] = calibration.cases
    more["command"] = "omniview train --task TASK --data FOLDER... --out DIR"
    return training_fields(settings, fitted, data_hash(folders), **more)


def _write(path: Path, card: Mapping[str, Any]) -> Path:
    write_card(path, card)
    read_card(path)
    return path
