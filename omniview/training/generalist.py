"""Trains the built-in generalist: one promptable network for all tasks, independent of every specialist.

Other seed, other geometry (letterbox for all tasks), stronger augmentation, all train splits at once, so that
its errors differ from theirs. Each step judges the answer without prompts; one step in five then simulates
a person who looks at that answer and clicks, draws a box or hands over an old mask, and judges the second
answer too (most prompts are for the click network to answer). The image is encoded once a step, as it is at
run time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omniview.training.augment import Augmentation, random_view
from omniview.training.dataset import Example
from omniview.training.fit import Fitted, Report, Settings, fit
from omniview.training.losses import mask_loss
from omniview.training.prompt_network import PromptDecoder, PromptEncoder
from omniview.training.prompts import PRIOR, no_prompt, random_box, random_clicks, random_prior
from omniview.training.recipes import EIGHT_VIEWS
from omniview.training.specialist import drawing_order, normalised

SIZE = 256
MEAN = STD = (0.5, 0.5, 0.5)
LONGEST_PX = 512
PROMPTED_STEPS = 0.2

# The order is that of the decoder's one-hot input.
TASKS = ("polyp", "vessel", "breast", "nuclei")
# Fine structure gains little at this resolution, so its turn comes less often.
SHARES = (0.42, 0.08, 0.38, 0.12)

# How often an image without anything to find is drawn for each other one.
EMPTY_REPEAT = 2

# Boxes make sense where there is one thing to find.
BOXED = ("polyp", "breast")

VIEWS = ("identity", "hflip")
# Where more views were better on the calibrate split, polyps by 0.008 and breast lesions by 0.013.
MORE_VIEWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"polyp": EIGHT_VIEWS, "breast": (*VIEWS, "scale1.15", "hflip+scale1.15")}
)
# A person waits for each click: its time goes into the closer look, which brings more.
CLICK_VIEWS = ("identity",)

# Tasks whose prompts the click network answers, and how much wider than what it found its closer look is;
# none where there are many things. Vessels stay with the decoder, which was better on the calibrate split.
CLOSE: Mapping[str, float | None] = MappingProxyType({"polyp": 1.6, "breast": 1.6, "nuclei": None})

LIMITS = (
    "Fine structure (thin vessels, small nuclei) is below the resolution of its 256 px input.",
    "Without prompts it is a second opinion, as a rule weaker than the task's specialist.",
    "Clicks hardly mend vessels, a pixel or two wide in its input: there only the spot itself obeys.",
    "Clicks were simulated on the worst error; a person's may be placed less well.",
    "Trained on the same train splits as the specialists: other data, other centres are untested.",
)

AUGMENTATION: Mapping[str, Augmentation] = MappingProxyType(
    {
        "polyp": Augmentation(
            scale=(0.5, 1.8),
            aspect=0.2,
            shift=0.15,
            colour=1.4,
            spoil=0.35,
            reflect=False,
            artefacts=("highlights", "vignette"),
        ),
        "vessel": Augmentation(
            scale=(0.8, 2.2), aspect=0.15, colour=1.0, brightness=0.04, spoil=0.15, reflect=False
        ),
        "breast": Augmentation(
            rotation_deg=30,
            scale=(0.6, 1.6),
            aspect=0.2,
            shift=0.15,
            vflip=False,
            colour=1.3,
            tint=0.3,
            spoil=0.35,
            reflect=False,
            artefacts=("depth gain", "shadow"),
        ),
        "nuclei": Augmentation(
            scale=(0.7, 2.2),
            shift=0.15,
            colour=1.8,
            brightness=0.02,
            pivot=0.0,
            tint=0.5,
            spoil=0.25,
            reflect=False,
        ),
    }
)


class Generalist(nn.Module):
    """Both halves in one, for training; they are exported apart."""

    def __init__(self, *, pretrained: bool = True) -> None:
        super().__init__()
        self.encoder_half = PromptEncoder()
        self.decoder_half = PromptDecoder(len(TASKS))
        if pretrained:
            self.encoder_half.encoder.load_imagenet()
            self.encoder_half.encoder.freeze_early()

    def forward(self, image: Tensor, prompts: Tensor, task: Tensor) -> Tensor:
        """Logits ``(N,1,S,S)``; both halves in one go."""
        logits: Tensor = self.decoder_half(*self.encoder_half(image), prompts, task)
        return logits


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images ``(N,3,S,S)``, soft targets ``(N,1,S,S)`` in [0,1], one-hot tasks ``(N,T)``, task indices."""

    images: Tensor
    targets: Tensor
    tasks: Tensor
    indices: NDArray[np.int64]


