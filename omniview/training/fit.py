"""The training loop, for every network alike: timed or counted schedule, resumable to the step, EMA weights.

Every random choice of step i comes from a generator seeded by (seed, i), so a run that was killed and resumed
repeats the uninterrupted one exactly; only the weights, the optimiser's state, their moving average, the step
and the seconds spent have to be kept. A checkpoint is written beside its place and moved over it, so a kill
never leaves half a file.

Recipe: AdamW (Loshchilov and Hutter 2019), linear warm-up then cosine to 0, gradient norm clipped,
exponential moving average of the weights with a ramp. BatchNorm momentum stays PyTorch's 0.1.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from omniview.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how hard to train; the card records all of it.

    Give ``minutes`` (wall clock, summed over resumed runs) or ``steps``. Rates are peak learning rates:
    ``rate`` for new layers, ``encoder_rate`` for pretrained ones. ``average`` is the decay of the weights'
    moving average. ``mixed`` computes in bfloat16 where that is safe; None: if the processor has instructions
    for it.
    """

    minutes: float | None = None
    steps: int | None = None
    batch: int = 16
    rate: float = 2e-3
    encoder_rate: float = 5e-4
    weight_decay: float = 1e-2
    warmup: float = 0.13
    clip: float = 2.0
    average: float = 0.995
    seed: int = 1
    threads: int = 1
    checkpoint_seconds: float = 60.0
    mixed: bool | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise SettingsError(
                "Training needs minutes or steps, one of the two.", "Give --minutes or --steps."
            )
        for name in ("minutes", "steps", "batch", "threads"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingsError(f"{name} must be positive, got {value}.", "Give a positive number.")

    def precision(self) -> torch.autocast:
        """The context in which forward passes run."""
        mixed = torch.cpu._is_avx512_bf16_supported() if self.mixed is None else self.mixed
        return torch.autocast("cpu", torch.bfloat16, enabled=mixed)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: ``fraction`` in [0,1], ``loss`` averaged over the last report's steps."""

    step: int
    fraction: float
    loss: float
    seconds_left: float

    def __str__(self) -> str:
        left = f"{self.seconds_left / 60:.1f} min left"
        return f"step {self.step}  {self.fraction:6.1%}  loss {self.loss:.4f}  {left}"


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a run leaves: the averaged network in eval mode, its steps, its minutes, its learning curve."""

    network: nn.Module
    steps: int
    minutes: float
    curve: tuple[tuple[int, float], ...]


def fit(
    network: nn.Module,
    loss_of_step: Callable[[nn.Module, int], Tensor],
    settings: Settings,
    checkpoint: Path,
    report: Report,
    *,
    report_steps: int = 50,
) -> Fitted:
    """Train ``network``; ``loss_of_step(network, step)`` makes that step's batch and gives its loss.

    Parameters under an attribute named ``encoder`` learn at ``encoder_rate``. Resumes from ``checkpoint`` if
    that file exists; a finished checkpoint returns at once.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    network.train()
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = _optimiser(network, settings)
    step, spent, curve = 0, 0.0, []
    total, count = 0.0, 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent, curve = state["step"], state["seconds"], state["curve"]
        total, count = state["pending"]
    started, saved = time.monotonic() - spent, time.monotonic()
    while (fraction := _fraction(settings, step, time.monotonic() - started)) < 1.0:
        pace = _pace(fraction, settings.warmup)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * pace
        torch.manual_seed(settings.seed + step)
        loss = loss_of_step(network, step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()
        step += 1
        _follow(average, network, min(settings.average, (1 + step) / (10 + step)))
        total, count = total + float(loss.detach()), count + 1
        now = time.monotonic()
        if step % report_steps == 0:
            curve.append((step, total / count))
            left = (now - started) * (1 - fraction) / max(fraction, 1e-6)
            report(Progress(step, fraction, total / count, left))
            total, count = 0.0, 0
        if now - saved > settings.checkpoint_seconds:
            _save(checkpoint, network, average, optimiser, (step, now - started, curve, (total, count)))
            saved = now
    spent = time.monotonic() - started
    _save(checkpoint, network, average, optimiser, (step, spent, curve, (total, count)))
    return Fitted(average.eval(), step, spent / 60, tuple((int(s), float(value)) for s, value in curve))


def _fraction(settings: Settings, step: int, seconds: float) -> float:
    if settings.steps is not None:
        return step / settings.steps
    assert settings.minutes is not None
    return seconds / (60 * settings.minutes)


def _pace(fraction: float, warmup: float) -> float:
    if fraction < warmup:
        return max(fraction / warmup, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))


def _optimiser(network: nn.Module, settings: Settings) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = []
    for pretrained, peak in ((True, settings.encoder_rate), (False, settings.rate)):
        for decays in (True, False):
            chosen = [
                value
                for name, value in network.named_parameters()
                if value.requires_grad and ("encoder." in name) == pretrained and (value.ndim > 1) == decays
            ]
            if chosen:
                decay = settings.weight_decay if decays else 0.0
                groups.append({"params": chosen, "peak": peak, "lr": peak, "weight_decay": decay})
    return torch.optim.AdamW(groups)


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _save(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    place: tuple[int, float, list[tuple[int, float]], tuple[float, int]],
) -> None:
    """``place``: steps, seconds, learning curve, and the sum and number of losses since its last point."""
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        **dict(zip(("step", "seconds", "curve", "pending"), place, strict=True)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    unfinished.replace(path)
