"""The one entry of training: a task and folders in, an ONNX file and its card out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from omniview.errors import InputError, OutputError, SettingsError
from omniview.training import generalist as general
from omniview.training.claim import claim
from omniview.training.dataset import data_hash, load
from omniview.training.early_stop import held_back, watch_of
from omniview.training.export import training_fields
from omniview.training.fit import Progress, Report, Settings
from omniview.training.generalist_run import train_generalist
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.quality_fit import FEWEST
from omniview.training.quantise import add_variant
from omniview.training.recipes import GENERALIST, RECIPES, Recipe
from omniview.training.ship import curve_fields, ship
from omniview.training.specialist import fit_specialist
from omniview.training.terms import data_fields

TASK_NAMES = (*RECIPES, "generalist")


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
        out: gets NAME.onnx, NAME.toml and NAME.checkpoint, and NAME.int8.onnx where ten calibrate cases or
            more let it in (the generalist: three networks and two checkpoints). A killed run goes on from the
            checkpoint.
        settings: None: the recipe's.
        progress: called every 50 steps.

    Raises:
        SettingsError: an unknown task, or settings that break a rule.
        InputError: a folder that cannot be used, or nothing to train on.
        OutputError: ``out`` cannot be made.
        OmniViewError: see :mod:`omniview.training.dataset`, :mod:`omniview.training.export`.
    """
    usual = default_settings(task)
    chosen = settings or usual
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made ({error.strerror}).", "Choose another folder.") from error
    report = progress or _silent
    if task == "generalist":
        return train_generalist(folders, _by_task(folders), out, chosen, report)
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


def _by_task(folders: Sequence[Path]) -> dict[str, list[Path]]:
    by_task = {task: folders_of(task, folders) for task in general.TASKS}
    stray = set(folders) - {folder for chosen in by_task.values() for folder in chosen}
    if stray:
        raise InputError(
            f"The folder {min(stray).name} is named for no task.",
            f"Begin its name with {', '.join(general.TASKS)}.",
        )
    return by_task


def _silent(_: Progress) -> None:
    pass


def _train_specialist(
    recipe: Recipe, folders: Sequence[Path], out: Path, settings: Settings, report: Report
) -> Path:
    examples = load(folders, "train", longest_px=recipe.longest_px)
    if not examples:
        raise InputError("There is no train case in these folders.", "Give folders with a train split.")
    learnt, watch = examples, None
    if settings.patience:
        learnt, watched = held_back(examples)
        watch = watch_of(recipe, watched, settings)
    checkpoint = out / f"{recipe.name}.checkpoint"
    hashes = {split: data_hash(folders, split) for split in ("train", "calibrate")}
    # how a run is shared out and where it runs may change on the way
    free = {"threads", "device", "checkpoint_seconds"}
    fixed = {name: value for name, value in asdict(settings).items() if name not in free}
    claim(checkpoint, {"data": hashes, "settings": fixed, "recipe": {**asdict(recipe), "limits": None}})
    fitted = fit_specialist(recipe, learnt, settings, checkpoint, report, watch=watch)
    assert isinstance(fitted.network, LiteUnet | VesselUnet)
    cases = load(folders, "calibrate")
    card = ship(
        recipe,
        fitted.network,
        learnt,
        cases,
        out,
        training=training_fields(
            settings,
            fitted,
            hashes["train"],
            recipe={**asdict(recipe), "limits": None},
            **curve_fields(fitted.curve),
            looks=[[step, round(score, 4)] for step, score in fitted.looks] or None,
        ),
        data=data_fields(folders),
        threads=settings.threads,
    )
    if len(cases) >= FEWEST:
        add_variant(card, folders, threads=settings.threads)
    return card