def fit_generalist(
    examples: Mapping[str, Sequence[Example]], settings: Settings, checkpoint: Path, report: Report
) -> Fitted:
    """Train on ``examples`` per task, which the caller has taken from the train splits.

    A task without examples is left out of the draw; the one-hot input keeps its place.
    """
    torch.manual_seed(settings.seed)
    network = Generalist().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    orders = {task: drawing_order(cases, EMPTY_REPEAT) for task, cases in examples.items()}

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        assert isinstance(network, Generalist)
        rng = np.random.default_rng([settings.seed, 23, step])
        batch = make_batch(rng, examples, orders, settings.batch)
        blank = torch.zeros(len(batch.images), 4, SIZE, SIZE)
        with settings.precision():
            features = network.encoder_half(batch.images)
            first = network.decoder_half(*features, blank, batch.tasks)
        loss = mask_loss(first.float(), batch.targets)
        if rng.random() >= PROMPTED_STEPS:
            return loss
        prompts = simulate(rng, batch, first.detach().float().sigmoid().numpy()[:, 0])
        with settings.precision():
            second = network.decoder_half(*features, torch.from_numpy(prompts), batch.tasks)
        return 0.5 * (loss + mask_loss(second.float(), batch.targets))

    return fit(network, loss_of_step, settings, checkpoint, report)


def make_batch(
    rng: np.random.Generator,
    examples: Mapping[str, Sequence[Example]],
    orders: Mapping[str, Sequence[int]],
    count: int,
) -> Batch:
    """``count`` random views; each row's task is drawn by :data:`SHARES`."""
    shares = np.array(
        [share if examples.get(task) else 0.0 for task, share in zip(TASKS, SHARES, strict=True)]
    )
    indices = rng.choice(len(TASKS), count, p=shares / shares.sum())
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    targets = np.empty((count, 1, SIZE, SIZE), np.float32)
    for row, index in enumerate(indices):
        task = TASKS[index]
        chosen = orders[task][int(rng.integers(len(orders[task])))]
        image, mask, _ = random_view(
            rng, examples[task][chosen], SIZE, "letterbox", AUGMENTATION[task], soft=True
        )
        images[row] = image
        targets[row, 0] = mask / np.float32(255)
    onehot = np.eye(len(TASKS), dtype=np.float32)[indices]
    return Batch(normalised(images, MEAN, STD), torch.from_numpy(targets), torch.from_numpy(onehot), indices)


def simulate(rng: np.random.Generator, batch: Batch, answered: NDArray[np.float32]) -> NDArray[np.float32]:
    """Prompts ``(N,4,S,S)`` of a person who saw the answers ``answered (N,S,S)`` in [0,1]."""
    prompts = np.stack([no_prompt(SIZE) for _ in answered])
    for row, probability in enumerate(answered):
        truth = batch.targets[row, 0].numpy() > 0.5
        kind = rng.random()
        if kind < 0.7:
            random_clicks(rng, prompts[row], probability > 0.5, truth, int(rng.integers(1, 6)))
            if rng.random() < 0.5:
                prompts[row, PRIOR] = probability
        elif kind < 0.85 and TASKS[batch.indices[row]] in BOXED:
            random_box(rng, prompts[row], truth)
        else:
            random_prior(rng, prompts[row], truth)
            if rng.random() < 0.5:
                random_clicks(rng, prompts[row], prompts[row, PRIOR] > 0.5, truth, int(rng.integers(1, 4)))
    return prompts
