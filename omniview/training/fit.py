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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from omniview.errors import SettingsError
from omniview.training.stopping import deferred

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how hard to train; the card records all of it.

    Give ``minutes`` (wall clock, summed over resumed runs) or ``steps``. Rates are peak learning rates:
    ``rate`` for new layers, ``encoder_rate`` for pretrained ones. ``average`` is the decay of the weights'
    moving average. ``mixed`` computes in bfloat16 where that is safe; None: if the processor has instructions
    for it. ``device``: "auto" trains specialists on a GPU where PyTorch finds one. ``patience``: so many
    looks at held-out cases in vain end the training; 0: nobody looks.
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
    device: Literal["auto", "cpu", "cuda"] = "auto"
    patience: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise SettingsError(
                "Training needs minutes or steps, one of the two.", "Give --minutes or --steps."
            )
        for name in ("minutes", "steps", "batch", "threads"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingsError(f"{name} must be positive, got {value}.", "Give a positive number.")

    def place(self) -> torch.device:
        """Where specialists are trained. Raises :class:`SettingsError` if a GPU is asked for in vain."""
        found = torch.cuda.is_available()
        if self.device == "cuda" and not found:
            raise SettingsError("PyTorch finds no GPU here.", "Train with --device cpu.")
        return torch.device("cuda" if found and self.device != "cpu" else "cpu")

    def precision(self, place: torch.device = CPU) -> torch.autocast:
        """The context in which forward passes run: bfloat16, which unlike half precision scales no loss."""
        fit = torch.cuda.is_bf16_supported if place.type == "cuda" else torch.cpu._is_avx512_bf16_supported
        mixed = fit() if self.mixed is None else self.mixed
        return torch.autocast(place.type, torch.bfloat16, enabled=mixed)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    ``fraction`` in [0,1]; ``loss`` averaged over the last report's steps; ``score`` of the last look at
    held-out cases, None before the first or where none are watched.
    """

    step: int
    fraction: float
    loss: float
    seconds_left: float
    score: float | None = None

    def __str__(self) -> str:
        seen = "" if self.score is None else f"  held-out Dice {self.score:.4f}"
        left = f"{self.seconds_left / 60:.1f} min left"
        return f"step {self.step}  {self.fraction:6.1%}  loss {self.loss:.4f}{seen}  {left}"


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """Held-out cases that are looked at on the way, so that training ends when it no longer helps.

    ``score(network)`` says how good the averaged network is, higher is better; it is asked every ``every``
    steps and before the first. Training ends after ``patience`` looks in a row without a better score (0:
    never), and the weights of the best look are what is left. The cases choose the moment to stop, so no
    figure that is measured on them afterwards is unbiased.
    """

    score: Callable[[nn.Module], float]
    every: int
    patience: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a run leaves: the averaged network in eval mode, its steps, its minutes, its learning curve.

    ``curve``: (step, loss) at each report; ``looks``: (step, score) at each look at held-out cases;
    ``best_step``: where ``network`` was taken from.
    """

    network: nn.Module
    steps: int
    minutes: float
    curve: tuple[tuple[int, float], ...]
    looks: tuple[tuple[int, float], ...] = ()
    best_step: int = 0


@dataclass(slots=True, eq=False)
class _State:
    """All that a checkpoint keeps."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, float]] = field(default_factory=list)
    pending: tuple[float, int] = (0.0, 0)
    """Sum and number of the losses since the curve's last point."""
    looks: list[tuple[int, float]] = field(default_factory=list)
    best: tuple[int, dict[str, Tensor]] | None = None

    def load(self, path: Path) -> None:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        for name in ("network", "average", "optimiser"):
            getattr(self, name).load_state_dict(kept[name])
        for name in ("step", "seconds", "curve", "pending", "looks", "best"):
            if name in kept:
                setattr(self, name, kept[name])

    def save(self, path: Path) -> None:
        kept = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimiser")}
        for name in ("step", "seconds", "curve", "pending", "looks", "best"):
            kept[name] = getattr(self, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:  # given a path, torch makes a RuntimeError of a full disk
            torch.save(kept, file)
        unfinished.replace(path)

    def look(self, watch: Watch) -> None:
        """Look at the held-out cases, unless that was done at this very step."""
        if self.looks and self.looks[-1][0] == self.step:
            return
        on_cpu = next(self.average.parameters()).device == CPU
        score = watch.score(self.average if on_cpu else copy.deepcopy(self.average).to(CPU))
        if not self.looks or score > max(value for _, value in self.looks):
            weights = {name: value.clone() for name, value in self.average.state_dict().items()}
            self.best = (self.step, weights)
        self.looks.append((self.step, score))

    def given_up(self, watch: Watch) -> bool:
        """Whether the last looks were all in vain."""
        return bool(
            watch.patience
            and self.best is not None
            and sum(step > self.best[0] for step, _ in self.looks) >= watch.patience
        )


def fit(
    network: nn.Module,
    loss_of_step: Callable[[nn.Module, int], Tensor],
    settings: Settings,
    checkpoint: Path,
    report: Report,
    *,
    report_steps: int = 50,
    watch: Watch | None = None,
    until: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    place: torch.device = CPU,
) -> Fitted:
    """Train ``network``; ``loss_of_step(network, step)`` makes that step's batch and gives its loss.

    Parameters under an attribute named ``encoder`` learn at ``encoder_rate``. Resumes from ``checkpoint`` if
    that file exists; a finished checkpoint returns at once. With ``watch`` training may end early; with
    ``until`` it ends after so many steps of its schedule. Ctrl-C and ``cancelled`` are heard between steps.
    The network is moved to ``place`` and what is left comes back to the CPU; ``watch`` scores it there too.

    Raises ``KeyboardInterrupt`` when one of them is, with the checkpoint written.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    network.to(place).train()
    average = copy.deepcopy(network).requires_grad_(False).eval()
    state = _State(network, average, _optimiser(network, settings))
    if checkpoint.is_file():
        state.load(checkpoint)
    started, saved = time.monotonic() - state.seconds, time.monotonic()
    with deferred() as interrupted:
        while True:
            state.seconds = time.monotonic() - started
            fraction = _fraction(settings, state.step, state.seconds)
            ended = fraction >= 1.0 or state.step == until
            if watch is not None and (ended or state.step % watch.every == 0):
                state.look(watch)
                ended = ended or state.given_up(watch)
            if ended:
                break
            if interrupted() or cancelled():
                state.save(checkpoint)
                raise KeyboardInterrupt
            _take_step(state, loss_of_step, settings, fraction)
            total, count = state.pending
            state.seconds = now = time.monotonic() - started
            if state.step % report_steps == 0:
                state.curve.append((state.step, total / count))
                state.pending = (0.0, 0)
                left = now * (1 - fraction) / max(fraction, 1e-6)
                seen = state.looks[-1][1] if state.looks else None
                report(Progress(state.step, fraction, total / count, left, seen))
            if time.monotonic() - saved > settings.checkpoint_seconds:
                state.save(checkpoint)
                saved = time.monotonic()
        state.save(checkpoint)
    best_step, weights = state.best or (state.step, average.state_dict())
    average.load_state_dict(weights)
    average.to(CPU)
    curve = tuple((int(step), float(value)) for step, value in state.curve)
    looks = tuple((int(step), float(value)) for step, value in state.looks)
    return Fitted(average, state.step, state.seconds / 60, curve, looks, best_step)


def _take_step(
    state: _State, loss_of_step: Callable[[nn.Module, int], Tensor], settings: Settings, fraction: float
) -> None:
    pace = _pace(fraction, settings.warmup)
    for group in state.optimiser.param_groups:
        group["lr"] = group["peak"] * pace
    torch.manual_seed(settings.seed + state.step)
    loss = loss_of_step(state.network, state.step)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip)
    state.optimiser.step()
    state.step += 1
    _follow(state.average, state.network, min(settings.average, (1 + state.step) / (10 + state.step)))
    total, count = state.pending
    state.pending = (total + float(loss.detach()), count + 1)


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
