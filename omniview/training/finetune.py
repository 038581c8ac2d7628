"""Fine-tuning: a person's few masks make a specialist that ships better on their own images, or leave it be.

What is measured is the procedure, by cross-fitting (:mod:`omniview.training.held_out`); then the same is done
once more with all masks, for as many steps as the folds were best at. Early stopping has masks of its own, so
the gain that is told is on masks that were used for nothing else; it is rather too low than too high, because
each fold learns from fewer masks than the model that is kept. Where there is no gain nothing is written but
the report.

Gentle on purpose: rates far below those of training, norms that keep their statistics, moving averages.
"""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from torch import nn

from omniview.errors import OutputError
from omniview.inference.card import SpecialistCard
from omniview.training.dataset import Example, data_hash, load
from omniview.training.examine import Examiner, Verdict
from omniview.training.finetune_wish import Stand, Wish, choose_parts, name_of, recipe_of, usual_steps
from omniview.training.finetuned import Curve, Outcome, write_card_of, write_report
from omniview.training.fit import Fitted, Progress, Settings, Watch, fit
from omniview.training.from_onnx import Restored, restore
from omniview.training.held_out import LITTLE, WORTH, Fold, Gain, folds_of, measure_gain
from omniview.training.network import LiteUnet, VesselUnet
from omniview.training.recipes import Recipe
from omniview.training.specialist import loss_on

BATCH = 8
RATE_SHARE = 0.1
"""Of the recipe's rate: what is known already is to be bent, not learnt anew."""
ENCODER_RATE = 5e-5
LOOKS = 10
PATIENCE = 4
CHECKPOINT_S = 10.0


