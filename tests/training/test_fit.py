from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from omniview.errors import SettingsError
from omniview.training.fit import Fitted, Progress, Settings, Watch, fit
from omniview.training.losses import centreline_loss, mask_loss, soft_dice_loss


class Killed(Exception):
    """Stands for the power going off."""


def small_network() -> nn.Module:
    """Two convolutions with a BatchNorm between, always the same."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))


def run(checkpoint: Path, settings: Settings, die_at: int | None = None) -> tuple[Fitted, list[Progress]]:
    """Train the small network to find bright pixels; perhaps die before step ``die_at``."""
    reports: list[Progress] = []

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        if step == die_at:
            raise Killed
        generator = torch.Generator().manual_seed(100 + step)
        image = torch.randn(4, 1, 16, 16, generator=generator)
        return mask_loss(network(image), (image > 0.5).float())

    fitted = fit(small_network(), loss_of_step, settings, checkpoint, reports.append, report_steps=10)
    return fitted, reports


def test_a_killed_and_resumed_run_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    """Weights, moving average, BatchNorm statistics and learning curve agree to the bit after 30 steps."""
    settings = Settings(steps=30, batch=4, checkpoint_seconds=0.0)
    whole, _ = run(tmp_path / "whole.pt", settings)
    with pytest.raises(Killed):
        run(tmp_path / "killed.pt", settings, die_at=13)
    resumed, reports = run(tmp_path / "killed.pt", settings)
    assert reports[0].step == 20
    assert resumed.steps == whole.steps == 30
    for (name, a), b in zip(
        whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert resumed.curve == whole.curve


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    """The same command a second time only exports."""
    settings = Settings(steps=5, batch=4)
    first, _ = run(tmp_path / "a.pt", settings)
    second, reports = run(tmp_path / "a.pt", settings, die_at=5)
    assert reports == []
    assert second.steps == first.steps


def test_a_timed_run_ends_by_the_clock_and_learns(tmp_path: Path) -> None:
    """Minutes bound a run whatever the machine's speed; its loss falls."""
    fitted, reports = run(tmp_path / "a.pt", Settings(minutes=0.02, batch=4))
    assert fitted.minutes >= 0.02
    assert fitted.curve[-1][1] < fitted.curve[0][1]
    assert 0 < reports[-1].fraction <= 1
    assert "min left" in str(reports[-1])


def test_no_half_written_checkpoint_stays(tmp_path: Path) -> None:
    """Only the finished file is left in the folder."""
    run(tmp_path / "a.pt", Settings(steps=3, batch=4, checkpoint_seconds=0.0))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def looking(checkpoint: Path, scores: list[float], die_at: int | None = None) -> Fitted:
    """Train the small network for up to 60 steps, looked at every 5; the looks see ``scores`` one by one."""

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        if step == die_at:
            raise Killed
        return mask_loss(network(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 8, 8))

    watch = Watch(lambda _network: scores.pop(0), every=5, patience=3)
    settings = Settings(steps=60, batch=1, checkpoint_seconds=0.0)
    return fit(small_network(), loss_of_step, settings, checkpoint, lambda _: None, watch=watch)


def test_training_ends_when_looks_at_held_out_cases_are_in_vain(tmp_path: Path) -> None:
    """After three looks without a better score the weights of the best look are left, killed or not."""
    scores = [0.3, 0.5, 0.7, 0.6, 0.7, 0.1, 0.9]
    whole = looking(tmp_path / "whole.pt", scores.copy())
    assert whole.looks == ((0, 0.3), (5, 0.5), (10, 0.7), (15, 0.6), (20, 0.7), (25, 0.1))
    assert (whole.steps, whole.best_step) == (25, 10)
    with pytest.raises(Killed):
        looking(tmp_path / "killed.pt", scores.copy(), die_at=13)
    resumed = looking(tmp_path / "killed.pt", scores[3:])
    assert resumed.looks == whole.looks
    for (name, a), b in zip(
        whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_a_run_can_end_within_its_schedule(tmp_path: Path) -> None:
    """`until` leaves the weights that the same run had there, and 0 those that it began with."""
    settings = Settings(steps=30, batch=4)

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        return mask_loss(network(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 8, 8))

    for until in (0, 7):
        network = small_network()
        fitted = fit(network, loss_of_step, settings, tmp_path / f"{until}.pt", lambda _: None, until=until)
        assert fitted.steps == fitted.best_step == until
        began = small_network().state_dict()
        same = all(torch.equal(value, began[name]) for name, value in fitted.network.state_dict().items())
        assert same is (until == 0)


def test_stopping_keeps_the_step_at_hand(tmp_path: Path) -> None:
    """A wish to stop and Ctrl-C both end between two steps; going on gives what was never stopped."""
    settings = Settings(steps=12, batch=4)
    whole, _ = run(tmp_path / "whole.pt", settings)

    def loss_of_step(network: nn.Module, step: int) -> Tensor:
        if step == 7 and not stopped.is_file():
            os.kill(os.getpid(), signal.SIGINT)
        generator = torch.Generator().manual_seed(100 + step)
        image = torch.randn(4, 1, 16, 16, generator=generator)
        return mask_loss(network(image), (image > 0.5).float())

    stopped = tmp_path / "stopped.pt"
    arguments = (loss_of_step, settings, stopped, lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        fit(small_network(), *arguments)
    with pytest.raises(KeyboardInterrupt):
        fit(small_network(), *arguments, cancelled=lambda: True)
    resumed = fit(small_network(), *arguments)
    assert resumed.steps == 12
    for (name, a), b in zip(
        whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_settings_need_one_schedule_and_positive_numbers() -> None:
    """Minutes or steps, never both or none."""
    for wrong in ({}, {"minutes": 1.0, "steps": 2}, {"steps": 0}, {"minutes": -1.0}):
        with pytest.raises(SettingsError):
            Settings(**wrong)


def test_soft_dice_is_zero_for_a_perfect_mask_and_skips_empty_ones() -> None:
    """A confident right answer costs nothing; an empty target is left to cross-entropy."""
    target = torch.zeros(2, 1, 8, 8)
    target[0, 0, 2:6, 2:6] = 1
    assert float(soft_dice_loss(100 * (target - 0.5), target)) == pytest.approx(0, abs=1e-4)
    empty = torch.zeros(1, 1, 8, 8)
    assert float(soft_dice_loss(torch.randn(1, 1, 8, 8), empty)) == 0


def test_centreline_loss_minds_gaps_more_than_width() -> None:
    """A vessel cut in two costs more than one drawn a pixel too thick; the truth itself costs nothing."""
    truth = torch.zeros(1, 1, 64, 64)
    truth[..., 30:34, 4:60] = 1
    thick, cut = truth.clone(), truth.clone()
    thick[..., 29:35, 4:60] = 1
    cut[..., 28:40] = 0
    same, wide, broken = (float(centreline_loss((m * 2 - 1) * 20, truth)) for m in (truth, thick, cut))
    assert same < 0.01
    assert wide < 0.5 * broken
    assert float(centreline_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))) == 0
