"""Rounds of simulated clicks: what is shown, where clicks fall, and that training on them runs and ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omniview.core.image import Image
from omniview.core.task import TASKS as ALL_TASKS
from omniview.inference.card import GeneralistCard, read_card
from omniview.inference.worker import InferenceThread
from omniview.omnimodel.promptable import BuiltinGeneralist
from omniview.training import clicks as rounds
from omniview.training.calibrate_clicks import calibrate_clicks, clicked
from omniview.training.clicks import ambiguous_batch, click, first_round, fit_clicks, next_round
from omniview.training.dataset import Example, load
from omniview.training.fit import Settings
from omniview.training.generalist import SIZE, TASKS, Generalist
from omniview.training.prompts import BOX, NEGATIVE, POSITIVE, PRIOR, no_prompt
from tests.omnimodel.generalist import write_generalist
from tests.training.folders import write_folder


def truth() -> np.ndarray:
    """A disc in the network's input."""
    y, x = np.mgrid[:SIZE, :SIZE]
    disc: np.ndarray = np.hypot(y - 100, x - 140) < 40
    return disc


def test_a_batch_holds_what_was_asked_for(tmp_path: Path) -> None:
    """Images, soft targets and tasks agree; a task without examples is not drawn."""
    examples = {"polyp": load([write_folder(tmp_path / "polyp_tiny", {"train": 3})], "train")}
    batch = ambiguous_batch(np.random.default_rng(0), examples, 6)
    assert batch.images.shape == (6, 3, SIZE, SIZE)
    assert batch.targets.shape == (6, 1, SIZE, SIZE)
    assert float(batch.targets.max()) == 1
    assert set(batch.indices) == {TASKS.index("polyp")}


def test_the_first_click_is_on_what_is_wrong_with_what_was_shown() -> None:
    """Positive clicks lie in the truth, negative ones outside, and something is shown most of the time."""
    disc, logits = truth(), np.where(np.roll(truth(), 30, axis=1), 4, -4).astype(np.float32)
    shown = boxes = 0
    for seed in range(60):
        prompts = first_round(np.random.default_rng(seed), logits, disc, TASKS.index("polyp"))
        assert prompts.shape == (4, SIZE, SIZE)
        assert (prompts[POSITIVE].max() == 1) or (prompts[NEGATIVE].max() == 1)
        assert disc[prompts[POSITIVE] == 1].all()
        assert not disc[prompts[NEGATIVE] == 1].any()
        shown += bool(prompts[PRIOR].any())
        boxes += bool(prompts[BOX].any())
    assert 30 < shown < 60
    assert 0 < boxes < 20


def test_the_next_round_adds_a_click_and_hands_the_answer_back() -> None:
    """Earlier clicks stay; the answer is the prior as a rule."""
    disc = truth()
    prompts = no_prompt(SIZE)
    click(np.random.default_rng(0), prompts, np.zeros_like(disc), disc)
    answer = np.where(np.roll(disc, 30, axis=0), 0.9, 0.1).astype(np.float32)
    given = 0
    for seed in range(20):
        after = next_round(np.random.default_rng(seed), prompts, answer, disc)
        assert (after[[POSITIVE, NEGATIVE]] >= prompts[[POSITIVE, NEGATIVE]]).all()
        assert (after[[POSITIVE, NEGATIVE]] == 1).sum() == 2
        given += np.array_equal(after[PRIOR], answer)
    assert 14 <= given < 20
    assert not prompts[PRIOR].any()


def test_nothing_is_clicked_where_nothing_is_wrong() -> None:
    """A right answer needs no click."""
    prompts = no_prompt(SIZE)
    click(np.random.default_rng(0), prompts, truth(), truth())
    assert not prompts.any()


def test_training_of_clicks_changes_what_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frozen layers and the halves stay, the rest learns; a finished checkpoint is not trained again."""
    monkeypatch.setattr(rounds, "ROUNDS", 2)
    examples = {"breast": load([write_folder(tmp_path / "breast_tiny", {"train": 2})], "train")}
    halves = Generalist(pretrained=False)
    before = {name: value.clone() for name, value in halves.state_dict().items()}
    settings = Settings(steps=1, batch=2, mixed=False)
    fitted = fit_clicks(halves, examples, settings, tmp_path / "c.checkpoint", lambda _: None)
    assert all(torch.equal(value, before[name]) for name, value in halves.state_dict().items())
    after = fitted.network.state_dict()
    stem = "encoder_half.encoder.stem.conv.weight"
    assert torch.equal(after[stem], before[stem])
    late = "encoder_half.encoder.blocks.9.expand.conv.weight"
    assert not torch.equal(after[late], before[late])
    again = fit_clicks(halves, examples, settings, tmp_path / "c.checkpoint", lambda _: None)
    assert again.steps == 1


def case(empty: bool = False) -> Example:
    """A bright rectangle that is the truth but for one side."""
    image = np.full((64, 128, 3), 20, np.uint8)
    image[8:32, 16:72] = 235
    mask = np.zeros((64, 128), np.uint8)
    mask[8:32, 16:40] = 0 if empty else 255
    return Example("made", "made", image, mask, None)


async def test_a_simulated_person_clicks_until_nothing_is_wrong(tmp_path: Path) -> None:
    """The first answer is unprompted; the first click denies what is too much; clicks end at five."""
    card = read_card(write_generalist(tmp_path, third=True))
    assert isinstance(card, GeneralistCard)
    thread = InferenceThread()
    generalist = BuiltinGeneralist(card, thread, device="cpu", threads=1)
    answers = [answer async for answer in clicked(generalist, case(), "polyp")]
    unprompted = await generalist.segment(Image(case().image), ALL_TASKS["polyp"])
    await generalist.close()
    thread.close()
    np.testing.assert_array_equal(answers[0].probability, unprompted.probability)
    assert 2 <= len(answers) <= 6
    assert answers[1].mask.sum() < answers[0].mask.sum()


async def test_what_is_calibrated_are_the_answers_to_clicks(tmp_path: Path) -> None:
    """Answers after one, three and five clicks count; a case with nothing to find does not."""
    card = read_card(write_generalist(tmp_path, third=True))
    assert isinstance(card, GeneralistCard)
    found = await calibrate_clicks(card, "polyp", [case(), case(empty=True)], 1)
    assert 1 <= found.cases <= 3
    assert 0 < found.threshold < 1
    assert (await calibrate_clicks(card, "polyp", [], 1)).cases == 0