def finetune(
    card: SpecialistCard,
    folders: Sequence[Path],
    out: Path,
    *,
    wish: Wish | None = None,
    report: Callable[[Stand], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train ``card``'s network on with the masks in ``folders``; write a new card if that makes it better.

    Args:
        card: the specialist to begin with.
        folders: images/ and masks/, perhaps split.csv, whose `test` cases are not looked at.
        out: gets NAME.report.md and NAME.curve.csv, and if the model is better NAME.onnx, NAME.toml and
            NAME.curve.svg; NAME.parts/ while it lasts, from which a killed run goes on.
        wish: how; None: the defaults.
        report: told where it stands.
        cancelled: asked between steps.

    Raises:
        CardError: this network was not made here.
        WeightsError: its weights are not those of its card.
        InputError: the masks are too few, of one group, or cannot be read.
        SettingsError: the wish breaks a rule.
        OutputError: ``out`` holds another fine-tuning, half done, or cannot be written.
        KeyboardInterrupt: cancelled; the same call goes on.
    """
    wish = wish or Wish()
    restored = restore(card)
    name = name_of(card, folders, wish)
    recipe = recipe_of(card, restored, name)
    examples = _masks(folders, None)
    small = examples if recipe.longest_px is None else _masks(folders, recipe.longest_px)
    folds = folds_of(examples, wish.seed)
    parts = out / f"{name}.parts"
    work = _Work(card, restored, recipe, wish, examples, small, folds, parts, report, cancelled)
    try:
        _claim(parts, card, folders, wish)
        work.settle_steps()
        outcome = work.run(out, folders)
    except OSError as error:
        raise OutputError(
            f"The fine-tuning cannot be kept in {out} ({error.strerror or error}).",
            "Make room there, or make it writable; what is finished is kept. Or choose another folder.",
        ) from error
    shutil.rmtree(parts, ignore_errors=True)  # what cannot be removed does no harm to what was written
    return outcome


class _Work:
    """One fine-tuning on its way; ``small`` are the examples no larger than training wants them."""

    def __init__(
        self,
        card: SpecialistCard,
        restored: Restored,
        recipe: Recipe,
        wish: Wish,
        examples: Sequence[Example],
        small: Sequence[Example],
        folds: Sequence[Fold],
        parts: Path,
        report: Callable[[Stand], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self.card, self.restored, self.recipe, self.wish = card, restored, recipe, wish
        self.examples, self.small, self.folds, self.parts = examples, small, folds, parts
        self.report, self.cancelled = report, cancelled
        self.examiner = Examiner(card, restored.usual)
        self.steps = wish.steps or usual_steps(len(examples))
        self.curves: list[Curve] = []
        self._began, self._first = time.monotonic(), -1.0

    def settle_steps(self) -> None:
        """Fewer steps where the minutes do not allow for the usual ones; whoever goes on takes as many."""
        path = self.parts / "steps.json"
        kept = _kept(path)
        if isinstance(kept, int):
            self.steps = kept
        elif self.wish.minutes is not None:
            self._tell("finding out how fast this machine is", 0.0)
            affordable = 60 * self.wish.minutes / (len(self.folds) + 1.5) / self._seconds_a_step()
            self.steps = max(1, min(self.steps, int(affordable)))
        _keep(path, self.steps)

    def run(self, out: Path, folders: Sequence[Path]) -> Outcome:
        self._tell("measuring the model as it is", 0.0)
        before = [self.examiner.verdict(self.restored.network, example) for example in self.examples]
        after, best = self._cross_fit()
        gain = measure_gain(self.examples, [v.dice for v in before], [v.dice for v in after])
        reason = "" if gain.better else _why_not(gain)
        final, inside = None, None
        if not reason:
            steps = max(self._every(), round(median(best)))
            final = self._train(range(len(self.examples)), (), len(self.folds), "all masks", until=steps)
            self._tell("measuring the new model", 0.98)
            network = _unet(final.network)
            inside = float(np.mean([self.examiner.verdict(network, e).dice for e in self.examples]))
            if inside < gain.before - LITTLE:
                reason = f"Trained on all masks it reaches only {inside:.3f} on these very masks."
        written = None
        if final is not None and not reason:
            self._tell("writing the new model", 0.99)
            written = write_card_of(
                self.card,
                self.recipe,
                _unet(final.network),
                out,
                usual=self.restored.usual,
                verdicts=after,
                gain=gain,
                folders=folders,
                facts={
                    **asdict(self.wish),
                    "steps": self.steps,
                    "best_steps_of_folds": list(best),
                    "steps_done": final.best_step,
                    "masks": len(self.examples),
                    "dice_on_the_training_masks": round(inside or 0.0, 4),
                    "data_sha256": data_hash(folders),
                },
                curves=self.curves,
            )
        told = write_report(out, self.recipe.name, self.card, gain, reason, self.curves)
        self._tell("done", 1.0)
        return Outcome(written, told, gain, reason)

    def _cross_fit(self) -> tuple[list[Verdict], list[int]]:
        after: dict[int, Verdict] = {}
        best = []
        for place, fold in enumerate(self.folds):
            title = f"fold {place + 1} of {len(self.folds)}"
            fitted = self._train(fold.train, fold.watched, place, title)
            best.append(fitted.best_step)
            self._tell(f"{title}: measuring", (place + 1) / (len(self.folds) + 1))
            for index in fold.held_out:
                after[index] = self.examiner.verdict(_unet(fitted.network), self.examples[index])
        return [after[index] for index in range(len(self.examples))], best

    def _train(
        self, learnt: Sequence[int], watched: Sequence[int], place: int, title: str, until: int | None = None
    ) -> Fitted:
        network = self._network()
        examples = [self.small[index] for index in learnt]
        settings = self._settings(place)
        watch = None
        if watched:
            cases = [self.examples[index] for index in watched]
            watch = Watch(lambda looked: self.examiner.dice(looked, cases), self._every(), PATIENCE)
        first = place / (len(self.folds) + 1)

        def tell(progress: Progress) -> None:
            fraction = first + progress.fraction / (len(self.folds) + 1)
            self._tell(title, fraction, progress.step, progress.loss, progress.score)

        fitted = fit(
            network,
            loss_on(self.recipe, examples, settings),
            settings,
            self.parts / f"{place + 1}.checkpoint",
            tell,
            report_steps=self._every(),
            watch=watch,
            until=until,
            cancelled=self.cancelled,
        )
        self.curves.append(Curve(title, fitted.curve, fitted.looks, fitted.best_step))
        return fitted

    def _network(self) -> nn.Module:
        network = copy.deepcopy(self.restored.network)
        choose_parts(network, self.wish.parts)
        return network

    def _settings(self, place: int) -> Settings:
        return Settings(
            steps=self.steps,
            batch=BATCH,
            rate=self.recipe.rate * RATE_SHARE,
            encoder_rate=ENCODER_RATE,
            seed=self.wish.seed + 1000 * place,
            threads=self.wish.threads,
            checkpoint_seconds=CHECKPOINT_S,
        )

    def _every(self) -> int:
        return max(1, self.steps // LOOKS)

    def _seconds_a_step(self) -> float:
        settings = replace(self._settings(0), steps=2)
        loss = loss_on(self.recipe, [self.small[index] for index in self.folds[0].train], settings)
        trial = self.parts / "trial.checkpoint"
        spent = fit(self._network(), loss, settings, trial, lambda _: None, cancelled=self.cancelled)
        trial.unlink()
        return 60 * spent.minutes / spent.steps

    def _tell(
        self,
        stage: str,
        fraction: float,
        step: int = 0,
        loss: float | None = None,
        dice: float | None = None,
    ) -> None:
        spent = time.monotonic() - self._began
        if self._first < 0 and loss is not None:
            self._first, self._began, spent = fraction, time.monotonic(), 0.0
        made = fraction - self._first
        left = spent * (1 - fraction) / made if self._first >= 0 and made > 0 else None
        self.report(Stand(stage, fraction, left, step, loss, dice))


def _masks(folders: Sequence[Path], longest_px: int | None) -> list[Example]:
    """All that may be looked at, in one order."""
    return [case for split in ("train", "calibrate") for case in load(folders, split, longest_px=longest_px)]


def _claim(parts: Path, card: SpecialistCard, folders: Sequence[Path], wish: Wish) -> None:
    """Begin in ``parts``, or go on there if it is the same that was begun."""
    splits = [data_hash(folders, split) for split in ("train", "calibrate")]
    this = {"card": card.sha256, "data": splits, "wish": {**asdict(wish), "threads": None}}
    begun = parts / "begun.json"
    kept = _kept(begun)
    if kept is None:
        parts.mkdir(parents=True, exist_ok=True)
        _keep(begun, this)
    elif kept != this:
        raise OutputError(
            f"{parts.name} holds a fine-tuning that was begun with other masks or settings.",
            "Give the same ones to go on, or remove it, or choose another folder.",
        )


def _keep(path: Path, value: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value), "utf-8")
    part.replace(path)


def _kept(path: Path) -> Any:
    """What :func:`_keep` wrote; None if there is nothing, or only what was cut before any training began."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        if not any(path.parent.glob("*.checkpoint")):
            return None
        raise OutputError(
            f"{path.parent.name} is damaged: {path.name} in it cannot be read.",
            f"Remove {path.parent} to begin anew, or choose another folder.",
        ) from error


def _why_not(gain: Gain) -> str:
    if gain.mean <= 0:
        return "The old model is kept: fine-tuning gained nothing on held-out masks."
    if gain.mean <= WORTH:
        return (
            f"The old model is kept: on average fine-tuning gained {gain.mean:+.4f} on held-out masks, and "
            f"no more than {WORTH} is no reason to change."
        )
    return (
        f"The old model is kept: on average fine-tuning gained {gain.mean:+.3f}, but it made {gain.harmed} "
        f"held-out masks worse and only {gain.helped} better."
    )


def _unet(network: nn.Module) -> LiteUnet | VesselUnet:
    assert isinstance(network, LiteUnet | VesselUnet)
    return network
