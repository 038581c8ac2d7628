"""Trains the generalist's click network: rounds of a person who clicks on what the network got wrong.

It starts from the two trained halves. Each step takes one batch of views, half of them drawn close to the
structure as the run time does, and plays three rounds: the answer of the halves, a spoilt truth or nothing is
shown, a click falls on its worst error, the network answers, the next click falls on the worst error of that
answer, which is handed back as prior mask. The loss is the mean over the rounds. (Iterative training:
Mahadevan 2018; previous mask as input: RITM, Sofiiuk 2021; zoom: FocalClick, Chen 2022.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omniview.training.ambiguity import altered, obscured, wrong
from omniview.training.augment import random_matrix, view_through, zoomed_matrix
from omniview.training.dataset import Example
from omniview.training.fit import Fitted, Report, Settings, fit
from omniview.training.generalist import AUGMENTATION, BOXED, MEAN, SIZE, STD, TASKS, Batch, Generalist
from omniview.training.losses import mask_loss
from omniview.training.prompt_network import PROMPT_MAPS, ClickNetwork
from omniview.training.prompts import (
    POSITIVE,
    PRIOR,
    add_clicks,
    no_prompt,
    random_box,
    random_clicks,
    random_prior,
    worst_point,
)
from omniview.training.specialist import normalised

ROUNDS = 3
# Clicks matter most where there is one thing to find.
SHARES = (0.42, 0.06, 0.42, 0.10)
ZOOMED = 0.5
MARGIN = (1.15, 2.4)

Maps = NDArray[np.float32]


def start_from(halves: Generalist) -> ClickNetwork:
    """A click network that answers as ``halves`` do until it is trained; early layers frozen."""
    network = ClickNetwork(len(TASKS))
    network.load_state_dict(halves.state_dict(), strict=False)
    network.encoder_half.encoder.freeze_early()
    return network


def fit_clicks(
    halves: Generalist,
    examples: Mapping[str, Sequence[Example]],
    settings: Settings,
    checkpoint: Path,
    report: Report,
) -> Fitted:
    """Train a :class:`ClickNetwork` that starts from ``halves`` and corrects their answers and its own.

    ``examples`` per task come from the train splits; a task without any is left out.
    """
    torch.manual_seed(settings.seed)
    network = start_from(halves).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    halves = halves.eval().requires_grad_(False)

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        assert isinstance(network, ClickNetwork)
        rng = np.random.default_rng([settings.seed, 19, step])
        batch = ambiguous_batch(rng, examples, settings.batch)
        truth = batch.targets.numpy()[:, 0] > 0.5
        with settings.precision():
            features = network.look(batch.images)
            with torch.no_grad():
                blank = torch.zeros(len(truth), PROMPT_MAPS, SIZE, SIZE)
                unprompted = halves(batch.images, blank, batch.tasks).float().numpy()[:, 0]
        prompts = np.stack(
            [first_round(rng, *row) for row in zip(unprompted, truth, batch.indices, strict=True)]
        )
        losses = []
        for number in range(ROUNDS):
            with settings.precision():
                logits = network.answer(*features, torch.from_numpy(prompts), batch.tasks).float()
            losses.append(mask_loss(logits, batch.targets))
            if number + 1 < ROUNDS:
                answers = logits.detach().sigmoid().numpy()[:, 0]
                prompts = np.stack(
                    [next_round(rng, *row) for row in zip(prompts, answers, truth, strict=True)]
                )
        return torch.stack(losses).mean()

    return fit(network, loss_of_step, settings, checkpoint, report)


def ambiguous_batch(rng: np.random.Generator, examples: Mapping[str, Sequence[Example]], count: int) -> Batch:
    """``count`` random views, some close up, some ambiguous; each row's task is drawn by :data:`SHARES`."""
    shares = np.array(
        [share if examples.get(task) else 0.0 for task, share in zip(TASKS, SHARES, strict=True)]
    )
    indices = rng.choice(len(TASKS), count, p=shares / shares.sum())
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    targets = np.empty((count, 1, SIZE, SIZE), np.float32)
    for row, index in enumerate(indices):
        cases = examples[TASKS[index]]
        image, mask = _view(rng, cases[int(rng.integers(len(cases)))], TASKS[index])
        other, _ = _view(rng, cases[int(rng.integers(len(cases)))], TASKS[index])
        images[row] = obscured(rng, image, other)
        targets[row, 0] = (altered(rng, mask) if TASKS[index] in BOXED else mask) / np.float32(255)
    onehot = np.eye(len(TASKS), dtype=np.float32)[indices]
    return Batch(normalised(images, MEAN, STD), torch.from_numpy(targets), torch.from_numpy(onehot), indices)


def _view(
    rng: np.random.Generator, example: Example, task: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    how = AUGMENTATION[task]
    if task in BOXED and not example.empty and rng.random() < ZOOMED:
        matrix = zoomed_matrix(rng, example.mask, SIZE, how, MARGIN)
    else:
        matrix = random_matrix(rng, example.mask.shape, SIZE, "letterbox", how)
    return view_through(rng, example, matrix, SIZE, how, soft=True)[:2]


def first_round(rng: np.random.Generator, unprompted: Maps, truth: NDArray[np.bool_], task: int) -> Maps:
    """Prompts ``(4,S,S)`` of a person who was shown something and clicks once, now and then more.

    ``unprompted (S,S)``: the halves' logits, which are what was shown as a rule.
    """
    prompts = no_prompt(SIZE)
    kind = rng.random()
    if kind < 0.55:
        # A viewer's calibration moves and cools what it shows.
        cooled = (unprompted + rng.uniform(-1.5, 1.5)) / rng.uniform(0.8, 2.5)
        prompts[PRIOR] = 1 / (1 + np.exp(-cooled))
    elif kind < 0.85:
        random_prior(rng, prompts, truth)
        if rng.random() < 0.7:
            prompts[PRIOR] = wrong(rng, prompts[PRIOR])
    shown = prompts[PRIOR] > 0.5
    if rng.random() < 0.25:
        prompts[PRIOR] = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), 0.7)
    if TASKS[task] in BOXED and rng.random() < 0.1:
        random_box(rng, prompts, truth)
    if rng.random() < 0.2:
        random_clicks(rng, prompts, shown, truth, int(rng.integers(2, 5)))
    else:
        click(rng, prompts, shown, truth)
    return prompts


def next_round(rng: np.random.Generator, prompts: Maps, answer: Maps, truth: NDArray[np.bool_]) -> Maps:
    """``prompts (4,S,S)`` and one click more, on ``answer (S,S)`` in [0,1], which becomes the prior."""
    prompts = prompts.copy()
    if rng.random() < 0.9:
        prompts[PRIOR] = answer
    click(rng, prompts, answer > 0.5, truth)
    return prompts


def click(
    rng: np.random.Generator, prompts: Maps, shown: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> None:
    """Draw a click on the worst error, in place: at its innermost pixel, or near it as a hand would."""
    worst = worst_point(shown, truth)
    if worst is None:
        return
    kind, point = worst
    if rng.random() < 0.3:
        near = np.rint(np.asarray(point) + rng.normal(0, 5, 2)).astype(int).clip(0, SIZE - 1)
        if (truth if kind == POSITIVE else ~truth)[near[0], near[1]]:
            point = (int(near[0]), int(near[1]))
    add_clicks(prompts, kind, [point])
